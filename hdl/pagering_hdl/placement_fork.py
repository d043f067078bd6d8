"""Sends each placement to the two who carry it out together."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .layouts import LineJob, Placement, Written

__all__ = ["PlacementFork"]


class PlacementFork(wiring.Component):
    """Splits placements without delay; a placement leaves when both of its takers have had it.

    A write begins only when its place to wait for the response is taken.

    Members
    -------
    placements : :py:`In(stream.Signature(Placement))`
    pending : :py:`Out(stream.Signature(Written))`
        To wait for the responses. Its space bounds what is under way, so that a response always
        finds a place and the bus never waits for the card.
    jobs : :py:`Out(stream.Signature(LineJob))`
        To the burst splitter, which keeps a job until its last burst.
    """

    placements: In(stream.Signature(Placement))
    pending: Out(stream.Signature(Written))
    jobs: Out(stream.Signature(LineJob))

    def elaborate(self, platform):
        m = Module()
        placement, valid = self.placements.p, self.placements.valid
        had, has = Signal(), Signal()
        m.d.comb += [
            has.eq(had | self.pending.ready),
            self.pending.valid.eq(valid & ~had),
            self.jobs.valid.eq(valid & has),
            self.placements.ready.eq(has & self.jobs.ready),
            self.pending.p.length.eq(placement.top + 1),
        ]
        with m.If(valid):
            m.d.sync += had.eq(has & ~self.jobs.ready)
        for taker, names in (
                (self.jobs, ("kind", "index", "address", "top", "follows")),
                (self.pending, ("kind", "index", "apart", "token", "start", "end",
                                "last_of_page"))):
            m.d.comb += [getattr(taker.p, name).eq(getattr(placement, name)) for name in names]
        return m
