"""Admission in the in-memory card: whether there is memory for a frame, and why not."""

from __future__ import annotations

from collections.abc import Sequence

from pagering import abi
from pagering.abi import DropCause
from pagering.fake_queue import FakeQueue, Piece, Side
from pagering.fake_state import FakeState

__all__ = ["INDEX_MASK", "FakeAdmission"]

INDEX_MASK = (1 << abi.CONSUMER_BITS) - 1


class FakeAdmission:
    """Decides by what is free, limited and read; the order of causes is that of ``DropCause``.

    A frame that is refused takes nothing, but an open page that it does not fit is closed: it can
    then come back, and be what the next frame needs.
    """

    def __init__(self, state: FakeState) -> None:
        self._state = state

    def refuse(self, number: int, pieces: Sequence[Piece]) -> DropCause | None:
        """Return why there is no memory for the pieces of a frame; close what they do not fit in.

        The headers are looked at first, then the payload, which also bears what the headers need.
        If it is the headers that are refused, the payload's page is closed as well.
        """
        queue = self._state.queues[number]
        misfits: set[Side] = set()
        needs: list[tuple[int, int]] = []
        cause = None
        for piece in pieces:
            last = piece is pieces[-1]
            pages = self.pages_needed(queue, piece)
            cause = self._refusal(number, piece, pages, needs, last)
            if pages:
                misfits |= {piece.side} | ({Side.PAYLOAD} if cause is not None else set())
            if cause is not None:
                break
            needs.append((piece.pool, pages))
        if cause is not None:
            self._state.close_open_pages(queue, misfits & {piece.side for piece in pieces})
        return cause

    def pages_needed(self, queue: FakeQueue, piece: Piece) -> int:
        """Return how many new pages a piece needs: none if it fits in the open one whole."""
        opened = queue.open_pages.get(piece.side)
        chunks = -(-piece.size // self._state.config.chunk_bytes)
        fits = opened is not None and opened.next_chunk + chunks <= self._state.config.chunks
        return 0 if fits else -(-piece.size // self._state.config.page_bytes)

    def _refusal(self, number: int, piece: Piece, pages: int, needs: list[tuple[int, int]],
                 last: bool) -> DropCause | None:
        """Return the first reason against a piece; ``needs`` is (pool, pages) of those before."""
        queue, pool = self._state.queues[number], self._state.pages.pools[piece.pool]
        here = pages + sum(more for index, more in needs if index == piece.pool)
        total = pages + sum(more for _, more in needs)
        # What fits in the open page is one segment, as is what needs one page.
        segments = max(1, pages) if last else 0
        room = (1 << queue.ring_log2) - (queue.reserved - queue.consumed & INDEX_MASK)
        causes = (
            (not pool.enabled, DropCause.POOL_DISABLED),
            (pages and here > len(pool.ring), DropCause.NO_PAGE),
            (pages and pool.off_ring + here > pool.limit, DropCause.POOL_LIMIT),
            (pages and self._state.pages.held[number] + total > queue.quota, DropCause.QUEUE_QUOTA),
            (segments > room, DropCause.RING_FULL),
        )
        return next((cause for hit, cause in causes if hit), None)
