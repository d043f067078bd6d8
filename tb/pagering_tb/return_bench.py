"""``pagering bench``, the ways back: what a token costs, pushed and pulled, by burst size.

This is the half that runs in the user's process; :mod:`pagering_tb.return_bench_main` measures.
Register writes cost what they cost on the simulated AXI4-Lite port, which is faster than a bus
between chips: the bytes of each bus are reported beside the cycles.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from pagering_hdl.config import CardConfig

from .runner import build, simulate

__all__ = ["QUICK_RETURN_PLAN", "RETURN_JOB_VARIABLE", "RETURN_PLAN", "ReturnJob", "ReturnRow",
           "judge_returns", "return_table"]

RETURN_JOB_VARIABLE = "PAGERING_RETURN_BENCH_JOB"
"""Names the file that tells the simulation what to measure."""
_WALL_LIMIT_S = 300
TOKENS = 1024
"""Tokens of a point: all are with the host before the first is returned."""
_BURSTS = (1, 4, 8, 16, 32, 64, 256, 1024)


@dataclass(frozen=True)
class ReturnJob:
    """One simulation: a card, and the points to measure with it."""

    config: CardConfig
    points: tuple[tuple[str, int, int], ...]
    """Way, tokens in a burst and memory latency of each."""

    def measure(self, log: Path) -> list[ReturnRow]:
        """Build the card and measure the points, in this process.

        Raises
        ------
        SimulatorError
            If the simulation could not run to its end; what it printed is then in ``log``.

        """
        where = build(self.config)
        with tempfile.TemporaryDirectory(prefix="pagering-bench-") as scratch:
            told, result = (Path(scratch) / name for name in ("job.json", "result.json"))
            told.write_text(json.dumps({
                "config": dataclasses.asdict(self.config), "points": self.points,
                "tokens": TOKENS, "result": str(result)}), encoding="utf-8")
            outcome = simulate(
                where, "pagering_tb.return_bench_main", run_dir=Path(scratch), extra={
                    RETURN_JOB_VARIABLE: str(told), "PAGERING_WALL_LIMIT": str(_WALL_LIMIT_S)})
            if not outcome.ok:
                log.write_bytes(outcome.log.read_bytes() if outcome.log.exists() else b"")
                dataclasses.replace(outcome, log=log).check()
            found = json.loads(result.read_text(encoding="utf-8"))
        return [judge_returns(self, measured, found["problems"]) for measured in found["rows"]]


@dataclass(frozen=True)
class ReturnRow:
    """One line of the table, one object of the JSON."""

    bus_bits: int
    way: str
    burst_tokens: int
    memory_latency: int
    cycles_per_token: float
    register_bytes_per_token: float
    """Written to the card's registers: tokens, or doorbells."""
    read_bytes_per_token: float
    """Read from host memory by the card."""
    mirror_bytes_per_token: float
    """Written to host memory by the card: how far it has read."""
    tokens: int
    cycles: int
    ok: bool
    problems: list[str] = field(default_factory=list)


def _points(bursts: Sequence[int], latencies: Sequence[int]) -> tuple[tuple[str, int, int], ...]:
    return tuple((way, burst, latency) for latency in latencies for burst in bursts
                 for way in ("push", "pull"))


def _jobs(bursts: Sequence[int], latencies: Sequence[int]) -> tuple[ReturnJob, ...]:
    return tuple(ReturnJob(CardConfig(bus_bits=bits, chunk_bytes=64), _points(bursts, latencies))
                 for bits in (64, 512))


RETURN_PLAN = _jobs(_BURSTS, (64, 250))
QUICK_RETURN_PLAN = _jobs((1, 64), (64,))


def judge_returns(job: ReturnJob, measured: Mapping[str, Any],
                  problems: Sequence[str] = ()) -> ReturnRow:
    """Turn what was measured at a point into its row; every token must have been accepted."""
    tokens, wrong = measured["tokens"], list(problems)
    if measured["accepted"] != tokens:
        wrong.append(f"{measured['accepted']} of {tokens} tokens were accepted")
    per_token = {f"{name}_bytes_per_token": round(measured[f"{name}_bytes"] / tokens, 4)
                 for name in ("register", "read", "mirror")}
    return ReturnRow(
        bus_bits=job.config.bus_bits, way=measured["way"],
        burst_tokens=measured["burst_tokens"], memory_latency=measured["memory_latency"],
        cycles_per_token=round(measured["cycles"] / tokens, 4), tokens=tokens,
        cycles=measured["cycles"], ok=not wrong, problems=wrong, **per_token)


def return_table(rows: Sequence[ReturnRow]) -> Table:
    """Return the rows for people."""
    table = Table(title="Cycles per token returned", caption="bytes: per token, by bus",
                  box=box.SIMPLE_HEAD, padding=0)
    for name in ("bus", "latency", "burst", "way", "cycles", "registers", "reads", "mirror", ""):
        table.add_column(name, justify="right", no_wrap=True)
    before = None
    for row in rows:
        group = (row.bus_bits, row.memory_latency)
        if before is not None and group != before:
            table.add_section()
        before = group
        table.add_row(
            str(row.bus_bits), str(row.memory_latency), str(row.burst_tokens), row.way,
            f"{row.cycles_per_token:.2f}", f"{row.register_bytes_per_token:.2f}",
            f"{row.read_bytes_per_token:.2f}", f"{row.mirror_bytes_per_token:.2f}",
            "" if row.ok else "[red]no[/]")
    return table
