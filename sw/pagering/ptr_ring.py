"""A bounded FIFO of objects with the exact capacity behaviour of Linux's ``ptr_ring``.

An empty slot holds ``None``, so producer and consumer need no shared index: the producer looks
only at the slot it would fill, the consumer only at the slot it would take. The consumer empties
slots lazily, a batch at a time, so that the two rarely touch the same cache line. The price is
visible and kept here: up to ``batch - 1`` consumed slots still count as taken, so a ring may refuse
an object although fewer than ``size`` are waiting.

One thread may produce while another consumes. Several producers need a lock of their own, and so
do several consumers.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from pagering.errors import PoolError

__all__ = ["PTR_RING_BATCH", "PtrRing"]

PTR_RING_BATCH = 16
"""Slots emptied at a time: two cache lines of 64 bytes, full of 8-byte pointers."""

T = TypeVar("T")


class PtrRing(Generic[T]):
    """A FIFO of at most ``size`` objects.

    Parameters
    ----------
    size : int
        Number of slots, at least 1.

    Raises
    ------
    PoolError
        If ``size`` is less than 1.
    """

    __slots__ = ("_batch", "_head", "_producer", "_size", "_slots", "_tail")

    def __init__(self, size: int) -> None:
        if size < 1:
            raise PoolError(f"ring size must be at least 1, not {size}")
        # A batch of more than half the ring would leave too little of it usable.
        self._batch = PTR_RING_BATCH if size // 2 >= PTR_RING_BATCH else 1
        self._size = size
        self._slots: list[T | None] = [None] * size
        self._producer = 0
        self._head = 0  # next slot to consume
        self._tail = 0  # oldest slot that was consumed and is not emptied yet

    @property
    def size(self) -> int:
        """Number of slots."""
        return self._size

    @property
    def batch(self) -> int:
        """Number of consumed slots that are emptied together."""
        return self._batch

    @property
    def empty(self) -> bool:
        """Whether nothing waits. One look at the head slot: needs no lock."""
        return self._slots[self._head] is None

    @property
    def full(self) -> bool:
        """Whether :meth:`produce` would refuse, be it for slots that wait to be emptied."""
        return self._slots[self._producer] is not None

    def __len__(self) -> int:
        """Count the objects that wait. Exact only while nobody produces or consumes."""
        if self._slots[self._head] is None:
            return 0
        return (self._producer - self._head - 1) % self._size + 1

    def produce(self, item: T) -> bool:
        """Append ``item``.

        Parameters
        ----------
        item : object
            Anything but ``None``, which marks an empty slot.

        Returns
        -------
        bool
            False, with nothing changed, if the ring is full.

        Raises
        ------
        PoolError
            If ``item`` is ``None``.
        """
        if item is None:
            raise PoolError("a ring cannot hold None: it marks an empty slot")
        if self._slots[self._producer] is not None:
            return False
        self._slots[self._producer] = item
        self._producer = (self._producer + 1) % self._size
        return True

    def consume(self) -> T | None:
        """Take the oldest object, or return ``None`` if nothing waits."""
        item = self._slots[self._head]
        if item is None:
            return None
        self._head += 1
        wraps = self._head == self._size
        if wraps or self._head - self._tail >= self._batch:
            # From the youngest slot down: the producer, which waits for the oldest one, gets the
            # whole batch at once instead of chasing the consumer slot by slot.
            for slot in range(self._head - 1, self._tail - 1, -1):
                self._slots[slot] = None
            self._tail = self._head
        if wraps:
            self._head = self._tail = 0
        return item
