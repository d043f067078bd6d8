"""Puts bursts on the bus: addresses on one channel, beats on the other, no cycle lost between."""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .axi import AxiWrite
from .burst_splitter import Address, BurstData
from .streams import StreamBuffer, StreamQueue

__all__ = ["DmaWriter", "WriteBeat"]


class WriteBeat(data.StructLayout):
    """One beat of a write. Members: ``data``, ``strobe``, ``last``."""

    def __init__(self, bits):
        super().__init__({"data": bits, "strobe": bits // 8, "last": 1})


class DmaWriter(wiring.Component):
    """The write address and write data channels.

    Both are fed from queues, so that the next burst is known when the last beat of one leaves.

    Members
    -------
    addresses : :py:`In(stream.Signature(Address))`
    bursts : :py:`In(stream.Signature(BurstData))`
    frame_beats : :py:`In(stream.Signature(bits))`
    line_beats : :py:`In(stream.Signature(WriteBeat(bits)))`
        With their strobes. They are there before their burst is.
    bus : :py:`Out(AxiWrite(bits))`
        Without the response channel.
    """

    def __init__(self, config):
        self.config = config
        bits = config.bus_bits
        super().__init__({
            "addresses": In(stream.Signature(Address)),
            "bursts": In(stream.Signature(BurstData)),
            "frame_beats": In(stream.Signature(unsigned(bits))),
            "line_beats": In(stream.Signature(WriteBeat(bits))),
            "bus": Out(AxiWrite(bits)),
        })

    def elaborate(self, platform):
        m = Module()
        bus, bits = self.bus, self.config.bus_bits
        m.submodules.addresses_queue = addresses = StreamQueue(Address, depth=4)
        m.submodules.bursts_queue = bursts = StreamQueue(BurstData, depth=8)
        m.submodules.output = output = StreamBuffer(WriteBeat(bits))
        wiring.connect(m, wiring.flipped(self.addresses), addresses.i)
        wiring.connect(m, wiring.flipped(self.bursts), bursts.i)
        m.d.comb += [
            bus.awvalid.eq(addresses.o.valid), addresses.o.ready.eq(bus.awready),
            bus.awaddr.eq(addresses.o.p.address), bus.awlen.eq(addresses.o.p.last),
            bus.awsize.eq(self.config.bus_log2), bus.awburst.eq(1),
            bus.awcache.eq(0b0011), bus.awprot.eq(0b010),
            bus.wvalid.eq(output.o.valid), output.o.ready.eq(bus.wready),
            bus.wdata.eq(output.o.p.data), bus.wstrb.eq(output.o.p.strobe),
            bus.wlast.eq(output.o.p.last),
        ]
        beat, burst = Signal(8), bursts.o.p
        last, source_valid, go = Signal(), Signal(), Signal()
        m.d.comb += [
            last.eq(beat == burst.last),
            source_valid.eq(Mux(burst.line, self.line_beats.valid, self.frame_beats.valid)),
            output.i.valid.eq(bursts.o.valid & source_valid),
            go.eq(output.i.valid & output.i.ready),
            bursts.o.ready.eq(go & last),
            self.line_beats.ready.eq(go & burst.line),
            self.frame_beats.ready.eq(go & ~burst.line),
            output.i.p.last.eq(last),
            output.i.p.data.eq(Mux(burst.line, self.line_beats.p.data, self.frame_beats.payload)),
            output.i.p.strobe.eq(Mux(burst.line, self.line_beats.p.strobe, Mux(
                last, (1 << burst.tail) - 1, -1))),
        ]
        with m.If(go):
            m.d.sync += beat.eq(Mux(last, 0, beat + 1))
        return m
