"""Puts bursts on the bus: addresses on one channel, beats on the other, no cycle lost between."""

from amaranth.hdl import Assert, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .axi import AxiWrite
from .burst_merger import Address, PartData
from .streams import StreamBuffer, StreamQueue, StreamRelay, StreamSkid

__all__ = ["DmaWriter", "WriteBeat"]


class WriteBeat(data.StructLayout):
    """One beat of a write. Members: ``data``, ``strobe``, ``last``."""

    def __init__(self, bits):
        super().__init__({"data": bits, "strobe": bits // 8, "last": 1})


class DmaWriter(wiring.Component):
    """The write address and write data channels.

    What is to be written waits in queues, so that the next burst is known when the last beat of
    one leaves; an address goes as soon as it can, and is the last of its burst to wait. Where
    bursts are not shared, each is one part.

    Members
    -------
    addresses : :py:`In(stream.Signature(Address))`
    bursts : :py:`In(stream.Signature(8))`
        Beats of each burst, less one; only where bursts are shared.
    contents : :py:`In(stream.Signature(PartData))`
        What the bursts are made of.
    hungry, starving : :py:`Out(1)`
        The last burst that is known of is under way, or there is none; likewise.
    frame_beats : :py:`In(stream.Signature(bits))`
    line_beats : :py:`In(stream.Signature(WriteBeat(bits)))`
        With their strobes. They come as fast as the bus takes them.
    mirror_beats : :py:`In(stream.Signature(WriteBeat(bits)))`
        Likewise.
    bus : :py:`Out(AxiWrite(bits))`
        Without the response channel.
    """

    def __init__(self, config):
        self.config = config
        bits = config.bus_bits
        super().__init__({
            "addresses": In(stream.Signature(Address)),
            "contents": In(stream.Signature(PartData)),
            "frame_beats": In(stream.Signature(unsigned(bits))),
            "line_beats": In(stream.Signature(WriteBeat(bits))),
            "mirror_beats": In(stream.Signature(WriteBeat(bits))),
            "bus": Out(AxiWrite(bits)),
            **({"bursts": In(stream.Signature(unsigned(8))), "hungry": Out(1), "starving": Out(1)}
               if config.shares_bursts else {}),
        })

    def elaborate(self, platform):
        m = Module()
        bus, bits = self.bus, self.config.bus_bits
        ahead = self.config.runs_ahead
        m.submodules.address = addresses = (StreamBuffer if ahead else StreamRelay)(Address)
        m.submodules.contents_queue = contents = (
            StreamQueue(PartData, depth=16) if ahead else StreamSkid(PartData))
        m.submodules.output = output = StreamBuffer(WriteBeat(bits))
        wiring.connect(m, wiring.flipped(self.addresses), addresses.i)
        wiring.connect(m, wiring.flipped(self.contents), contents.i)
        m.d.comb += [
            bus.awvalid.eq(addresses.o.valid), addresses.o.ready.eq(bus.awready),
            bus.awaddr.eq(addresses.o.p.address), bus.awlen.eq(addresses.o.p.last),
            bus.awsize.eq(self.config.bus_log2), bus.awburst.eq(1),
            bus.awcache.eq(0b0011), bus.awprot.eq(0b010),
            bus.wvalid.eq(output.o.valid), output.o.ready.eq(bus.wready),
            bus.wdata.eq(output.o.p.data), bus.wstrb.eq(output.o.p.strobe),
            bus.wlast.eq(output.o.p.last),
        ]
        self._beats(m, contents.o, output.i)
        return m

    def _beats(self, m, contents, output):
        """Take beats from where the part says, and count them."""
        beats, part = range(self.config.burst_bytes // self.config.bus_bytes), contents.p
        in_part = Signal(beats)
        part_last, source_valid, takes, go = Signal(), Signal(), Signal(), Signal()
        strobe = (2 << part.tail) - 1
        known, last = (self._count_burst(m, go) if self.config.shares_bursts
                       else (1, part_last))
        m.d.comb += [
            part_last.eq(in_part == part.last),
            source_valid.eq(Mux(part.mirror, self.mirror_beats.valid, Mux(
                part.line, self.line_beats.valid, self.frame_beats.valid))),
            output.valid.eq(known & contents.valid & source_valid),
            go.eq(output.valid & output.ready),
            contents.ready.eq(go & part_last), takes.eq(known & contents.valid & output.ready),
            self.mirror_beats.ready.eq(takes & part.mirror),
            self.line_beats.ready.eq(takes & part.line & ~part.mirror),
            self.frame_beats.ready.eq(takes & ~part.line),
            output.p.last.eq(last),
            output.p.data.eq(Mux(part.mirror, self.mirror_beats.p.data, Mux(
                part.line, self.line_beats.p.data, self.frame_beats.payload))),
            output.p.strobe.eq(Mux(part.mirror, self.mirror_beats.p.strobe, Mux(
                part.line, self.line_beats.p.strobe, Mux(part_last, strobe, -1)))),
        ]
        with m.If(go):
            m.d.sync += [in_part.eq(Mux(part_last, 0, in_part + 1)),
                         Assert(~last | part_last)]

    def _count_burst(self, m, go):
        """Count beats in a burst of several parts; return if one is known of, and its last beat."""
        m.submodules.bursts_queue = bursts = StreamQueue(unsigned(8), depth=8)
        wiring.connect(m, wiring.flipped(self.bursts), bursts.i)
        at, last = Signal(range(self.config.burst_bytes // self.config.bus_bytes)), Signal()
        m.d.comb += [last.eq(at == bursts.o.payload), bursts.o.ready.eq(go & last),
                     self.hungry.eq(bursts.level <= 1), self.starving.eq(~bursts.o.valid)]
        with m.If(go):
            m.d.sync += at.eq(Mux(last, 0, at + 1))
        return bursts.o.valid, last
