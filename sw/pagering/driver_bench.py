"""``pagering bench-driver``: how many frames a second the driver receives and returns on one core.

Each way of receiving is measured on the same synthetic stream, beside a plain loop with ``struct``
of our own writing that does what a straightforward driver in Python does. The ways take turns, so
that what else the machine does meets all alike, and of each the best turn counts: what is slower
was disturbed. The time is the driver's alone, with the return of all memory in it.
"""

from __future__ import annotations

import dataclasses
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from pagering.bench_stream import CompletionStream
from pagering.figures import write_figures
from pagering.records import (
    CHUNK_MASK,
    COMPLETION,
    FIRST_LSB,
    INDEX_MASK,
    PAGE_LSB,
    PAGE_MASK,
    PHASE_BYTE,
    PHASE_SHIFT,
)

__all__ = ["PLAIN", "WAYS", "Rate", "Way", "measure", "run"]

BURST_FRAMES = 256
_TURNS = 40
_QUICK_TURNS = 5


@dataclass(frozen=True)
class Rate:
    """One line of the table."""

    way: str
    chunk_bytes: int
    returns: str
    frames_per_second: float
    ratio: float
    """To the plain loop of the same stream."""
    target: float | None
    """Frames per second that are to be reached, if there is one."""

    @property
    def reached(self) -> bool:
        """Whether the target, if there is one, is reached."""
        return self.target is None or self.frames_per_second >= self.target


def _arrays(stream: CompletionStream) -> None:
    recv = stream.queue.recv_arrays
    for _ in range(stream.entries // BURST_FRAMES):
        with recv(BURST_FRAMES) as burst:
            _ = burst.length, burst.page, burst.offset, burst.hash, burst.flags


def _rows(stream: CompletionStream) -> None:
    recv = stream.queue.recv_arrays
    for _ in range(stream.entries // BURST_FRAMES):
        with recv(BURST_FRAMES) as burst:
            _ = burst.length, burst.flags, burst.rows(14)[:, 12:]


def _views(stream: CompletionStream) -> None:
    recv = stream.queue.recv_arrays
    for _ in range(stream.entries // BURST_FRAMES):
        with recv(BURST_FRAMES) as burst:
            for _view in burst.views():
                pass


def _frames(stream: CompletionStream) -> None:
    recv = stream.queue.recv
    for _ in range(stream.entries // BURST_FRAMES):
        with recv(BURST_FRAMES) as burst:
            for frame in burst:
                _ = frame.view


def _plain(stream: CompletionStream) -> None:
    """Read, look and return as a straightforward driver does, with the stream's own memory.

    It checks nothing, and its tokens go to a ring that nobody reads.
    """
    queue = stream.queue
    ring, views, stride = queue.ring, queue.pool.views, queue.ring.stride
    returned = bytearray(4 * stream.entries)
    chunk_bytes = stream.chunk_bytes
    for _ in range(stream.entries // BURST_FRAMES):
        for _ in range(BURST_FRAMES):
            at = (ring.head & ring.entries - 1) * stride
            if ring.view[at + PHASE_BYTE] >> PHASE_SHIFT & 1 == ring.head >> ring.log2 & 1:
                break
            token, _, length, _, _ = struct.unpack_from(COMPLETION.format, ring.view, at)
            start = (token >> FIRST_LSB & CHUNK_MASK) * chunk_bytes
            _ = views[token >> PAGE_LSB & PAGE_MASK][start:start + length]
            struct.pack_into("<I", returned, 4 * (ring.head & ring.entries - 1), token)
            ring.head = ring.head + 1 & INDEX_MASK


@dataclass(frozen=True)
class Way:
    """A way of receiving."""

    receive: Callable[[CompletionStream], None]
    returns: str = "pull"
    target: float | None = None


PLAIN = "plain struct loop"
WAYS: Mapping[str, Way] = {
    PLAIN: Way(_plain),
    "Frame objects": Way(_frames),
    "memoryviews": Way(_views, target=3e6),
    "arrays": Way(_arrays, target=10e6),
    "arrays, pushed": Way(_arrays, returns="push"),
    "arrays and EtherTypes": Way(_rows),
}
_CHUNKS = (4096, 256)
"""A page for each frame, then 16 chunks in a page, whose tokens are merged again."""


def measure(chunk_bytes: int, turns: int) -> list[Rate]:
    """Measure all ways on streams of one kind.

    Raises
    ------
    PageringError
        If a way did not return everything.

    """
    streams = {name: CompletionStream(way.returns, chunk_bytes=chunk_bytes)
               for name, way in WAYS.items()}
    best = dict.fromkeys(WAYS, float("inf"))
    for turn in range(turns + 1):
        for name, stream in streams.items():
            # The first turn is to warm up, and to check that all memory comes back.
            if turn == 0 and name != PLAIN:
                stream.watch()
            stream.fill()
            start = time.perf_counter()
            WAYS[name].receive(stream)
            taken = time.perf_counter() - start
            if turn == 0 and name != PLAIN:
                stream.check()
            elif turn:
                best[name] = min(best[name], taken)
    for stream in streams.values():
        stream.close()
    return [Rate(name, chunk_bytes, way.returns, streams[name].entries / best[name],
                 best[PLAIN] / best[name], way.target)
            for name, way in WAYS.items()]


def run(path: Path, quick: bool = False, console: Console | None = None) -> int:
    """Measure, print the table, write the JSON; return 1 if a target was missed, else 0.

    Raises
    ------
    PageringError
        If the JSON cannot be written, or a way did not return everything.

    """
    console = console or Console()
    with console.status("Receiving ..."):
        rates = [rate for chunk_bytes in _CHUNKS
                 for rate in measure(chunk_bytes, _QUICK_TURNS if quick else _TURNS)]
    write_figures(path, [dataclasses.asdict(rate) for rate in rates])
    console.print(_table(rates))
    console.print(f"\nThe figures are in {path}", style="dim", highlight=False, soft_wrap=True)
    return 0 if all(rate.reached for rate in rates) else 1


def _table(rates: Sequence[Rate]) -> Table:
    table = Table(title=f"Frames a second on one core, in bursts of {BURST_FRAMES}",
                  caption="completions read, frames looked at, all memory returned; a synthetic "
                          "stream, no card", box=box.SIMPLE_HEAD, padding=0)
    for name in ("way", "chunk", "returns", "M frames/s", "to plain", "target", ""):
        table.add_column(name, justify="left" if name == "way" else "right", no_wrap=True)
    for before, rate in zip((None, *rates), rates, strict=False):
        if before is not None and before.chunk_bytes != rate.chunk_bytes:
            table.add_section()
        verdict = "[green]ok[/]" if rate.reached else "[red]no[/]"
        table.add_row(rate.way, str(rate.chunk_bytes), rate.returns,
                      f"{rate.frames_per_second / 1e6:.2f}", f"{rate.ratio:.1f}",
                      f"{rate.target / 1e6:g}" if rate.target else "",
                      verdict if rate.target else "")
    return table
