"""``pagering bench-pool``: what a page costs that is taken from a pool and put back.

Each pool is measured one page at a time and 64 at a time, beside what else Python offers to keep
free things in, and beside a memory pool as a plain user-space driver has it, of our own writing:
buffers by index on a stack, and nothing is checked. The pools take turns, so that what else the
machine does meets all alike, and of each the best turn counts: what is slower was disturbed. The
loop around it is in the time.
"""

from __future__ import annotations

import dataclasses
import queue
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from pagering.figures import write_figures
from pagering.page_pool import PagePool, PagePoolParams
from pagering.page_pool_bulk import BulkPages
from pagering.providers import LocalProvider

__all__ = ["BASE", "Cost", "PlainMempool", "measure", "run"]

BULK = 64
BASE = "collections.deque"
"""What the ratios are to."""
_PAGES = 512
_ROUNDS = 20
_TURNS = 400
_QUICK_TURNS = 40

Cycle = Callable[[], None]
"""Takes and puts back ``_ROUNDS * BULK`` pages."""


@dataclass(frozen=True)
class Cost:
    """One line of the table."""

    pool: str
    at_a_time: int
    nanoseconds: float
    """For a page, taken and put back."""
    ratio: float
    """To the deque at the same number of pages at a time."""
    target: float | None
    """Nanoseconds that are to be kept, if there is a target."""

    @property
    def kept(self) -> bool:
        """Whether the target, if there is one, is kept."""
        return self.target is None or self.nanoseconds <= self.target


class _Buffer:
    """A buffer of the plain pool."""

    __slots__ = ("index", "size", "view")

    def __init__(self, index: int, view: memoryview) -> None:
        self.index = index
        self.view = view
        self.size = 0


class PlainMempool:
    """Buffers of one piece of memory, free ones on a stack by index."""

    def __init__(self, count: int, size: int = 2048) -> None:
        memory = memoryview(bytearray(count * size))
        self._buffers = [_Buffer(at, memory[at * size:(at + 1) * size]) for at in range(count)]
        self._free = list(range(count))

    def get(self) -> _Buffer:
        """Take a buffer."""
        buffer = self._buffers[self._free.pop()]
        buffer.size = len(buffer.view)
        return buffer

    def get_batch(self, count: int) -> list[_Buffer]:
        """Take several."""
        free, buffers = self._free, self._buffers
        batch = [buffers[at] for at in free[-count:]]
        del free[-count:]
        for buffer in batch:
            buffer.size = len(buffer.view)
        return batch

    def put(self, buffer: _Buffer) -> None:
        """Put a buffer back."""
        self._free.append(buffer.index)

    def put_batch(self, batch: Sequence[_Buffer]) -> None:
        """Put several back."""
        self._free += [buffer.index for buffer in batch]


def _single(get: Callable[[], object], put: Callable[..., object]) -> Cycle:
    def cycle() -> None:
        for _ in range(_ROUNDS * BULK):
            put(get())
    return cycle


def _each(get: Callable[[], object], put: Callable[..., object]) -> Cycle:
    """Take 64 pages by as many calls, then put them back."""
    def cycle() -> None:
        for _ in range(_ROUNDS):
            for thing in [get() for _ in range(BULK)]:
                put(thing)
    return cycle


def _batch(get: Callable[[int], object], put: Callable[..., object]) -> Cycle:
    def cycle() -> None:
        for _ in range(_ROUNDS):
            put(get(BULK))
    return cycle


def _mixed(pages: BulkPages) -> Cycle:
    """Put 64 pages back in another order than they came, as numbers."""
    order = np.random.default_rng(1).permutation(BULK)

    def cycle() -> None:
        for _ in range(_ROUNDS):
            pages.put_numbers(pages.alloc(BULK).numbers[order])
    return cycle


def _cycles() -> dict[tuple[str, int], tuple[Cycle, float | None]]:
    things = [object() for _ in range(_PAGES)]
    stack, fifo = deque(things), queue.SimpleQueue[object]()
    for thing in things:
        fifo.put(thing)
    plain = PlainMempool(_PAGES)
    strict = PagePool(PagePoolParams(), LocalProvider())
    compat = PagePool(PagePoolParams(), LocalProvider(), kernel_compat=True)
    ring = PagePool(PagePoolParams(), LocalProvider())
    bulk, mixed = BulkPages(strict, _PAGES), BulkPages(compat, _PAGES)
    return {
        (BASE, 1): (_single(stack.pop, stack.append), None),
        ("queue.SimpleQueue", 1): (_single(fifo.get, fifo.put), None),
        ("plain memory pool", 1): (_single(plain.get, plain.put), None),
        ("PagePool", 1): (_single(strict.alloc, strict.recycle_direct), 250),
        ("PagePool, kernel_compat", 1): (_single(compat.alloc, compat.recycle_direct), None),
        (BASE, BULK): (_each(stack.pop, stack.append), None),
        ("queue.SimpleQueue", BULK): (_each(fifo.get, fifo.put), None),
        ("plain memory pool", BULK): (_batch(plain.get_batch, plain.put_batch), None),
        ("PagePool", BULK): (_each(strict.alloc, strict.recycle_direct), None),
        ("PagePool, by its ring", BULK): (_each(ring.alloc, ring.put), None),
        ("BulkPages, as bursts", BULK): (_batch(bulk.alloc, bulk.put), 10),
        ("BulkPages, as numbers", BULK): (_mixed(mixed), None),
    }


def measure(turns: int) -> list[Cost]:
    """Measure all pools."""
    cycles = _cycles()
    best = dict.fromkeys(cycles, float("inf"))
    for turn in range(turns + 1):
        for key, (cycle, _) in cycles.items():
            start = time.perf_counter_ns()
            cycle()
            taken = time.perf_counter_ns() - start
            if turn:  # the first is to warm up
                best[key] = min(best[key], taken / (_ROUNDS * BULK))
    return [Cost(pool, at_a_time, best[pool, at_a_time],
                 best[pool, at_a_time] / best[BASE, at_a_time], target)
            for (pool, at_a_time), (_, target) in cycles.items()]


def run(path: Path, quick: bool = False, console: Console | None = None) -> int:
    """Measure, print the table, write the JSON; return 1 if a target was missed, else 0.

    Raises
    ------
    PageringError
        If the JSON cannot be written.

    """
    console = console or Console()
    with console.status("Recycling ..."):
        costs = measure(_QUICK_TURNS if quick else _TURNS)
    write_figures(path, [dataclasses.asdict(cost) for cost in costs])
    console.print(_table(costs))
    console.print(f"\nThe figures are in {path}", style="dim", highlight=False, soft_wrap=True)
    return 0 if all(cost.kept for cost in costs) else 1


def _table(costs: Sequence[Cost]) -> Table:
    table = Table(title="A page, taken and put back", box=box.SIMPLE_HEAD, padding=0,
                  caption="double returns are caught by PagePool and BulkPages but with "
                          "kernel_compat, by nothing else here")
    for name in ("pool", "at a time", "ns", "to deque", "target", ""):
        table.add_column(name, justify="left" if name == "pool" else "right", no_wrap=True)
    for before, cost in zip((None, *costs), costs, strict=False):
        if before is not None and before.at_a_time != cost.at_a_time:
            table.add_section()
        verdict = "[green]ok[/]" if cost.kept else "[red]no[/]"
        table.add_row(cost.pool, str(cost.at_a_time), f"{cost.nanoseconds:.1f}",
                      f"{cost.ratio:.2f}", f"{cost.target:g}" if cost.target else "",
                      verdict if cost.target else "")
    return table
