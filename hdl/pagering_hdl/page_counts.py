"""Running counts of the pages that change hands."""

from amaranth.hdl import Module, Mux, Shape
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In

from .layouts import Count, Index
from .state_table import Lookup, StateTable

__all__ = ["PageChange", "PageCounts"]


class PageChange(data.StructLayout):
    """An event: where a page is no longer, and where it is from now on.

    Members: ``queue`` and ``pool`` of the page; ``leaves`` if it is no longer held through its
    queue; ``moves`` if it has come into the hands of the host alone (``out``), or is there no
    longer.
    """

    def __init__(self, config):
        super().__init__({"queue": range(config.queues), "pool": range(config.pools),
                          "leaves": 1, "moves": 1, "out": 1})


class PageCounts(wiring.Component):
    """Counts a change in the cycle in which it is told.

    Members
    -------
    change : :py:`In(PageChange(config))`
    queue_recycled : :py:`In(Lookup(Index, Count))`
        Running count of pages that left a queue; two ports.
    outstanding : :py:`In(Lookup(Index, Count))`
        Pages of a pool that only the host has.
    """

    def __init__(self, config):
        super().__init__({
            "change": In(PageChange(config)), "queue_recycled": In(Lookup(Index, Count)).array(2),
            "outstanding": In(Lookup(Index, Count)),
        })
        # Proofs look at these two.
        self.left = StateTable(Count, depth=config.queues, reads=3)
        self.out = StateTable(Shape.cast(range(config.pages + 1)), depth=config.pools, reads=2)

    def elaborate(self, platform):
        m = Module()
        m.submodules.left, m.submodules.out = left, out = self.left, self.out
        change = self.change
        for table, ports in ((left, self.queue_recycled), (out, (self.outstanding,))):
            for port, read in zip(ports, table.read[1:], strict=True):
                m.d.comb += [read.addr.eq(port.addr), port.data.eq(read.data)]
        m.d.comb += [
            left.read[0].addr.eq(change.queue), left.write.addr.eq(change.queue),
            left.write.en.eq(change.leaves), left.write.data.eq(left.read[0].data + 1),
            out.read[0].addr.eq(change.pool), out.write.addr.eq(change.pool),
            out.write.en.eq(change.moves),
            out.write.data.eq(out.read[0].data + Mux(change.out, 1, -1)),
        ]
        return m
