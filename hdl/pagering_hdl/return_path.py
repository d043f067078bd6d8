"""The way of tokens: written by the host, or fetched from its memory, to the page table."""

from amaranth.lib import wiring

from .assembly import Assembly
from .layouts import Return
from .return_arbiter import ReturnArbiter
from .return_checker import ReturnChecker
from .return_reader import ReturnReader
from .return_rings import ReturnRings
from .streams import StreamQueue, StreamRelay

__all__ = ["ReturnPath"]


class ReturnPath(Assembly):
    """Takes tokens back, both ways.

    ::

        returns ------------------------------------> pushed -> arbiter -> checker -> checked
        doorbells -> return_rings <-> return_reader -------------^
                                           ^
                                        read_bus
    """

    def __init__(self, config):
        self.config = config
        # On a narrow bus frames do not need more returns than one in two cycles.
        self.pushed = StreamRelay(Return) if config.short_cuts else StreamQueue(Return, depth=16)
        self.arbiter = ReturnArbiter()
        self.checker = ReturnChecker(config)
        if config.pull_returns:
            self.return_rings = ReturnRings(config)
            self.return_reader = ReturnReader(config)

    def wire(self, m, engine):
        user = engine.registers.user_registers
        wiring.connect(m, user.returns, self.pushed.i)
        wiring.connect(m, self.pushed.o, self.arbiter.pushed)
        wiring.connect(m, self.arbiter.returns, self.checker.returns)
        m.d.comb += self.checker.valid.eq(engine.store.regions.valid)
        if self.config.pull_returns:
            self._pull(m, engine)
        else:
            m.d.comb += user.doorbells.ready.eq(1)

    def _pull(self, m, engine):
        """From doorbells to tokens."""
        rings, reader, registers = self.return_rings, self.return_reader, engine.registers
        wiring.connect(m, registers.user_registers.doorbells, rings.doorbells)
        wiring.connect(m, registers.queue_registers.ring_setting, rings.setting)
        wiring.connect(m, rings.reads, reader.reads)
        wiring.connect(m, reader.finished, rings.finished)
        wiring.connect(m, reader.tokens, self.arbiter.pulled)
        wiring.connect(m, reader.bus, wiring.flipped(engine.read_bus))
        m.d.comb += [rings.enabled.eq(engine.control.lifecycle.queues.enabled),
                     rings.refuses.eq(engine.refused)]
