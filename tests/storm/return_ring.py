"""A return ring in host memory, as both sides see it: what is in it, how far the card has read.

The card reads a line of 64 bytes at a time. From the moment that a token is on the bus and its
doorbell was taken, the card may have acted on it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from pagering import abi
from pagering_tb.host_memory import DmaBlock

from .pages import Wrong

__all__ = ["ReturnRing"]

_INDEX_MASK = (1 << abi.CONSUMER_BITS) - 1
_TOKEN_BYTES = abi.TOKEN.width // 8


class ReturnRing:
    """The return ring of a queue from one reset to the next; its memory comes and goes."""

    def __init__(self) -> None:
        self.block: DmaBlock | None = None
        self.log2 = 0
        self.mirrors = False
        self.produced = 0
        """Tokens that the host has put in."""
        self.rung = 0
        """As far as the card was told."""
        self.shown = 0
        """As far as the card may have read."""
        self.consumed = 0
        """As far as the card has said that it has read."""
        self.mirrored: int | None = None
        """What the mirror has, if the card has written it."""
        self.moved = False
        """Whether the card has something to write to the mirror."""
        self.fails: int | None = None
        """After so many more reads, one is answered with an error."""
        self._placed = 0
        self._left: deque[tuple[Callable[[], None], Callable[[], None]]] = deque()
        """What to call when a token is shown, or lost; the oldest first."""

    def place(self, block: DmaBlock | None, log2: int, mirrors: bool) -> None:
        """Take other memory; the card has read all that was in the old."""
        self.block, self.log2, self.mirrors = block, log2, mirrors
        self.consumed = self._placed = self.produced
        self.mirrored, self.moved = None, False

    @property
    def room(self) -> int:
        """Tokens that the host may put in."""
        return (1 << self.log2) - (self.produced - self.consumed & _INDEX_MASK) if self.log2 else 0

    def is_all(self, index: int) -> bool:
        """Return whether the card has taken everything if it is at an index."""
        return index == self.produced

    @property
    def is_mirrored(self) -> bool:
        """Whether the mirror, if there is one and it was to be written, is up to date."""
        return not (self.mirrors and self.moved) or self.mirrored == self.produced

    def put(self, token: int, shown: Callable[[], None],
            lost: Callable[[], None] = lambda: None) -> None:
        """Put a token in; ``shown`` is called when the card may have read it, or else ``lost``."""
        if self.block is not None:
            at = _TOKEN_BYTES * (self.produced & (1 << self.log2) - 1)
            self.block.view[at:at + _TOKEN_BYTES] = token.to_bytes(_TOKEN_BYTES, "little")
            self.produced = self.produced + 1 & _INDEX_MASK
            self._left.append((shown, lost))

    def ring(self, index: int) -> None:
        """Note that the card has taken a doorbell."""
        self.moved = self.moved or index != self.rung
        self.rung = index

    def read(self, address: int, size: int) -> bool | None:
        """Note what the card reads; return if it is answered well, or None if it is not our ring.

        What is lost by a read that fails is known if the tokens that are in the ring came with one
        doorbell: the card reads each of their lines once, but the one that they begin and end in.
        """
        block = self.block
        if block is None or not block.address <= address < block.address + (
                _TOKEN_BYTES << self.log2):
            return None
        fails = self.fails == 0
        if self.fails is not None:
            self.fails = None if fails else self.fails - 1
        first = (address - block.address) // _TOKEN_BYTES
        place = self.shown & (1 << self.log2) - 1
        # What is in the same line behind the end of the ring is for another read.
        while self.shown != self.rung and first <= place < first + size // _TOKEN_BYTES:
            self.shown, place = self.shown + 1 & _INDEX_MASK, place + 1
            shown, lost = self._left.popleft()
            (lost if fails else shown)()
        return not fails

    def written(self, address: int, data: bytes) -> bool:
        """Judge what is written to the mirror; return whether it is of this ring."""
        block = self.block
        if block is None or not block.address <= address < block.end:
            return False
        if not self.mirrors or address != block.end - abi.MIRROR_BYTES or (
                len(data) != abi.MIRROR_BYTES):
            raise Wrong(f"{len(data)} bytes were written to 0x{address:x}, in a return ring")
        value = int.from_bytes(data, "little")
        # It may be a value of a while ago, but not one of before the value that it replaces.
        since = self._placed if self.mirrored is None else self.mirrored
        if (value - since & _INDEX_MASK) > (self.shown - since & _INDEX_MASK):
            raise Wrong(f"the mirror of a return ring says {value}, after {since}; the card can "
                        f"be at {self.shown} at most")
        if (value - self.consumed & _INDEX_MASK) <= (self.shown - self.consumed & _INDEX_MASK):
            self.consumed = value
        self.mirrored = value
        return True
