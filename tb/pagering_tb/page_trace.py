"""The life of each page as a trace that Chrome's viewer and Perfetto show.

Each pool is a process, each page a thread of it. A page that was taken off the ring is first
*filled*, from the first byte that the card writes to it to the moment the host has read its last
completion; then it is *at the host*, until its last token has been returned. Where nothing is drawn
it is on the ring. One look shows what LIFO and FIFO do, which queue starves, and what leaks.

Ref: Trace Event Format, complete events (``ph`` X) and metadata (``ph`` M).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pagering import abi

__all__ = ["Life", "PageTrace"]


@dataclass
class Life:
    """A page from ring to ring."""

    page: int
    generation: int
    queue: int
    begin: int
    """Cycle of the first write, as are the others."""
    delivered: int = 0
    returned: int = 0
    frames: int = 0
    bytes: int = 0
    outstanding: set[int] = field(default_factory=set)
    """Tokens that the host has not returned."""


class PageTrace:
    """Collects what happens to pages.

    Parameters
    ----------
    page_bytes : int
        Of each page.
    addresses : Mapping[int, int]
        DMA address of each page, by page id.
    pools : Mapping[int, int]
        Pool of each page, by page id.
    clock_mhz : float
        What cycles are turned into time with.
    """

    def __init__(self, page_bytes: int, addresses: Mapping[int, int], pools: Mapping[int, int],
                 clock_mhz: float) -> None:
        self._page_bytes = page_bytes
        self._pages = {address: page for page, address in addresses.items()}
        self._pools = pools
        self._clock_mhz = clock_mhz
        self._now: dict[int, Life] = {}
        self._first_write: dict[int, int] = {}
        """Pages that were written to and have not been heard of since."""
        self.lives: list[Life] = []

    def wrote(self, address: int, cycle: int) -> None:
        """Note a write of the card; what goes to no page is none of ours."""
        page = self._pages.get(address // self._page_bytes * self._page_bytes)
        if page is not None:
            self._first_write.setdefault(page, cycle)

    def delivered(self, token: int, queue: int, length: int, cycle: int) -> None:
        """Note that the host has read a completion."""
        named = abi.TOKEN.unpack(token)
        page, generation = named["page"], named["generation"]
        life = self._now.get(page)
        if life is None or life.generation != generation:
            life = Life(page, generation, queue, self._first_write.get(page, cycle))
            self._now[page] = life
            self.lives.append(life)
        life.delivered = cycle
        life.frames += 1
        life.bytes += length
        life.outstanding.add(token)

    def returned(self, token: int, cycle: int) -> None:
        """Note that the host has given a token back."""
        life = self._now[abi.TOKEN.unpack(token)["page"]]
        life.outstanding.discard(token)
        life.returned = cycle
        if not life.outstanding:
            # It may be on the ring now: what is written next is of another life, or of this one.
            self._first_write.pop(life.page, None)

    def events(self, end: int) -> Iterator[dict[str, Any]]:
        """Yield the trace's events; what is not over lasts until cycle ``end``."""
        used = sorted({life.page for life in self.lives})
        for pool in sorted({self._pools[page] for page in used}):
            yield _name("process_name", pool, 0, f"pool {pool}")
        for page in used:
            yield _name("thread_name", self._pools[page], page, f"page {page}")
        for life in self.lives:
            place = {"pid": self._pools[life.page], "tid": life.page, "cat": "page", "ph": "X"}
            facts = {"generation": life.generation, "queue": life.queue, "frames": life.frames,
                     "bytes": life.bytes}
            yield {**place, "name": f"filled, queue {life.queue}", "args": facts,
                   **self._span(life.begin, life.delivered)}
            over = end if life.outstanding else max(life.returned, life.delivered)
            yield {**place, "name": "at the host", "args": facts,
                   **self._span(life.delivered, over)}

    def _span(self, begin: int, end: int) -> dict[str, float]:
        """Return a span of cycles in microseconds."""
        return {"ts": begin / self._clock_mhz, "dur": (end - begin) / self._clock_mhz}

    def write(self, path: Path, end: int) -> None:
        """Write the trace to a file."""
        events: Iterable[dict[str, Any]] = list(self.events(end))
        path.write_text(json.dumps({"traceEvents": events, "displayTimeUnit": "ns"}),
                        encoding="utf-8")


def _name(kind: str, process: int, thread: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": kind, "pid": process, "tid": thread, "args": {"name": name}}
