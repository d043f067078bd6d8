"""Finds the memory of each segment: the queue's open page, or the next page off its pool's ring."""

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .layouts import Kind, PageId, Placement, Segment
from .page_opener import HeldPage
from .state_table import LateLookup, StateTable
from .streams import StreamBuffer, StreamQueue, StreamRelay

__all__ = ["Locator", "PagePicker", "Picked", "Placer"]


class Picked(data.Struct):
    """A segment with its page."""

    segment: Segment
    held: HeldPage
    follows: unsigned(1)
    """It begins in memory where the beats of the segment before it end."""


class PagePicker(wiring.Component):
    """Gives each segment its page.

    One segment a cycle as long as the pages that they open have come.

    Members
    -------
    segments : :py:`In(stream.Signature(Segment))`
    fresh : :py:`In(stream.Signature(HeldPage))`
        From :class:`PageOpener`: one for each segment that opens a page.
    picked : :py:`Out(stream.Signature(Picked))`
    """

    segments: In(stream.Signature(Segment))
    fresh: In(stream.Signature(HeldPage))
    picked: Out(stream.Signature(Picked))

    def __init__(self, config):
        self.config = config
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        # The page that each queue filled last, for headers and for payload.
        sides = 1 + self.config.header_split
        m.submodules.held = held = StateTable(HeldPage, depth=sides * self.config.queues, index=7)
        m.submodules.waiting = waiting = (
            StreamQueue(Segment, depth=4) if self.config.runs_ahead else StreamRelay(Segment))
        segment = waiting.o.p
        wiring.connect(m, wiring.flipped(self.segments), waiting.i)
        row, opens, go = Signal(7), Signal(), Signal()
        page = Mux(opens, self.fresh.p.as_value(), held.read[0].data.as_value())
        m.d.comb += [
            opens.eq((segment.kind == Kind.SEGMENT) & segment.opens),
            # Side by side: a card that splits no frames has one row a queue.
            row.eq(Cat(segment.side, segment.index) if sides == 2 else segment.index),
            held.read[0].addr.eq(row), held.write.addr.eq(row),
            held.write.data.eq(self.fresh.p), held.write.en.eq(go & opens),
            self.picked.valid.eq(waiting.o.valid & (~opens | self.fresh.valid)),
            go.eq(self.picked.valid & self.picked.ready),
            waiting.o.ready.eq(go), self.fresh.ready.eq(go & opens),
            self.picked.p.segment.eq(segment), self.picked.p.held.eq(page),
        ]
        self._look_back(m, segment, opens, go)
        return m

    def _look_back(self, m, segment, opens, go):
        """See whether the segment before went to the same page; a queue fills pages in order."""
        before, filled = Signal(7), Signal()
        now = Cat(segment.side, segment.index)
        m.d.comb += self.picked.p.follows.eq(
            (segment.kind == Kind.SEGMENT) & ~opens & filled & (before == now))
        with m.If(go):
            m.d.sync += [before.eq(now),
                         filled.eq((segment.kind == Kind.SEGMENT) & segment.fills)]


class Locator(wiring.Component):
    """Finds the address of each segment, while the segment goes through a register.

    Members
    -------
    picked : :py:`In(stream.Signature(Picked))`
    address : :py:`Out(LateLookup(PageId, 64))`
        DMA address of a page.
    placements : :py:`Out(stream.Signature(Placement))`
    """

    picked: In(stream.Signature(Picked))
    address: Out(LateLookup(PageId, 64))
    placements: Out(stream.Signature(Placement))

    def __init__(self, config):
        self.config = config
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        m.submodules.asked = asked = StreamBuffer(Picked)
        wiring.connect(m, wiring.flipped(self.picked), asked.i)
        segment, held, placement = asked.o.p.segment, asked.o.p.held, self.placements.p
        m.d.comb += [
            self.address.addr.eq(self.picked.p.held.page),
            self.address.en.eq(self.picked.valid & self.picked.ready
                               & (self.picked.p.segment.kind == Kind.SEGMENT)),
            placement.token.page.eq(held.page), placement.token.generation.eq(held.generation),
            placement.token.first.eq(segment.first), placement.token.last.eq(segment.last),
            placement.address.eq(self.address.data | (segment.first << self.config.chunk_log2)),
            self.placements.valid.eq(asked.o.valid), asked.o.ready.eq(self.placements.ready),
            placement.follows.eq(asked.o.p.follows),
        ]
        m.d.comb += [getattr(placement, name).eq(getattr(segment, name)) for name in (
            "kind", "index", "apart", "top", "start", "end", "last_of_page")]
        return m


class Placer(wiring.Component):
    """Gives each segment its page, token and address; marks pass in their place.

    A segment a cycle, or on a narrow card every other cycle, three cycles after it came; one that
    opens a page waits until it is there, and on a narrow card only one does.

    Members
    -------
    segments : :py:`In(stream.Signature(Segment))`
    fresh : :py:`In(stream.Signature(HeldPage))`
    address : :py:`Out(LateLookup(PageId, 64))`
    placements : :py:`Out(stream.Signature(Placement))`
        See :class:`PagePicker` and :class:`Locator`.
    """

    segments: In(stream.Signature(Segment))
    fresh: In(stream.Signature(HeldPage))
    address: Out(LateLookup(PageId, 64))
    placements: Out(stream.Signature(Placement))

    def __init__(self, config):
        self.config = config
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        m.submodules.picker = picker = PagePicker(self.config)
        m.submodules.locator = locator = Locator(self.config)
        # On a narrow card there is time to break the way of ready here, which is long.
        last = StreamRelay if self.config.short_cuts else StreamBuffer
        m.submodules.located = located = last(Placement)
        wiring.connect(m, wiring.flipped(self.segments), picker.segments)
        wiring.connect(m, wiring.flipped(self.fresh), picker.fresh)
        wiring.connect(m, picker.picked, locator.picked)
        wiring.connect(m, wiring.flipped(self.address), locator.address)
        wiring.connect(m, locator.placements, located.i)
        wiring.connect(m, wiring.flipped(self.placements), located.o)
        return m
