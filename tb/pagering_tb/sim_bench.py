"""``pagering bench``: cycles per frame for each frame size and memory latency, beside the ideal.

This is the half that runs in the user's process: what is measured, the runs side by side, the bar,
the table and the JSON. How a cycle is counted is in :mod:`pagering_tb.bench_main`.

The ideal is what the bus alone takes: a frame's beats and its 16-byte completion's. Completions
leave four at a time, so on a wide bus one takes a part of a beat.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
import multiprocessing
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from pagering import abi
from pagering.errors import PageringError
from pagering_hdl.config import CardConfig

from .runner import build, simulate

__all__ = ["BAR", "JOB_VARIABLE", "PLAN", "QUICK_PLAN", "Job", "Row", "ideal", "judge", "measure",
           "run"]

JOB_VARIABLE = "PAGERING_BENCH_JOB"
"""Names the file that tells the simulation what to measure."""
BAR = 1.05
"""Most that a row with a bar may take, as a multiple of the ideal."""
_WALL_LIMIT_S = 300
_SIZES = (64, 128, 256, 512, 1024, 1518)


@dataclass(frozen=True)
class Job:
    """One simulation: a card, and the points to measure with it."""

    config: CardConfig
    points: tuple[tuple[int, int], ...]
    """Frame size and memory latency of each."""
    bar: float | None = None
    cycles: int = 20_000
    """Shortest window of a point."""


@dataclass(frozen=True)
class Row:
    """One line of the table, one object of the JSON. Counts are of the window alone."""

    bus_bits: int
    queues: int
    chunk_bytes: int
    frame_bytes: int
    memory_latency: int
    cycles_per_frame: float
    ideal: float
    ratio: float
    bar: float | None
    ok: bool
    bursts_per_frame: float
    bus_bytes_per_frame: float
    returns_per_frame: float
    utilization: float
    """Share of the window's cycles in which a beat was written."""
    frames: int
    cycles: int
    problems: list[str] = field(default_factory=list)


def _jobs(sizes: Sequence[int], wide_sizes: Sequence[int], cycles: int) -> tuple[Job, ...]:
    """Return all jobs, the longest first."""
    return (
        *(Job(CardConfig(), tuple((size, latency) for size in sizes), BAR, cycles)
          for latency in (4, 64, 250)),
        *(Job(CardConfig(chunk_bytes=chunk), ((64, 64),), None, cycles) for chunk in (64, 256)),
        *(Job(CardConfig(bus_bits=bits), tuple((size, 64) for size in wide_sizes), None, cycles)
          for bits in (128, 256, 512)),
    )


PLAN = _jobs(_SIZES, (64, 256, 1518), 20_000)
QUICK_PLAN = _jobs((64, 1518), (64,), 5_000)


