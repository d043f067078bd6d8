"""The card's MSI-X vectors: eventfds of the client's, as VFIO has them.

A client says by message which vector signals which eventfd. The table in the BAR only keeps what is
written to it: whoever has a guest plays the table for it.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Sequence

from .core import CardCore

__all__ = ["Vectors"]


class Vectors:
    """All vectors of a card.

    Parameters
    ----------
    core
        The card.
    count
        How many there are.

    """

    def __init__(self, core: CardCore, count: int) -> None:
        self.count = count
        self._core = core
        self._eventfds: dict[int, int] = {}
        self._enabled = False

    @property
    def connected(self) -> int:
        """Vectors that have an eventfd."""
        return len(self._eventfds)

    @property
    def enabled(self) -> bool:
        """Whether any may signal; an interrupt is a write to memory, so bus masters only."""
        return self._enabled

    @enabled.setter
    def enabled(self, on: bool) -> None:
        if on != self._enabled:
            self._enabled = on
            for vector, eventfd in self._eventfds.items():
                self._core.interrupt(vector, eventfd if on else None)

    def connect(self, first: int, eventfds: Sequence[int]) -> None:
        """Let vectors from ``first`` on signal these, which are ours to close now.

        Raises
        ------
        OSError
            If one is no eventfd, or one that could block the card; nothing has changed then, and
            they are still the caller's.

        """
        for eventfd in eventfds:
            _check(eventfd)
        self.disconnect(first, len(eventfds))
        for vector, eventfd in enumerate(eventfds, first):
            self._eventfds[vector] = eventfd
            if self._enabled:
                self._core.interrupt(vector, eventfd)

    def disconnect(self, first: int = 0, count: int | None = None) -> None:
        """Let vectors signal nobody."""
        last = self.count if count is None else first + count
        for vector in [known for known in self._eventfds if first <= known < last]:
            self._core.interrupt(vector, None)
            os.close(self._eventfds.pop(vector))

    def signal(self, vector: int) -> None:
        """Raise a vector by hand: a client tries out its own eventfd."""
        if self._enabled and vector in self._eventfds:
            with contextlib.suppress(BlockingIOError):  # raised 2**64 times and never read
                os.eventfd_write(self._eventfds[vector], 1)


def _check(eventfd: int) -> None:
    if not os.readlink(f"/proc/self/fd/{eventfd}").startswith("anon_inode:[eventfd"):
        raise OSError(errno.EINVAL, "an interrupt needs an eventfd")
    if os.get_blocking(eventfd):
        raise OSError(errno.EINVAL, "an eventfd that blocks could stop the card")
