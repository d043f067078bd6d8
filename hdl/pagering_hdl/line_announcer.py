"""Announces writes of completion lines while their beats are being read."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

from .completion_lines import LineRequest
from .layouts import Kind, LineJob
from .streams import StreamRelay

__all__ = ["PLACE_BYTES", "LineAnnouncer"]

PLACE_BYTES = abi.COMPLETION_BYTES
"""A line has four places of so many bytes."""


class LineAnnouncer(wiring.Component):
    """Makes a write of each line, and has it read; marks go among the writes.

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
        m.submodules.announced = announced = StreamRelay(LineJob)
        m.submodules.asked = asked = StreamRelay(LineRequest)
        wiring.connect(m, announced.o, wiring.flipped(self.jobs))
        wiring.connect(m, asked.o, wiring.flipped(self.reads))
        line = self.requests.p.kind == Kind.SEGMENT
        go = self.requests.valid & self.requests.ready
        m.d.comb += [
            # Both or neither: what is announced is being read.
            self.requests.ready.eq(announced.i.ready & (asked.i.ready | ~line)),
            announced.i.valid.eq(go), asked.i.valid.eq(go & line),
            asked.i.p.eq(self.requests.p), self.idle.eq(~self.jobs.valid & ~self.reads.valid),
        ]
        self._describe(m, self.requests.p, announced.i.p)
        return m

    def _describe(self, m, request, job):
        """Say where the line goes. Its address starts at a beat; strobes do the rest."""
        start = Signal(6)
        m.d.comb += [
            start.eq(request.first * PLACE_BYTES & -self.config.bus_bytes),
            job.kind.eq(request.kind), job.index.eq(request.index),
            job.address.eq((request.base << 12) + Cat(start, request.line)),
            job.length.eq((request.last + 1) * PLACE_BYTES - start),
            job.produced.eq(request.produced), job.frames.eq(request.frames),
        ]
