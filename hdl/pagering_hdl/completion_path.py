"""The way of completions: from a written segment to the host's interrupt."""

from amaranth.lib import wiring

from .assembly import Assembly
from .completion_lines import CompletionLines
from .deliverer import Deliverer
from .interrupts import Interrupts
from .layouts import Facts
from .line_announcer import LineAnnouncer
from .line_reader import LineReader
from .streams import StreamQueue, StreamRelay

__all__ = ["CompletionPath"]

FACTS_DEPTH = 512
"""Frames between admission and delivery; one block RAM deep, more than responses can be late."""


class CompletionPath(Assembly):
    """Hands written segments to the host: a completion in a line, the line in memory, a signal.

    ::

        facts --v
        written -> deliverer -> lines -> announcer -> jobs
                       |          ^          |
                       v          |          v
                  deliveries      +------- reader -> beats

        visible -> interrupts -> irq

    What the card knows of a frame waits in ``facts``, from admission to the deliverer, if it knows
    anything.
    """

    def __init__(self, config):
        self.config = config
        if config.knows_facts:
            self.facts = StreamQueue(Facts, depth=FACTS_DEPTH, block=True)
            if config.short_cuts:
                # There is time to break the way of ready, and to bring what is far away nearer.
                self.new_facts, self.next_facts = StreamRelay(Facts), StreamRelay(Facts)
        self.deliverer = Deliverer()
        self.lines = CompletionLines(config)
        self.announcer = LineAnnouncer(config)
        self.reader = LineReader(config)
        self.interrupts = Interrupts(config.queues)

    def wire(self, m, engine):
        tracker = engine.writes.tracker
        deliverer, lines, announcer, reader = (self.deliverer, self.lines, self.announcer,
                                               self.reader)
        self._remember(m, engine.receive.admission.facts)
        wiring.connect(m, tracker.written, deliverer.written)
        wiring.connect(m, deliverer.entries, lines.entries)
        wiring.connect(m, lines.requests, announcer.requests)
        wiring.connect(m, announcer.reads, reader.requests)
        wiring.connect(m, lines.shape, engine.registers.queue_registers.shape)
        wiring.connect(m, lines.base, engine.registers.queue_registers.base)
        m.d.comb += [
            lines.address.eq(reader.address), lines.read.eq(reader.read),
            reader.stored.eq(lines.stored),
            lines.period.eq(engine.registers.card_registers.flush_timer.cycles),
            lines.empty.eq(engine.receive.fifo.empty), lines.settled.eq(tracker.settled),
        ]
        self._interrupt(m, engine)

    def _remember(self, m, facts):
        if self.config.knows_facts:
            if self.config.short_cuts:
                wiring.connect(m, facts, self.new_facts.i)
                wiring.connect(m, self.new_facts.o, self.facts.i)
                wiring.connect(m, self.facts.o, self.next_facts.i)
                wiring.connect(m, self.next_facts.o, self.deliverer.facts)
            else:
                wiring.connect(m, facts, self.facts.i)
                wiring.connect(m, self.facts.o, self.deliverer.facts)
        else:
            m.d.comb += [facts.ready.eq(1), self.deliverer.facts.valid.eq(1)]

    def _interrupt(self, m, engine):
        interrupts, user = self.interrupts, engine.registers.user_registers
        queue = engine.registers.queue_registers
        wiring.connect(m, interrupts.moderation, queue.moderation)
        m.d.comb += [
            interrupts.visible.eq(engine.writes.tracker.visible), interrupts.arm.eq(user.arm),
            interrupts.restart.eq(user.restart), interrupts.restart_index.eq(user.restart_index),
            interrupts.force.eq(queue.force), interrupts.force_index.eq(queue.set_index),
        ]
