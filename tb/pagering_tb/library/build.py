"""Compiles a card to a shared library, once.

First the model alone, which takes minutes, then the harness with it, which takes seconds. Each is
kept under the hash of all that went in.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pagering_hdl.config import CardConfig
from pagering_tb.build_cache import cache_dir, digest, locked, verilog_text, write_atomically
from pagering_tb.simulators import SimulatorError, environment, version

from .boundary import TOP, with_boundary

__all__ = ["HARNESS", "HARNESS_ARGS", "Built", "build_library"]

HARNESS = Path(__file__).resolve().parent / "harness"
"""The C++ around the card."""
_VERILOG = f"{TOP}.v"
_LIBRARY = "libcard.so"
_COMPILER = "c++"
"""The name that Verilator's makefile calls, too."""
_TAIL_LINES = 25
_FLAGS = (
    "-std=c++17", "-fPIC",
    # Two cards in a process have nothing in common, though their classes have the same names.
    "-fvisibility=hidden", "-fno-gnu-unique",
    # Assertions and fatal errors become exceptions, see broken.cpp.
    "-DVL_USER_FINISH", "-DVL_USER_STOP", "-DVL_USER_FATAL",
)
# -include: see `simulators`. The model is one function: cut into pieces, as it would be, it keeps
# in memory what else never leaves a register.
_MAKEFLAGS = "CFG_CXXFLAGS_PCH_I=-include OPT_FAST=-O2 OPT_SLOW=-O0 OPT_GLOBAL=-O2"
_MODEL_ARGS = (
    "--cc", "--build", "-O3", "--top-module", TOP, "--Mdir", ".",
    "--output-split", "0", "--output-split-cfuncs", "1000000",
    "--x-assign", "0", "--x-initial", "0",
    "-Wno-fatal", "-Wno-lint", "-Wno-style",  # generated text: its widths are as meant
    "-CFLAGS", " ".join(_FLAGS),
)
HARNESS_ARGS = (*_FLAGS, "-O2", "-Wall", "-Wextra")
"""What the harness is compiled with."""


@dataclass(frozen=True)
class Built:
    """A card that can be loaded."""

    library: Path
    verilog: Path
    """What it was made of, after :func:`~pagering_tb.library.boundary.with_boundary`."""


def build_library(config: CardConfig, asserts: bool = True) -> Built:
    """Return the library of a card, with its assertions or without.

    Raises
    ------
    SimulatorError
        If Verilator or the compiler is missing, or the build fails.

    """
    variables = {**os.environ, **environment("verilator"), "MAKEFLAGS": _MAKEFLAGS}
    if shutil.which(_COMPILER) is None:
        raise SimulatorError(f"there is no C++ compiler called {_COMPILER}, which the card's "
                             f"library is built with; on Debian: apt install g++")
    model = _build_model(with_boundary(verilog_text(config, observed=True)), asserts, variables)
    include = Path(variables["VERILATOR_ROOT"]) / "include"
    sources = sorted(HARNESS.iterdir())
    key = digest(model.name, *HARNESS_ARGS,
                 *(f"{path.name}\n{path.read_text(encoding='utf-8')}" for path in sources))

    def link(where: Path, log: Path) -> None:
        _run([_COMPILER, *HARNESS_ARGS, "-I", str(model), "-isystem", str(include),
              *(str(path) for path in sources if path.suffix == ".cpp"),
              str(model / f"V{TOP}__ALL.a"), str(model / "libverilated.a"),
              "-shared", "-Wl,-Bsymbolic", "-pthread", "-o", _LIBRARY], where, variables, log)

    return Built(_kept(f"library-{key}", link) / _LIBRARY, model / _VERILOG)


def _build_model(text: str, asserts: bool, variables: Mapping[str, str]) -> Path:
    """Return the directory of the compiled model."""
    args = [*_MODEL_ARGS, *(() if asserts else ("-DSYNTHESIS",)), _VERILOG]
    key = digest(text, *args, _MAKEFLAGS, version("verilator"))

    def compile_model(where: Path, log: Path) -> None:
        (where / _VERILOG).write_text(text, encoding="utf-8")
        _run(["verilator", *args], where, variables, log)

    return _kept(f"model-{key}", compile_model)


def _kept(name: str, make: Callable[[Path, Path], None]) -> Path:
    """Return the directory of this name; have it filled if it is not there yet."""
    where = cache_dir() / "library" / name
    done = where / "built"
    with locked(where):
        if not done.exists():
            shutil.rmtree(where, ignore_errors=True)
            where.mkdir(parents=True)
            make(where, where.with_suffix(".log"))
            write_atomically(done, "")
    return where


def _run(command: Sequence[str], where: Path, variables: Mapping[str, str], log: Path) -> None:
    with open(log, "w", encoding="utf-8") as file:
        ended = subprocess.run(command, cwd=where, env=variables, stdout=file,
                               stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False)
    if ended.returncode != 0:
        tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()
                         [-_TAIL_LINES:])
        raise SimulatorError(f"the card's library could not be built; the whole log is in {log}\n"
                             f"{tail}")
