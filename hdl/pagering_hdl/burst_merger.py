"""Joins parts that follow each other in memory, so that small frames share a burst.

Every burst costs the bus an address, and PCIe a header of 24 bytes, which is a third of a frame of
64 bytes. A burst is kept open only while the write data channel is busy with others: that costs no
time, and the busier the bus is, the longer the bursts become.
"""

from amaranth.hdl import Assert, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .burst_splitter import Part
from .layouts import Index, Kind, RingIndex

__all__ = ["Address", "BurstMerger", "PartData", "Ticket", "opening"]


class Address(data.Struct):
    """One write burst."""

    address: unsigned(64)
    last: unsigned(8)
    """Beats less one."""


class PartData(data.Struct):
    """Where the beats of a part come from."""

    line: unsigned(1)
    """From the completion lines (else: from the packet FIFO)."""
    mirror: unsigned(1)
    """From the count mirror, though it came as a line."""
    last: unsigned(8)
    """Beats less one."""
    tail: unsigned(6)
    """Valid bytes of the last beat, less one."""


class Ticket(data.Struct):
    """What the next response stands for; or a mark, which waits for no response."""

    line: unsigned(1)
    mirror: unsigned(1)
    """Counts: no completion, though it came as a line."""
    kind: Kind
    index: Index
    ends: unsigned(7)
    """Segments that end in the burst."""
    goes_on: unsigned(1)
    """The last of its segments has another burst."""
    produced: RingIndex
    frames: unsigned(3)


def opening(burst, ticket, part):
    """Make a burst of a part: return the statements that do."""
    return [
        burst.address.eq(part.address), burst.last.eq(part.last),
        ticket.ends.eq(part.end), ticket.goes_on.eq(~part.end),
        *(getattr(ticket, name).eq(getattr(part, name))
          for name in ("kind", "index", "line", "mirror", "produced", "frames")),
    ]


class BurstMerger(wiring.Component):
    """Collects parts in a burst and sends it off when it is wanted, or no more can join.

    A part a cycle; a cycle of latency if nothing else is to be sent. A narrow card has a short cut
    for a part that comes when there is nothing at all to do: it is a burst of its own at once.

    Members
    -------
    parts : :py:`In(stream.Signature(Part))`
    hungry, starving : :py:`In(1)`
        The write data channel will soon have nothing to do, or has nothing to do.
    addresses : :py:`Out(stream.Signature(Address))`, bursts : :py:`Out(stream.Signature(8))`
        Each burst, for the address channel; and its beats less one, for the data channel.
    contents : :py:`Out(stream.Signature(PartData))`
        The parts of all bursts, in order; they may come long before their burst.
    tickets : :py:`Out(stream.Signature(Ticket))`
        One for each burst, in the same cycle and order; marks only here.
    idle : :py:`Out(1)`
        No burst is open.
    """

    parts: In(stream.Signature(Part))
    hungry: In(1)
    starving: In(1)
    addresses: Out(stream.Signature(Address))
    bursts: Out(stream.Signature(unsigned(8)))
    contents: Out(stream.Signature(PartData))
    tickets: Out(stream.Signature(Ticket))
    idle: Out(1)

    def __init__(self, config):
        self.config = config
        self.beats = config.burst_bytes // config.bus_bytes
        self.burst, self.ticket = Signal(Address), Signal(Ticket)
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        part, burst, ticket = self.parts.p, self.burst, self.ticket
        opened, write = Signal(), Signal()
        writes = part.kind == Kind.SEGMENT
        joins, leaves, enters, room = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            write.eq(ticket.kind == Kind.SEGMENT), self.idle.eq(~opened),
            joins.eq(part.joins & opened & write & ~ticket.line),
            # All takers at once, or none: the ticket must not be later than the response.
            room.eq(self.tickets.ready & (~write | (self.addresses.ready & self.bursts.ready))),
            leaves.eq(opened & room & Mux(self.parts.valid, ~joins & self.parts.ready,
                                          self.hungry | ~write)),
            self.parts.ready.eq((self.contents.ready | ~writes) & (~opened | joins | room)),
            enters.eq(self.parts.valid & self.parts.ready),
            self.contents.valid.eq(enters & writes), self.contents.p.line.eq(part.line),
            self.contents.p.mirror.eq(part.mirror),
            self.contents.p.last.eq(part.last), self.contents.p.tail.eq(part.tail),
            self.addresses.valid.eq(leaves & write), self.addresses.p.eq(burst),
            self.bursts.valid.eq(leaves & write), self.bursts.payload.eq(self.addresses.p.last),
            self.tickets.valid.eq(leaves), self.tickets.p.eq(ticket),
        ]
        with m.If(enters):
            m.d.sync += opened.eq(1)
            m.d.sync += opening(burst, ticket, part)
            with m.If(joins):
                m.d.sync += [burst.address.eq(burst.address),
                             burst.last.eq((burst.last + 1 + part.last) & self.beats - 1),
                             ticket.ends.eq(ticket.ends + part.end)]
        with m.Elif(leaves):
            m.d.sync += opened.eq(0)
        if self.config.short_cuts:
            self._cut_short(m, opened, enters & writes)
        self._check(m, enters & joins, burst, part)
        return m

    def _cut_short(self, m, opened, enters):
        """Let a part go as a burst in the cycle in which it comes."""
        with m.If(self.starving & ~opened & enters & self.tickets.ready
                  & self.addresses.ready & self.bursts.ready):
            m.d.comb += [self.addresses.valid.eq(1), self.bursts.valid.eq(1),
                         self.tickets.valid.eq(1),
                         *opening(self.addresses.p, self.tickets.p, self.parts.p)]
            m.d.sync += opened.eq(0)

    def _check(self, m, joined, burst, part):
        within = self.config.burst_bytes - 1
        low = (burst.address & within) + ((burst.last + 1) << self.config.bus_log2)
        with m.If(joined):
            m.d.sync += [Assert(low == (part.address & within)),
                         Assert(burst.address >> 12 == part.address >> 12)]
