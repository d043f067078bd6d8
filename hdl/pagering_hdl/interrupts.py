"""One interrupt for each queue: it fires once, masks itself, and is armed without a race.

The host arms with the index up to which it has read. What became visible between its last look
and the arming is past that index, so the interrupt is due as if it had come after; there is no
moment at which a completion can go unnoticed.

No queue has a timer of its own. A walk looks at the queues in turn, one a cycle, and judges each
by what the tables hold: an interrupt fires at most a round and four cycles after it is due.
"""

from amaranth.hdl import Assert, Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

from .layouts import Index, Kind, RingIndex, Visible
from .moderation import Moderation, ModerationRule, Units
from .state_table import Lookup, StateTable

__all__ = ["Arm", "Interrupts", "QueueView"]

ROUND_MIN = 8
"""A queue is judged again only when its last verdict has been acted upon."""


class Arm(data.Struct):
    """An event: the host arms a queue's interrupt."""

    valid: unsigned(1)
    queue: Index
    index: RingIndex


class QueueView(data.Struct):
    """A queue, and the index up to which its completions are visible."""

    queue: Index
    produced: RingIndex


class Interrupts(wiring.Component):
    """Fires when enough completions past the armed index are visible, or for long enough.

    Members
    -------
    visible : :py:`In(Visible)`
    arm : :py:`In(Arm)`
    restart : :py:`In(1)`, restart_index : :py:`In(Index)`
        Event: the host enables a queue. Its interrupt is disarmed, and its index set back.
    force : :py:`In(1)`, force_index : :py:`In(Index)`
        Event: the host wants an interrupt now, or as soon as it is armed.
    moderation : :py:`Out(Lookup(Index, Moderation))`
    view : :py:`Out(QueueView)`
        One queue after the other, as it is just now.
    armed, fired : :py:`Out(queues)`
        A bit for each queue. ``fired`` stays until the queue is armed again.
    """

    def __init__(self, queues):
        self.queues = queues
        super().__init__({
            "visible": In(Visible), "arm": In(Arm), "view": Out(QueueView),
            "restart": In(1), "restart_index": In(Index),
            "force": In(1), "force_index": In(Index),
            "moderation": Out(Lookup(Index, Moderation)),
            "armed": Out(queues), "fired": Out(queues),
        })

    def elaborate(self, platform):
        m = Module()
        # A queue has nothing in its ring from its start to its first completion, whatever the table
        # says of its past.
        self.fresh = Signal(self.queues, init=-1)
        self.waits, self.forced = Signal(self.queues), Signal(self.queues)
        # The host has armed since the queue was last looked at: a verdict under way is of before.
        self.changed = Signal(self.queues)
        now, cycles = Signal(Units), Signal(range(abi.MODERATION_CYCLES))
        m.d.sync += cycles.eq(cycles + 1)
        with m.If(cycles == abi.MODERATION_CYCLES - 1):
            m.d.sync += now.eq(now + 1)
        m.submodules.rule = rule = ModerationRule()
        m.submodules.since = since = StateTable(Units, depth=self.queues, cleared=False)
        m.d.comb += [rule.now.eq(now), since.write.addr.eq(rule.verdict.queue),
                     since.write.data.eq(now)]
        self._walk(m, rule.candidate, since)
        self._act(m, rule.verdict, since)
        self._obey(m)
        return m

    def _walk(self, m, candidate, since):
        """Look at the queues in turn."""
        m.submodules.produced_table = produced = StateTable(RingIndex, depth=self.queues,
                                                            cleared=False)
        m.submodules.targets = targets = StateTable(RingIndex, depth=self.queues, cleared=False)
        visible, arm, queue = self.visible, self.arm, Signal(Index)
        moves = visible.valid & (visible.kind == Kind.SEGMENT)
        seen = Signal(RingIndex, reset_less=True)
        m.d.comb += [
            produced.write.en.eq(moves), produced.write.addr.eq(visible.index),
            produced.write.data.eq(visible.produced), candidate.produced.eq(seen),
            targets.write.en.eq(arm.valid), targets.write.addr.eq(arm.queue),
            targets.write.data.eq(arm.index),
            self.moderation.addr.eq(queue), since.read[0].addr.eq(queue),
            produced.read[0].addr.eq(queue), targets.read[0].addr.eq(queue),
            self.view.queue.eq(candidate.queue), self.view.produced.eq(candidate.produced),
        ]
        with m.If(moves):
            m.d.sync += self.fresh.bit_select(visible.index, 1).eq(0)
        last = max(ROUND_MIN, self.queues) - 1
        m.d.sync += [
            queue.eq(Mux(queue == last, 0, queue + 1)),
            candidate.valid.eq(queue < self.queues), candidate.queue.eq(queue),
            seen.eq(Mux(self.fresh.bit_select(queue, 1), 0, produced.read[0].data)),
            candidate.armed.eq(targets.read[0].data), candidate.since.eq(since.read[0].data),
            candidate.waits.eq(self.waits.bit_select(queue, 1)),
            candidate.limits.eq(self.moderation.data),
        ]
        with m.If(queue < self.queues):
            m.d.sync += self.changed.bit_select(queue, 1).eq(0)

    def _act(self, m, verdict, since):
        """Fire, or note since when completions wait."""
        queue = verdict.queue
        armed, forced = self.armed.bit_select(queue, 1), self.forced.bit_select(queue, 1)
        counts = Signal()
        m.d.comb += [
            counts.eq(verdict.valid & armed & ~self.changed.bit_select(queue, 1)),
            since.write.en.eq(counts & verdict.pending & ~self.waits.bit_select(queue, 1)),
        ]
        with m.If(since.write.en):
            m.d.sync += self.waits.bit_select(queue, 1).eq(1)
        with m.If(counts & (verdict.due | forced)):
            m.d.sync += [armed.eq(0), forced.eq(0), self.fired.bit_select(queue, 1).eq(1),
                         Assert(~self.fired.bit_select(queue, 1))]

    def _obey(self, m):
        """What the host says comes last, and so first."""
        arm = self.arm
        with m.If(self.force):
            m.d.sync += self.forced.bit_select(self.force_index, 1).eq(1)
        with m.If(self.restart):
            m.d.sync += self.fresh.bit_select(self.restart_index, 1).eq(1)
            m.d.sync += [bits.bit_select(self.restart_index, 1).eq(0)
                         for bits in (self.armed, self.fired, self.waits, self.forced)]
        with m.If(arm.valid):
            m.d.sync += [self.armed.bit_select(arm.queue, 1).eq(1),
                         self.changed.bit_select(arm.queue, 1).eq(1)]
            m.d.sync += [bits.bit_select(arm.queue, 1).eq(0) for bits in (self.fired, self.waits)]
