"""The host's side: the registers of every block, and what they set and show."""

from amaranth.lib import wiring

from .assembly import Assembly
from .card_registers import CardRegisters
from .pool_registers import PoolRegisters
from .queue_registers import QueueRegisters
from .region_registers import RegionRegisters
from .steer_registers import SteerRegisters
from .user_registers import UserRegisters

__all__ = ["RegisterSide"]


class RegisterSide(Assembly):
    """What the host writes becomes a setting or a command; what it reads is found here."""

    def __init__(self, config):
        self.config = config
        self.card_registers = CardRegisters(config)
        self.pool_registers = PoolRegisters(config)
        self.region_registers = RegionRegisters(config)
        self.queue_registers = QueueRegisters(config)
        self.user_registers = UserRegisters(config)
        if config.steering:
            self.steer_registers = SteerRegisters(config)

    def wire(self, m, engine):
        for name in ("card", "pool", "region", "queue", "user"):
            wiring.connect(m, wiring.flipped(getattr(engine, name)),
                           getattr(self, f"{name}_registers").port)
        if self.config.steering:
            wiring.connect(m, wiring.flipped(engine.steer), self.steer_registers.port)
        self._show_card(m, engine)
        self._show_pools(m, engine)
        self._show_queues(m, engine)

    def _show_card(self, m, engine):
        card, monitor, tracker = self.card_registers, engine.gauges.monitor, engine.writes.tracker
        pauser, statistics = engine.control.pauser, engine.counters.statistics
        m.d.comb += [
            card.low_water.eq(monitor.low), card.low_water_event.eq(monitor.fell),
            card.resetting.eq(engine.closed), card.quiet.eq(engine.idle),
            card.pause_status.eq(pauser.status), card.fifo_peak.eq(pauser.peak),
            card.fault_event.eq(statistics.fault),
            card.error_event.eq(tracker.data_error | tracker.line_error | tracker.mirror_error
                                | statistics.refusals[5].valid),
        ]
        if self.config.timestamps:
            m.d.comb += card.captured.eq(engine.control.clock.captured)

    def _show_pools(self, m, engine):
        pool, region, store = self.pool_registers, self.region_registers, engine.store
        switch = engine.control.lifecycle.pools
        wiring.connect(m, pool.retire, region.retire)
        wiring.connect(m, pool.peak, engine.receive.admission.pool_peak)
        wiring.connect(m, region.slot, store.regions.row)
        if self.config.pool_watch:
            wiring.connect(m, pool.oldest, engine.gauges.oldest.shown)
        m.d.comb += [
            pool.refused.eq(switch.refused), pool.drained.eq(switch.drained),
            pool.low.eq(engine.gauges.monitor.low), pool.view.eq(engine.gauges.monitor.view),
            region.high.eq(self.card_registers.region_high.address),
            region.valid.eq(store.regions.valid), region.loading.eq(store.loader.loading),
            region.loading_slot.eq(store.loader.loading_slot),
        ]

    def _show_queues(self, m, engine):
        queue, user = self.queue_registers, self.user_registers
        interrupts, switch = engine.completions.interrupts, engine.control.lifecycle.queues
        already = switch.enabled.bit_select(queue.set_index, 1)
        wiring.connect(m, queue.granted, engine.receive.admission.queue_granted)
        wiring.connect(m, queue.recycled, engine.store.pages.queue_recycled[1])
        wiring.connect(m, user.counters, engine.counters.stats_registers.queues)
        if self.config.pull_returns:
            wiring.connect(m, queue.ring_word, engine.returns.return_rings.shown)
        m.d.comb += [
            queue.refused.eq(switch.refused), queue.drained.eq(switch.drained),
            queue.view.eq(interrupts.view), queue.armed.eq(interrupts.armed),
            queue.fired.eq(interrupts.fired),
            user.restart.eq(queue.set & queue.enable & ~queue.refused & ~already),
            user.restart_index.eq(queue.set_index),
        ]
