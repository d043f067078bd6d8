"""The register window: AXI4-Lite accesses, decoded by block; bad ones refused."""

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

from .axi import AxiLite, Response
from .layouts import Fault
from .page_table import Refusal
from .register_port import RegisterPort
from .streams import StreamBuffer

__all__ = ["AddressDecoder", "DecodedWrite", "RegisterWindow", "TakenWrite", "blocks"]

BLOCKS = {"card": abi.CARD, "region": abi.REGION, "pool": abi.POOL, "queue": abi.QUEUE,
          "user": abi.USER, "steer": abi.STEER, "stats": abi.STATS}


def blocks(config):
    """Return the blocks that a card has, by name."""
    return {name: block for name, block in BLOCKS.items() if name != "steer" or config.steering}


class AddressDecoder(wiring.Component):
    """Finds the block, copy and offset of an address. Without a clock.

    Members
    -------
    address : :py:`In(20)`
    card, region, pool, queue, user, steer, stats : :py:`Out(1)`
        The block, if there is that copy of it.
    index : :py:`Out(8)`, offset : :py:`Out(12)`
        Which copy of the block, and where in it.
    readable, writable : :py:`Out(1)`
        There is a register, and it may be read or written.
    """

    def __init__(self, config):
        self.blocks = blocks(config)
        self.counts = {"": 1, "regions": config.regions, "pools": config.pools,
                       "queues": config.queues}
        super().__init__({
            "address": In(abi.WINDOW_ADDRESS_BITS), **{name: Out(1) for name in BLOCKS},
            "index": Out(8), "offset": Out(12), "readable": Out(1), "writable": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        page, offset = self.address[12:], self.address[:12]
        with m.If((page == 0) & (offset[10:] == abi.REGION.base >> 10)):
            m.d.comb += [self.region.eq(1), self.index.eq(offset[2:10]), self.offset.eq(offset[:2])]
        with m.Elif(page == 0):
            m.d.comb += [self.card.eq(1), self.offset.eq(offset)]
        with m.Elif(page == abi.POOL.base >> 12):
            m.d.comb += [self.pool.eq(1), self.index.eq(offset[6:]), self.offset.eq(offset[:6])]
        with m.Elif(page == abi.STEER.base >> 12):
            m.d.comb += [self.steer.eq(1), self.offset.eq(offset)]
        with m.Elif(page == abi.STATS.base >> 12):
            m.d.comb += [self.stats.eq(1), self.offset.eq(offset)]
        with m.Else():
            m.d.comb += [self.queue.eq(~page[0]), self.user.eq(page[0]),
                         self.index.eq(page[1:] - 1), self.offset.eq(offset)]
        for name, block in self.blocks.items():
            with m.If(getattr(self, name) & (self.index < self.counts[block.count])):
                self._permit(m, block)
        with m.If(self.user & (self.offset >= abi.RETURN_WINDOW) & (self.offset[:2] == 0)
                  & (self.index < self.counts["queues"])):
            m.d.comb += self.writable.eq(1)
        return m

    def _permit(self, m, block):
        with m.Switch(self.offset):
            for register in block:
                with m.Case(register.offset):
                    m.d.comb += [self.readable.eq(1),
                                 self.writable.eq(register.access is not abi.Access.RO)]


class TakenWrite(data.Struct):
    """A write as it came."""

    address: unsigned(abi.WINDOW_ADDRESS_BITS)
    data: unsigned(32)
    whole: unsigned(1)
    """Of all four bytes."""


class DecodedWrite(data.Struct):
    """A write that knows where it goes."""

    blocks: unsigned(len(BLOCKS))
    index: unsigned(8)
    offset: unsigned(12)
    data: unsigned(32)
    good: unsigned(1)
    """There is a register, and it may be written."""


class RegisterWindow(wiring.Component):
    """Answers AXI4-Lite: reads one at a time, writes one a cycle.

    An access to no register, a write to a read-only one and a write of less than a word are
    answered with SLVERR, change nothing and count as REGISTER_ACCESS.

    Members
    -------
    bus : :py:`In(AxiLite())`
    card, region, pool, queue, user, steer, stats : :py:`Out(RegisterPort())`
        Those that the card has.
    closed : :py:`In(1)`
        The card is being reset: reads give zero and writes are ignored, but in the card's page.
    refusal : :py:`Out(Refusal)`
    """

    def __init__(self, config):
        self.config = config
        self.blocks = blocks(config)
        super().__init__({
            "bus": In(AxiLite()), **{name: Out(RegisterPort()) for name in self.blocks},
            "closed": In(1), "refusal": Out(Refusal),
        })

    def elaborate(self, platform):
        m = Module()
        bad_write, bad_read = self._write(m), self._read(m)
        # A read and a write that are both bad in one cycle count as one.
        m.d.comb += [self.refusal.valid.eq(bad_write | bad_read),
                     self.refusal.fault.eq(Fault.REGISTER_ACCESS)]
        return m

    def _write(self, m):
        """Take, decode, carry out: a cycle each, so a write a cycle."""
        bus = self.bus
        m.submodules.write_decoder = decoder = AddressDecoder(self.config)
        m.submodules.taken = taken = StreamBuffer(TakenWrite)
        m.submodules.decoded = decoded = StreamBuffer(DecodedWrite)
        write, go, ready = decoded.o.p, Signal(), Signal()
        m.d.comb += [
            taken.i.valid.eq(bus.awvalid & bus.wvalid),
            taken.i.p.address.eq(bus.awaddr), taken.i.p.data.eq(bus.wdata),
            taken.i.p.whole.eq(bus.wstrb.all()),
            bus.awready.eq(taken.i.valid & taken.i.ready), bus.wready.eq(bus.awready),
            decoder.address.eq(taken.o.p.address),
            decoded.i.valid.eq(taken.o.valid), taken.o.ready.eq(decoded.i.ready),
            decoded.i.p.good.eq(decoder.writable & taken.o.p.whole),
            decoded.i.p.blocks.eq(Cat(getattr(decoder, name) for name in self.blocks)),
            decoded.i.p.index.eq(decoder.index), decoded.i.p.offset.eq(decoder.offset),
            decoded.i.p.data.eq(taken.o.p.data), decoded.o.ready.eq(go),
            ready.eq(1), go.eq(decoded.o.valid & (~bus.bvalid | bus.bready)
                               & (ready | ~write.good)),
        ]
        due = decoded.o.valid & write.good & (~bus.bvalid | bus.bready)
        for number, name in enumerate(self.blocks):
            port, open_now = getattr(self, name), ~self.closed if name != "card" else 1
            m.d.comb += [
                port.write.eq(due & write.blocks[number] & open_now),
                port.write_index.eq(write.index), port.write_offset.eq(write.offset),
                port.data.eq(write.data),
            ]
            with m.If(port.write):
                m.d.comb += ready.eq(port.ready)
        with m.If(bus.bready):
            m.d.sync += bus.bvalid.eq(0)
        with m.If(go):
            m.d.sync += [bus.bvalid.eq(1),
                         bus.bresp.eq(Mux(write.good, Response.OKAY, Response.SLVERR))]
        return go & ~write.good

    def _read(self, m):
        """Decode, look up, answer: a cycle each, if the block does not take longer.

        Reads are rare; a long path would not be.
        """
        bus = self.bus
        m.submodules.read_decoder = decoder = AddressDecoder(self.config)
        address, step = Signal(abi.WINDOW_ADDRESS_BITS), Signal(3)
        index, offset, readable = Signal(8), Signal(12), Signal()
        chosen = Signal(len(self.blocks))
        m.d.comb += [decoder.address.eq(address), bus.arready.eq(~step.any() & ~bus.rvalid)]
        waits = Signal()
        with m.If(~waits):
            m.d.sync += step.eq(step << 1)
        m.d.sync += [
            index.eq(decoder.index), offset.eq(decoder.offset),
            readable.eq(decoder.readable),
            chosen.eq(Cat(getattr(decoder, name) for name in self.blocks)),
        ]
        with m.If(bus.rready):
            m.d.sync += bus.rvalid.eq(0)
        with m.If(bus.arvalid & bus.arready):
            m.d.sync += [address.eq(bus.araddr), step.eq(1)]
        found = Signal(32)
        for number, name in enumerate(self.blocks):
            port, value = getattr(self, name), Signal(32, name=f"{name}_value")
            open_now = ~self.closed if name != "card" else 1
            m.d.comb += [port.read_index.eq(index), port.read_offset.eq(offset)]
            m.d.sync += value.eq(port.value)
            with m.If(chosen[number] & readable & open_now):
                m.d.comb += [port.read.eq(step[1]), found.eq(value),
                             waits.eq(step[1] & ~port.answered)]
        with m.If(step[2]):
            m.d.sync += [bus.rvalid.eq(1), bus.rdata.eq(found), bus.rresp.eq(
                Mux(readable, Response.OKAY, Response.SLVERR))]
        return step[2] & ~readable
