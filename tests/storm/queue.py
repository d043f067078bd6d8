"""What is known of a queue."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from pagering import abi
from pagering_tb.host_memory import DmaBlock

from .interrupts import InterruptRule
from .knobs import Knob
from .return_ring import ReturnRing

__all__ = ["INDEX_MASK", "QueueState", "Ring", "ahead"]

INDEX_MASK = (1 << abi.CONSUMER_BITS) - 1


def ahead(index: int, of: int) -> int:
    """Return how far a completion index is past another."""
    return index - of & INDEX_MASK


@dataclass
class Ring:
    """A completion ring in host memory."""

    block: DmaBlock
    log2: int
    extended: bool = False
    written: int = 0
    """Completions that the card has put there."""
    visible: int = 0
    """Completions whose write was answered."""
    consumed: int = 0
    """As the card was told."""

    @property
    def stride(self) -> int:
        """Bytes from one completion to the next."""
        return abi.COMPLETION_BYTES + self.extended * abi.EXTENSION_BYTES


class QueueState:
    """What is known of a queue."""

    def __init__(self) -> None:
        self.enabled = Knob(False)
        self.pool = Knob(0)
        self.header_pool = Knob(0)
        """Pool of the headers, if frames are split."""
        self.split = Knob(False)
        self.threshold = 0
        self.hold = Knob(False)
        self.ring: Ring | None = None
        self.rings: Knob[int] = Knob(0)
        """Sizes of the ring."""
        self.returns = ReturnRing()
        self.interrupt = InterruptRule()
        self.drained = True
        self.delivered = 0
        self.seen: deque[int] = deque()
        """Tokens of visible completions, for the host to fetch."""
        self.peak_pages = 0
        self.peak_unread = 0
        self.parts: list[bytes] = []
        """Segments of a frame that is not complete."""
        self.last_time = -1
        """Time stamp of the last frame."""

    @property
    def pools(self) -> set[int]:
        """Pools that the queue may have drawn from since the last rest."""
        split = any(self.split.values)
        return {*self.pool.values, *(self.header_pool.values if split else ())}

    def settle(self) -> None:
        """The card is at rest: what was uncertain is over."""
        self.peak_pages = self.peak_unread = 0
        for knob in (self.enabled, self.pool, self.header_pool, self.split, self.hold,
                     self.rings, self.interrupt.limits):
            knob.settle()
