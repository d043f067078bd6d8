"""Cuts writes into parts that the bus allows as bursts.

A part ends at the next multiple of the burst size. The size divides 4096, so no part crosses a
4 KiB boundary, and a segment that starts on a chunk is cut as rarely as can be.
"""

from collections.abc import Iterator

from amaranth.hdl import Assert, Cat, Module, Mux, Signal, unsigned
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
        ``segments`` start at a multiple of the bus width and stay in a page. ``lines`` never need
        two parts.
    parts : :py:`Out(stream.Signature(Part))`
    """

    segments: In(stream.Signature(LineJob))
    lines: In(stream.Signature(LineJob))
    parts: Out(stream.Signature(Part))

    def __init__(self, config):
        self.config = config
        self.sent = Signal(Length)
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        config, part = self.config, self.parts.p
        job, line, sent = Signal(LineJob), Signal(), self.sent
        # One less than the bytes that are left, have room in this part, are in it: no adders.
        left, room, size = Signal(Length), Signal(Length), Signal(Length)
        low = Signal(16)
        last, write, go = Signal(), Signal(), Signal()
        within, beat, page = config.burst_bytes - 1, config.bus_log2, config.page_log2
        done = Mux(line, 0, sent)
        m.d.comb += [
            line.eq(self.lines.valid),
            job.eq(Mux(line, self.lines.p, self.segments.p)),
            write.eq(job.kind == Kind.SEGMENT),
            # A page is naturally aligned: nothing is carried further up. A segment begins with a
            # beat, as does each of its parts.
            low.eq(Cat(job.address[:beat], (job.address[beat:page] + done[beat:])[:page - beat],
                       job.address[page:16])),
            left.eq(job.length + ~done),
            room.eq(~low & within),
            last.eq(~write | (left <= room)),
            size.eq(Mux(last, left, room)),
            go.eq(self.parts.valid & self.parts.ready),
            self.parts.valid.eq(line | self.segments.valid),
            self.lines.ready.eq(self.parts.ready & line),
            self.segments.ready.eq(self.parts.ready & ~line & last),
        ]
        m.d.comb += [
            part.kind.eq(job.kind), part.index.eq(job.index), part.line.eq(line),
            part.mirror.eq(job.mirror & line),
            part.address.eq(Cat(low, job.address[16:])),
            part.last.eq((size & within) >> config.bus_log2),
            part.tail.eq(size & (config.bus_bytes - 1)), part.end.eq(last),
            # After a boundary a new burst begins, whatever came before it.
            part.joins.eq(job.follows & ~line & (sent == 0) & ((low & within) != 0)),
            part.produced.eq(job.produced), part.frames.eq(job.frames),
        ]
        with m.If(go & ~line):
            m.d.sync += sent.eq(Mux(last, 0, (sent[beat:] + (room >> beat) + 1) << beat))
        with m.If(go & write):
            m.d.sync += [Assert((low & 0xFFF) + size < 4096),
                         Assert((low & (config.bus_bytes - 1)) == 0),
                         Assert(job.length != 0), Assert(~line | last)]
        return m
