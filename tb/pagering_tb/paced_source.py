"""Frames that come on a virtual card's wire by themselves, at a rate."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

__all__ = ["PacedSource", "parse_rate"]

_LINE = "line"


class PacedSource:
    """Frames that are there already, so many in a second.

    They wait for the card to receive, and the last one ends it.

    Parameters
    ----------
    frames
        The frames.
    rate
        How many in a second of the host's; None for as fast as the card takes them.
    backlog
        Seconds: who was kept waiting for longer makes up for no more than this.
    clock
        Tells the seconds.

    """

    def __init__(self, frames: Iterator[bytes], rate: float | None, backlog: float = 0.05,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._frames = frames
        self._period = 0.0 if rate is None else 1 / rate
        self._backlog = backlog
        self._clock = clock
        self._due = clock()
        self._held: bytes | None = None
        self.ended = False
        """Whether all frames have been sent."""

    def feed(self, send: Callable[[bytes], bool]) -> None:
        """Send what is due, until ``send`` says that there is no room."""
        now = self._clock()
        self._due = max(self._due, now - self._backlog)
        while not self.ended and self._due <= now:
            frame = self._held or next(self._frames, None)
            self._held = None
            if frame is None:
                self.ended = True
            elif send(frame):
                self._due += self._period
            else:
                self._held = frame
                return

    def skip(self) -> None:
        """Let time go by, but no frame."""
        self._due = self._clock()

    def seconds_to_next(self) -> float | None:
        """Return when the next one is due."""
        return None if self.ended else max(0.0, self._due - self._clock())

    def fileno(self) -> int | None:
        """Return None: there is only the time to wait for."""

    def close(self) -> None:
        """Do nothing more."""
        self.ended = True


def parse_rate(text: str) -> float | None:
    """Return the frames in a second that a text says; None for ``line``.

    Raises
    ------
    ValueError
        If it is neither that nor a number above 0.

    """
    if text == _LINE:
        return None
    rate = float(text)
    if not 0 < rate < float("inf"):
        raise ValueError(text)
    return rate
