"""Fetches tokens: AXI4 reads of 64 bytes, several under way."""

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

from .axi import AxiRead, Response
from .layouts import Fault, Index, Return
from .page_table import Refusal
from .return_rings import Finished, LineRead
from .streams import StreamBuffer, StreamQueue

__all__ = ["READS_MAX", "ReturnReader"]

READS_MAX = 16
"""Reads under way: 256 tokens, enough to hide 250 cycles at a token a cycle."""


class ReadTicket(data.Struct):
    """What a read under way is for."""

    queue: Index
    skip: unsigned(4)
    count: unsigned(5)


class ReadBeat(data.StructLayout):
    """One beat of an answer. Members: ``data``, ``bad``."""

    def __init__(self, bits):
        super().__init__({"data": bits, "bad": 1})


class ReturnReader(wiring.Component):
    """Puts reads on the bus and makes tokens of what comes.

    The answers come in order, as all reads have one id. A beat that comes with an error brings no
    token; its read ends like any other, and counts as one fault.

    While a token waits for its turn the bus waits too. Tokens wait for nothing on the bus, so this
    ends.

    Members
    -------
    reads : :py:`In(stream.Signature(LineRead))`
    bus : :py:`Out(AxiRead(bits))`
    tokens : :py:`Out(stream.Signature(Return))`
    finished : :py:`Out(stream.Signature(Finished))`
    failed : :py:`Out(Refusal)`
        Event: a read was answered with an error.
    """

    def __init__(self, config):
        self.config = config
        super().__init__({
            "reads": In(stream.Signature(LineRead)), "bus": Out(AxiRead(config.bus_bits)),
            "tokens": Out(stream.Signature(Return)),
            "finished": Out(stream.Signature(Finished)), "failed": Out(Refusal),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.tickets = self.tickets = StreamQueue(ReadTicket, depth=READS_MAX)
        m.submodules.beats = self.beats = StreamBuffer(ReadBeat(self.config.bus_bits))
        m.submodules.ended = self.ended = StreamBuffer(Finished)
        wiring.connect(m, wiring.flipped(self.finished), self.ended.o)
        self._ask(m)
        self._unpack(m)
        return m

    def _ask(self, m):
        """Issue an address together with its ticket."""
        bus, reads, tickets = self.bus, self.reads, self.tickets.i
        m.submodules.addresses = addresses = StreamBuffer(unsigned(64))
        m.d.comb += [
            reads.ready.eq(addresses.i.ready & tickets.ready),
            addresses.i.valid.eq(reads.valid & tickets.ready), addresses.i.p.eq(reads.p.address),
            tickets.valid.eq(reads.valid & addresses.i.ready), tickets.p.queue.eq(reads.p.queue),
            tickets.p.skip.eq(reads.p.skip), tickets.p.count.eq(reads.p.count),
            bus.arvalid.eq(addresses.o.valid), addresses.o.ready.eq(bus.arready),
            bus.araddr.eq(addresses.o.p),
            bus.arlen.eq(4 * abi.RETURN_LINE // self.config.bus_bytes - 1),
            bus.arsize.eq(self.config.bus_log2), bus.arburst.eq(1),
            bus.arcache.eq(0b0011), bus.arprot.eq(0b010),
        ]

    def _unpack(self, m):
        """Walk over the 16 places of a line, a cycle each; hand on the tokens that count."""
        bus, beat, ticket, ended = self.bus, self.beats.o, self.tickets.o, self.ended.i
        lanes = self.config.bus_bits // 32
        place, bad = Signal(range(abi.RETURN_LINE)), Signal()
        named, final, go = Signal(), Signal(), Signal()
        m.d.comb += [
            self.beats.i.valid.eq(bus.rvalid), bus.rready.eq(self.beats.i.ready),
            self.beats.i.p.data.eq(bus.rdata),
            self.beats.i.p.bad.eq((bus.rresp == Response.SLVERR)
                                  | (bus.rresp == Response.DECERR)),
            named.eq((place >= ticket.p.skip) & (place - ticket.p.skip < ticket.p.count)
                     & ~beat.p.bad),
            final.eq(place == abi.RETURN_LINE - 1),
            self.tokens.p.queue.eq(ticket.p.queue),
            self.tokens.p.token.eq(beat.p.data.word_select(place[:(lanes - 1).bit_length()], 32)),
            self.tokens.valid.eq(beat.valid & ticket.valid & named & (~final | ended.ready)),
            go.eq(beat.valid & ticket.valid & (self.tokens.ready | ~named)
                  & (~final | ended.ready)),
            beat.ready.eq(go & (place % lanes == lanes - 1)), ticket.ready.eq(go & final),
            ended.valid.eq(beat.valid & ticket.valid & final & (self.tokens.ready | ~named)),
            ended.p.queue.eq(ticket.p.queue), ended.p.count.eq(ticket.p.count),
            self.failed.valid.eq(go & final & (bad | beat.p.bad)),
            self.failed.fault.eq(Fault.RETURN_READ),
        ]
        with m.If(go):
            m.d.sync += [place.eq(place + 1), bad.eq((bad | beat.p.bad) & ~final)]
