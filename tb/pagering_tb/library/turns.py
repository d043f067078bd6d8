"""Taking turns at one thing, so that nobody who keeps asking keeps the others out."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

__all__ = ["Turns"]


class Turns:
    """A lock that its holder cannot take again at once while somebody else waits for it.

    Whoever waits holds the gate, through which all must go.
    """

    def __init__(self) -> None:
        self._gate = threading.Lock()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Have the lock."""
        with self._gate:
            self._lock.acquire()
        try:
            yield
        finally:
            self._lock.release()
