"""Received frames, in place.

A ``Frame`` is a view of card memory. It is valid inside the ``with`` block of its ``Burst``, and
until it is released if it was retained. Using it afterwards raises ``FrameReleased``. A slice that
the caller took of a view is the caller's: the driver cannot take it back.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from pagering.errors import FrameReleased
from pagering.frame_facts import FrameFacts, More
from pagering.page_pool_page import Page

if TYPE_CHECKING:
    from pagering.card_pool import CardPool
    from pagering.rx_queue import RxQueue

__all__ = ["Frame", "Piece"]

Piece = tuple[memoryview, int, int]
"""A segment before anybody looks at it: its page's bytes, where it starts and where it ends."""


class _State(enum.Enum):
    LENT = "until the end of its burst"
    RETAINED = "until released"
    RETURNED = "not any more"


class Frame(FrameFacts):
    """One received frame: what the card says of it, and its bytes.

    Attributes
    ----------
    queue : int
        Which queue received it.
    length : int
        Bytes.
    tokens : tuple of int
        What names its memory to the card, one for each segment.

    """

    __slots__ = ("_held", "_owner", "_pieces", "_state", "_views", "length", "queue", "tokens")

    def __init__(self, owner: RxQueue, tokens: tuple[int, ...], pieces: tuple[Piece, ...],
                 length: int, flags: int, hash_value: int, checksum: int,
                 more: More | None = None) -> None:
        self.queue = owner.index
        self.length = length
        self.tokens = tokens
        self.hash = hash_value
        self.checksum = checksum
        self._flags = flags
        self._more = more
        self._owner = owner
        self._pieces = pieces
        self._views: tuple[memoryview, ...] | None = None
        self._held: list[tuple[CardPool, Page]] = []
        self._state = _State.LENT

    @property
    def headers(self) -> memoryview | None:
        """The headers of a frame that is split, up to the end of L4; None of any other.

        Raises
        ------
        FrameReleased
            If its memory went back to the card.

        """
        return self.segments[0] if self.split else None

    @property
    def payload(self) -> tuple[memoryview, ...]:
        """What is behind the headers of a frame that is split; of any other, all of it.

        Raises
        ------
        FrameReleased
            If its memory went back to the card.

        """
        return self.segments[self.split:]

    @property
    def segments(self) -> tuple[memoryview, ...]:
        """The frame's bytes where the card put them, one view for each segment.

        Raises
        ------
        FrameReleased
            If its memory went back to the card.

        """
        if self._state is _State.RETURNED:
            raise FrameReleased(f"a frame of {self.length} bytes of queue {self.queue} was used "
                                f"after its page went back to the card; retain() it, or copy it "
                                f"inside the burst")
        if self._views is None:
            # Not at once: many a frame is only counted or looked at by its length.
            self._views = tuple(page[start:end] for page, start, end in self._pieces)
        return self._views

    @property
    def view(self) -> memoryview:
        """The bytes of a frame of one segment, without a copy.

        Raises
        ------
        FrameReleased
            If its memory went back to the card.
        ValueError
            If it has several segments.

        """
        segments = self.segments
        if len(segments) != 1:
            raise ValueError(f"a frame of {len(segments)} segments has no single view; use "
                             f"segments or tobytes()")
        return segments[0]

    def tobytes(self) -> bytes:
        """Return a copy of the whole frame.

        Raises
        ------
        FrameReleased
            If its memory went back to the card.

        """
        return b"".join(self.segments)

    def __bytes__(self) -> bytes:
        return self.tobytes()

    def __len__(self) -> int:
        return self.length

    def __repr__(self) -> str:
        return (f"<Frame of {self.length} bytes in {len(self.tokens)} segments, queue "
                f"{self.queue}, usable {self._state.value}>")

    @property
    def lent(self) -> bool:
        """Whether the frame goes back when its burst ends."""
        return self._state is _State.LENT

    def retain(self) -> Frame:
        """Keep the frame after its burst, until :meth:`release`. Again does nothing.

        The page stays away from the card meanwhile: a host that retains much starves itself.

        Raises
        ------
        FrameReleased
            If its memory went back to the card.

        """
        if self._state is _State.RETURNED:
            raise FrameReleased(f"a frame of queue {self.queue} cannot be retained: its page went "
                                f"back to the card; retain it inside the burst")
        if self._state is _State.LENT:
            pools = [self._owner.pool_of(token) for token in self.tokens]
            self._held = [(pool, pool.hold(token))
                          for pool, token in zip(pools, self.tokens, strict=True)]
            self._owner.stats.retained += 1
            self._state = _State.RETAINED
        return self

    def release(self) -> None:
        """Give the frame's memory back now.

        Raises
        ------
        FrameReleased
            If it went back already.

        """
        self._owner.release((self,))

    def give_up(self) -> tuple[int, ...]:
        """Make the frame unusable, and return the tokens that its queue is to return.

        Raises
        ------
        FrameReleased
            If it went back already.

        """
        if self._state is _State.RETURNED:
            raise FrameReleased(f"a frame of queue {self.queue} was released twice; release each "
                                f"retained frame once")
        retained = self._state is _State.RETAINED
        self.invalidate()
        if retained:
            self._owner.stats.retained -= 1
            for pool, page in self._held:
                pool.let_go(page)
        return self.tokens

    def invalidate(self) -> None:
        """Make the views unusable, without telling the card."""
        self._state = _State.RETURNED
        self._pieces = ()
        for view in self._views or ():
            view.release()
        self._views = None
