"""From placements to the bus: bursts, beats, and the responses to them."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Assert, Assume, Mux, Signal

from pagering_hdl.burst_splitter import BurstSplitter
from pagering_hdl.layouts import Kind, LineJob
from pagering_tb.formal.contract import assume_inputs
from pagering_tb.formal.mutant import Mutant
from pagering_tb.formal.specification import Specification, small

__all__ = ["BurstsStayInside"]


class BurstsStayInside(Specification):
    """The segment under way is described once more beside the splitter, byte by byte."""

    part = "burst_splitter"
    promise = "no burst crosses 4 KiB, is too long, or leaves the memory that its job names"
    steps = 2
    mutants = (
        Mutant(BurstSplitter, "elaborate", "room.eq(~address & (config.burst_bytes - 1))",
               "room.eq(config.burst_bytes - 1)"),
        Mutant(BurstSplitter, "elaborate", "sent + size + 1", "sent + size"),
        Mutant(BurstSplitter, "elaborate", "last.eq(~write | (left <= room))",
               "last.eq(~write | (left < room))"),
        Mutant(BurstSplitter, "elaborate", "size.eq(Mux(last, left, room))", "size.eq(room)"),
    )

    def __init__(self) -> None:
        super().__init__()
        self.card = small()
        self.dut = BurstSplitter(self.card)

    def specify(self, m: Any, dut: Any) -> dict[str, Any]:
        part, card = self.dut, self.card
        assume_inputs(m, part)
        for stream in (part.segments, part.lines):
            m.d.comb += [Assume(stream.p.address[:card.bus_log2] == 0),
                         Assume(stream.p.length != 0),
                         # Nobody owns the end of the address space.
                         Assume(~stream.p.address[63])]
        segment, line = part.segments.p, part.lines.p
        m.d.comb += [
            Assume(line.address[:6] + line.length <= 64),
            # What induction has to know of the segment under way.
            Assert(part.sent[:card.bus_log2] == 0),
            Assert((part.sent == 0) | (part.segments.valid & (segment.kind == Kind.SEGMENT)
                                       & (part.sent < segment.length))),
        ]
        start = part.addresses.p.address
        size = (part.bursts.p.last << card.bus_log2) + part.bursts.p.tail
        job = LineJob(Mux(part.bursts.p.line, line.as_value(), segment.as_value()))
        with m.If(part.addresses.valid):
            m.d.comb += [
                Assert(start[:12] + size <= 4096), Assert(size <= card.burst_bytes),
                Assert(size != 0), Assert(start >= job.address),
                Assert(start + size <= job.address + job.length),
                Assert(part.addresses.p.last == part.bursts.p.last),
                Assert(part.bursts.valid & part.tickets.valid),
            ]
        # All bytes are written: the last burst ends where the job ends, and each begins where the
        # one before ended.
        reached = Signal(64)
        ends = part.segments.valid & part.segments.ready & (segment.kind == Kind.SEGMENT)
        with m.If(part.addresses.valid & ~part.bursts.p.line):
            m.d.sync += reached.eq(start + size)
            m.d.comb += Assert(start == Mux(part.sent == 0, job.address, reached))
        m.d.comb += Assert((part.sent == 0) | (reached == segment.address + part.sent))
        with m.If(ends):
            m.d.comb += Assert(start + size == segment.address + segment.length)
        return {"a burst ends at 4 KiB": part.addresses.valid & (start[:12] + size == 4096),
                "a job of three bursts ends": ends & (part.sent > card.burst_bytes)}
