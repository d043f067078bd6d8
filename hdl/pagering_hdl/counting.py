"""Every event of the engine to its counter."""

from amaranth.hdl import Signal
from amaranth.lib import wiring

from .assembly import Assembly
from .counter_registers import StatsRegisters
from .layouts import Fault
from .page_table import Refusal
from .statistics import Statistics

__all__ = ["Counting"]


class Counting(Assembly):
    """The counters, what they count, and the registers that show them."""

    def __init__(self, config):
        self.config = config
        self.stats_registers = StatsRegisters(config)
        self.statistics = Statistics(config)
        self.refused = Signal(Refusal)
        """What the registers refuse in this cycle."""

    def wire(self, m, engine):
        wiring.connect(m, wiring.flipped(engine.stats), self.stats_registers.port)
        wiring.connect(m, self.stats_registers.lookup, self.statistics.lookup)
        self._frames(m, engine)
        self._refusals(m, engine)
        self._bus(m, engine)

    def _frames(self, m, engine):
        statistics, gate, pages = self.statistics, engine.receive.gate, engine.store.pages
        arrivals, pauser = engine.receive.steering.arrivals, engine.control.pauser
        m.d.comb += [
            statistics.ended.eq(gate.ended), statistics.size.eq(gate.size),
            statistics.taken.eq(gate.taken), statistics.first.eq(gate.first),
            statistics.beat.eq(gate.beat), statistics.good.eq(gate.commit),
            statistics.gate_drop.eq(gate.dropped), statistics.arrival.eq(arrivals.p),
            statistics.decided.eq(arrivals.valid & arrivals.ready),
            statistics.admission_drop.eq(engine.receive.admission.dropped),
            statistics.accepted.eq(pages.accepted),
            statistics.recycled.eq(pages.recycled.valid & pages.recycled.ready),
            statistics.pause.eq(pauser.status.pause), statistics.pause_begins.eq(pauser.begins),
        ]

    def _refusals(self, m, engine):
        """Tell what is refused by those who refuse, and who refuses a return ring's doorbell."""
        registers, returns = engine.registers, engine.returns
        sources = [registers.card_registers, registers.pool_registers, registers.region_registers,
                   registers.queue_registers]
        if self.config.steering:
            sources.append(registers.steer_registers)
        # The registers refuse one write at a time, so one of these at most is valid.
        for source in sources:
            with m.If(source.refusal.valid):
                m.d.comb += self.refused.eq(source.refusal)
        checked, held, written, accessed, rung, fetched = self.statistics.refusals
        m.d.comb += [
            checked.eq(returns.checker.refusal), held.eq(engine.store.pages.refusal),
            written.eq(self.refused), accessed.eq(engine.access_refusal),
        ]
        if self.config.pull_returns:
            m.d.comb += [rung.eq(returns.return_rings.refusal),
                         fetched.eq(returns.return_reader.failed)]
        else:
            m.d.comb += [rung.valid.eq(registers.user_registers.doorbells.valid),
                         rung.fault.eq(Fault.REGISTER_VALUE)]

    def _bus(self, m, engine):
        statistics, bus, tracker = self.statistics, engine.bus, engine.writes.tracker
        m.d.comb += [
            statistics.visible.eq(tracker.visible),
            statistics.mirror_error.eq(tracker.mirror_error),
            statistics.data_error.eq(tracker.data_error),
            statistics.line_error.eq(tracker.line_error),
            statistics.burst.eq(bus.awvalid & bus.awready),
            statistics.beat_taken.eq(bus.wvalid & bus.wready), statistics.strobe.eq(bus.wstrb),
        ]
