"""Received frames, in place, and the burst that gives their memory back.

A ``Frame`` is a view of card memory. It is valid inside the ``with`` block of its ``Burst``;
leaving the block returns its memory to the card in one run of writes, unless the frame was
retained. Using it afterwards raises ``FrameReleased``. A slice that the caller took of a view is
the caller's: the driver cannot take it back.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING

from pagering.abi import L3, L4
from pagering.errors import FrameReleased
from pagering.page_pool_page import Page
from pagering.records import FLAGS

if TYPE_CHECKING:
    from pagering.card_pool import CardPool
    from pagering.rx_queue import RxQueue

__all__ = ["Burst", "Frame", "More", "Piece"]

Piece = tuple[memoryview, int, int]
"""A segment before anybody looks at it: its page's bytes, where it starts and where it ends."""
More = tuple[int, int | None, int]
"""What an extended completion adds: timestamp, VLAN tag, mark."""


class _State(enum.Enum):
    LENT = "until the end of its burst"
    RETAINED = "until released"
    RETURNED = "not any more"


class Frame:
    """One received frame.

    Attributes
    ----------
    queue : int
        Which queue received it.
    length : int
        Bytes.
    tokens : tuple of int
        What names its memory to the card, one for each segment.
    hash : int
        As the card computed it; 0 from a card without steering.
    checksum : int
        16-bit ones'-complement sum of everything behind the 14 bytes of the Ethernet header,
        padding included: what Linux calls CHECKSUM_COMPLETE, whatever the protocol. 0 from a card
        without a parser.

    """

    __slots__ = ("_flags", "_held", "_more", "_owner", "_pieces", "_state", "_views", "checksum",
                 "hash", "length", "queue", "tokens")

    def __init__(self, owner: RxQueue, tokens: tuple[int, ...], pieces: tuple[Piece, ...],
                 length: int, flags: int, hash_value: int, checksum: int,
                 more: More | None = None) -> None:
        self.queue = owner.index
        self.length = length
        self.tokens = tokens
        self.hash = hash_value
        self.checksum = checksum
        self._flags = flags
        self._owner = owner
        self._more = more
        self._pieces = pieces
        self._views: tuple[memoryview, ...] | None = None
        self._held: list[tuple[CardPool, Page]] = []
        self._state = _State.LENT

    def _flag(self, name: str) -> int:
        # Only when asked: most frames are never asked most questions.
        shift, mask = FLAGS[name]
        return self._flags >> shift & mask

    @property
    def write_error(self) -> bool:
        """Whether a write of its data failed: its bytes are not to be trusted."""
        return bool(self._flag("write_error"))

    @property
    def l3(self) -> L3:
        """What its Ethernet header, behind any VLAN tags, is followed by; OTHER if not whole."""
        return L3(self._flag("l3"))

    @property
    def l4(self) -> L4:
        """What its IP header is followed by; OTHER if not whole, or not the first fragment."""
        return L4(self._flag("l4"))

    @property
    def fragment(self) -> bool:
        """Whether it is a part of a fragmented datagram."""
        return bool(self._flag("fragment"))

    @property
    def vlan(self) -> bool:
        """Whether it has a VLAN tag, which is left in place; see also :attr:`vlan_tci`."""
        return bool(self._flag("vlan"))

    @property
    def header_length(self) -> int | None:
        """Bytes up to the end of the L4 header; None if the card could not tell.

        It can of TCP, UDP, SCTP and ICMP, unless it is a fragment, or they end past 254 bytes.
        """
        return self._flag("header") or None

    @property
    def split(self) -> bool:
        """Whether its headers are apart from its payload: see :class:`HeaderSplit`."""
        return bool(self._flag("split"))

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
    def ip_checksum_ok(self) -> bool | None:
        """Whether the checksum of its IPv4 header is right; None if it has no such header."""
        return bool(self._flag("l3_ok")) if self._flag("l3_checked") else None

    @property
    def checksum_ok(self) -> bool | None:
        """Whether the checksum of its TCP or UDP is right; None if the card has not checked it.

        It does not of a fragment, nor if lengths do not fit together, nor if an IPv6 routing header
        is not used up. UDP over IPv4 without a checksum is right, over IPv6 it is wrong.
        """
        return bool(self._flag("l4_ok")) if self._flag("l4_checked") else None

    @property
    def timestamp(self) -> int | None:
        """When the first beat came in: nanoseconds by :attr:`Card.clock`.

        None unless the queue was added with ``extended=True``; so are the next two.
        """
        return self._more[0] if self._more else None

    @property
    def vlan_tci(self) -> int | None:
        """Tag control information of the outer VLAN tag; None also if the frame has no tag."""
        return self._more[1] if self._more else None

    @property
    def mark(self) -> int | None:
        """Of the flow rule that the frame met; 0 if it met none."""
        return self._more[2] if self._more else None

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


class Burst:
    """Frames that were received together; a context manager.

    Leaving the block, with or without an exception, returns every frame that was not retained.
    """

    __slots__ = ("_frames", "_open", "_queue")

    def __init__(self, queue: RxQueue, frames: list[Frame]) -> None:
        self._queue = queue
        self._frames = frames
        self._open = True

    def __len__(self) -> int:
        return len(self._frames)

    def __iter__(self) -> Iterator[Frame]:
        return iter(self._frames)

    def __getitem__(self, at: int) -> Frame:
        return self._frames[at]

    def __enter__(self) -> Burst:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Return what was not retained. Again does nothing."""
        if not self._open:
            return
        self._open = False
        tokens: list[int] = []
        for frame in self._frames:
            if frame.lent:
                frame.invalidate()
                tokens += frame.tokens
        self._queue.finish(self, tokens)
