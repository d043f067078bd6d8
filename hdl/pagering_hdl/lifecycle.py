"""Starts and drains queues and pools: when memory may be mapped, and when it may be unmapped.

To drain is to send a fence down the one ordered pipeline that frames take. When it comes out at
the far end, everything before it has been answered by the bus, and nothing behind it was admitted:
*drained* is a fact, not a time-out.
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .layouts import Index, Kind, Mark

__all__ = ["Lifecycle", "Switchboard"]


class Switchboard(wiring.Component):
    """Enable bits of the queues, or of the pools, and the marks that go with them.

    Parameters
    ----------
    count : :class:`int`
        How many there are.
    start, fence : :class:`Kind`
        Their marks.

    Members
    -------
    set : :py:`In(1)`, index : :py:`In(Index)`, enable : :py:`In(1)`, allowed : :py:`In(1)`
        Event: the host writes an enable bit; ``allowed`` if it may be set as things stand.
    refused : :py:`Out(1)`
        In the same cycle: the bit is not set, because it may not be or is not drained.
    enabled, drained : :py:`Out(count)`
    marks : :py:`Out(stream.Signature(Mark))`
        Go down the pipeline.
    fenced : :py:`In(1)`, fenced_index : :py:`In(Index)`
        Event: a fence has come out.
    busy : :py:`In(count)`
        Not drained yet, though its fence may be out: something goes on beside the pipeline.
    """

    def __init__(self, count, *, start, fence):
        self.count, self.start, self.fence = count, start, fence
        self.due = Signal(count)
        self.finishing = Signal(count)
        """Those whose fence is out, but that are busy."""
        super().__init__({
            "set": In(1), "index": In(Index), "enable": In(1), "allowed": In(1),
            "refused": Out(1),
            "enabled": Out(count), "drained": Out(count, init=-1),
            "marks": Out(stream.Signature(Mark)),
            "fenced": In(1), "fenced_index": In(Index), "busy": In(count),
        })

    def elaborate(self, platform):
        m = Module()
        due = self.due
        on = self.enabled.bit_select(self.index, 1)
        drained = self.drained.bit_select(self.index, 1)
        m.d.comb += self.refused.eq(self.set & self.enable & ~on & ~(self.allowed & drained))
        chosen = Signal(Index)
        for index in reversed(range(self.count)):
            with m.If(due[index]):
                m.d.comb += chosen.eq(index)
        with m.If(self.marks.valid & self.marks.ready):
            m.d.sync += self.marks.valid.eq(0)
        with m.Elif(~self.marks.valid & due.any()):
            # A bit that changes again while its mark waits gets a second mark behind the first.
            starts = self.enabled.bit_select(chosen, 1)
            m.d.sync += [self.marks.valid.eq(1), self.marks.p.index.eq(chosen),
                         self.marks.p.kind.eq(Mux(starts, self.start, self.fence)),
                         due.bit_select(chosen, 1).eq(0)]
        out = Signal(self.count)
        m.d.comb += out.eq(self.finishing)
        with m.If(self.fenced):
            m.d.comb += out.bit_select(self.fenced_index, 1).eq(1)
        m.d.sync += [self.finishing.eq(out & self.busy),
                     self.drained.eq(self.drained | (out & ~self.busy))]
        with m.If(self.set & (self.enable != on) & ~self.refused):
            m.d.sync += [self.enabled.bit_select(self.index, 1).eq(self.enable),
                         due.bit_select(self.index, 1).eq(1)]
            with m.If(self.enable):
                m.d.sync += self.drained.bit_select(self.index, 1).eq(0)
        return m


class Lifecycle(wiring.Component):
    """The switchboards of queues and pools, their marks merged into one stream.

    Members
    -------
    marks : :py:`Out(stream.Signature(Mark))`
    """

    def __init__(self, config):
        self.queues = Switchboard(config.queues, start=Kind.START_QUEUE, fence=Kind.FENCE_QUEUE)
        self.pools = Switchboard(config.pools, start=Kind.START_POOL, fence=Kind.FENCE_POOL)
        super().__init__({"marks": Out(stream.Signature(Mark))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.queues, m.submodules.pools = self.queues, self.pools
        # A pool's mark that waits is not pushed aside.
        waits = Signal()
        with m.If(self.queues.marks.valid & ~waits):
            wiring.connect(m, wiring.flipped(self.marks), self.queues.marks)
        with m.Else():
            wiring.connect(m, wiring.flipped(self.marks), self.pools.marks)
            m.d.sync += waits.eq(self.pools.marks.valid & ~self.marks.ready)
        return m
