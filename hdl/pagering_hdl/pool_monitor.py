"""Watches how full the pools are, packets or none.

A pool that has run dry gets no packet, so no completion and no interrupt: what tells the host must
not depend on packets.
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

from .layouts import Count, Index, PoolCounts, PoolView, struct
from .state_table import Lookup

__all__ = ["PoolMonitor"]


class PoolMonitor(wiring.Component):
    """Looks at one pool a cycle, in turn.

    Members
    -------
    counts : :py:`Out(Lookup(Index, PoolCounts))`,
    granted, outstanding : :py:`Out(Lookup(Index, Count))`
    thresholds : :py:`Out(Lookup(Index, struct(abi.POOL["LOW_WATER"])))`
    runs : :py:`In(pools)`
    low : :py:`Out(pools)`
        A bit for each running pool that fell to its entry threshold and has not risen to its exit
        threshold since.
    fell : :py:`Out(1)`
        Event: a pool became low.
    view : :py:`Out(PoolView)`
        The pool that is looked at.
    """

    def __init__(self, pools):
        self.pools = pools
        super().__init__({
            "counts": Out(Lookup(Index, PoolCounts)),
            "granted": Out(Lookup(Index, Count)), "outstanding": Out(Lookup(Index, Count)),
            "thresholds": Out(Lookup(Index, struct(abi.POOL["LOW_WATER"]))),
            "runs": In(pools), "low": Out(pools), "fell": Out(1), "view": Out(PoolView),
        })

    def elaborate(self, platform):
        m = Module()
        pool, seen, free = Signal(Index), self.view.pool, self.view.free
        enter, leave = Signal(16), Signal(16)
        runs, low, falls = Signal(), Signal(), Signal()
        m.d.comb += [
            self.counts.addr.eq(pool), self.granted.addr.eq(pool), self.thresholds.addr.eq(pool),
            self.outstanding.addr.eq(pool),
            runs.eq(self.runs.bit_select(seen, 1)), low.eq(self.low.bit_select(seen, 1)),
            falls.eq(runs & ~low & (free <= enter)), self.fell.eq(falls),
        ]
        m.d.sync += [
            pool.eq(Mux(pool == self.pools - 1, 0, pool + 1)), seen.eq(pool),
            free.eq(self.counts.data.pushed - self.granted.data),
            self.view.outstanding.eq(self.outstanding.data),
            self.view.registered.eq(self.counts.data.registered),
            enter.eq(self.thresholds.data.enter), leave.eq(self.thresholds.data.exit),
        ]
        with m.If(falls):
            m.d.sync += self.low.bit_select(seen, 1).eq(1)
        with m.Elif(~runs | ((free > enter) & (free >= leave))):
            m.d.sync += self.low.bit_select(seen, 1).eq(0)
        return m