def ideal(frame_bytes: int, bus_bits: int) -> float:
    """Return the cycles that the bus needs for a frame and its completion."""
    width = bus_bits // 8
    return -(-frame_bytes // width) + abi.COMPLETION_BYTES / width


def judge(job: Job, measured: Mapping[str, Any], problems: Sequence[str] = ()) -> Row:
    """Turn what was measured at a point into its row."""
    config, frame_bytes = job.config, measured["frame_bytes"]
    best = ideal(frame_bytes, config.bus_bits)
    ratio = measured["cycles_per_frame"] / best
    wrong = [*problems, *(f"{count} {name}" for name, count in measured["lost"].items())]
    due = frame_bytes + abi.COMPLETION_BYTES
    if measured["bus_bytes_per_frame"] != due:
        wrong.append(f"{measured['bus_bytes_per_frame']:.2f} bytes on the bus for each frame "
                     f"instead of {due}")
    return Row(
        bus_bits=config.bus_bits, queues=config.queues, chunk_bytes=config.chunk_bytes,
        ideal=best, ratio=round(ratio, 4), bar=job.bar, problems=wrong,
        ok=not wrong and (job.bar is None or ratio <= job.bar),
        **{name: value if isinstance(value, int) else round(value, 4)
           for name, value in measured.items() if name != "lost"})


def measure(job: Job, log: Path) -> list[Row]:
    """Build the card and measure its points, in this process.

    Raises
    ------
    SimulatorError
        If the simulation could not run to its end; what it printed is then in ``log``.
    """
    where = build(job.config)
    with tempfile.TemporaryDirectory(prefix="pagering-bench-") as scratch:
        told, result = (Path(scratch) / name for name in ("job.json", "result.json"))
        told.write_text(json.dumps({
            "config": dataclasses.asdict(job.config), "points": job.points,
            "cycles": job.cycles, "result": str(result)}), encoding="utf-8")
        outcome = simulate(where, "pagering_tb.bench_main", run_dir=Path(scratch), extra={
            JOB_VARIABLE: str(told), "PAGERING_WALL_LIMIT": str(_WALL_LIMIT_S)})
        if not outcome.ok:
            log.write_bytes(outcome.log.read_bytes() if outcome.log.exists() else b"")
            dataclasses.replace(outcome, log=log).check()
        found = json.loads(result.read_text(encoding="utf-8"))
    return [judge(job, measured, found["problems"]) for measured in found["rows"]]


def run(path: Path, quick: bool = False, plan: Sequence[Job] | None = None,
        console: Console | None = None, workers: int | None = None) -> int:
    """Measure everything, print the table, write the JSON; return 1 if a row is not ok, else 0.

    Raises
    ------
    PageringError
        If the JSON cannot be written or a simulation could not run.
    """
    console = console or Console()
    plan = plan or (QUICK_PLAN if quick else PLAN)
    _write(path, [])  # find out now whether it can be written
    # Processes of their own: a simulator is told by the environment of the one that starts it.
    with concurrent.futures.ProcessPoolExecutor(
            workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        running = [pool.submit(measure, job, path.with_suffix(".log")) for job in plan]
        try:
            for done in track(concurrent.futures.as_completed(running), "measuring",
                              total=len(running), console=console, transient=True):
                done.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    rows = [row for job in running for row in job.result()]
    _write(path, rows)
    console.print(_table(rows))
    for row in rows:
        for problem in row.problems:
            console.print(f"{row.bus_bits} bits, {row.frame_bytes} bytes, latency "
                          f"{row.memory_latency}: {problem}", style="red", highlight=False)
    console.print(f"\nThe figures are in {path}", style="dim", highlight=False, soft_wrap=True)
    return 0 if all(row.ok for row in rows) else 1


def _write(path: Path, rows: Sequence[Row]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps([dataclasses.asdict(row) for row in rows], indent=1) + "\n",
                        encoding="utf-8")
    except OSError as error:
        raise PageringError(f"{path} cannot be written: {error.strerror}; choose another place "
                            f"with --output") from error


def _table(rows: Sequence[Row]) -> Table:
    table = Table(title="Cycles per frame, completions and page returns included",
                  caption="bursts, bytes and returns: per frame", box=box.SIMPLE_HEAD,
                  padding=0)
    for name in ("bus", "chunk", "frame", "latency", "cycles", "ideal", "ratio", "bar", "",
                 "bursts", "bytes", "returns"):
        table.add_column(name, justify="right", no_wrap=True)
    before = None
    for row in rows:
        group = (row.bus_bits, row.chunk_bytes, row.memory_latency)
        if before is not None and group != before:
            table.add_section()
        before = group
        verdict = "[red]no[/]" if not row.ok else "[green]ok[/]" if row.bar else ""
        table.add_row(
            str(row.bus_bits), str(row.chunk_bytes), str(row.frame_bytes), str(row.memory_latency),
            f"{row.cycles_per_frame:.2f}", f"{row.ideal:g}", f"{row.ratio:.3f}",
            f"{row.bar:g}" if row.bar else "", verdict, f"{row.bursts_per_frame:.2f}",
            f"{row.bus_bytes_per_frame:.1f}", f"{row.returns_per_frame:.2f}")
    return table
