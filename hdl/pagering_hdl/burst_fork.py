"""Sends each part as a burst: where a burst holds no more than a chunk, none could join another."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .burst_merger import Address, PartData, Ticket, opening
from .burst_splitter import Part
from .layouts import Kind

__all__ = ["BurstFork"]


class BurstFork(wiring.Component):
    """Splits parts without a clock; a part goes to all who need it at once, or to none.

    The ticket must not be later than the response.

    Members
    -------
    parts : :py:`In(stream.Signature(Part))`
    addresses : :py:`Out(stream.Signature(Address))`,
    contents : :py:`Out(stream.Signature(PartData))`
        Each burst, for the address channel and for the data channel.
    tickets : :py:`Out(stream.Signature(Ticket))`
        One for each burst; marks only here.
    """

    parts: In(stream.Signature(Part))
    addresses: Out(stream.Signature(Address))
    contents: Out(stream.Signature(PartData))
    tickets: Out(stream.Signature(Ticket))

    def elaborate(self, platform):
        m = Module()
        part, enters = self.parts.p, Signal()
        writes = part.kind == Kind.SEGMENT
        m.d.comb += [
            self.parts.ready.eq(self.tickets.ready
                                & (~writes | (self.addresses.ready & self.contents.ready))),
            enters.eq(self.parts.valid & self.parts.ready),
            self.tickets.valid.eq(enters), self.addresses.valid.eq(enters & writes),
            self.contents.valid.eq(enters & writes),
            *opening(self.addresses.p, self.tickets.p, part),
            *(getattr(self.contents.p, name).eq(getattr(part, name))
              for name in ("line", "mirror", "last", "tail")),
        ]
        return m
