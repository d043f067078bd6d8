"""Cuts writes into parts that the bus allows as bursts.

A part ends at the next multiple of the burst size. The size divides 4096, so no part crosses a
4 KiB boundary, and a segment that starts on a chunk is cut as rarely as can be.
"""

from collections.abc import Iterator

from amaranth.hdl import Assert, Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .layouts import Index, Kind, Length, LineJob, RingIndex

__all__ = ["BurstSplitter", "Part", "split"]


def split(address: int, length: int, burst_bytes: int) -> Iterator[tuple[int, int]]:
    """Yield address and length of each part of a write: what :class:`BurstSplitter` makes."""
    end = address + length
    while address < end:
        stop = min(end, (address // burst_bytes + 1) * burst_bytes)
        yield address, stop - address
        address = stop


class Part(data.Struct):
    """A burst, or what can be joined with others to one; or a mark."""

    kind: Kind
    index: Index
    line: unsigned(1)
    """Of the completion lines (else: of the packet FIFO)."""
    mirror: unsigned(1)
    """Of the count mirror, though it came as a line."""
    address: unsigned(64)
    last: unsigned(8)
    """Beats less one."""
    tail: unsigned(6)
    """Valid bytes of the last beat, less one."""
    joins: unsigned(1)
    """It may go in one burst with the part before it."""
    end: unsigned(1)
    """Last part of its segment."""
    produced: RingIndex
    frames: unsigned(3)


class BurstSplitter(wiring.Component):
    """One part a cycle from two sources of writes; completion lines go first.

    Members
    -------
    segments, lines : :py:`In(stream.Signature(LineJob))`
        ``segments`` start at a multiple of the bus width, or of the burst size if they never share
        a burst, and stay in a page. ``lines`` never need two parts.
    parts : :py:`Out(stream.Signature(Part))`
    """

    segments: In(stream.Signature(LineJob))
    lines: In(stream.Signature(LineJob))
    parts: Out(stream.Signature(Part))

    def __init__(self, config):
        self.config = config
        self.burst_log2 = (config.burst_bytes - 1).bit_length()
        self.reach = min(Length.width + 1, config.page_log2)
        self.sent = Signal(max(1, self.reach - self.burst_log2))
        """Parts of the segment under way that are sent."""
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        config, part, line = self.config, self.parts.p, self.lines.valid
        address, size, last = Signal(64), Signal(self.burst_log2), Signal()
        self._cut(m, address, size, last)
        job = LineJob(Mux(line, self.lines.p.as_value(), self.segments.p.as_value()))
        top = Mux(line, self.lines.p.top, size)
        m.d.comb += [
            self.parts.valid.eq(line | self.segments.valid),
            self.lines.ready.eq(self.parts.ready & line),
            self.segments.ready.eq(self.parts.ready & ~line & last),
            part.kind.eq(job.kind), part.index.eq(job.index), part.line.eq(line),
            part.mirror.eq(job.mirror & line),
            part.address.eq(Mux(line, self.lines.p.address, address)),
            part.last.eq((top & config.burst_bytes - 1) >> config.bus_log2),
            part.tail.eq(top & (config.bus_bytes - 1)), part.end.eq(line | last),
            part.produced.eq(job.produced), part.frames.eq(job.frames),
        ]
        if config.shares_bursts:
            # After a boundary a new burst begins, whatever came before it.
            m.d.comb += part.joins.eq(job.follows & ~line & (self.sent == 0)
                                      & (address[:self.burst_log2] != 0))
        return m

    def _cut(self, m, address, size, last):
        """Find the next part of the segment: where it is, its bytes less one, if it is the last.

        Only where the segment begins is a part not at the beginning of a burst.
        """
        config, segment, sent, burst = self.config, self.segments.p, self.sent, self.burst_log2
        writes, page = segment.kind == Kind.SEGMENT, config.page_log2
        low = segment.address[:burst] if config.shares_bursts else Const(0, burst)
        begin, end, stop = Signal(burst), Signal(self.reach), Signal(burst)
        m.d.comb += [
            begin.eq(Mux(sent == 0, low, 0)), end.eq(segment.top + low),
            last.eq(~writes | (sent == end[burst:])), stop.eq(Mux(last, end, -1)),
            size.eq(stop - begin),
            # A page is naturally aligned: nothing is carried further up.
            address.eq(Cat(begin, (segment.address[burst:page] + sent)[:page - burst],
                           segment.address[page:])),
        ]
        with m.If(self.segments.valid & self.parts.ready & ~self.lines.valid):
            m.d.sync += sent.eq(Mux(last, 0, sent + 1))
            with m.If(writes):
                m.d.sync += [
                    Assert((segment.address[:page] + segment.top) < config.page_bytes),
                    Assert((segment.address & (config.bus_bytes - 1)) == 0),
                    Assert(low == segment.address[:burst])]
        line = self.lines.p
        with m.If(self.lines.valid & self.parts.ready & (line.kind == Kind.SEGMENT)):
            m.d.sync += [Assert((line.address[:6] + line.top) < 64),
                         Assert((line.address & (config.bus_bytes - 1)) == 0)]
