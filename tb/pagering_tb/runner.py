"""Build a card for a simulator once, and run cocotb test modules on it.

:func:`build` turns a configuration into a compiled simulation, kept in a cache under the hash of
everything that went in: the same card is never compiled twice, also not by test workers that ask
for it at the same moment. :func:`simulate` runs a test module in its own process, quietly; what it
printed is in a file, whose last lines go into the error if it fails.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import threading
import time
import xml.etree.ElementTree
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .build_cache import cache_dir, digest, locked, verilog_text, write_atomically
from .simulators import (
    TOP,
    SimulatorError,
    build_args,
    environment,
    fingerprint,
    sources,
)

if TYPE_CHECKING:
    from pagering_hdl.config import CardConfig

__all__ = ["Result", "build", "build_verilog", "simulate"]

_RESULTS = "results.xml"
_NOISE = ("DeprecationWarning", "INFO ", "**************")
_environment_lock = threading.Lock()


@dataclass(frozen=True)
class Result:
    """How a run of a test module ended."""

    passed: tuple[str, ...]
    failed: Mapping[str, str]
    """Message by test name."""
    log: Path
    waves: Path | None = None
    tail: str = field(default="", repr=False)

    @property
    def ok(self) -> bool:
        """Whether there were tests and all passed."""
        return bool(self.passed) and not self.failed

    def check(self) -> Result:
        """Return self, or raise with the last useful lines of the log."""
        if not self.ok:
            what = "; ".join(f"{name}: {text}" for name, text in self.failed.items())
            raise SimulatorError(f"{what or 'the simulation ended without a result'}; the whole "
                                 f"log is in {self.log}\n{self.tail}")
        return self


def build(config: CardConfig, simulator: str = "verilator", waves: bool = False) -> Path:
    """Build the card for a simulator; return the directory to give to :func:`simulate`.

    Raises
    ------
    SimulatorError
        If the simulator is missing or the build fails, with the place of the build's log.
    """
    return build_verilog(verilog_text(config), simulator, waves)


def build_verilog(text: str, simulator: str = "verilator", waves: bool = False) -> Path:
    """As :func:`build`, for Verilog whose top is called ``pagering_rx``."""
    variables = environment(simulator)
    text = sources(text, simulator, waves)
    args = build_args(simulator, waves)
    key = digest("simulation", text, simulator, str(waves), *args, *fingerprint(simulator))
    where = cache_dir() / "sim" / f"{simulator}-{key}"
    done = where / "built.json"
    with locked(where):
        if not done.exists():
            shutil.rmtree(where, ignore_errors=True)
            where.mkdir(parents=True)
            (where / f"{TOP}.v").write_text(text, encoding="utf-8")
            for library in ("liblz4.a", "libz.a") if waves and simulator == "verilator" else ():
                (where / library).write_bytes(b"!<arch>\n")  # empty: the headers are all of it
            _compile(where, simulator, waves, args, variables)
            write_atomically(done, json.dumps({"simulator": simulator, "waves": waves}))
    return where


def _compile(where: Path, simulator: str, waves: bool, args: Sequence[str],
             variables: Mapping[str, str]) -> None:
    log = where.with_suffix(".log")
    kept = _lend_runtime(where, waves) if simulator == "verilator" else None
    with _environ(variables), _quiet():
        from cocotb_tools.runner import get_runner  # needs the simulator on PATH already
        try:
            runner = get_runner(simulator)
            runner.build(sources=[where / f"{TOP}.v"], hdl_toplevel=TOP, build_dir=where,
                         build_args=list(args), always=True, log_file=log,
                         waves=waves and simulator == "verilator",
                         timescale=("1ns", "1ps"))
        except (RuntimeError, SystemExit) as error:
            raise SimulatorError(f"{simulator} could not build the card; the whole log is in "
                                 f"{log}\n{_tail(log)}") from error
    if kept is not None and not kept.exists():
        part = kept.with_name(f"{kept.name}.{os.getpid()}.{threading.get_ident()}.part")
        part.mkdir(parents=True)
        for built in where.glob("verilated*.o"):
            shutil.copy(built, part)
        with contextlib.suppress(OSError):  # somebody else was first
            part.rename(kept)


def _lend_runtime(where: Path, waves: bool) -> Path:
    """Put Verilator's compiled run time in place, if there is one: half the work of a build.

    Return where it is kept.
    """
    key = digest("runtime", str(waves), *fingerprint("verilator"))
    kept = cache_dir() / "sim" / f"runtime-{key}"
    for built in kept.glob("*.o"):
        mine = where / built.name
        shutil.copy(built, mine)
        # Later than the makefile that is yet to be written, or make would compile it again.
        os.utime(mine, (time.time() + 3600,) * 2)
    return kept


def simulate(where: Path, module: str, *, extra: Mapping[str, str] | None = None, seed: int = 1,
             testcase: str | None = None, run_dir: Path | None = None,
             waves: Path | None = None) -> Result:
    """Run the cocotb tests of a module in a process of its own.

    Parameters
    ----------
    where : Path
        What :func:`build` returned.
    module : str
        Name of the module; it is looked for on this process's ``sys.path``.
    extra : Mapping[str, str]
        Environment variables for the tests.
    seed : int
        Of cocotb's and of Python's random numbers.
    testcase : str
        Run this test only.
    run_dir : Path
        Where the log and the results go; a directory beside the build if left out.
    waves : Path
        Write an FST trace there; the build must have been made with waves.
    """
    facts = json.loads((where / "built.json").read_text(encoding="utf-8"))
    simulator = facts["simulator"]
    if waves is not None and not facts["waves"]:
        raise SimulatorError("this build has no waves; build it with waves=True")
    run_dir = run_dir or where / f"run-{module}-{os.getpid()}-{threading.get_ident()}"
    run_dir.mkdir(parents=True, exist_ok=True)
    log, results = run_dir / "simulation.log", run_dir / _RESULTS
    results.unlink(missing_ok=True)
    trace: list[str] = []
    if waves is not None:
        waves = waves.absolute()
        trace = (["--trace", "--trace-file", str(waves)] if simulator == "verilator"
                 else [f"+dumpfile_path={waves}"])
    variables = {**environment(simulator), "PYTHONHASHSEED": "0",
                 # The models use names that cocotb 2 has given up; it is not ours to tell.
                 "PYTHONWARNINGS": "ignore::DeprecationWarning", **(extra or {})}
    with _environ(variables), _quiet():
        from cocotb_tools.runner import get_runner
        stopped = ""
        try:
            get_runner(simulator).test(
                test_module=module, hdl_toplevel=TOP, hdl_toplevel_lang="verilog", build_dir=where,
                test_dir=run_dir, results_xml=str(results), log_file=log, seed=seed,
                testcase=testcase, extra_env=dict(variables),
                waves=waves is not None and simulator == "icarus",
                test_args=trace if simulator == "verilator" else [],
                plusargs=trace if simulator == "icarus" else [])
        except (RuntimeError, SystemExit) as error:
            stopped = str(error)
    passed, failed = _read_results(results)
    if stopped and not failed:
        failed["simulation"] = f"the simulator stopped: {stopped}"
    if failed and (assertion := _assertion(log)):
        # It ends the process at once: what the tests thought of that is of no interest.
        failed = {"assertion": assertion}
    return Result(passed, failed, log, waves, _tail(log))


def _read_results(results: Path) -> tuple[tuple[str, ...], dict[str, str]]:
    passed: list[str] = []
    failed: dict[str, str] = {}
    if results.exists():
        for case in xml.etree.ElementTree.parse(results).iter("testcase"):
            name = case.get("name", "?")
            for bad in (*case.findall("failure"), *case.findall("error")):
                failed[name] = bad.get("message") or bad.get("error_msg") or "failed"
            if name not in failed and case.find("skipped") is None:
                passed.append(name)
    return tuple(passed), failed


def _assertion(log: Path) -> str:
    """Return the first line of the log in which the design itself objects."""
    if log.exists():
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            if "Assertion failed" in line:
                return line.strip().replace("%Error: ", "")
    return ""


def _tail(log: Path, lines: int = 25) -> str:
    if not log.exists():
        return ""
    text = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join([line for line in text if not any(n in line for n in _NOISE)][-lines:])


@contextlib.contextmanager
def _environ(changes: Mapping[str, str]) -> Iterator[None]:
    """Change ``os.environ``: cocotb's runner starts its processes with nothing else."""
    # pytest's name of the running test would make the runner exit where it should return.
    with _environment_lock:
        before = dict(os.environ)
        os.environ.update(changes)
        os.environ.pop("PYTEST_CURRENT_TEST", None)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the runner's own messages off the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
