"""Opens pages ahead of their use, so that the way from the ring to a page's first byte is a queue.

Taking a page off the ring and entering it in the page table costs several cycles. They pass while
the segments before are placed.
"""

from amaranth.hdl import Assert, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .layouts import Generation, Index, PageId
from .page_table import Open
from .streams import StreamQueue

__all__ = ["HeldPage", "Order", "PageOpener"]

AHEAD = 4
"""Pages that may be on their way, or wait to be used."""


class Order(data.Struct):
    """A page is wanted."""

    pool: Index
    queue: Index


class HeldPage(data.Struct):
    """A page that a queue fills."""

    page: PageId
    generation: Generation


class PageOpener(wiring.Component):
    """Turns orders into open pages, in order.

    An order goes on to the ring at once, or is kept until the ring takes it: from there it is far.

    Members
    -------
    orders : :py:`In(stream.Signature(Order))`
    takes : :py:`Out(stream.Signature(Index))`, pages : :py:`In(stream.Signature(PageId))`
        To and from the ring. Admission has made sure that there is a page.
    opens : :py:`Out(stream.Signature(Open))`, opened : :py:`In(1)`,
    generation : :py:`In(Generation)`
        To and from the page table, which answers in order.
    fresh : :py:`Out(stream.Signature(HeldPage))`
    """

    orders: In(stream.Signature(Order))
    takes: Out(stream.Signature(Index))
    pages: In(stream.Signature(PageId))
    opens: Out(stream.Signature(Open))
    opened: In(1)
    generation: In(Generation)
    fresh: Out(stream.Signature(HeldPage))

    def elaborate(self, platform):
        m = Module()
        # Who a page that comes off the ring is for; and which pages the table is asked about.
        m.submodules.queues = queues = StreamQueue(Index, depth=AHEAD)
        m.submodules.asked = asked = StreamQueue(PageId, depth=AHEAD)
        m.submodules.ready = ready = StreamQueue(HeldPage, depth=AHEAD)
        ahead = Signal(range(AHEAD + 1))
        m.d.sync += ahead.eq(ahead + (self.orders.valid & self.orders.ready)
                             - (self.fresh.valid & self.fresh.ready))
        keeps, kept = Signal(), Signal(Index)
        m.d.comb += [
            self.orders.ready.eq((ahead != AHEAD) & ~keeps),
            self.takes.valid.eq(keeps | (self.orders.valid & self.orders.ready)),
            self.takes.payload.eq(Mux(keeps, kept, self.orders.p.pool)),
            queues.i.valid.eq(self.orders.valid & self.orders.ready),
            queues.i.payload.eq(self.orders.p.queue),
            self.opens.valid.eq(self.pages.valid), self.opens.p.page.eq(self.pages.payload),
            self.opens.p.queue.eq(queues.o.payload), self.pages.ready.eq(self.opens.ready),
            queues.o.ready.eq(self.opens.valid & self.opens.ready),
            asked.i.valid.eq(self.opens.valid & self.opens.ready),
            asked.i.payload.eq(self.pages.payload), asked.o.ready.eq(self.opened),
            ready.i.valid.eq(self.opened), ready.i.p.page.eq(asked.o.payload),
            ready.i.p.generation.eq(self.generation),
        ]
        m.d.sync += [keeps.eq(self.takes.valid & ~self.takes.ready),
                     kept.eq(self.takes.payload)]
        wiring.connect(m, wiring.flipped(self.fresh), ready.o)
        m.d.sync += [Assert(~self.opened | (asked.o.valid & ready.i.ready)),
                     Assert(~self.pages.valid | queues.o.valid),
                     Assert((ahead <= AHEAD)
                            & (ahead == queues.level + asked.level + ready.level))]
        return m
