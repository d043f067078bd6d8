"""The receive path of the in-memory card: steering, admission, placement, completions.

It works on whole frames. The gate judges a frame first, deaf card before anything else; from the
queue on, the order of decisions is that of ``DropCause``. A frame that is refused takes nothing,
but an open page that it does not fit is closed: it can then come back, and be what the next frame
needs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pagering import abi
from pagering.abi import DropCause, Event, Fault
from pagering.capabilities import Capabilities
from pagering.dissect import Facts, dissect, unseen
from pagering.fake_clock import FakeClock
from pagering.fake_interrupt import FakeVectors
from pagering.fake_memory import HostMemory
from pagering.fake_pool import FakePages
from pagering.fake_queue import FakeQueue, OpenPage, Piece, Side
from pagering.fake_statistics import FakeStatistics
from pagering.fake_steering import FakeSteering, Steered

__all__ = ["FakeReceiver"]

_INDEX_MASK = (1 << abi.CONSUMER_BITS) - 1
_SCARCE = (DropCause.NO_PAGE, DropCause.POOL_LIMIT, DropCause.QUEUE_QUOTA, DropCause.RING_FULL)
"""What a queue may hold a frame for."""


@dataclass(frozen=True)
class _Completion:
    queue: int
    index: int
    tokens: tuple[int, ...]
    """Of the segment; before it, that of the frame's headers, if they are apart."""
    end: bool
    record: bytes


@dataclass(frozen=True)
class _Written:
    """A segment in host memory."""

    token: int
    length: int
    failed: bool
    full: bool
    """Nothing more goes to its page."""


