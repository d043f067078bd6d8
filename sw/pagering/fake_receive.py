"""The receive path of the in-memory card: steering, admission, placement, completions.

It works on whole frames. The gate judges a frame first, deaf card before anything else; from the
queue on, the order of decisions is that of ``DropCause``. A frame that is refused takes nothing,
but an open page that it does not fit is closed: it can then come back, and be what the next frame
needs.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass

from pagering import abi
from pagering.abi import DropCause, Event, Fault, SteeringMode
from pagering.capabilities import Capabilities
from pagering.dissect import Facts, dissect
from pagering.fake_clock import FakeClock
from pagering.fake_memory import HostMemory
from pagering.fake_pool import FakePages

__all__ = ["FakeQueue", "FakeReceiver"]

_INDEX_MASK = (1 << abi.CONSUMER_BITS) - 1


@dataclass
class FakeQueue:
    """A queue's state."""

    enabled: bool = False
    pool: int = 0
    ring_address: int = 0
    ring_log2: int = abi.RING_LOG2_MIN
    extended: bool = False
    """Its completions are extended ones."""
    quota: int = abi.QUEUE["QUOTA"].reset
    hold: bool = False
    reserved: int = 0
    """Completions given to frames, modulo 2**17."""
    produced: int = 0
    """Completions visible to the host, modulo 2**17."""
    consumed: int = 0
    armed: bool = False
    armed_past: int = 0
    """A completion past this index interrupts."""
    fired: bool = False
    delivered: int = 0
    dropped: int = 0
    open_page: int | None = None
    next_chunk: int = 0

    @property
    def stride(self) -> int:
        """Bytes from one completion to the next."""
        return abi.COMPLETION_BYTES + self.extended * abi.EXTENSION_BYTES

    @property
    def drained(self) -> bool:
        """Disabled, and no completion is under way or will come."""
        return not self.enabled and self.reserved == self.produced


@dataclass(frozen=True)
class _Completion:
    queue: int
    index: int
    token: int
    end: bool
    record: bytes


