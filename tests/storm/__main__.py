"""``make storm``: many frames through every card, from several seeds, some runs at a time.

Prints the seed, frames and speed of each run; fails with the shortest program of any that fails,
and if a cause of drop or fault was reached by none.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from rich.console import Console

from pagering.abi import DropCause, Fault
from pagering_tb.build_cache import cache_dir

from .job import CARDS, Outcome, build, storm

__all__ = ["main"]

_RUNS = 2
"""Of each card."""
UNREACHED = {"FAULT_RETURN_READ"}
"""What may well not be reached: a read that fails must meet a queue that pulls and whose tokens the
host has just then."""


def _run(console: Console, card: str, seed: int, frames: int) -> Outcome:
    kept = cache_dir() / "storm" / f"{card}-{seed}"
    kept.mkdir(parents=True, exist_ok=True)
    for name in ("program.json", "report.json"):
        (kept / name).unlink(missing_ok=True)
    where, start = build(CARDS[card]), time.monotonic()
    outcome = storm(where, CARDS[card], kept, seed=seed, frames=frames)
    seconds = time.monotonic() - start
    console.print(f"{card:8} seed {seed:5}  {outcome.frames:7,} frames  "
                  f"{outcome.programs:5,} programs  {outcome.frames / seconds:6.0f} frames/s",
                  highlight=False)
    if complaint := outcome.complaint(CARDS[card], kept / "replay.json"):
        console.print(complaint, style="red", markup=False, highlight=False)
    return outcome


def missing(reached: Counter[str]) -> list[str]:
    """Return causes of drop and fault that nothing led to."""
    names = [f"DROP_{cause.name}" for cause in DropCause] + [f"FAULT_{fault.name}"
                                                            for fault in Fault]
    return [name for name in names if not reached[name] and name not in UNREACHED]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run everything; return the exit status."""
    parser = argparse.ArgumentParser(prog="storm", description="the whole card at random")
    parser.add_argument("--frames", type=int, default=204_000, help="of all runs together")
    parser.add_argument("--seed", type=int, default=1, help="choose other programs")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="runs at a time")
    options = parser.parse_args(arguments)
    console = Console()
    os.environ.setdefault("PAGERING_WALL_LIMIT", "1800")
    runs = [(card, 1000 * options.seed + 100 * run) for run in range(_RUNS) for card in CARDS]
    each = -(-options.frames // len(runs))
    with ThreadPoolExecutor(options.jobs) as pool:
        outcomes = list(pool.map(lambda run: _run(console, *run, each), runs))
    reached: Counter[str] = Counter()
    for outcome in outcomes:
        reached += Counter(outcome.reached)
    console.print(f"{sum(outcome.frames for outcome in outcomes):,} frames from {len(runs)} seeds",
                  highlight=False)
    left = missing(reached)
    if left:
        console.print(f"no program led to {', '.join(left)}", style="red")
    return int(bool(left) or not all(outcome.result.ok for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
