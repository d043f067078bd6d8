"""One interrupt for each queue: it fires once, masks itself, and is armed without a race.

The host arms with the index up to which it has read. What became visible between its last look
and the arming is past that index, so the interrupt is due as if it had come after; there is no
moment at which a completion can go unnoticed.

No queue has a timer of its own. A walk looks at the queues in turn, one a cycle, and judges each
by what the tables hold: an interrupt fires at most a round and four cycles after it is due.
"""

from amaranth.hdl import Assert, Cat, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

from .layouts import Index, RingIndex, Visible
from .moderation import Moderation, ModerationRule, Units
from .queue_walk import Arm, QueueWalk
from .state_table import Lookup, StateTable

__all__ = ["Interrupts", "QueueView"]


class QueueView(data.Struct):
    """A queue, and the index up to which its completions are visible."""

    queue: Index
    produced: RingIndex


class Interrupts(wiring.Component):
    """Fires when enough completions past the armed index are visible, or for long enough.

    Members
    -------
    visible : :py:`In(Visible)`, arm : :py:`In(Arm)`
    restart : :py:`In(1)`, restart_index : :py:`In(Index)`
        Event: the host enables a queue. Its interrupt is disarmed, and its index set back.
    force : :py:`In(1)`, force_index : :py:`In(Index)`
        Event: the host wants an interrupt now, or as soon as it is armed.
    moderation : :py:`Out(Lookup(Index, Moderation))`
    view : :py:`Out(QueueView)`
        One queue after the other, as it is just now.
    armed, fired : :py:`Out(queues)`
        A bit for each queue. ``fired`` stays until the queue is armed again.
    timing : :py:`Out(1)`
        Completions wait for their time, or for others to come.
    """

    def __init__(self, queues):
        self.queues = queues
        super().__init__({
            "visible": In(Visible), "arm": In(Arm), "view": Out(QueueView),
            "restart": In(1), "restart_index": In(Index), "force": In(1), "force_index": In(Index),
            "moderation": Out(Lookup(Index, Moderation)),
            "armed": Out(queues), "fired": Out(queues), "timing": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        self.waits, self.forced = Signal(self.queues), Signal(self.queues)
        # The host has armed since the queue was last looked at: a verdict under way is of before.
        self.changed = Signal(self.queues)
        now, cycles = Signal(Units), Signal(range(abi.MODERATION_CYCLES))
        m.submodules.walk = walk = QueueWalk(self.queues)
        m.submodules.rule = rule = ModerationRule()
        m.submodules.since = since = StateTable(Units, depth=self.queues, cleared=False)
        wiring.connect(m, walk.since, since.read[0])
        wiring.connect(m, walk.moderation, wiring.flipped(self.moderation))
        m.d.sync += cycles.eq(cycles + 1)
        with m.If(cycles == abi.MODERATION_CYCLES - 1):
            m.d.sync += now.eq(now + 1)
        m.d.comb += [
            walk.visible.eq(self.visible), walk.arm.eq(self.arm), walk.waits.eq(self.waits),
            walk.restart.eq(self.restart), walk.restart_index.eq(self.restart_index),
            rule.now.eq(now), rule.candidate.eq(walk.candidate),
            self.timing.eq((self.armed & self.waits).any()),
            self.view.eq(Cat(walk.candidate.queue, walk.candidate.produced)),
            since.write.addr.eq(rule.verdict.queue), since.write.data.eq(now),
        ]
        with m.If(walk.looks):
            m.d.sync += self.changed.bit_select(walk.queue, 1).eq(0)
        self._act(m, rule.verdict, since)
        self._obey(m)
        return m

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
            m.d.sync += [bits.bit_select(self.restart_index, 1).eq(0)
                         for bits in (self.armed, self.fired, self.waits, self.forced)]
        with m.If(arm.valid):
            m.d.sync += [self.armed.bit_select(arm.queue, 1).eq(1),
                         self.changed.bit_select(arm.queue, 1).eq(1)]
            m.d.sync += [bits.bit_select(arm.queue, 1).eq(0) for bits in (self.fired, self.waits)]
