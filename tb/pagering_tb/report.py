"""The figures of one run: what happened, what it cost, and whether it is all accounted for.

The bench fills a :class:`Report`; the table and ``report.json`` are two views of it. A figure that
follows from others (cycles per frame, Gb/s) is reckoned here and nowhere else.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pagering.errors import PageringError

__all__ = ["Pages", "QueueFigures", "Report"]


@dataclass
class Pages:
    """Where the pages of all pools are at the end, and the most that were off the rings."""

    registered: int = 0
    free: int = 0
    outstanding: int = 0
    open: int = 0
    """Held by the card: being filled."""
    peak: int = 0
    """Most pages off the rings at one time."""


@dataclass
class QueueFigures:
    """One queue's share."""

    queue: int
    frames_delivered: int = 0
    bytes_delivered: int = 0
    drops: int = 0
    peak_held: int = 0
    statistics: dict[str, int] = field(default_factory=dict)
    """All that the card counts of it, under Linux' names: see :mod:`pagering.statistics`."""


@dataclass
class Report:
    """One run. Cycles are of the card's clock, bytes are of frames without FCS."""

    frames_in: int = 0
    frames_delivered: int = 0
    drops: dict[str, int] = field(default_factory=dict)
    """Frames by the cause that they were dropped for, under the card's names."""
    bytes_in: int = 0
    bytes_delivered: int = 0
    cycles: int = 0
    """From the first beat of the first frame until all was quiet."""
    clock_mhz: float = 125.0
    bus_bits: int = 64
    write_beats: int = 0
    """Beats that the memory took: data and completions."""
    pages: Pages = field(default_factory=Pages)
    returns: int = 0
    fetched: int = 0
    """Tokens among them that the card fetched."""
    interrupts: int = 0
    """Of all queues; events are not among them."""
    faults: dict[str, int] = field(default_factory=dict)
    per_queue: list[QueueFigures] = field(default_factory=list)
    link: dict[str, int] = field(default_factory=dict)
    """What Linux would say of the link."""
    sizes: dict[str, int] = field(default_factory=dict)
    """Frames in by size in bytes, with FCS."""
    wall_seconds: float = 0.0
    problems: list[str] = field(default_factory=list)
    """What was not as it must be, a sentence each."""
    options: dict[str, Any] = field(default_factory=dict)
    """What the run was told."""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong: no problem was noted and the books balance."""
        return not self.problems and not list(self.imbalances())

    @property
    def cycles_per_frame(self) -> float:
        """Cycles over frames that came in."""
        return _ratio(self.cycles, self.frames_in)

    @property
    def gbps(self) -> float:
        """Delivered bits per second at ``clock_mhz``, in 10^9."""
        return _ratio(self.bytes_delivered * 8 * self.clock_mhz, self.cycles * 1000)

    @property
    def interrupts_per_frame(self) -> float:
        """Interrupts of queues over frames that they delivered."""
        return _ratio(self.interrupts, self.frames_delivered)

    @property
    def write_utilization(self) -> float:
        """Share of the cycles in which a beat was written, 0 to 1."""
        return _ratio(self.write_beats, self.cycles)

    @property
    def cycles_per_second(self) -> float:
        """How fast the simulation ran."""
        return _ratio(self.cycles, self.wall_seconds)

    def imbalances(self) -> Iterator[str]:
        """Say which conservation law does not hold exactly, a sentence each."""
        dropped = sum(self.drops.values())
        if self.frames_in != self.frames_delivered + dropped:
            yield (f"{self.frames_in} frames came in, but {self.frames_delivered} were delivered "
                   f"and {dropped} dropped")
        pages = self.pages
        if pages.registered != pages.free + pages.outstanding + pages.open:
            yield (f"{pages.registered} pages are registered, but {pages.free} are free, "
                   f"{pages.outstanding} outstanding and {pages.open} being filled")

    def to_dict(self) -> dict[str, Any]:
        """Return every figure, the derived ones too."""
        result = dataclasses.asdict(self)
        for name in ("cycles_per_frame", "gbps", "write_utilization", "interrupts_per_frame",
                     "cycles_per_second"):
            result[name] = round(getattr(self, name), 4)
        result["problems"] = [*self.problems, *self.imbalances()]
        result["ok"] = self.ok
        return result

    def write(self, path: Path) -> None:
        """Write ``report.json``; an older one is replaced at once or not at all.

        Raises
        ------
        PageringError
            If the file cannot be written.
        """
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            temporary.write_text(json.dumps(self.to_dict(), indent=2) + "\n", encoding="utf-8")
            temporary.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise PageringError(f"{path} cannot be written: {error.strerror}") from error

    def render(self) -> RenderableType:
        """Return the table that ends a run, for a rich console."""
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(style="bold")
        table.add_column(justify="right")
        table.add_column(style="dim")
        for title, value, note in self._rows():
            table.add_row(title, value, note)
        parts: list[RenderableType] = [table]
        if len(self.per_queue) > 1:
            parts += [Text(), self._queues()]
        troubles = [*self.problems, *self.imbalances()]
        verdict = Text("ok: every frame and every page is accounted for", style="green")
        lines = [Text(f"not ok: {trouble}", style="red") for trouble in troubles] or [verdict]
        return Group(*parts, Text(), *lines)

    def _rows(self) -> Iterator[tuple[str, str, str]]:
        yield "frames in", f"{self.frames_in:,}", f"{self.bytes_in:,} bytes"
        yield "delivered", f"{self.frames_delivered:,}", f"{self.bytes_delivered:,} bytes"
        yield "dropped", f"{sum(self.drops.values()):,}", _causes(self.drops)
        yield ("cycles", f"{self.cycles:,}",
               f"{self.cycles_per_frame:.1f} per frame, {self.gbps:.2f} Gb/s at "
               f"{self.clock_mhz:g} MHz")
        yield ("write channel", f"{self.write_utilization:.1%}",
               f"{self.write_beats:,} beats of {self.bus_bits} bits")
        pages = self.pages
        yield "pages on the ring", f"{pages.free:,}", f"of {pages.registered:,} registered"
        yield ("pages outstanding", f"{pages.outstanding:,}",
               f"{pages.open:,} being filled; most off the ring {pages.peak:,}")
        yield ("returns", f"{self.returns:,}",
               f"{self.fetched:,} fetched by the card" if self.fetched else "")
        yield "interrupts", f"{self.interrupts:,}", f"{self.interrupts_per_frame:.3f} per frame"
        yield "faults", f"{sum(self.faults.values()):,}", _causes(self.faults)
        yield "wall time", f"{self.wall_seconds:.1f} s", f"{self.cycles_per_second:,.0f} cycles/s"

    def _queues(self) -> Table:
        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
        for title in ("queue", "delivered", "bytes", "dropped", "overruns", "bad checksums",
                      "most pages held"):
            table.add_column(title, justify="right")
        for row in self.per_queue:
            counts = (row.statistics.get(name, 0) for name in ("rx-hw-drop-overruns",
                                                                "rx-csum-bad"))
            table.add_row(*(f"{value:,}" for value in (
                row.queue, row.frames_delivered, row.bytes_delivered, row.drops, *counts,
                row.peak_held)))
        return table


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _causes(counts: Mapping[str, int]) -> str:
    """``{"NO_PAGE": 3, "RUNT": 0}`` as ``no page 3``."""
    return ", ".join(f"{name.lower().replace('_', ' ')} {count:,}"
                     for name, count in counts.items() if count)