class FakeReceiver:
    """All state that a reset clears, and what frames and returned tokens do to it.

    ``before`` is the state that a reset ended: generations of pages outlive it.
    """

    def __init__(self, config: Capabilities, memory: HostMemory,
                 before: FakeReceiver | None = None) -> None:
        self.config = config
        self.memory = memory
        self.statistics = FakeStatistics(config.queues, config.bus_bytes)
        self.counters = self.statistics.card
        self.events = 0
        self.event_enable = 0
        self.raised: FakeVectors = (
            FakeVectors(config.queues + 1) if before is None else before.raised)
        """Interrupt vectors that were raised and not yet waited for."""
        self.raised.lower()
        self.clock = FakeClock()
        self.cycle = 0
        self.receive = False
        self.steering = FakeSteering(config.queues, config.steering)
        self.minimum, self.maximum = 1, 0xFFFF
        self.queues = [FakeQueue() for _ in range(config.queues)]
        self.pages = FakePages(
            pools=config.pools, queues=config.queues, slots=config.regions,
            region_pages=config.region_pages, chunks=config.chunks, page_bytes=config.page_bytes,
            low_water_event=lambda: self.event(Event.LOW_WATER))
        if before is not None:
            self.pages.remember(before.pages)
        self.pending: deque[_Completion] = deque()
        """Completions that are not visible yet, oldest first."""
        self.waiting: deque[tuple[Steered, Facts, bytes]] = deque()
        """Frames that are steered and wait for memory; only the first knows that it has to."""

    def advance(self, cycles: int) -> None:
        """Let so many cycles pass."""
        self.cycle += cycles
        self.clock.advance(cycles)
        for number in range(len(self.queues)):
            self.moderate(number)

    # Frames

    def frame(self, data: bytes, bad: bool, malformed: bool, overflow: bool) -> DropCause | None:
        """Take one frame off the stream; return why it was dropped, or None."""
        self.statistics.ended(data)
        cause = self._stream_cause(len(data), bad, malformed, overflow)
        if cause is not None:
            self.statistics.dropped(cause)
            return cause
        self.statistics.kept(data)
        found = dissect(data) if self.config.parser else unseen(data)
        self.waiting.append((self.steering.steer(found), found.facts, data))
        return self.retry()

    def retry(self) -> DropCause | None:
        """Take the frames that wait, up to one that has to wait on.

        Return why the last of them was dropped, or None.
        """
        cause = None
        while self.waiting:
            steered, facts, data = self.waiting[0]
            number, cause = steered.queue, steered.cause or DropCause.QUEUE_DISABLED
            if (steered.cause is None and number < len(self.queues)
                    and self.queues[number].enabled):
                pieces = self.queues[number].pieces(len(data), facts.header)
                cause = self._admit(number, pieces)
                if cause in _SCARCE and self.queues[number].hold:
                    return None
                if cause is None:
                    self._place(steered, data, facts, pieces)
                    self.statistics.admitted(number, len(data), facts)
            self.waiting.popleft()
            if cause is not None:
                self.statistics.dropped(cause, number)
        return cause

    def _stream_cause(self, length: int, bad: bool, malformed: bool,
                      overflow: bool) -> DropCause | None:
        causes = (
            (not self.receive, DropCause.CARD_DISABLED),
            (bad, DropCause.BAD_FRAME),
            (malformed, DropCause.MALFORMED),
            (length > min(self.maximum, self.config.frame_bytes), DropCause.OVERSIZE),
            (overflow, DropCause.OVERFLOW),
            (length < self.minimum, DropCause.RUNT),
        )
        return next((cause for hit, cause in causes if hit), None)

    def _admit(self, number: int, pieces: Sequence[Piece]) -> DropCause | None:
        """Return why there is no memory for the pieces of a frame; close what they do not fit in.

        The headers are looked at first, then the payload, which also bears what the headers need.
        If it is the headers that are refused, the payload's page is closed as well.
        """
        queue = self.queues[number]
        misfits: set[Side] = set()
        needs: list[tuple[int, int]] = []
        cause = None
        for piece in pieces:
            last = piece is pieces[-1]
            pages = self._pages_needed(queue, piece)
            cause = self._refusal(number, piece, pages, needs, last)
            if pages:
                misfits |= {piece.side} | ({Side.PAYLOAD} if cause is not None else set())
            if cause is not None:
                break
            needs.append((piece.pool, pages))
        if cause is not None:
            self.close_open_pages(queue, misfits & {piece.side for piece in pieces})
        return cause

    def _pages_needed(self, queue: FakeQueue, piece: Piece) -> int:
        """Return how many new pages a piece needs: none if it fits in the open one whole."""
        opened = queue.open_pages.get(piece.side)
        chunks = -(-piece.size // self.config.chunk_bytes)
        fits = opened is not None and opened.next_chunk + chunks <= self.config.chunks
        return 0 if fits else -(-piece.size // self.config.page_bytes)

    def _refusal(self, number: int, piece: Piece, pages: int, needs: list[tuple[int, int]],
                 last: bool) -> DropCause | None:
        """Return the first reason against a piece; ``needs`` is (pool, pages) of those before."""
        queue, pool = self.queues[number], self.pages.pools[piece.pool]
        here = pages + sum(more for index, more in needs if index == piece.pool)
        total = pages + sum(more for _, more in needs)
        # What fits in the open page is one segment, as is what needs one page.
        segments = max(1, pages) if last else 0
        room = (1 << queue.ring_log2) - (queue.reserved - queue.consumed & _INDEX_MASK)
        causes = (
            (not pool.enabled, DropCause.POOL_DISABLED),
            (pages and here > len(pool.ring), DropCause.NO_PAGE),
            (pages and pool.off_ring + here > pool.limit, DropCause.POOL_LIMIT),
            (pages and self.pages.held[number] + total > queue.quota, DropCause.QUEUE_QUOTA),
            (segments > room, DropCause.RING_FULL),
        )
        return next((cause for hit, cause in causes if hit), None)

    def _place(self, steered: Steered, data: bytes, facts: Facts,
               pieces: Sequence[Piece]) -> None:
        number, step = steered.queue, self.config.page_bytes
        queue = self.queues[number]
        # The new pages leave the ring first: an old one that goes back by being closed is then not
        # among them.
        fresh = [[self.pages.pop(piece.pool, number)
                  for _ in range(self._pages_needed(queue, piece))] for piece in pieces]
        at, headers = 0, None
        for piece, pages in zip(pieces, fresh, strict=True):
            part = data[at:at + piece.size]
            at += piece.size
            if pages:
                self.close_open_pages(queue, [piece.side])
            for start in range(0, piece.size, step):
                if pages:
                    queue.open_pages[piece.side] = OpenPage(pages.pop(0))
                written = self._fill(queue, piece.side, part[start:start + step])
                if piece is not pieces[-1]:
                    headers = written
                    continue
                self._complete(steered, facts, written, headers if start == 0 else None,
                               start == 0, start + step >= piece.size)

    def _fill(self, queue: FakeQueue, side: Side, data: bytes) -> _Written:
        """Write a segment to the queue's open page."""
        opened = queue.open_pages[side]
        first = opened.next_chunk
        opened.next_chunk += -(-len(data) // self.config.chunk_bytes)
        token = self.pages.fill(opened.page, first, opened.next_chunk - 1)
        address = self.pages.address_of(opened.page) + first * self.config.chunk_bytes
        failed = self._write_data(address, data)
        full = opened.next_chunk == self.config.chunks
        if full:
            self.close_open_pages(queue, [side])
        return _Written(token, len(data), failed, full)

    def _complete(self, steered: Steered, facts: Facts, written: _Written,
                  headers: _Written | None, start: bool, end: bool) -> None:
        """Make the completion of a segment."""
        queue = self.queues[steered.queue]
        index = queue.reserved
        queue.reserved = index + 1 & _INDEX_MASK
        record = abi.COMPLETION.pack(
            token=written.token, length=written.length, start=start, end=end,
            write_error=written.failed or (headers is not None and headers.failed),
            last_of_page=written.full, phase=1 - (index >> queue.ring_log2 & 1),
            split=headers is not None, l3=facts.l3, l4=facts.l4,
            fragment=facts.fragment, l3_checked=facts.l3_checked, l3_ok=facts.l3_ok,
            l4_checked=facts.l4_checked, l4_ok=facts.l4_ok, vlan=facts.vlan, header=facts.header,
            checksum=facts.checksum, hash=steered.hash, hash_type=steered.hash_type)
        if queue.extended:
            extension = self._extension(steered, facts, headers) if start else 0
            record = record << 8 * abi.EXTENSION_BYTES | extension
        tokens = (written.token,) if headers is None else (headers.token, written.token)
        self.pending.append(_Completion(
            steered.queue, index, tokens, end, record.to_bytes(queue.stride, "little")))

    def _extension(self, steered: Steered, facts: Facts, headers: _Written | None) -> int:
        """Return what comes before the completion of a frame's first segment."""
        time = self.clock.time
        return abi.EXTENSION.pack(time_low=time & 0xFFFFFFFF, time_high=time >> 32,
                                  tci=facts.tci, mark=steered.mark,
                                  header_token=headers.token if headers else 0)

    def _write_data(self, address: int, data: bytes) -> bool:
        """Write in bursts that end at multiples of the burst size; return if one failed."""
        step = min(self.config.burst_bytes, 4096)
        at, failed = 0, False
        while at < len(data):
            size = min(step - (address + at) % step, len(data) - at)
            self.statistics.wrote(address + at, size)
            if not self.memory.write(address + at, data[at:at + size]):
                self.fault(Fault.DATA_WRITE)
                failed = True
            at += size
        return failed

    def close_open_pages(self, queue: FakeQueue, sides: Iterable[Side] = Side) -> None:
        """Put nothing more in the queue's open pages of these sides."""
        for side in sides:
            opened = queue.open_pages.pop(side, None)
            if opened is not None:
                self.pages.close(opened.page)
                self.counters["RECYCLED"] = self.pages.recycled

    # Completions and interrupts

    def show(self, count: int) -> None:
        """Make the ``count`` oldest pending completions visible, a line at a time."""
        ready = [self.pending.popleft() for _ in range(min(count, len(self.pending)))]
        for line in self._lines(ready):
            queue = self.queues[line[0].queue]
            slot = line[0].index & (1 << queue.ring_log2) - 1
            address = queue.ring_address + slot * queue.stride
            records = b"".join(item.record for item in line)
            self.statistics.wrote(address, len(records))
            if not self.memory.write(address, records):
                self.fault(Fault.COMPLETION_WRITE)
            for item in line:
                for token in item.tokens:
                    self.pages.show(token)
                queue.produced = item.index + 1 & _INDEX_MASK
                if item.end:
                    self.statistics.delivered(item.queue)
            self.moderate(line[0].queue)

    def _lines(self, completions: list[_Completion]) -> Iterator[list[_Completion]]:
        """Group neighbours that share a queue and an aligned line of its ring."""
        line: list[_Completion] = []
        for item in completions:
            in_line = abi.LINE_BYTES // self.queues[item.queue].stride
            if line and (item.queue != line[0].queue
                         or item.index // in_line != line[0].index // in_line):
                yield line
                line = []
            line.append(item)
        if line:
            yield line

    def consume(self, number: int, index: int) -> None:
        """Believe that the host has read up to ``index``: a lie spoils its own ring only."""
        self.queues[number].consumed = index

    def arm(self, number: int, index: int) -> None:
        """Consume, and interrupt when completions past ``index`` are due to."""
        self.consume(number, index)
        self.queues[number].interrupt.arm(index)
        self.moderate(number)

    def force(self, number: int) -> None:
        """Interrupt now, or as soon as the queue is armed."""
        self.queues[number].interrupt.forced = True
        self.moderate(number)

    def moderate(self, number: int) -> None:
        """Fire the queue's interrupt if it is due."""
        queue = self.queues[number]
        if queue.interrupt.look(queue.produced, self.cycle):
            self.raised[number] = True

    # Faults, events, returns

    def give_back(self, number: int, token: int) -> None:
        """Act on a token that was written to a queue's return window."""
        fault = self.pages.give_back(token, number)
        if fault is None:
            self.counters["RETURNS"] += 1
            self.counters["RECYCLED"] = self.pages.recycled
        else:
            self.fault(fault)

    def fault(self, fault: Fault) -> None:
        """Count a fault."""
        self.counters[f"FAULT_{fault.name}"] += 1
        self.event(Event.FAULT)
        if fault in (Fault.DATA_WRITE, Fault.COMPLETION_WRITE, Fault.RETURN_READ,
                     Fault.MIRROR_WRITE):
            self.event(Event.WRITE_ERROR)

    def event(self, event: Event) -> None:
        """Note an event."""
        self.set_events(self.events | 1 << event, self.event_enable)

    def set_events(self, events: int, enable: int) -> None:
        """Set both event registers; raise the last vector when an enabled event appears."""
        was = self.events & self.event_enable
        self.events, self.event_enable = events, enable
        if events & enable and not was:
            self.raised[-1] = True
