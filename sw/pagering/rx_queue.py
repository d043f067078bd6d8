"""A receive queue: completions in, frames out, tokens back.

``RxQueue`` reads its completion ring in host memory and never a register to receive. Whatever the
ring says is checked before it is used as an address. Each burst ends with one run of token writes
and one write of CONSUMED. Frames come one by one (:meth:`RxQueue.recv`) or as arrays
(:meth:`RxQueue.recv_arrays`); the caller polls, waits, or awaits (:mod:`pagering.queue_async`). All
may be mixed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from pagering import abi
from pagering.burst import Burst
from pagering.completion_ring import CompletionRing
from pagering.errors import CardError
from pagering.frame_reader import FrameReader
from pagering.moderation import Moderated
from pagering.polling import wait_drained
from pagering.queue_async import Awaited
from pagering.queue_returns import OpenBurst, Returning
from pagering.queue_stats import Counted, QueueStats
from pagering.returns import ReturnPath, ReturnWay

if TYPE_CHECKING:
    from pagering.array_burst import ArrayBurst
    from pagering.array_reader import ArrayReader
    from pagering.card import Card
    from pagering.card_pool import CardPool
    from pagering.header_split import HeaderSplit

__all__ = ["RxQueue"]


_BurstT = TypeVar("_BurstT", bound=OpenBurst)


class RxQueue(Returning, Awaited, Moderated, Counted):
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
        self.splits = split is not None
        """Whether headers go apart."""
        self.extended = extended
        self.stats = QueueStats()
        self.closed = False
        self._card = card
        self._registers = card.registers.queue(index)
        self._user = card.registers.user(index)
        self._tell_consumed = self._user.CONSUMED.writer("index")
        self._bursts: set[OpenBurst] = set()
        # As many tokens as completions: the ring has always room for what was received.
        self.returns = ReturnPath(card, index, returns, ring_entries)
        """Which way tokens go back."""
        self.ring = CompletionRing(card.transport, ring_entries, extended)
        """Its completions."""
        self.reader = FrameReader(self, self.ring, card.capabilities.chunks,
                                  card.capabilities.chunk_bytes)
        """What makes frames of them."""
        self._arrays: ArrayReader | None = None
        try:
            self.ring.describe(self._registers, index)
            self._set_split(split)
            self._set_limits(quota)
            self._registers.POLICY.write(hold=int(hold))
            self._enable()
        except BaseException:
            self.returns.close()
            self.ring.free()
            raise

    # Set up

    def _set_split(self, split: HeaderSplit | None) -> None:
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
        return self._receive(self._read, max_frames, timeout)

    def recv_arrays(self, max_frames: int = 256, timeout: float | None = None) -> ArrayBurst:
        """Take what is there as arrays, without an object for each frame. Needs numpy.

        Parameters and errors are those of :meth:`recv`.

        Returns
        -------
        ArrayBurst
            A context manager likewise.

        Raises
        ------
        ValueError
            If ``max_frames`` is less than 1.
        CardError
            If the queue is closed, a completion names memory that is not its pool's, or numpy is
            not installed.

        """
        if self._arrays is None:
            self._arrays = self._array_reader()
        return self._receive(self._arrays.read, max_frames, timeout)

    def _array_reader(self) -> ArrayReader:
        try:
            from pagering.array_reader import ArrayReader
        except ModuleNotFoundError as error:
            raise CardError(f"arrays need {error.name}, which is not installed; pip install "
                            f"{error.name}, or use recv") from error
        return ArrayReader(self, self.ring, self._card.capabilities)

    def _receive(self, read: Callable[[int], _BurstT], max_frames: int,
                 timeout: float | None) -> _BurstT:
        """Read a burst; while there is none, wait."""
        if max_frames < 1:
            raise ValueError(f"recv takes at least 1 frame, not {max_frames}")
        self._check_open()
        burst = read(max_frames)
        # Each turn reads at least one completion, so a frame of n segments takes n turns at most.
        while not burst and timeout and self.wait(timeout):
            burst = read(max_frames)
        if burst:
            self._bursts.add(burst)
        return burst

    def _read(self, max_frames: int) -> Burst:
        frames, new_pages = self.reader.read(max_frames)
        if self.splits:
            for token in new_pages:
                self.pool_of(token).note_served(1)
            self.stats.splits += sum([frame.split for frame in frames])
        elif new_pages:
            self.pool.note_served(len(new_pages))
        self.stats.note(frames)
        return Burst(self, frames)

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
            if self.ring.ready or self.arm():
                return True
            if not self._card.transport.wait_interrupt(self.index, timeout):
                break
            self._interrupted()
        return self.ring.ready

    def arm(self) -> bool:
        """Arm the interrupt; return whether there is a completion already."""
        self.ring.told = self.ring.head
        self._user.ARM.write(index=self.ring.head)
        return self.ring.ready

    # The end

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
        wait_drained(lambda: bool(self._registers.STATUS.get("drained")),
                     f"queue {self.index} is drained", timeout)
        self.returns.close()
        for burst in list(self._bursts):
            burst.close()
        self._return_unread()
        self.closed = True
        self._wake()
        if self._arrays is not None:
            self._arrays.release()
        self.ring.free()
        self._card.forget_queue(self)

    def _return_unread(self) -> None:
        """Return the memory of frames that nobody asked for any more."""
        try:
            while len(burst := self._read(256)):
                burst.close()
        except CardError:
            pass  # a corrupt completion ends the list; retiring the pool gets its page back
        self.give_back(self.reader.tokens(bytes(self.ring.carry)))
        self.ring.carry.clear()

    def _check_open(self) -> None:
        if self.closed:
            raise CardError(f"queue {self.index} is closed; open it again with add_queue")
