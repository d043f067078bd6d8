"""The register window: what comes over AXI4-Lite, carried out; what is bad, refused."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .access_decoder import AccessDecoder
from .address_decoder import blocks
from .axi import AxiLite
from .axi_lite import AxiLiteTarget
from .layouts import Fault
from .page_table import Refusal
from .register_memory import WORDS, RegisterMemory
from .register_port import RegisterPort
from .register_reader import RegisterReader

__all__ = ["RegisterWindow"]


class RegisterWindow(wiring.Component):
    """Carries out accesses: writes one a cycle, reads in a few cycles, all in one order.

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
        m.submodules.target = target = AxiLiteTarget()
        m.submodules.decoder = decoder = AccessDecoder(self.config)
        m.submodules.reader = reader = RegisterReader(len(self.blocks))
        wiring.connect(m, wiring.flipped(self.bus), target.bus)
        wiring.connect(m, target.accesses, decoder.accesses)
        valid, request = decoder.requests.valid, decoder.requests.p
        reaches, due, done = Signal(len(self.blocks)), Signal(), Signal()
        ports = [getattr(self, name) for name in self.blocks]
        m.d.comb += [
            # The block, if the request is let through to it.
            reaches.eq(Cat(request.good & request.to(name)
                           & (1 if name == "card" else ~self.closed) for name in self.blocks)),
            due.eq(valid & request.write & target.free & ~(self.clearing & request.to("card"))),
            done.eq(due & ~(reaches & ~Cat(port.ready for port in ports)).any()),
            reader.start.eq(valid & ~request.write), reader.reaches.eq(reaches),
            reader.answered.eq(Cat(port.answered for port in ports)),
            target.written.eq(done), target.found.eq(reader.done), target.good.eq(request.good),
            target.value.eq(reader.found), decoder.requests.ready.eq(done | reader.done),
            self.refusal.valid.eq(decoder.requests.ready & ~request.good),
            self.refusal.fault.eq(Fault.REGISTER_ACCESS),
        ]
        for number, port in enumerate(ports):
            m.d.comb += [
                port.write.eq(due & reaches[number]), port.data.eq(request.data),
                port.write_index.eq(request.index), port.write_offset.eq(request.offset),
                port.read.eq(reader.read[number]), reader.values[number].eq(port.value),
                port.read_index.eq(request.index), port.read_offset.eq(request.offset),
            ]
        self._remember(m, request, reaches, done, reader)
        return m

    def _remember(self, m, request, reaches, done, reader):
        """Keep what is written to some blocks, and let it be read."""
        m.submodules.register_memory = memory = RegisterMemory(self.config)
        card, pool, queue = (reaches[list(self.blocks).index(name)]
                             for name in ("card", "pool", "queue"))
        m.d.comb += [
            reader.recalls.eq(card | pool | (queue & (request.offset < 4 * WORDS))),
            memory.write.eq(done & reader.recalls & ~self.refused), memory.data.eq(request.data),
            memory.place.card.eq(request.to("card")), memory.place.pool.eq(request.to("pool")),
            memory.place.index.eq(request.index), memory.place.word.eq(request.offset[2:]),
            memory.asked.eq(memory.place), memory.ask.eq(reader.ask),
            reader.recalled.eq(memory.answered), reader.memory.eq(memory.value),
            memory.clear.eq(self.clear), self.clearing.eq(memory.sweeping),
        ]
