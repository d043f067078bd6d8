"""``pagering bench``: cycles per frame for each frame size and memory latency, beside the ideal.

This is the half that runs in the user's process: the runs side by side, the bars, the table and the
JSON. What is measured is in :mod:`pagering_tb.bench_plan`, how a cycle is counted in
:mod:`pagering_tb.bench_meter`, what the host bus carries for a frame in
:mod:`pagering_tb.bench_model`.

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

from rich.console import Console
from rich.progress import track

from pagering.errors import PageringError
from pagering.figures import write_figures

from .bench_model import LinkModel, ideal
from .bench_plan import PLAN, QUICK_PLAN, Job, Point
from .bench_table import latency_table, throughput_table
from .return_bench import (
    QUICK_RETURN_PLAN,
    RETURN_PLAN,
    ReturnJob,
    ReturnRow,
    return_table,
)
from .runner import build, simulate

__all__ = ["JOB_VARIABLE", "Delay", "Row", "bar", "judge", "judge_delay", "measure", "run"]

JOB_VARIABLE = "PAGERING_BENCH_JOB"
"""Names the file that tells the simulation what to measure."""
UNLOADED_CYCLES = 20
"""From the last beat in to the completion, at 64 bits, beyond the memory's latency."""
_WALL_LIMIT_S = 600


@dataclass(frozen=True)
class Row:
    """One line of the table, one object of the JSON. Counts are of the window alone."""

    bus_bits: int
    queues: int
    chunk_bytes: int
    traffic: str
    order: str
    memory_latency: int
    cycles_per_frame: float
    ideal: float
    ratio: float
    bar: float | None
    ok: bool
    bursts_per_frame: float
    bus_bytes_per_frame: float
    link_up_per_frame: float
    """Bytes on the link to the host for a frame, headers of packets included."""
    link_up_model: float
    link_down_per_frame: float
    """The same from the host: returned tokens, and how far it has read."""
    link_down_model: float
    explained: str
    """Where they differ, why."""
    returns_per_frame: float
    utilization: float
    """Share of the window's cycles in which a beat was written."""
    frames: int
    cycles: int
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Delay:
    """How long one frame alone takes from its last beat in to its completion's last beat out."""

    bus_bits: int
    frame_bytes: int
    memory_latency: int
    cycles: int
    bar: int | None
    ok: bool


def bar(bus_bits: int, point: Point) -> float:
    """Return the most that a point may take, as a multiple of the ideal."""
    if bus_bits <= 128:
        return 1.02
    if bus_bits == 256:
        return 1.05
    return 1.05 if min(point.sizes) >= 256 else 1.25


def judge(job: Job, point: Point, measured: Mapping[str, Any], problems: Sequence[str] = ()
          ) -> Row:
    """Turn what was measured at a point into its row."""
    config = job.config
    best = ideal(point.sizes, config.bus_bits)
    ratio = measured["cycles_per_frame"] / best
    wrong = [*problems, *(f"{count} {name}" for name, count in measured["lost"].items())]
    link = LinkModel(config, point.sizes)
    if abs(measured["bus_bytes_per_frame"] - link.payload) > link.tolerance:
        wrong.append(f"{measured['bus_bytes_per_frame']:.2f} bytes on the bus for each frame "
                     f"instead of {link.payload:g}")
    limit = bar(config.bus_bits, point) if job.bars else None
    shown = {name: value if isinstance(value, int) else round(value, 4)
             for name, value in measured.items()
             if name in {item.name for item in dataclasses.fields(Row)}}
    return Row(
        bus_bits=config.bus_bits, queues=config.queues, chunk_bytes=config.chunk_bytes,
        traffic=point.traffic, order=point.order, memory_latency=point.latency, ideal=best,
        ratio=round(ratio, 4), bar=limit, problems=wrong,
        ok=not wrong and (limit is None or ratio <= limit),
        link_up_model=round(link.up, 4), link_down_model=round(link.down, 4),
        link_up_per_frame=round(link.up_measured(measured), 4),
        link_down_per_frame=round(link.down_measured(measured), 4),
        explained=link.explain(measured), **shown)


def judge_delay(job: Job, measured: Mapping[str, Any]) -> Delay:
    """Turn the delay of a frame alone into its row."""
    cycles, latency = measured["cycles"], measured["memory_latency"]
    limit = UNLOADED_CYCLES + latency if job.config.bus_bits == 64 else None
    return Delay(job.config.bus_bits, measured["frame_bytes"], latency, cycles, limit,
                 limit is None or cycles <= limit)


