"""The register window: AXI4-Lite accesses, one after the other; bad ones refused."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .access_decoder import AccessDecoder
from .address_decoder import blocks
from .axi import AxiLite, Response
from .layouts import Fault
from .page_table import Refusal
from .register_memory import WORDS, RegisterMemory
from .register_port import RegisterPort

__all__ = ["RegisterWindow"]


class RegisterWindow(wiring.Component):
    """Answers AXI4-Lite: writes one a cycle, reads in a few cycles, all in one order.

    An access to no register, a write to a read-only one and a write of less than a word are
    answered with SLVERR, change nothing and count as REGISTER_ACCESS.

    What the host has set it reads from a memory here; what changes by itself, from its block.

    Members
    -------
    bus : :py:`In(AxiLite())`
    card, region, pool, queue, user, steer, stats : :py:`Out(RegisterPort())`
        Those that the card has.
    refused : :py:`In(1)`
        A block refuses what is written to it in this cycle.
    closed : :py:`In(1)`
        The card is being reset: reads give zero and writes are ignored, but in the card's page.
    clear : :py:`In(1)`
        Event: it is reset.
    clearing : :py:`Out(1)`
        The window is not ready after that yet; writes to the card's page wait.
    refusal : :py:`Out(Refusal)`
    """

    def __init__(self, config):
        self.config = config
        self.blocks = blocks(config)
        super().__init__({
            "bus": In(AxiLite()), **{name: Out(RegisterPort()) for name in self.blocks},
            "refused": In(1), "closed": In(1), "clear": In(1), "clearing": Out(1),
            "refusal": Out(Refusal),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.decoder = decoder = AccessDecoder(self.config)
        m.submodules.memory = memory = RegisterMemory(self.config)
        self._take(m, decoder.accesses)
        valid, request = decoder.requests.valid, decoder.requests.p
        done = (self._write(m, valid & request.write, request, memory)
                | self._read(m, valid & ~request.write, request, memory))
        m.d.comb += [
            decoder.requests.ready.eq(done),
            memory.clear.eq(self.clear), self.clearing.eq(memory.sweeping),
            self.refusal.valid.eq(done & ~request.good),
            self.refusal.fault.eq(Fault.REGISTER_ACCESS),
            memory.place.card.eq(request.to("card")), memory.place.pool.eq(request.to("pool")),
            memory.place.index.eq(request.index), memory.place.word.eq(request.offset[2:]),
            memory.asked.eq(memory.place),
        ]
        return m

    def _reaches(self, request, name):
        """Whether a request is for a block, and let through to it."""
        return request.good & request.to(name) & (1 if name == "card" else ~self.closed)

    def _recalls(self, request):
        """Whether a request is for a register that the memory knows."""
        return (self._reaches(request, "card") | self._reaches(request, "pool")
                | self._reaches(request, "queue") & (request.offset < 4 * WORDS))

    def _take(self, m, taken):
        """Take a read, or else a write. A read waits until the one before has been answered."""
        bus, reading = self.bus, Signal()
        reads = bus.arvalid & ~reading
        m.d.comb += [
            taken.valid.eq(reads | (bus.awvalid & bus.wvalid)), taken.p.write.eq(~reads),
            taken.p.address.eq(Mux(reads, bus.araddr, bus.awaddr)),
            taken.p.data.eq(bus.wdata), taken.p.whole.eq(bus.wstrb.all()),
            bus.arready.eq(reads & taken.ready),
            bus.awready.eq(bus.awvalid & bus.wvalid & ~reads & taken.ready),
            bus.wready.eq(bus.awready),
        ]
        with m.If(bus.rvalid & bus.rready):
            m.d.sync += reading.eq(0)
        with m.If(bus.arready):
            m.d.sync += reading.eq(1)

    def _write(self, m, writes, request, memory):
        """Carry a write out; return whether it is done."""
        bus, ready, done = self.bus, Signal(), Signal()
        due = (writes & (~bus.bvalid | bus.bready) & ~(self.clearing & request.to("card")))
        m.d.comb += [
            ready.eq(1), done.eq(due & ready), memory.data.eq(request.data),
            memory.write.eq(done & self._recalls(request) & ~self.refused),
        ]
        for name in self.blocks:
            port = getattr(self, name)
            m.d.comb += [
                port.write.eq(due & self._reaches(request, name)),
                port.write_index.eq(request.index), port.write_offset.eq(request.offset),
                port.data.eq(request.data),
            ]
            with m.If(port.write):
                m.d.comb += ready.eq(port.ready)
        with m.If(bus.bready):
            m.d.sync += bus.bvalid.eq(0)
        with m.If(done):
            m.d.sync += [bus.bvalid.eq(1),
                         bus.bresp.eq(Mux(request.good, Response.OKAY, Response.SLVERR))]
        return done

    def _read(self, m, reads, request, memory):
        """Ask the memory, then the block, then answer; return whether that is now."""
        recalled = Signal(32, reset_less=True)
        waits, answers = Signal(), Signal()
        with m.FSM(name="reader") as reader:
            with m.State("Read memory"):
                m.d.comb += memory.ask.eq(reads)
                with m.If(memory.answered):
                    m.d.sync += recalled.eq(Mux(self._recalls(request), memory.value, 0))
                    m.next = "Ask block"
            with m.State("Ask block"):
                with m.If(~waits):
                    m.next = "Answer"
            with m.State("Answer"):
                m.d.comb += answers.eq(1)
                m.next = "Read memory"
        found = recalled
        for name in self.blocks:
            port = getattr(self, name)
            value = Signal(32, name=f"{name}_value", reset_less=True)
            m.d.comb += [
                port.read.eq(reader.ongoing("Ask block") & self._reaches(request, name)),
                port.read_index.eq(request.index), port.read_offset.eq(request.offset),
            ]
            with m.If(port.read):
                m.d.comb += waits.eq(~port.answered)
            # Those that are not asked give zeros: to reset a register costs no logic.
            m.d.sync += value.eq(Mux(port.read, port.value, 0))
            found |= value
        self._answer(m, answers, found, request.good)
        return answers

    def _answer(self, m, answers, found, good):
        bus = self.bus
        with m.If(bus.rready):
            m.d.sync += bus.rvalid.eq(0)
        with m.If(answers):
            m.d.sync += [bus.rvalid.eq(1), bus.rdata.eq(found),
                         bus.rresp.eq(Mux(good, Response.OKAY, Response.SLVERR))]
