"""Announces writes of completion lines while their beats are being read."""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

from .completion_lines import LineRequest
from .layouts import Kind, LineJob

__all__ = ["PLACE_BYTES", "LineAnnouncer"]

PLACE_BYTES = abi.COMPLETION_BYTES
"""A line has four places of so many bytes."""


class LineAnnouncer(wiring.Component):
    """Makes a write of each line, and has it read; marks go among the writes.

    The line is kept in a register until both have it, so one comes every two cycles at the most.

    Members
    -------
    requests : :py:`In(stream.Signature(LineRequest))`
        Taken a cycle after the one before has been read.
    jobs : :py:`Out(stream.Signature(LineJob))`
        The writes, and the marks, a cycle later.
    reads : :py:`Out(stream.Signature(LineRequest))`
        The lines, a cycle later.
    idle : :py:`Out(1)`
    """

    requests: In(stream.Signature(LineRequest))
    jobs: Out(stream.Signature(LineJob))
    reads: Out(stream.Signature(LineRequest))
    idle: Out(1)

    def __init__(self, config):
        self.config = config
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        request, kept = self.requests.p, Signal(LineRequest)
        m.d.comb += [
            self.idle.eq(~self.jobs.valid & ~self.reads.valid), self.requests.ready.eq(self.idle),
            self.reads.p.eq(kept),
        ]
        with m.If(self.requests.ready):
            # Both or neither: what is announced is being read.
            m.d.sync += [
                kept.eq(request), self.jobs.valid.eq(self.requests.valid),
                self.reads.valid.eq(self.requests.valid & (request.kind == Kind.SEGMENT)),
            ]
        with m.Else():
            for taker in (self.jobs, self.reads):
                with m.If(taker.ready):
                    m.d.sync += taker.valid.eq(0)
        self._describe(m, kept, self.jobs.p)
        return m

    def _describe(self, m, request, job):
        """Say where the line goes. Its address starts at a beat; strobes do the rest."""
        start = Signal(6)
        m.d.comb += [
            start.eq(request.first * PLACE_BYTES & -self.config.bus_bytes),
            job.kind.eq(request.kind), job.index.eq(request.index),
            job.address.eq((request.base << 12) + Cat(start, request.line)),
            job.top.eq(Cat(Const(PLACE_BYTES - 1, 4), request.last) - start),
            job.produced.eq(request.produced), job.frames.eq(request.frames),
        ]
