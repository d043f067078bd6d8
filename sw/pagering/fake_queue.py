"""A receive queue of the in-memory card: its settings, its ring and its open pages."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from pagering import abi
from pagering.fake_interrupt import FakeInterrupt

__all__ = ["FakeQueue", "OpenPage", "Piece", "Side"]


class Side(enum.Enum):
    """Which of a queue's two open pages: one that splits frames has one for headers."""

    PAYLOAD = 0
    HEADERS = 1


@dataclass
class OpenPage:
    """A page that is being filled."""

    page: int
    next_chunk: int = 0


@dataclass(frozen=True)
class Piece:
    """Bytes of a frame that go to one of the queue's pools: all, its headers, or its payload."""

    side: Side
    pool: int
    size: int


@dataclass
class FakeQueue:
    """A queue's state."""

    enabled: bool = False
    pool: int = 0
    ring_address: int = 0
    ring_log2: int = abi.RING_LOG2_MIN
    extended: bool = False
    """Its completions are extended ones."""
    split: bool = False
    header_pool: int = 0
    threshold: int = 0
    """Frames of more bytes than this are split."""
    quota: int = abi.QUEUE["QUOTA"].reset
    hold: bool = False
    """A frame that finds no memory waits."""
    reserved: int = 0
    """Completions given to frames, modulo 2**17."""
    produced: int = 0
    """Completions visible to the host, modulo 2**17."""
    consumed: int = 0
    returned: int = 0
    """Tokens taken from the return ring, modulo 2**17."""
    interrupt: FakeInterrupt = field(default_factory=FakeInterrupt)
    open_pages: dict[Side, OpenPage] = field(default_factory=dict)

    @property
    def stride(self) -> int:
        """Bytes from one completion to the next."""
        return abi.COMPLETION_BYTES + self.extended * abi.EXTENSION_BYTES

    @property
    def drained(self) -> bool:
        """Disabled, and no completion is under way or will come."""
        return not self.enabled and self.reserved == self.produced

    def pieces(self, length: int, header: int) -> list[Piece]:
        """Return how a frame is divided; ``header`` is 0 if it is not known where headers end.

        A frame that is not split goes to the pool of the headers, whole.
        """
        if not self.split:
            return [Piece(Side.PAYLOAD, self.pool, length)]
        if not 0 < header < length or length <= self.threshold:
            return [Piece(Side.HEADERS, self.header_pool, length)]
        return [Piece(Side.HEADERS, self.header_pool, header),
                Piece(Side.PAYLOAD, self.pool, length - header)]
