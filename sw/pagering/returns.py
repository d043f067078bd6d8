"""How tokens go back to the card: written to its return window, or left for it to fetch.

*Push* is one 32-bit write for each token. *Pull* is one copy into a ring in host memory and one
doorbell; the card then reads 16 tokens at a time. Push is sooner done for few tokens, pull costs
the bus less for many.
"""

from __future__ import annotations

import enum
from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pagering import abi
from pagering.errors import CardError
from pagering.records import INDEX_MASK, WINDOW_WORDS

if TYPE_CHECKING:
    from pagering.card import Card

__all__ = ["PULL_FROM", "ReturnPath", "ReturnRing", "ReturnWay", "ReturnWindow"]

PULL_FROM = abi.RETURN_LINE
"""Tokens from which pull is the better way: a read and a doorbell instead of as many writes."""
_TOKEN_BYTES = abi.TOKEN.width // 8


class ReturnWay(enum.Enum):
    """Which way tokens take."""

    PUSH = "push"
    PULL = "pull"
    AUTO = "auto"
    """Pull from :data:`PULL_FROM` tokens on, else push."""


class ReturnWindow:
    """The push way.

    A run goes on where the last one ended, so that a write-combining buffer never sees the same
    word twice in a row; it wraps at the end of the window.
    """

    def __init__(self, card: Card, index: int) -> None:
        self._transport = card.transport
        self._offset = card.registers.return_window(index)
        self._at = 0

    def put(self, tokens: Sequence[int]) -> None:
        """Write tokens, a 32-bit write each."""
        while tokens:
            room = WINDOW_WORDS - self._at
            run, tokens = tokens[:room], tokens[room:]
            self._transport.write_tokens(self._offset + _TOKEN_BYTES * self._at, run)
            self._at = (self._at + len(run)) % WINDOW_WORDS


class ReturnRing:
    """The pull way: a ring in host memory, and right behind it how far the card has read it.

    Parameters
    ----------
    card, index
        Which queue of which card; it must be drained.
    entries
        Tokens in the ring: a power of two, 16 to 65536.

    """

    def __init__(self, card: Card, index: int, entries: int) -> None:
        self._ring_doorbell = card.registers.user(index).RETURN_PRODUCED.writer("index")
        self._entries = entries
        size = entries * _TOKEN_BYTES
        self._memory = card.transport.allocate(size + abi.MIRROR_BYTES)
        self._words = self._memory.view[:size].cast("I")
        self._consumer = self._memory.view[size:size + abi.MIRROR_BYTES].cast("I")
        try:
            self._describe(card, index)
        except BaseException:
            self.free()
            raise

    def _describe(self, card: Card, index: int) -> None:
        registers, address = card.registers.queue(index), self._memory.address
        if address % 4096:
            raise CardError(f"the return ring of queue {index} is at {address:#x}; the card needs "
                            f"a multiple of 4096 from the transport")
        # The card's indices run on when a queue is opened again.
        self._produced = registers.RETURN_CONSUMED.get()
        self._consumer[0] = self._produced
        registers.RETURN_LOW.write(address=address >> 12 & 0xFFFFF)
        registers.RETURN_HIGH.write(address=address >> 32)
        registers.RETURN_SIZE.write(log2=self._entries.bit_length() - 1, mirror=1)

    @property
    def mirror_address(self) -> int:
        """Where the card writes how far it has read."""
        return self._memory.address + self._entries * _TOKEN_BYTES

    @property
    def waiting(self) -> int:
        """Tokens in the ring that the card has not told of taking."""
        return self._produced - self._consumer[0] & INDEX_MASK

    def put(self, tokens: Sequence[int]) -> int:
        """Leave as many tokens as there is room for, and say so; return how many."""
        count = min(len(tokens), self._entries - self.waiting)
        if count <= 0:
            return 0
        start = self._produced % self._entries
        first = min(count, self._entries - start)
        self._copy(start, tokens[:first])
        if first < count:
            self._copy(0, tokens[first:count])
        self._produced = self._produced + count & INDEX_MASK
        self._ring_doorbell(self._produced)
        return count

    def _copy(self, at: int, tokens: Sequence[int]) -> None:
        # One copy. An array's tokens come as a view of its words; a list is made one first.
        words = tokens if isinstance(tokens, memoryview) else memoryview(array("I", tokens))
        self._words[at:at + len(words)] = words

    def free(self) -> None:
        """Give the memory back; the queue must be drained."""
        self._words.release()
        self._consumer.release()
        self._memory.free()


class ReturnPath:
    """What a queue returns its tokens by.

    Parameters
    ----------
    card, index
        Which queue of which card; it must be drained.
    way
        Push, pull or whichever is better; a name will do.
    entries
        Tokens in the return ring, if there is one.

    Raises
    ------
    ValueError
        If there is no such way.
    CardError
        If the card does not have it.

    """

    def __init__(self, card: Card, index: int, way: ReturnWay | str, entries: int) -> None:
        names = [known.value for known in ReturnWay]
        if not isinstance(way, ReturnWay) and way not in names:
            raise ValueError(f"tokens are returned by {', '.join(names)}; {way!r} is none of them")
        self.way = ReturnWay(way)
        self.pushed = self.pulled = 0
        """Tokens that took each way."""
        self._window = ReturnWindow(card, index)
        can_pull = card.registers.card.CAP_FEATURES.get("pull_returns")
        if self.way is ReturnWay.PULL and not can_pull:
            raise CardError("the card cannot fetch returned tokens; use push, or auto")
        self._ring = (None if self.way is ReturnWay.PUSH or not can_pull
                      else ReturnRing(card, index, entries))
        self._registers = card.registers.queue(index)

    @property
    def mirror_address(self) -> int | None:
        """Where the card writes how far it has read the return ring, if there is one."""
        return self._ring.mirror_address if self._ring else None

    @property
    def waiting(self) -> int:
        """Tokens in the return ring that the card has not told of taking."""
        return self._ring.waiting if self._ring else 0

    def put(self, tokens: Sequence[int]) -> None:
        """Return tokens. What the ring has no room for goes through the window: nothing waits."""
        taken = 0
        if self._ring is not None and (self.way is ReturnWay.PULL or len(tokens) >= PULL_FROM):
            taken = self._ring.put(tokens)
        if taken < len(tokens):
            self._window.put(tokens[taken:])
        self.pulled += taken
        self.pushed += len(tokens) - taken

    def close(self) -> None:
        """Take the ring away from the drained queue. The window stays: it takes late tokens."""
        if self._ring is not None:
            self._registers.RETURN_SIZE.write(log2=0)
            self._ring.free()
            self._ring = None
