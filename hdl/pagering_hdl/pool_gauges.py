"""What the host can know of a pool cheaply: its counts, and its oldest page."""

from amaranth.lib import wiring

from .assembly import Assembly
from .count_mirror import CountMirror
from .oldest_pages import OldestPages
from .pool_monitor import PoolMonitor

__all__ = ["PoolGauges"]


class PoolGauges(Assembly):
    """Looks at one pool after the other.

    ::

        ring, pages -> monitor -> low, view -> mirror -> jobs, beats
        pages -------> oldest
    """

    def __init__(self, config):
        self.config = config
        self.monitor = PoolMonitor(config.pools)
        if config.pool_watch:
            self.mirror = CountMirror(config)
            self.oldest = OldestPages(config)

    def wire(self, m, engine):
        monitor, admission, store = self.monitor, engine.receive.admission, engine.store
        for asks, answers in (
                (monitor.counts, store.ring.counts[1]),
                (monitor.outstanding, store.pages.outstanding),
                (monitor.granted, admission.pool_granted),
                (monitor.thresholds, engine.registers.pool_registers.thresholds)):
            wiring.connect(m, asks, answers)
        m.d.comb += monitor.runs.eq(admission.pool_runs)
        if self.config.pool_watch:
            self._watch(m, engine)

    def _watch(self, m, engine):
        mirror, lifecycle = self.mirror, engine.control.lifecycle
        registers, store = engine.registers, engine.store
        wiring.connect(m, mirror.settings, registers.pool_registers.mirror)
        if self.config.pull_returns:
            wiring.connect(m, engine.returns.return_rings.mirrors, mirror.indices)
        m.d.comb += [
            mirror.period.eq(registers.card_registers.mirror_timer.cycles),
            mirror.view.eq(self.monitor.view), mirror.closed.eq(engine.closed),
            mirror.pools.eq(lifecycle.pools.enabled), mirror.queues.eq(lifecycle.queues.enabled),
            self.oldest.valid.eq(store.regions.valid), self.oldest.moved.eq(store.pages.moved),
        ]
