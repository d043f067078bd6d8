"""Frames that come on the wire by themselves, at a rate."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from pagering import abi

__all__ = ["WireFeed"]

_NAP_S = 0.005
_LATE_S = 0.1
"""What was due longer ago has been missed: the host was away."""


class WireFeed:
    """Brings frames while the card receives.

    Parameters
    ----------
    frames
        What comes, in order.
    rate
        Frames in a second of the host's; None for as many as the card takes.
    clock
        Tells the seconds.

    """

    def __init__(self, frames: Iterator[bytes], rate: float | None = None,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._frames = frames
        self._rate = rate
        self._clock = clock
        self._due = clock()
        self._receives = False
        self._next: bytes | None = None
        self.over = False
        """There are no more frames."""

    def note(self, offset: int, value: int) -> None:
        """Take note of what the host writes to a register: whether the card is to receive."""
        if offset == abi.CARD.address("CONTROL"):
            self._receives = bool(abi.CARD["CONTROL"].unpack(value)["receive"])
            self._due = self._clock()

    def fill(self, send: Callable[[bytes], bool]) -> float | None:
        """Send what is due; return after how many seconds there will be more, None if never.

        ``send`` returns whether there was room for the frame.
        """
        if not self._receives or self.over:
            return None
        now = self._clock()
        self._due = max(self._due, now - _LATE_S)
        while self._rate is None or self._due <= now:
            if self._next is None:
                self._next = next(self._frames, None)
            if self._next is None:
                self.over = True
                return None
            if not send(self._next):
                break
            self._next = None
            if self._rate is not None:
                self._due += 1 / self._rate
        return _NAP_S
