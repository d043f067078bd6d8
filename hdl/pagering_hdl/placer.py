"""Finds the memory of each segment: the queue's open page, or the next page off its pool's ring."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .layouts import Generation, Index, Kind, PageId, Placement, Segment
from .page_table import Open
from .state_table import Lookup, StateTable

__all__ = ["HeldPage", "Placer"]


class HeldPage(data.Struct):
    """The page that a queue filled last."""

    page: PageId
    generation: Generation


class Placer(wiring.Component):
    """Gives each segment its page, token and address; marks pass in their place.

    A segment in an open page takes one cycle; one that opens a page four.

    Members
    -------
    segments : :py:`In(stream.Signature(Segment))`
    takes : :py:`Out(stream.Signature(Index))`, pages : :py:`In(stream.Signature(PageId))`
        To and from the ring. Admission has made sure that there is a page.
    opens : :py:`Out(stream.Signature(Open))`, opened : :py:`In(1)`,
    generation : :py:`In(Generation)`
        To and from the page table.
    address : :py:`Out(Lookup(PageId, 64))`
        DMA address of a page.
    placements : :py:`Out(stream.Signature(Placement))`
    """

    segments: In(stream.Signature(Segment))
    takes: Out(stream.Signature(Index))
    pages: In(stream.Signature(PageId))
    opens: Out(stream.Signature(Open))
    opened: In(1)
    generation: In(Generation)
    address: Out(Lookup(PageId, 64))
    placements: Out(stream.Signature(Placement))

    def __init__(self, config):
        self.config = config
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        m.submodules.held = held = StateTable(HeldPage, depth=self.config.queues)
        segment, page = self.segments.p, Signal(HeldPage)
        m.d.comb += [
            held.read[0].addr.eq(segment.index), held.write.addr.eq(segment.index),
            page.eq(held.read[0].data), held.write.data.eq(page),
            self.takes.payload.eq(segment.pool),
            self.opens.p.page.eq(self.pages.payload), self.opens.p.queue.eq(segment.index),
        ]
        self._describe(m, segment, page)
        with m.FSM(name="placer"):
            with m.State("Await segment"):
                with m.If((segment.kind == Kind.SEGMENT) & segment.opens):
                    m.d.comb += self.takes.valid.eq(self.segments.valid)
                    with m.If(self.takes.valid & self.takes.ready):
                        m.next = "Open page"
                with m.Else():
                    m.d.comb += [self.placements.valid.eq(self.segments.valid),
                                 self.segments.ready.eq(self.placements.ready)]
            with m.State("Open page"):
                # The page stays where it is until the table has named its generation.
                m.d.comb += self.opens.valid.eq(self.pages.valid)
                with m.If(self.opens.valid & self.opens.ready):
                    m.next = "Await generation"
            with m.State("Await generation"):
                m.d.comb += [page.page.eq(self.pages.payload),
                             page.generation.eq(self.generation),
                             held.write.en.eq(self.opened), self.pages.ready.eq(self.opened)]
                with m.If(self.opened):
                    m.next = "Place segment"
            with m.State("Place segment"):
                m.d.comb += [self.placements.valid.eq(1),
                             self.segments.ready.eq(self.placements.ready)]
                with m.If(self.placements.ready):
                    m.next = "Await segment"
        return m

    def _describe(self, m, segment, page):
        placement = self.placements.p
        m.d.comb += [
            self.address.addr.eq(page.page),
            placement.kind.eq(segment.kind), placement.index.eq(segment.index),
            placement.token.page.eq(page.page), placement.token.generation.eq(page.generation),
            placement.token.first.eq(segment.first), placement.token.last.eq(segment.last),
            placement.address.eq(self.address.data | (segment.first << self.config.chunk_log2)),
            placement.length.eq(segment.length), placement.start.eq(segment.start),
            placement.end.eq(segment.end), placement.last_of_page.eq(segment.last_of_page),
        ]
