"""Starts on a segment in three places at once: none needs to know what the others will find."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .layouts import Kind, Segment
from .packet_reader import ReadCommand
from .page_opener import Order

__all__ = ["SegmentFork"]


class SegmentFork(wiring.Component):
    """Splits segments without delay; a segment leaves when each of its takers has had it.

    Its beats are on their way out of the packet FIFO, and its page off the ring, while it waits for
    its place in memory.

    Members
    -------
    segments : :py:`In(stream.Signature(Segment))`
    commands : :py:`Out(stream.Signature(ReadCommand))`
        To the packet FIFO: segments, and skipped frames, which end here.
    orders : :py:`Out(stream.Signature(Order))`
        To the page opener: segments that open a page.
    placed : :py:`Out(stream.Signature(Segment))`
        To the placer: segments and marks.
    """

    segments: In(stream.Signature(Segment))
    commands: Out(stream.Signature(ReadCommand))
    orders: Out(stream.Signature(Order))
    placed: Out(stream.Signature(Segment))

    def __init__(self, config):
        self.config = config
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        segment, valid = self.segments.p, self.segments.valid
        skip, carries = segment.kind == Kind.SKIP, segment.kind == Kind.SEGMENT
        takers = (self.commands, self.orders, self.placed)
        needs = (skip | carries, carries & segment.opens, ~skip)
        # What each taker has had of the segment that is waiting.
        had, has = Signal(len(takers)), Signal(len(takers))
        for number, (taker, need) in enumerate(zip(takers, needs, strict=True)):
            m.d.comb += [taker.valid.eq(valid & need & ~had[number]),
                         has[number].eq(~need | had[number] | taker.ready)]
        m.d.comb += self.segments.ready.eq(has.all())
        with m.If(valid):
            m.d.sync += had.eq(Mux(has.all(), 0, has))
        m.d.comb += [
            self.commands.p.last.eq(segment.top >> self.config.bus_log2),
            self.commands.p.tail.eq(segment.top & (self.config.bus_bytes - 1)),
            self.commands.p.skip.eq(skip), self.commands.p.end.eq(segment.end),
            self.orders.p.pool.eq(segment.pool), self.orders.p.queue.eq(segment.index),
            self.placed.p.eq(segment),
        ]
        return m
