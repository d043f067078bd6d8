"""A receive queue: completions in, frames out, tokens back.

``RxQueue`` reads its completion ring in host memory and never a register to receive. Whatever the
ring says is checked before it is used as an address. Each burst ends with one run of token writes
and one write of CONSUMED.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pagering import abi
from pagering.errors import CardError
from pagering.frame import Burst, Frame, More, Piece
from pagering.moderation import Moderated
from pagering.polling import wait_until
from pagering.records import (
    CHUNK_MASK,
    COMPLETION,
    END,
    EXTENSION,
    FIRST_LSB,
    FLAGS,
    INDEX_MASK,
    LAST_LSB,
    PAGE_LSB,
    PAGE_MASK,
    PHASE_BYTE,
    PHASE_SHIFT,
    SPLIT,
    START,
    VLAN,
    WRITE_ERROR,
    merge,
)
from pagering.returns import ReturnPath, ReturnWay
from pagering.statistics import queue_statistics

if TYPE_CHECKING:
    from pagering.card import Card
    from pagering.card_pool import CardPool
    from pagering.header_split import HeaderSplit

__all__ = ["QueueStats", "RxQueue"]


@dataclass
class QueueStats:
    """What went through a queue."""

    frames: int = 0
    bytes: int = 0
    segments: int = 0
    returns: int = 0
    """Tokens written, after merging."""
    splits: int = 0
    """Frames whose headers came apart."""
    retained: int = 0
    """Frames that are retained now."""


class RxQueue(Moderated):
    """One queue. Made by :meth:`pagering.card.Card.add_queue`.

    Parameters
    ----------
    card, index
        Which queue of which card.
    pool
        What it draws pages from.
    ring_entries
        Completions in the ring, a power of two.
    quota
        Most pages it may hold; None for no limit.
    extended
        Whether its completions are extended ones.
    split
        Where headers go, if they go apart.
    hold
        Whether a frame that finds no memory waits.
    returns
        Which way tokens go back.

    Raises
    ------
    ValueError
        If there is no such way.
    CardError
        If the card refuses to enable the queue.

    """

    def __init__(self, card: Card, index: int, pool: CardPool, ring_entries: int,
                 quota: int | None, extended: bool = False, split: HeaderSplit | None = None,
                 hold: bool = False, returns: ReturnWay | str = ReturnWay.PUSH) -> None:
        self.index = index
        self.pool = pool
        self.pools = (pool, split.pool) if split else (pool,)
        """All that it draws from."""
        self._split = split
        self.extended = extended
        self.stats = QueueStats()
        self.closed = False
        self._card = card
        self._registers = card.registers.queue(index)
        self._user = card.registers.user(index)
        self._log2 = ring_entries.bit_length() - 1
        self._chunks, self._chunk_bytes = card.capabilities.chunks, card.capabilities.chunk_bytes
        self._head = self._told = 0
        self._lead = abi.EXTENSION_BYTES if extended else 0
        self._stride = self._lead + abi.COMPLETION_BYTES
        self._partial: list[tuple[int, Piece, int, int, int, More | None]] = []
        self._bursts: set[Burst] = set()
        # As many tokens as completions: the ring has always room for what was received.
        self.returns = ReturnPath(card, index, returns, ring_entries)
        """Which way tokens go back."""
        self._memory = card.transport.allocate(ring_entries * self._stride)
        self._ring = self._memory.view[:ring_entries * self._stride]
        try:
            self._describe_ring()
            self._set_limits(quota)
            self._registers.POLICY.write(hold=int(hold))
            self._enable()
        except BaseException:
            self.returns.close()
            self._memory.free()
            raise

    # Set up

    def _describe_ring(self) -> None:
        address = self._memory.address
        if address % 4096:
            raise CardError(f"the ring of queue {self.index} is at {address:#x}; the card needs "
                            f"a multiple of 4096 from the transport")
        # The card starts at index 0 in phase 1: whatever lies here must read as phase 0.
        self._ring[:] = bytes(len(self._ring))
        self._registers.RING_LOW.write(address=address >> 12 & 0xFFFFF)
        self._registers.RING_HIGH.write(address=address >> 32)
        self._registers.RING_SIZE.write(log2=self._log2)
        self._registers.FORMAT.write(extended=int(self.extended))
        split = self._split
        self._registers.HEADER_SPLIT.write(
            enable=int(split is not None), pool=split.pool.index if split else 0,
            threshold=split.threshold if split else 0)

    def _set_limits(self, quota: int | None) -> None:
        self._registers.POOL.write(index=self.pool.index)
        reset = abi.QUEUE["QUOTA"].reset
        self._registers.QUOTA.write(pages=reset if quota is None else quota)

    def _enable(self) -> None:
        self._registers.CONTROL.write(enable=1)
        if not self._registers.CONTROL.get("enable"):
            raise CardError(f"the card refused to enable queue {self.index}; drain it or reset "
                            f"the card first")

    # Receive

    def recv(self, max_frames: int = 256, timeout: float | None = None) -> Burst:
        """Take what is there, at most ``max_frames`` whole frames.

        Parameters
        ----------
        max_frames
            At least 1.
        timeout
            If nothing is there, wait so many seconds for each completion; None or 0: do not wait.

        Returns
        -------
        Burst
            A context manager; its frames go back to the card at the end of the block.

        Raises
        ------
        ValueError
            If ``max_frames`` is less than 1.
        CardError
            If the queue is closed, or a completion names memory that is not its pool's.

        """
        if max_frames < 1:
            raise ValueError(f"recv takes at least 1 frame, not {max_frames}")
        self._check_open()
        frames = self._poll(max_frames)
        # Each turn reads at least one completion, so a frame of n segments takes n turns at most.
        while not frames and timeout and self.wait(timeout):
            frames = self._poll(max_frames)
        burst = Burst(self, frames)
        if frames:
            self._bursts.add(burst)
        return burst

    def wait(self, timeout: float = 1.0) -> bool:
        """Sleep until there is a completion; return whether there is.

        No completion is missed: arming carries how far the host has read, and the ring is looked
        at once more before sleeping.

        Raises
        ------
        CardError
            If the queue is closed.

        """
        self._check_open()
        # An interrupt may be left from a completion that polling found first: sleep once more.
        for _ in range(2):
            if self._ready():
                return True
            self._told = self._head
            self._user.ARM.write(index=self._head)
            if self._ready():
                return True
            if not self._card.transport.wait_interrupt(self.index, timeout):
                break
        return self._ready()

    def _ready(self) -> bool:
        at = (self._head & (1 << self._log2) - 1) * self._stride + self._lead
        return self._ring[at + PHASE_BYTE] >> PHASE_SHIFT & 1 != self._head >> self._log2 & 1

    def _poll(self, max_frames: int) -> list[Frame]:
        """Read whole frames; written for speed, everything that it needs in local names."""
        frames: list[Frame] = []
        ring, log2, head, partial = self._ring, self._log2, self._head, self._partial
        unpack, views = COMPLETION.unpack_from, self._views()
        slot_mask, chunks, chunk_bytes = (1 << log2) - 1, self._chunks, self._chunk_bytes
        stride, lead = self._stride, self._lead
        new_pages: list[int] = []
        while len(frames) < max_frames:
            at = (head & slot_mask) * stride + lead
            if ring[at + PHASE_BYTE] >> PHASE_SHIFT & 1 == head >> log2 & 1:
                break
            # The phase was read first, on its own: what follows is as old or newer.
            token, hash_value, length, checksum, flags = unpack(ring, at)
            page = views.get(token >> PAGE_LSB & PAGE_MASK)
            first, last = token >> FIRST_LSB & CHUNK_MASK, token >> LAST_LSB & CHUNK_MASK
            if (page is None or not first <= last < chunks
                    or not 0 < length <= (last - first + 1) * chunk_bytes
                    or (flags & START == 0) is (not partial)):
                if frames:
                    break  # these are good; the next call meets the bad one again
                raise CardError(self._complaint(token, length))
            head = self._head = head + 1 & INDEX_MASK
            # A page is new when its first chunk is: that is what the page pool counts.
            if not first:
                new_pages.append(token)
            piece = (page, first * chunk_bytes, first * chunk_bytes + length)
            more = self._more(at, flags) if lead else None
            if flags & SPLIT:
                partial.append((*self._headers(at, flags), flags, hash_value, checksum, more))
            elif flags & START and flags & END:
                frames.append(Frame(self, (token,), (piece,), length, flags, hash_value, checksum,
                                    more))
                continue
            partial.append((token, piece, flags, hash_value, checksum, more))
            if flags & END:
                frames.append(self._assemble())
        self._count(frames, new_pages)
        return frames

    def _more(self, at: int, flags: int) -> More:
        """Read the extension of the completion at ``at``."""
        low, high, _, tci, mark = EXTENSION.unpack_from(self._ring, at - EXTENSION.size)
        return high << 32 | low, tci if flags & VLAN else None, mark

    def _views(self) -> Mapping[int, memoryview]:
        """Return the pages that a completion may name."""
        return ChainMap(*(pool.views for pool in self.pools)) if self._split else self.pool.views

    def _headers(self, at: int, flags: int) -> tuple[int, Piece]:
        """Return token and place of the headers that the completion at ``at`` names."""
        _, _, token, _, _ = EXTENSION.unpack_from(self._ring, at - EXTENSION.size)
        shift, mask = FLAGS["header"]
        length = flags >> shift & mask
        page = self.pools[-1].views.get(token >> PAGE_LSB & PAGE_MASK)
        first, last = token >> FIRST_LSB & CHUNK_MASK, token >> LAST_LSB & CHUNK_MASK
        if (page is None or not first <= last < self._chunks
                or not 0 < length <= (last - first + 1) * self._chunk_bytes):
            raise CardError(f"the headers of completion {self._head - 1 & INDEX_MASK} of queue "
                            f"{self.index} are said to be in no memory of pool "
                            f"{self.pools[-1].index}; card or ring memory is corrupt: close the "
                            f"queue and reset the card")
        return token, (page, first * self._chunk_bytes, first * self._chunk_bytes + length)

    def pool_of(self, token: int) -> CardPool:
        """Return the pool that a token's page belongs to."""
        page = token >> PAGE_LSB & PAGE_MASK
        return next((pool for pool in self.pools if page in pool.views), self.pool)

    def _complaint(self, token: int, length: int) -> str:
        """Say what is wrong with the completion at the head."""
        first, last = token >> FIRST_LSB & CHUNK_MASK, token >> LAST_LSB & CHUNK_MASK
        if token >> PAGE_LSB & PAGE_MASK not in self._views():
            pools = " or ".join(str(pool.index) for pool in self.pools)
            wrong = f"names a page that is not of pool {pools}"
        elif not first <= last < self._chunks:
            wrong = f"names chunks {first} to {last} of a page of {self._chunks}"
        elif not 0 < length <= (last - first + 1) * self._chunk_bytes:
            wrong = f"claims {length} bytes in {last - first + 1} chunks of {self._chunk_bytes}"
        else:
            wrong = "starts a frame inside another" if self._partial else "continues no frame"
        return (f"completion {self._head} of queue {self.index} {wrong}; card or ring memory is "
                f"corrupt: close the queue and reset the card")

    def _assemble(self) -> Frame:
        """Make a frame of all segments read so far."""
        tokens, pieces, flags, hashes, checksums, more = zip(*self._partial, strict=True)
        self._partial.clear()
        length = sum(end - start for _, start, end in pieces)
        failed = any(word & WRITE_ERROR for word in flags)
        return Frame(self, tokens, pieces, length, flags[0] | failed * WRITE_ERROR, hashes[0],
                     checksums[0], more[0])

    def _count(self, frames: list[Frame], new_pages: list[int]) -> None:
        if self._split:
            for token in new_pages:
                self.pool_of(token).note_served(1)
            self.stats.splits += sum([frame.split for frame in frames])
        elif new_pages:
            self.pool.note_served(len(new_pages))
        self.stats.frames += len(frames)
        self.stats.bytes += sum([frame.length for frame in frames])
        self.stats.segments += sum([len(frame.tokens) for frame in frames])

    # Return

    def finish(self, burst: Burst, tokens: Sequence[int]) -> None:
        """End a burst: return its tokens and say how far the ring was read."""
        self._bursts.discard(burst)
        self.give_back(tokens)
        if self._head != self._told and not self.closed:
            self._told = self._head
            self._user.CONSUMED.write(index=self._head)

    def release(self, frames: Iterable[Frame]) -> None:
        """Give the memory of several frames of this queue back, in this order and in one go.

        Raises
        ------
        ValueError
            If one is of another queue. Those before it went back.
        FrameReleased
            If one went back already. Those before it went back now.

        """
        tokens: list[int] = []
        try:
            for frame in frames:
                if frame.queue != self.index:
                    raise ValueError(f"a frame of queue {frame.queue} cannot go back through queue "
                                     f"{self.index}; release it there")
                tokens += frame.give_up()
        finally:
            self.give_back(tokens)

    def give_back(self, tokens: Sequence[int]) -> None:
        """Return tokens, neighbours merged."""
        if any(pool.closed for pool in self.pools):
            # A pool that was retired: the card knows its pages no more.
            tokens = [token for token in tokens
                      if any(token >> PAGE_LSB & PAGE_MASK in pool.views for pool in self.pools)]
        merged = merge(tokens)
        self.stats.returns += len(merged)
        self.returns.put(merged)

    # State and end

    @property
    def held(self) -> int:
        """Pages off the ring that the queue holds, as the card counts them."""
        return self._registers.HELD.get()

    @property
    def delivered(self) -> int:
        """Frames delivered to this queue, as the card counts them.

        Raises
        ------
        CardError
            If the card was made without statistics.

        """
        self._card.need_statistics("by queue")
        return self._user.count("RX_PACKETS")

    @property
    def dropped(self) -> int:
        """Frames steered to this queue and dropped.

        Raises
        ------
        CardError
            If the card was made without statistics.

        """
        return self.statistics()["rx-hw-drops"]

    def statistics(self) -> dict[str, int]:
        """Return the queue's receive statistics, under their netdev names.

        They do not begin anew when the queue is opened: only a reset of the card does that. See
        :mod:`pagering.statistics` for what each name means.

        Raises
        ------
        CardError
            If the card was made without statistics.

        """
        self._card.need_statistics("by queue")
        return queue_statistics(self._user.counts(abi.QUEUE_COUNTERS))

    def close(self, timeout: float = 1.0) -> None:
        """Disable the queue, wait until it is drained, return its pages, free its ring.

        Frames of open bursts end here; retained frames stay usable. Again does nothing.

        Raises
        ------
        CardError
            If the card does not drain within ``timeout`` seconds; the ring then stays mapped.

        """
        if self.closed:
            return
        self._registers.CONTROL.write(enable=0)
        wait_until(lambda: bool(self._registers.STATUS.get("drained")),
                   f"queue {self.index} is drained",
                   "do not unmap its memory; reset the card", timeout)
        self.returns.close()
        for burst in list(self._bursts):
            burst.close()
        self._return_unread()
        self.closed = True
        self._ring.release()
        self._memory.free()
        self._card.forget_queue(self)

    def _return_unread(self) -> None:
        """Return the memory of frames that nobody asked for any more."""
        try:
            while frames := self._poll(256):
                Burst(self, frames).close()
        except CardError:
            pass  # a corrupt completion ends the list; retiring the pool gets its page back
        self.give_back([part[0] for part in self._partial])
        self._partial.clear()

    def _check_open(self) -> None:
        if self.closed:
            raise CardError(f"queue {self.index} is closed; open it again with add_queue")
