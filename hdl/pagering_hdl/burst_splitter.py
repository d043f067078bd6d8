"""Cuts writes into bursts that the bus allows.

A burst ends at the next multiple of the burst size. The size divides 4096, so no burst crosses a
4 KiB boundary, and a segment that starts on a chunk is cut as rarely as can be.
"""

from collections.abc import Iterator

from amaranth.hdl import Assert, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .layouts import Index, Kind, Length, LineJob, RingIndex

__all__ = ["Address", "BurstData", "BurstSplitter", "Ticket", "split"]


def split(address: int, length: int, burst_bytes: int) -> Iterator[tuple[int, int]]:
    """Yield address and length of each burst of a write: what :class:`BurstSplitter` makes."""
    end = address + length
    while address < end:
        stop = min(end, (address // burst_bytes + 1) * burst_bytes)
        yield address, stop - address
        address = stop


class Address(data.Struct):
    """One write address."""

    address: unsigned(64)
    last: unsigned(8)
    """Beats less one."""


class BurstData(data.Struct):
    """Where the beats of a burst come from."""

    line: unsigned(1)
    """From the completion lines (else: from the packet FIFO)."""
    last: unsigned(8)
    """Beats less one."""
    tail: unsigned(7)
    """Valid bytes of the last beat."""


class Ticket(data.Struct):
    """What the next response stands for; or a mark, which waits for no response."""

    line: unsigned(1)
    kind: Kind
    index: Index
    last: unsigned(1)
    """Last burst of its segment."""
    produced: RingIndex
    frames: unsigned(3)


class BurstSplitter(wiring.Component):
    """One burst a cycle from two sources of writes; completion lines go first.

    Members
    -------
    segments, lines : :py:`In(stream.Signature(LineJob))`
        ``segments`` start at a multiple of the bus width. ``lines`` never need two bursts.
    addresses : :py:`Out(stream.Signature(Address))`
    bursts : :py:`Out(stream.Signature(BurstData))`
    tickets : :py:`Out(stream.Signature(Ticket))`
        In the same cycle and order; marks only here.
    """

    segments: In(stream.Signature(LineJob))
    lines: In(stream.Signature(LineJob))
    addresses: Out(stream.Signature(Address))
    bursts: Out(stream.Signature(BurstData))
    tickets: Out(stream.Signature(Ticket))

    def __init__(self, config):
        self.config = config
        self.sent = Signal(Length)
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        config = self.config
        job, line, sent = Signal(LineJob), Signal(), self.sent
        # One less than the bytes that are left, have room in this burst, are in it: no adders.
        left, room, size = Signal(Length), Signal(Length), Signal(Length)
        address = Signal(64)
        last, write, go = Signal(), Signal(), Signal()
        m.d.comb += [
            line.eq(self.lines.valid),
            job.eq(Mux(line, self.lines.p, self.segments.p)),
            write.eq(job.kind == Kind.SEGMENT),
            address.eq(job.address + Mux(line, 0, sent)),
            left.eq(job.length + ~Mux(line, 0, sent)),
            room.eq(~address & (config.burst_bytes - 1)),
            last.eq(~write | (left <= room)),
            size.eq(Mux(last, left, room)),
            go.eq((line | self.segments.valid) & self.tickets.ready
                  & (~write | (self.addresses.ready & self.bursts.ready))),
            self.lines.ready.eq(go & line),
            self.segments.ready.eq(go & ~line & last),
        ]
        m.d.comb += [
            self.addresses.valid.eq(go & write), self.bursts.valid.eq(go & write),
            self.tickets.valid.eq(go),
            self.addresses.p.address.eq(address), self.addresses.p.last.eq(size >> config.bus_log2),
            self.bursts.p.line.eq(line), self.bursts.p.last.eq(size >> config.bus_log2),
            self.bursts.p.tail.eq((size & (config.bus_bytes - 1)) + 1),
            self.tickets.p.line.eq(line), self.tickets.p.last.eq(last),
            self.tickets.p.kind.eq(job.kind), self.tickets.p.index.eq(job.index),
            self.tickets.p.produced.eq(job.produced), self.tickets.p.frames.eq(job.frames),
        ]
        with m.If(go & ~line):
            m.d.sync += sent.eq(Mux(last, 0, sent + size + 1))
        with m.If(go & write):
            m.d.sync += [Assert((address & 0xFFF) + size < 4096),
                         Assert((address & (config.bus_bytes - 1)) == 0),
                         Assert(job.length != 0), Assert(~line | last)]
        return m
