"""``pagering sim``: a capture through the simulated card, and what came of it.

This is the half that runs in the user's process. It reads the capture, builds the card, starts the
simulation (:mod:`pagering_tb.sim_main`) in a process of its own, shows its progress and turns its
result into a table, ``out.pcap``, ``report.json``, a picture and a trace of the life of each page.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pagering.capture import read_frames
from pagering.errors import PageringError
from pagering.sim_options import SimOptions
from pagering_hdl.config import CardConfig

from .gtkw import write_view
from .picture import Samples, draw
from .report import Pages, QueueFigures, Report
from .runner import Result, build, simulate
from .shipped import SHIPPED
from .simulators import SimulatorError

__all__ = ["JOB_VARIABLE", "card_config", "run"]

JOB_VARIABLE = "PAGERING_SIM_JOB"
"""Names the file that tells the simulation what to do."""
_LOOK_EVERY_S = 0.1
_STUCK_AFTER_S = 300
"""The simulation lets time pass more often than this, or it is stopped."""


def card_config(options: SimOptions) -> CardConfig:
    """Return the card that these options describe."""
    return CardConfig(bus_bits=options.bus_bits, queues=options.queues, pools=options.card_pools,
                      page_bytes=options.page_bytes, chunk_bytes=options.chunk_bytes,
                      pages=options.pages, region_pages=options.region_pages,
                      clock_khz=round(1000 * options.clock_mhz))


def run(options: SimOptions, console: Console | None = None) -> int:
    """Run a capture through the card; return 0 if everything is as it must be, else 1.

    Raises
    ------
    PageringError
        If it could not run: the input cannot be read, the output not be written, a tool is
        missing, or the simulation broke off.
    """
    console = console or Console()
    capture = read_frames(options.pcap or SHIPPED)
    _prepare(options.out)
    with console.status("Building the card; it is kept for the next run ..."):
        where = build(card_config(options), options.simulator, options.waves)
    waves = options.out / "waves.fst" if options.waves else None
    with tempfile.TemporaryDirectory(prefix="pagering-sim-") as scratch:
        figures = _simulate(options, where, Path(scratch), waves, len(capture.frames), console)
    report = _report(options, figures)
    report.write(options.out / "report.json")
    draw(Samples(**figures["samples"]), options.out / "occupancy.png",
         options.out / "occupancy.svg", clock_mhz=options.clock_mhz,
         title=f"{(options.pcap or SHIPPED).name}: {report.frames_in:,} frames, "
               f"{options.bus_bits}-bit bus, {options.queues} queues")
    if waves is not None:
        write_view(options.out / "waves.gtkw", waves, options.bus_bits, options.queues)
    console.print(report.render())
    console.print(f"\nThe frames, the figures and the picture are in {options.out}", style="dim",
                  highlight=False, soft_wrap=True)
    return 0 if report.ok else 1


def _prepare(out: Path) -> None:
    """Make the folder for the results, and find out now whether it takes files."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=out, prefix=".pagering-"):
            pass
    except OSError as error:
        raise PageringError(f"{out} takes no results: {error.strerror}; choose another folder "
                            f"with --out") from error


def _simulate(options: SimOptions, where: Path, scratch: Path, waves: Path | None, frames: int,
              console: Console) -> dict[str, Any]:
    """Run the simulation and return what it found."""
    (options.out / "simulation.log").unlink(missing_ok=True)  # of an earlier run
    job, progress, result = (scratch / name for name in ("job.json", "progress", "result.json"))
    progress.touch()
    job.write_text(json.dumps({"options": options.to_json(), "progress": str(progress),
                               "result": str(result), "out": str(options.out.absolute())}),
                   encoding="utf-8")
    ended: list[Result | BaseException] = []

    def child() -> None:
        with _kept(ended):
            ended.append(simulate(
                where, "pagering_tb.sim_main", seed=options.seed, run_dir=scratch, waves=waves,
                extra={JOB_VARIABLE: str(job), "PAGERING_WALL_LIMIT": str(_STUCK_AFTER_S)}))

    thread = threading.Thread(target=child, name="simulation")
    thread.start()
    _show_progress(progress, frames, thread, console)
    thread.join()
    (outcome,) = ended
    if isinstance(outcome, BaseException):
        raise outcome
    if not outcome.ok or not result.exists():
        kept = options.out / "simulation.log"
        kept.write_bytes(outcome.log.read_bytes() if outcome.log.exists() else b"")
        reason = "; ".join(outcome.failed.values()) or "it left no result"
        raise SimulatorError(f"the simulation broke off: {reason}; the whole log is in {kept}")
    found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    return found


@contextlib.contextmanager
def _kept(errors: list[Result | BaseException]) -> Iterator[None]:
    """Keep an exception of a thread for the one that waits for it."""
    try:
        yield
    except PageringError as error:
        errors.append(error)
    finally:
        if not errors:
            errors.append(SimulatorError("the simulation could not be started"))


def _show_progress(path: Path, frames: int, thread: threading.Thread, console: Console) -> None:
    """Follow the simulation's progress file until it ends."""
    columns = (TextColumn("receiving"), BarColumn(), MofNCompleteColumn(),
               TextColumn("{task.fields[rate]:>6,.0f} frames/s"),
               TextColumn("ring {task.fields[free]:,}/{task.fields[pages]:,}"),
               TimeElapsedColumn())
    begun = time.monotonic()
    with Progress(*columns, console=console) as bar, open(path, encoding="utf-8") as lines:
        task = bar.add_task("frames", total=frames, rate=0.0, free=0, pages=0)
        ending = False
        while not ending:
            ending = not thread.is_alive()
            last = ""
            for line in lines:
                last = line if line.endswith("\n") else last
            if last:
                now = json.loads(last)
                rate = now["done"] / max(time.monotonic() - begun, 0.001)
                bar.update(task, completed=now["done"], rate=rate, free=now["free"],
                           pages=now["registered"])
            if not ending:
                time.sleep(_LOOK_EVERY_S)


def _report(options: SimOptions, figures: dict[str, Any]) -> Report:
    """Turn what the simulation found into the report."""
    plain = {field.name for field in dataclasses.fields(Report)} & figures.keys()
    values = {name: figures[name] for name in plain - {"pages", "per_queue"}}
    return Report(**values, pages=Pages(**figures["pages"]),
                  per_queue=[QueueFigures(**queue) for queue in figures["per_queue"]],
                  clock_mhz=options.clock_mhz, bus_bits=options.bus_bits,
                  options=json.loads(options.to_json()))
