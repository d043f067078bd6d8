"""How the memory of frames goes back: the part of :class:`~pagering.rx_queue.RxQueue` for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from pagering.records import PAGE_LSB, PAGE_MASK, merge

if TYPE_CHECKING:
    from pagering.card_pool import CardPool
    from pagering.completion_ring import CompletionRing
    from pagering.frame import Frame
    from pagering.queue_stats import QueueStats
    from pagering.returns import ReturnPath

__all__ = ["OpenBurst", "Returning"]


class OpenBurst(Protocol):
    """A burst of either kind."""

    def __len__(self) -> int: ...

    def close(self) -> None: ...


class Returning:
    """A queue that gives memory back."""

    index: int
    pool: CardPool
    pools: tuple[CardPool, ...]
    ring: CompletionRing
    returns: ReturnPath
    stats: QueueStats
    closed: bool
    _tell_consumed: Callable[[int], None]
    _bursts: set[OpenBurst]

    def pool_of(self, token: int) -> CardPool:
        """Return the pool that a token's page belongs to."""
        page = token >> PAGE_LSB & PAGE_MASK
        return next((pool for pool in self.pools if page in pool.views), self.pool)

    def finish(self, burst: OpenBurst, tokens: Sequence[int]) -> None:
        """End a burst: return its tokens and say how far the ring was read."""
        self.end(burst, merge(self._known(tokens)))

    def end(self, burst: OpenBurst, merged: Sequence[int]) -> None:
        """End a burst whose tokens are merged."""
        self._bursts.discard(burst)
        self._put(merged)
        if self.ring.head != self.ring.told and not self.closed:
            self.ring.told = self.ring.head
            self._tell_consumed(self.ring.head)

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
        self._put(merge(self._known(tokens)))

    def _known(self, tokens: Sequence[int]) -> Sequence[int]:
        """Leave out the tokens of a pool that was retired: the card knows its pages no more."""
        if not any(pool.closed for pool in self.pools):
            return tokens
        return [token for token in tokens
                if any(token >> PAGE_LSB & PAGE_MASK in pool.views for pool in self.pools)]

    def _put(self, merged: Sequence[int]) -> None:
        self.stats.returns += len(merged)
        self.returns.put(merged)
