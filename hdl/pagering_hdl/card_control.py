"""What the card does as a whole: starts and drains, tells the time, asks for silence."""

from amaranth.lib import wiring

from .assembly import Assembly
from .clock import Clock
from .layouts import Kind
from .lifecycle import Lifecycle
from .pause import Pause

__all__ = ["CardControl"]


class CardControl(Assembly):
    """Starts and drains by marks that go down the frames' way; pauses the sender.

    ::

        enable bits -> lifecycle -> marks -> (admission ... tracker) -> fences -> drained
    """

    def __init__(self, config):
        self.config = config
        self.lifecycle = Lifecycle(config)
        if config.timestamps:
            self.clock = Clock()
        self.pauser = Pause(config)

    def wire(self, m, engine):
        if self.config.timestamps:
            wiring.connect(m, engine.registers.card_registers.clock_orders, self.clock.orders)
        self._start_and_drain(m, engine)
        self._pause(m, engine)

    def _start_and_drain(self, m, engine):
        lifecycle, visible = self.lifecycle, engine.writes.tracker.visible
        pool, queue = engine.registers.pool_registers, engine.registers.queue_registers
        for bank, switch, fence in ((pool, lifecycle.pools, Kind.FENCE_POOL),
                                    (queue, lifecycle.queues, Kind.FENCE_QUEUE)):
            m.d.comb += [
                switch.set.eq(bank.set), switch.index.eq(bank.set_index),
                switch.enable.eq(bank.enable),
                switch.fenced.eq(visible.valid & (visible.kind == fence)),
                switch.fenced_index.eq(visible.index),
            ]
        m.d.comb += [lifecycle.pools.allowed.eq(1), lifecycle.queues.allowed.eq(queue.allowed)]
        if self.config.pull_returns:
            m.d.comb += lifecycle.queues.busy.eq(engine.returns.return_rings.unfinished)

    def _pause(self, m, engine):
        pauser, card, receive = self.pauser, engine.registers.card_registers, engine.receive
        m.d.comb += [
            pauser.enable.eq(card.pause), pauser.levels.eq(card.pause_levels),
            pauser.level.eq(receive.fifo.level), pauser.held.eq(receive.admission.waits),
            pauser.low.eq(engine.gauges.monitor.low.any()),
        ]
