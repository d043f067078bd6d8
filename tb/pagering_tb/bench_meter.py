"""Counts cycles where they are spent, on the bus.

How a figure is counted. The card writes completions in lines. The window of a point opens with the
last beat of a line and closes with the last beat of a later one, at which the card is just as far
ahead: as many bytes of frames are written whose completions are not. Between the two::

    cycles per frame = cycles from last beat to last beat / frames completed

So the frames that a window counts were written inside it, every byte, and completed inside it, and
the card can neither start early nor leave work for later. The wire holds frames back to back before
the window, during it and after.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .write_port import Burst

__all__ = ["Counts", "Meter"]

_WINDOWS_MAX = 4
"""A window that has grown so many times too long ends as it is; its row fails by its bytes."""


@dataclass
class Counts:
    """What has been on the buses so far."""

    frames: int = 0
    """Completed."""
    written: int = 0
    """Bytes of frames."""
    completed: int = 0
    """Bytes of frames whose completions are written."""
    data_bursts: int = 0
    line_bursts: int = 0
    line_bytes: int = 0
    link_bytes: int = 0
    """Bytes of both, each burst rounded up to 4."""
    beats: int = 0
    tokens: int = 0
    """Returned by the host."""
    fetched: int = 0
    """Of those, the ones that the card fetched."""
    writes: int = 0
    """Of registers, tokens among them that were not fetched."""

    @property
    def ahead(self) -> int:
        """Bytes of frames that are written and not completed."""
        return self.written - self.completed


@dataclass
class Meter:
    """Sees every burst, and takes one window."""

    rings: Sequence[range]
    """Addresses of the completion rings."""
    cycles_due: int
    """Shortest window."""
    opens_after: int = 0
    """Frames before the window."""
    opens_at: int = 0
    """First cycle in which it may open."""
    start: int = 0
    end: int = 0
    now: Counts = field(default_factory=Counts)
    before: Counts = field(default_factory=Counts)
    """When the window opened."""

    @property
    def done(self) -> bool:
        """Whether the window is closed."""
        return self.end != 0

    def see(self, burst: Burst, completions: Sequence[Mapping[str, int]], tokens: int,
            fetched: int, writes: int) -> None:
        """Take note of a burst.

        Parameters
        ----------
        burst : Burst
            As it was on the bus.
        completions : Sequence[Mapping[str, int]]
            The fields of those in it, if it goes to a ring.
        tokens, fetched, writes : int
            Tokens returned so far, those of them that the card fetched, and registers written by
            the host, other tokens included.
        """
        if self.done:
            return
        now = self.now
        now.beats += burst.beats
        now.link_bytes += -(-burst.bytes // 4) * 4
        if not any(burst.address in ring for ring in self.rings):
            now.written += burst.bytes
            now.data_bursts += 1
            return
        now.line_bytes += burst.bytes
        now.line_bursts += 1
        now.tokens, now.fetched, now.writes = tokens, fetched, writes
        for completion in completions:
            now.completed += completion["length"]
            now.frames += completion["end"]
        cycle = burst.last_cycle
        if not self.start:
            if now.frames >= self.opens_after and cycle >= self.opens_at:
                self.start, self.before = cycle, dataclasses.replace(now)
            return
        late = cycle - self.start >= _WINDOWS_MAX * self.cycles_due
        if cycle - self.start >= self.cycles_due and (now.ahead == self.before.ahead or late):
            self.end = cycle

    def figures(self) -> dict[str, float]:
        """Return what was found."""
        names = [item.name for item in dataclasses.fields(Counts)]
        seen = Counts(*(getattr(self.now, name) - getattr(self.before, name) for name in names))
        cycles, frames = self.end - self.start, seen.frames
        return {"cycles": cycles, "frames": frames, "utilization": seen.beats / cycles,
                **{f"{name}_per_frame": count / frames for name, count in (
                    ("cycles", cycles), ("bursts", seen.data_bursts + seen.line_bursts),
                    ("data_bursts", seen.data_bursts), ("line_bursts", seen.line_bursts),
                    ("bus_bytes", seen.written + seen.line_bytes),
                    ("link_bytes", seen.link_bytes), ("returns", seen.tokens),
                    ("fetched", seen.fetched),
                    ("commands", seen.writes + seen.fetched - seen.tokens))}}
