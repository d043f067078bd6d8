"""Frames that come on the wire by themselves, at a rate."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from pagering import abi
from pagering_tb.paced_source import PacedSource

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
        self._source = PacedSource(frames, rate, _LATE_S, clock)
        self._receives = False

    @property
    def over(self) -> bool:
        """Whether there are no more frames."""
        return self._source.ended

    def note(self, offset: int, value: int) -> None:
        """Take note of what the host writes to a register: whether the card is to receive."""
        if offset == abi.CARD.address("CONTROL"):
            self._receives = bool(abi.CARD["CONTROL"].unpack(value)["receive"])
            self._source.skip()

    def fill(self, send: Callable[[bytes], bool]) -> float | None:
        """Send what is due; return after how many seconds there will be more, None if never.

        ``send`` returns whether there was room for the frame.
        """
        if self._receives:
            self._source.feed(send)
        return _NAP_S if self._receives and not self.over else None
