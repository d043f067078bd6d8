"""Sends each placement to the three who carry it out together."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .layouts import Kind, Length, LineJob, Placement, Written
from .packet_reader import ReadCommand

__all__ = ["PlacementFork"]


class PlacementFork(wiring.Component):
    """Splits placements without delay; a placement leaves when each of its takers has had it.

    They do not wait for each other, or the splitter, which keeps a job until its last burst, would
    wait for beats that the packet FIFO has not been asked for. But a write begins only when its
    place to wait for the response is taken.

    Members
    -------
    placements : :py:`In(stream.Signature(Placement))`
    commands : :py:`Out(stream.Signature(ReadCommand))`
        To the packet FIFO: segments and skipped frames.
    jobs : :py:`Out(stream.Signature(LineJob))`
        To the burst splitter: segments and marks.
    pending : :py:`Out(stream.Signature(Written))`
        To wait for the responses: segments and marks. Its space bounds what is under way, so
        that a response always finds a place and the bus never waits for the card.
    """

    placements: In(stream.Signature(Placement))
    commands: Out(stream.Signature(ReadCommand))
    jobs: Out(stream.Signature(LineJob))
    pending: Out(stream.Signature(Written))

    def __init__(self, config):
        self.config = config
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        placement, valid = self.placements.p, self.placements.valid
        skip = placement.kind == Kind.SKIP
        reads = skip | (placement.kind == Kind.SEGMENT)
        takers = (self.commands, self.jobs, self.pending)
        needs = (reads, ~skip, ~skip)
        # What each taker has had of the placement that is waiting.
        had = Signal(len(takers))
        has = Signal(len(takers))
        top = (placement.length - 1)[:Length.width]
        waits = had[2] | self.pending.ready
        m.d.comb += [
            has[0].eq(~needs[0] | had[0] | self.commands.ready),
            has[1].eq(~needs[1] | had[1] | (self.jobs.ready & waits)),
            has[2].eq(~needs[2] | waits),
            self.commands.valid.eq(valid & needs[0] & ~had[0]),
            self.jobs.valid.eq(valid & needs[1] & ~had[1] & waits),
            self.pending.valid.eq(valid & needs[2] & ~had[2]),
            self.placements.ready.eq(has.all()),
            self.commands.p.last.eq(top >> self.config.bus_log2),
            self.commands.p.tail.eq(top & (self.config.bus_bytes - 1)),
            self.commands.p.skip.eq(skip), self.commands.p.end.eq(placement.end),
            self.jobs.p.kind.eq(placement.kind), self.jobs.p.index.eq(placement.index),
            self.jobs.p.address.eq(placement.address), self.jobs.p.length.eq(placement.length),
            self.jobs.p.follows.eq(placement.follows),
        ]
        with m.If(valid):
            m.d.sync += had.eq(Mux(has.all(), 0, has))
        for name in ("kind", "index", "apart", "token", "length", "start", "end",
                     "last_of_page"):
            m.d.comb += getattr(self.pending.p, name).eq(getattr(placement, name))
        return m
