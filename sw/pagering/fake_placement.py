"""Placement in the in-memory card: puts an admitted frame into pages, segment by segment."""

from __future__ import annotations

from collections.abc import Sequence

from pagering.abi import Fault
from pagering.dissect import Facts
from pagering.fake_admission import FakeAdmission
from pagering.fake_completions import FakeCompletions, Written
from pagering.fake_queue import FakeQueue, OpenPage, Piece, Side
from pagering.fake_state import FakeState
from pagering.fake_steering import Steered

__all__ = ["FakePlacement"]


class FakePlacement:
    """Opens pages, fills them and writes to the memory that they are."""

    def __init__(self, state: FakeState, admission: FakeAdmission,
                 completions: FakeCompletions) -> None:
        self._state, self._admission, self._completions = state, admission, completions

    def place(self, steered: Steered, data: bytes, facts: Facts,
               pieces: Sequence[Piece]) -> None:
        number, step = steered.queue, self._state.config.page_bytes
        queue = self._state.queues[number]
        # The new pages leave the ring first: an old one that goes back by being closed is then not
        # among them.
        fresh = [[self._state.pages.pop(piece.pool, number)
                  for _ in range(self._admission.pages_needed(queue, piece))] for piece in pieces]
        at, headers = 0, None
        for piece, pages in zip(pieces, fresh, strict=True):
            part = data[at:at + piece.size]
            at += piece.size
            if pages:
                self._state.close_open_pages(queue, [piece.side])
            for start in range(0, piece.size, step):
                if pages:
                    queue.open_pages[piece.side] = OpenPage(pages.pop(0))
                written = self._fill(queue, piece.side, part[start:start + step])
                if piece is not pieces[-1]:
                    headers = written
                    continue
                self._completions.make(steered, facts, written, headers if start == 0 else None,
                               start == 0, start + step >= piece.size)

    def _fill(self, queue: FakeQueue, side: Side, data: bytes) -> Written:
        """Write a segment to the queue's open page."""
        opened = queue.open_pages[side]
        first = opened.next_chunk
        opened.next_chunk += -(-len(data) // self._state.config.chunk_bytes)
        token = self._state.pages.fill(opened.page, first, opened.next_chunk - 1)
        address = self._state.pages.address_of(opened.page) + first * self._state.config.chunk_bytes
        failed = self._write_data(address, data)
        full = opened.next_chunk == self._state.config.chunks
        if full:
            self._state.close_open_pages(queue, [side])
        return Written(token, len(data), failed, full)

    def _write_data(self, address: int, data: bytes) -> bool:
        """Write in bursts that end at multiples of the burst size; return if one failed."""
        step = min(self._state.config.burst_bytes, 4096)
        at, failed = 0, False
        while at < len(data):
            size = min(step - (address + at) % step, len(data) - at)
            self._state.statistics.wrote(address + at, size)
            if not self._state.memory.write(address + at, data[at:at + size]):
                self._state.fault(Fault.DATA_WRITE)
                failed = True
            at += size
        return failed
