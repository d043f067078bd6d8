"""Interrupts of the in-memory card: armed, moderated, forced; and the vectors that they raise."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass

from pagering import abi

__all__ = ["FakeInterrupt", "FakeVectors"]

_INDEX_MASK = (1 << abi.CONSUMER_BITS) - 1


@dataclass
class FakeInterrupt:
    """Fires once for each time that it is armed."""

    armed: bool = False
    fired: bool = False
    forced: bool = False
    """Wanted as soon as it is armed."""
    past: int = 0
    """It is armed for completions past this index."""
    time: int = 0
    """It waits so long for company, in units of ``abi.MODERATION_CYCLES``."""
    completions: int = 0
    """It waits for so many."""
    _since: int | None = None
    """Cycle in which completions past the index were first seen."""

    def arm(self, index: int) -> None:
        """Fire when completions past ``index`` are due to."""
        self.armed, self.fired, self.past, self._since = True, False, index, None

    def disarm(self) -> None:
        """Forget what it was armed for."""
        self.armed = self.fired = self.forced = False

    @property
    def waits(self) -> bool:
        """Whether it will fire if nothing but time passes."""
        return self.armed and self._since is not None and self.time > 0

    def look(self, produced: int, cycle: int) -> bool:
        """Fire if it is due; return whether it does."""
        if not self.armed:
            return False
        pending = produced - self.past & _INDEX_MASK
        if pending > 1 << abi.RING_LOG2_MAX:
            pending = 0  # the index is past them: the host has made it up
        if pending and self._since is None:
            self._since = cycle
        waited = cycle - (self._since or 0)
        due = pending > 0 and (
            not (self.time or self.completions) or 0 < self.completions <= pending
            or 0 < self.time * abi.MODERATION_CYCLES <= waited)
        if not (due or self.forced):
            return False
        self.armed, self.forced, self.fired = False, False, True
        return True


class FakeVectors:
    """Which vectors were raised and not yet waited for; each with an eventfd if one is asked for.

    Setting a vector raises it or says that it was waited for.
    """

    def __init__(self, count: int) -> None:
        self._raised = [False] * count
        self._descriptors: dict[int, int] = {}

    def __getitem__(self, vector: int) -> bool:
        return self._raised[vector]

    def __setitem__(self, vector: int, raised: bool) -> None:
        vector %= len(self._raised)
        self._raised[vector] = raised
        if vector in self._descriptors:
            self._tell(vector)

    def fileno(self, vector: int) -> int:
        """Return the eventfd of a vector: readable while it is raised."""
        if vector not in self._descriptors:
            self._descriptors[vector] = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            self._tell(vector)
        return self._descriptors[vector]

    def _tell(self, vector: int) -> None:
        descriptor = self._descriptors[vector]
        if self._raised[vector]:
            os.eventfd_write(descriptor, 1)
        else:
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(descriptor)

    def lower(self) -> None:
        """Forget what was raised."""
        for vector in range(len(self._raised)):
            self[vector] = False

    def close(self) -> None:
        """Close all eventfds."""
        for descriptor in self._descriptors.values():
            os.close(descriptor)
        self._descriptors.clear()