def measure(job: Job, log: Path) -> Mapping[str, Any]:
    """Build the card and measure its points, in this process.

    Return ``rows``, ``delays`` and ``problems``.

    Raises
    ------
    SimulatorError
        If the simulation could not run to its end; what it printed is then in ``log``.
    """
    where = build(job.config)
    with tempfile.TemporaryDirectory(prefix="pagering-bench-") as scratch:
        told, result = (Path(scratch) / name for name in ("job.json", "result.json"))
        told.write_text(json.dumps({
            "config": dataclasses.asdict(job.config), "cycles": job.cycles,
            "points": [dataclasses.asdict(point) for point in job.points],
            "unloaded": job.unloaded, "returns": job.returns,
            "result": str(result)}), encoding="utf-8")
        outcome = simulate(where, "pagering_tb.bench_main", run_dir=Path(scratch), extra={
            JOB_VARIABLE: str(told), "PAGERING_WALL_LIMIT": str(_WALL_LIMIT_S)})
        if not outcome.ok:
            log.write_bytes(outcome.log.read_bytes() if outcome.log.exists() else b"")
            dataclasses.replace(outcome, log=log).check()
        found: Mapping[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    return found


def run(path: Path, quick: bool = False, plan: Sequence[Job] | None = None,
        console: Console | None = None, workers: int | None = None,
        ways: Sequence[ReturnJob] | None = None) -> int:
    """Measure everything, print the tables, write the JSON; return 1 if a row is not ok, else 0.

    Raises
    ------
    PageringError
        If the JSON cannot be written or a simulation could not run; what the others found is
        shown all the same.
    """
    console = console or Console()
    if plan is None and ways is None:
        plan, ways = (QUICK_PLAN, QUICK_RETURN_PLAN) if quick else (PLAN, RETURN_PLAN)
    plan, ways = plan or (), ways or ()
    write_figures(path, [])  # find out now whether it can be written
    # Processes of their own: a simulator is told by the environment of the one that starts it.
    with concurrent.futures.ProcessPoolExecutor(
            workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        running = [pool.submit(measure, job, path.with_suffix(".log")) for job in plan]
        returning = [pool.submit(job.measure, path.with_suffix(".log")) for job in ways]
        tasks: list[concurrent.futures.Future[Any]] = [*running, *returning]
        try:
            for _ in track(concurrent.futures.as_completed(tasks), "measuring",
                           total=len(tasks), console=console, transient=True):
                pass
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    failed = [error for task in tasks if (error := task.exception())]
    if len(failed) == len(tasks):
        raise failed[0]
    done = [(job, task.result()) for job, task in zip(plan, running, strict=True)
            if not task.exception()]
    rows = [judge(job, point, measured, all_["problems"])
            for job, all_ in done
            for point, measured in zip(job.points, all_["rows"], strict=True)]
    delays = [judge_delay(job, measured) for job, all_ in done for measured in all_["delays"]]
    returns = [row for task in returning if not task.exception() for row in task.result()]
    _write(path, rows, delays, returns)
    if rows:
        console.print(throughput_table(rows))
    if delays:
        console.print(latency_table(delays))
    if returns:
        console.print(return_table(returns))
    for way in returns:
        for problem in way.problems:
            console.print(f"{way.bus_bits} bits, {way.way} by {way.burst_tokens}, latency "
                          f"{way.memory_latency}: {problem}", style="red", highlight=False)
    for row in rows:
        for problem in row.problems:
            console.print(f"{row.bus_bits} bits, {row.traffic} bytes, latency "
                          f"{row.memory_latency}: {problem}", style="red", highlight=False)
    console.print(f"\nThe figures are in {path}", style="dim", highlight=False, soft_wrap=True)
    if failed:
        raise PageringError(f"{len(failed)} of {len(tasks)} runs are missing from these figures; "
                            f"the first: {failed[0]}") from failed[0]
    judged: list[Row | Delay | ReturnRow] = [*rows, *delays, *returns]
    return 0 if all(row.ok for row in judged) else 1


def _write(path: Path, rows: Sequence[Row], delays: Sequence[Delay],
           returns: Sequence[ReturnRow]) -> None:
    write_figures(path, [
        *({"kind": "throughput", **dataclasses.asdict(row)} for row in rows),
        *({"kind": "latency", **dataclasses.asdict(delay)} for delay in delays),
        *({"kind": "returns", **dataclasses.asdict(way)} for way in returns)])
