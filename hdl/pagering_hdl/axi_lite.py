"""The AXI4-Lite side of the register window: takes accesses, and answers them."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .access_decoder import Access
from .axi import AxiLite, Response

__all__ = ["AxiLiteTarget"]


class AxiLiteTarget(wiring.Component):
    """Makes one order of reads and writes: a read goes first, but not before the one before it.

    Members
    -------
    bus : :py:`In(AxiLite())`
    accesses : :py:`Out(stream.Signature(Access))`
    free : :py:`Out(1)`
        There is room for the answer to a write; for that to a read there always is.
    written, found : :py:`In(1)`, good : :py:`In(1)`, value : :py:`In(32)`
        Event: a write has been carried out or refused; what a read asked for is here.
    """

    bus: In(AxiLite())
    accesses: Out(stream.Signature(Access))
    free: Out(1)
    written: In(1)
    found: In(1)
    good: In(1)
    value: In(32)

    def __init__(self):
        super().__init__()
        self.reading = Signal()
        """A read was taken and its answer was not."""

    def elaborate(self, platform):
        m = Module()
        bus, access, reading = self.bus, self.accesses.p, self.reading
        reads = bus.arvalid & ~reading
        m.d.comb += [
            self.accesses.valid.eq(reads | (bus.awvalid & bus.wvalid)), access.write.eq(~reads),
            access.address.eq(Mux(reads, bus.araddr, bus.awaddr)),
            access.data.eq(bus.wdata), access.whole.eq(bus.wstrb.all()),
            bus.arready.eq(reads & self.accesses.ready),
            bus.awready.eq(bus.awvalid & bus.wvalid & ~reads & self.accesses.ready),
            bus.wready.eq(bus.awready), self.free.eq(~bus.bvalid | bus.bready),
        ]
        response = Mux(self.good, Response.OKAY, Response.SLVERR)
        with m.If(bus.bready):
            m.d.sync += bus.bvalid.eq(0)
        with m.If(self.written):
            m.d.sync += [bus.bvalid.eq(1), bus.bresp.eq(response)]
        with m.If(bus.rvalid & bus.rready):
            m.d.sync += [bus.rvalid.eq(0), reading.eq(0)]
        with m.If(bus.arready):
            m.d.sync += reading.eq(1)
        with m.If(self.found):
            m.d.sync += [bus.rvalid.eq(1), bus.rdata.eq(self.value), bus.rresp.eq(response)]
        return m
