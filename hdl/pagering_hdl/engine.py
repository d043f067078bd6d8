"""The receive engine: all parts, wired.

A frame's way, assembly by assembly::

    frames -> receive -----------------> store -------> writes -> bus
                 |      segments                            |
                 | facts                                    | written
                 +------------------> completions <---------+
                                       |       |
                            deliveries |       +-> lines to write, interrupts
                                       v
    tokens -> returns --------------> store

Each assembly is a page of its own, with the parts that it has and the wires to them: how frames
come in is in ``receive_path``, how memory is found for them in ``page_store``, how they are written
in ``write_path`` and announced in ``completion_path``, and how memory comes back in
``return_path``. ``card_control`` starts and drains; ``register_side`` has what the host sets and
sees, ``pool_gauges`` what it is shown unasked, ``counting`` what is counted.
"""

from amaranth.hdl import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .address_decoder import blocks
from .axi import AxiRead, AxiStream, AxiWrite
from .card_control import CardControl
from .completion_path import CompletionPath
from .counting import Counting
from .page_store import PageStore
from .page_table import Refusal
from .pool_gauges import PoolGauges
from .receive_path import ReceivePath
from .register_port import RegisterPort
from .register_side import RegisterSide
from .return_path import ReturnPath
from .write_path import WritePath

__all__ = ["Engine"]

ASSEMBLIES = {
    "receive": ReceivePath, "store": PageStore, "writes": WritePath,
    "completions": CompletionPath, "returns": ReturnPath, "gauges": PoolGauges,
    "control": CardControl, "registers": RegisterSide, "counters": Counting,
}


class Engine(wiring.Component):
    """Everything but the register window and the reset control. Only wires.

    Members
    -------
    frames : :py:`In(AxiStream(bits))`, bus : :py:`Out(AxiWrite(bits))`,
    read_bus : :py:`Out(AxiRead(bits))`
    card, region, pool, queue, user, steer, stats : :py:`In(RegisterPort())`
        Those that the card has.
    access_refusal : :py:`In(Refusal)`, refused : :py:`Out(1)`
        From the register window, and to it: what it writes in this cycle is refused.
    irq : :py:`Out(queues + 1)`
        A bit for each queue; the last one for events.
    pause : :py:`Out(1)`
        The other side of the wire should be silent.
    closed : :py:`In(1)`
        Take no new frame: a reset is near.
    clearing : :py:`In(1)`
        Take no beat: tables are being cleared.
    reset : :py:`Out(1)`
        The host asks for a reset.
    idle : :py:`Out(1)`
        No frame inside, no write or read under way.
    timing : :py:`Out(1)`
        The host may hear of something when a timer ends, though nothing comes from outside.
    """

    def __init__(self, config):
        self.config = config
        super().__init__({
            "frames": In(AxiStream(config.bus_bits)), "bus": Out(AxiWrite(config.bus_bits)),
            "read_bus": Out(AxiRead(config.bus_bits)),
            **{name: In(RegisterPort()) for name in blocks(config)},
            "access_refusal": In(Refusal), "refused": Out(1),
            "irq": Out(config.queues + 1), "pause": Out(1),
            "closed": In(1), "clearing": In(1), "reset": Out(1), "idle": Out(1),
            "timing": Out(1),
        })

    @staticmethod
    def parts(config):
        """Return the parts of an engine by name."""
        return {name: part for kind in ASSEMBLIES.values()
                for name, part in kind(config).parts().items()}

    def elaborate(self, platform):
        m = Module()
        assemblies = {name: kind(self.config) for name, kind in ASSEMBLIES.items()}
        for name, assembly in assemblies.items():
            setattr(self, name, assembly)
            for part_name, part in assembly.parts().items():
                m.submodules[part_name] = part
        for assembly in assemblies.values():
            assembly.wire(m, self)
        card, interrupts = self.registers.card_registers, self.completions.interrupts
        m.d.comb += [
            self.irq.eq(Cat(interrupts.fired, card.irq)), self.reset.eq(card.reset),
            self.pause.eq(self.control.pauser.status.pause), self.idle.eq(self._is_idle()),
            self.refused.eq(self.counters.refused.valid), self.timing.eq(self._is_timing()),
        ]
        return m

    def _is_timing(self):
        timing = (self.completions.interrupts.timing | ~self.completions.lines.idle
                  | ~self.store.loader.idle)
        if self.config.pool_watch:
            timing |= self.gauges.mirror.timing
        return timing

    def _is_idle(self):
        writes, completions = self.writes, self.completions
        inside = (~self.receive.fifo.empty | writes.mirroring
                  | self.control.lifecycle.queues.busy.any())
        return ~inside & writes.idle & (
            completions.lines.idle & completions.announcer.idle & completions.reader.idle)
