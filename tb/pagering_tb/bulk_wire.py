"""A fast source of frames: see :mod:`pagering_tb.bulk_ports`."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .bulk_output import Output

__all__ = ["BulkWire", "WireFrame"]


@dataclass
class WireFrame:
    """A frame for the card. ``hole`` takes the first byte's tkeep away."""

    data: bytes
    bad: bool = False
    hole: bool = False


class BulkWire:
    """Sends frames, back to back but for random gaps.

    Members
    -------
    gaps : float
        Probability of an idle cycle.
    on_start, on_end
        Called with each frame when its first beat is on the wire, and when its last was taken.
    """

    def __init__(self, dut: Any, rng: random.Random) -> None:
        self._rng = rng
        self._data, self._keep, self._valid, self._last, self._user = (
            Output(getattr(dut, f"s_axis_rx_t{name}"))
            for name in ("data", "keep", "valid", "last", "user"))
        self._ready = dut.s_axis_rx_tready
        self._width = len(dut.s_axis_rx_tkeep)
        self._waiting: deque[WireFrame] = deque()
        self._frame: WireFrame | None = None
        self._at = 0
        self.gaps = 0.0
        self.on_start: Callable[[WireFrame], None] = lambda frame: None
        self.on_end: Callable[[WireFrame], None] = lambda frame: None
        self.clear()

    @property
    def waiting(self) -> int:
        """Frames that have not wholly gone in."""
        return len(self._waiting) + (self._frame is not None)

    def put(self, frame: WireFrame) -> None:
        """Send a frame after those before."""
        self._waiting.append(frame)

    def clear(self) -> None:
        """Forget everything, as a reset of the whole bench does."""
        self._waiting.clear()
        self._frame = None
        self._valid.set(0)

    def step(self) -> None:
        """Do what a clock edge asks for."""
        frame = self._frame
        if frame is not None and self._valid.level:
            if not int(self._ready.value):
                return
            self._at += self._width
            if self._at >= len(frame.data):
                self._frame = None
                self.on_end(frame)
                frame = None
        if frame is None:
            if not self._waiting:
                self._valid.set(0)
                return
            self._frame = frame = self._waiting.popleft()
            self._at = 0
        if self.gaps and self._rng.random() < self.gaps:
            self._valid.set(0)
        else:
            self._drive(frame)

    def _drive(self, frame: WireFrame) -> None:
        if self._at == 0:
            self.on_start(frame)
        beat = frame.data[self._at:self._at + self._width]
        keep = (1 << len(beat)) - 1
        last = self._at + self._width >= len(frame.data)
        self._data.set(int.from_bytes(beat, "little"))
        self._keep.set(keep & ~1 if frame.hole and self._at == 0 else keep)
        self._last.set(last)
        self._user.set(frame.bad and last)
        self._valid.set(1)
