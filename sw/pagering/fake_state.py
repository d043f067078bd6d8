"""What a reset of the in-memory card clears, and how it tells the host that something happened."""

from __future__ import annotations

from collections.abc import Iterable

from pagering.abi import Event, Fault
from pagering.capabilities import Capabilities
from pagering.fake_clock import FakeClock
from pagering.fake_interrupt import FakeVectors
from pagering.fake_memory import HostMemory
from pagering.fake_pool import FakePages
from pagering.fake_queue import FakeQueue, Side
from pagering.fake_statistics import FakeStatistics

__all__ = ["FakeState"]


class FakeState:
    """Queues, pages, counters, events and time.

    ``before`` is the state that a reset ended: generations of pages outlive it.
    """

    def __init__(self, config: Capabilities, memory: HostMemory,
                 before: FakeState | None = None) -> None:
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
        self.queues = [FakeQueue() for _ in range(config.queues)]
        self.pages = FakePages(
            pools=config.pools, queues=config.queues, slots=config.regions,
            region_pages=config.region_pages, chunks=config.chunks, page_bytes=config.page_bytes,
            low_water_event=lambda: self.event(Event.LOW_WATER))
        if before is not None:
            self.pages.remember(before.pages)

    def advance(self, cycles: int) -> None:
        """Let so many cycles pass."""
        self.cycle += cycles
        self.clock.advance(cycles)
        for number in range(len(self.queues)):
            self.moderate(number)

    def moderate(self, number: int) -> None:
        """Fire the queue's interrupt if it is due."""
        queue = self.queues[number]
        if queue.interrupt.look(queue.produced, self.cycle):
            self.raised[number] = True

    def close_open_pages(self, queue: FakeQueue, sides: Iterable[Side] = Side) -> None:
        """Put nothing more in the queue's open pages of these sides."""
        for side in sides:
            opened = queue.open_pages.pop(side, None)
            if opened is not None:
                self.pages.close(opened.page)
                self.counters["RECYCLED"] = self.pages.recycled

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