class FakeReceiver:
    """All state that a reset clears, and what frames and returned tokens do to it.

    ``before`` is the state that a reset ended: generations of pages outlive it.
    """

    def __init__(self, config: Capabilities, memory: HostMemory,
                 before: FakeReceiver | None = None) -> None:
        self.config = config
        self.memory = memory
        self.counters: Counter[str] = Counter()
        self.events = 0
        self.event_enable = 0
        self.raised = [False] * (config.queues + 1)
        """Interrupt vectors that were raised and not yet waited for."""
        self.clock = FakeClock()
        self.receive = False
        self.steering_mode = SteeringMode.FIXED
        self.steering_queue = self.steering_last = self._turn = 0
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

    def advance(self, cycles: int) -> None:
        """Let so many cycles pass."""
        self.clock.advance(cycles)

    # Frames

    def frame(self, data: bytes, bad: bool, malformed: bool, overflow: bool) -> DropCause | None:
        """Take one frame off the stream; return why it was dropped, or None."""
        self.counters["FRAMES_IN"] += 1
        cause = self._stream_cause(len(data), bad, malformed, overflow)
        if cause is None:
            number = self._steer()
            cause = self._admit(number, len(data))
            if cause is None:
                self._place(number, data, dissect(data).facts)
            elif number < len(self.queues):
                self.queues[number].dropped += 1
        if cause is not None:
            self.counters[f"DROP_{cause.name}"] += 1
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

    def _steer(self) -> int:
        # The turn moves on with every frame, in the fixed mode too.
        turn = self._turn
        self._turn = 0 if turn >= self.steering_last else turn + 1
        return self.steering_queue if self.steering_mode is SteeringMode.FIXED else turn

    def _admit(self, number: int, length: int) -> DropCause | None:
        if number >= len(self.queues) or not self.queues[number].enabled:
            return DropCause.QUEUE_DISABLED
        queue = self.queues[number]
        pool = self.pages.pools[queue.pool]
        if not pool.enabled:
            return DropCause.POOL_DISABLED
        chunks = -(-length // self.config.chunk_bytes)
        fits = queue.open_page is not None and queue.next_chunk + chunks <= self.config.chunks
        segments = -(-length // self.config.page_bytes)
        needed = 0 if fits else segments
        room = (1 << queue.ring_log2) - (queue.reserved - queue.consumed & _INDEX_MASK)
        causes = (
            (needed > len(pool.ring), DropCause.NO_PAGE),
            (pool.off_ring + needed > pool.limit and needed > 0, DropCause.POOL_LIMIT),
            (self.pages.held[number] + needed > queue.quota and needed > 0,
             DropCause.QUEUE_QUOTA),
            (segments > room, DropCause.RING_FULL),
        )
        cause = next((cause for hit, cause in causes if hit), None)
        if cause is not None and not fits:
            self.close_open_page(queue)
        return cause

    def _place(self, number: int, data: bytes, facts: Facts) -> None:
        queue = self.queues[number]
        step = self.config.page_bytes
        chunks = -(-len(data) // self.config.chunk_bytes)
        if queue.open_page is None or queue.next_chunk + chunks > self.config.chunks:
            # The new pages leave the ring first: an old one that goes back by being closed is
            # then not among them.
            fresh = [self.pages.pop(queue.pool, number) for _ in range(0, len(data), step)]
            self.close_open_page(queue)
            queue.next_chunk = 0
        else:
            fresh = [queue.open_page]
        for page, start in zip(fresh, range(0, len(data), step), strict=True):
            queue.open_page = page
            self._segment(number, page, data[start:start + step], facts,
                          start == 0, start + step >= len(data))

    def _segment(self, number: int, page: int, data: bytes, facts: Facts, start: bool,
                 end: bool) -> None:
        queue = self.queues[number]
        first = queue.next_chunk
        queue.next_chunk += -(-len(data) // self.config.chunk_bytes)
        token = self.pages.fill(page, first, queue.next_chunk - 1)
        address = self.pages.address_of(page) + first * self.config.chunk_bytes
        write_error = self._write_data(address, data)
        full = queue.next_chunk == self.config.chunks
        if full:
            self.close_open_page(queue)
            queue.next_chunk = 0
        index = queue.reserved
        queue.reserved = index + 1 & _INDEX_MASK
        record = abi.COMPLETION.pack(
            token=token, length=len(data), start=start, end=end, write_error=write_error,
            last_of_page=full, phase=1 - (index >> queue.ring_log2 & 1), l3=facts.l3, l4=facts.l4,
            fragment=facts.fragment, l3_checked=facts.l3_checked, l3_ok=facts.l3_ok,
            l4_checked=facts.l4_checked, l4_ok=facts.l4_ok, vlan=facts.vlan, header=facts.header,
            checksum=facts.checksum)
        if queue.extended:
            record = record << 8 * abi.EXTENSION_BYTES | (self._extension(facts) if start else 0)
        self.pending.append(_Completion(
            number, index, token, end, record.to_bytes(queue.stride, "little")))

    def _extension(self, facts: Facts) -> int:
        """Return what comes before the completion of a frame's first segment."""
        time = self.clock.time
        return abi.EXTENSION.pack(time_low=time & 0xFFFFFFFF, time_high=time >> 32,
                                  tci=facts.tci)

    def _write_data(self, address: int, data: bytes) -> bool:
        """Write in bursts that end at multiples of the burst size; return if one failed."""
        step = min(self.config.burst_bytes, 4096)
        at, failed = 0, False
        while at < len(data):
            size = min(step - (address + at) % step, len(data) - at)
            if not self.memory.write(address + at, data[at:at + size]):
                self.fault(Fault.DATA_WRITE)
                failed = True
            at += size
        return failed

    def close_open_page(self, queue: FakeQueue) -> None:
        """Put nothing more in the queue's open page, if it has one."""
        if queue.open_page is not None:
            page, queue.open_page = queue.open_page, None
            self.pages.close(page)
            self.counters["RECYCLED"] = self.pages.recycled

    # Completions and interrupts

    def show(self, count: int) -> None:
        """Make the ``count`` oldest pending completions visible, a line at a time."""
        ready = [self.pending.popleft() for _ in range(min(count, len(self.pending)))]
        for line in self._lines(ready):
            queue = self.queues[line[0].queue]
            slot = line[0].index & (1 << queue.ring_log2) - 1
            address = queue.ring_address + slot * queue.stride
            if not self.memory.write(address, b"".join(item.record for item in line)):
                self.fault(Fault.COMPLETION_WRITE)
            for item in line:
                self.pages.show(item.token)
                queue.produced = item.index + 1 & _INDEX_MASK
                if item.end:
                    queue.delivered += 1
                    self.counters["FRAMES_DELIVERED"] += 1
            if queue.armed and _past(queue.produced, queue.armed_past):
                self._fire(line[0].queue)

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
        """Consume, and interrupt as soon as there is a completion past ``index``."""
        self.consume(number, index)
        queue = self.queues[number]
        queue.armed, queue.fired, queue.armed_past = True, False, index
        if _past(queue.produced, index):
            self._fire(number)

    def _fire(self, number: int) -> None:
        queue = self.queues[number]
        queue.armed, queue.fired = False, True
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
        if fault in (Fault.DATA_WRITE, Fault.COMPLETION_WRITE):
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


def _past(produced: int, index: int) -> bool:
    """Return whether there is a completion at or past ``index``, up to a whole ring ahead."""
    return 0 < produced - index & _INDEX_MASK <= 1 << abi.RING_LOG2_MAX
