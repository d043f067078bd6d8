"""One interrupt for each queue: it fires once, masks itself, and is armed without a race.

The host arms with the index up to which it has read. What became visible between its last look
and the arming is past that index, so the interrupt fires at once; there is no moment at which a
completion can go unnoticed.
"""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .layouts import Index, Kind, RingIndex, Visible
from .state_table import Lookup, StateTable

__all__ = ["Arm", "Interrupts"]


class Arm(data.Struct):
    """An event: the host arms a queue's interrupt."""

    valid: unsigned(1)
    queue: Index
    index: RingIndex


class Interrupts(wiring.Component):
    """Fires when a completion past the armed index is visible.

    Members
    -------
    visible : :py:`In(Visible)`
    arm : :py:`In(Arm)`
    restart : :py:`In(1)`, restart_index : :py:`In(Index)`
        Event: the host enables a queue. Its interrupt is disarmed, and its index set back.
    produced : :py:`In(Lookup(Index, RingIndex))`
        Index up to which a queue's completions are visible.
    armed, fired : :py:`Out(queues)`
        A bit for each queue. ``fired`` stays until the queue is armed again.
    """

    def __init__(self, queues):
        self.queues = queues
        super().__init__({
            "visible": In(Visible), "arm": In(Arm), "produced": In(Lookup(Index, RingIndex)),
            "restart": In(1), "restart_index": In(Index),
            "armed": Out(queues), "fired": Out(queues),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.produced_table = produced = StateTable(RingIndex, depth=self.queues, reads=2)
        m.submodules.targets = targets = StateTable(RingIndex, depth=self.queues)
        visible, arm = self.visible, self.arm
        # The mark of a start comes behind frames, but the host may arm at once: until the mark is
        # here, nothing of the queue's ring is visible, whatever the table says of its past.
        fresh = Signal(self.queues)
        starts = visible.valid & (visible.kind == Kind.START_QUEUE)
        moves = visible.valid & (visible.kind == Kind.SEGMENT)
        m.d.comb += [
            produced.write.en.eq(starts | moves), produced.write.addr.eq(visible.index),
            produced.write.data.eq(Mux(starts, 0, visible.produced)),
            produced.read[0].addr.eq(arm.queue),
            targets.write.en.eq(arm.valid), targets.write.addr.eq(arm.queue),
            targets.write.data.eq(arm.index), targets.read[0].addr.eq(visible.index),
            produced.read[1].addr.eq(self.produced.addr),
            self.produced.data.eq(Mux(fresh.bit_select(self.produced.addr, 1), 0,
                                      produced.read[1].data)),
        ]
        # Where arming and a completion meet in one cycle, arming sees the completion.
        now = Signal(RingIndex)
        m.d.comb += now.eq(Mux(moves & (visible.index == arm.queue), visible.produced, Mux(
            fresh.bit_select(arm.queue, 1), 0, produced.read[0].data)))
        with m.If(moves & self.armed.bit_select(visible.index, 1)
                  & _past(visible.produced, targets.read[0].data)):
            m.d.sync += [self.armed.bit_select(visible.index, 1).eq(0),
                         self.fired.bit_select(visible.index, 1).eq(1)]
        with m.If(starts):
            m.d.sync += fresh.bit_select(visible.index, 1).eq(0)
        # An interrupt that is armed again must be seen to fall before it rises: it fires a cycle
        # later at the earliest.
        late = Signal(Arm)
        m.d.sync += [late.eq(arm), late.valid.eq(arm.valid & _past(now, arm.index))]
        with m.If(late.valid & self.armed.bit_select(late.queue, 1)):
            m.d.sync += [self.armed.bit_select(late.queue, 1).eq(0),
                         self.fired.bit_select(late.queue, 1).eq(1)]
        with m.If(self.restart):
            m.d.sync += [fresh.bit_select(self.restart_index, 1).eq(1),
                         self.armed.bit_select(self.restart_index, 1).eq(0),
                         self.fired.bit_select(self.restart_index, 1).eq(0)]
        with m.If(arm.valid):
            m.d.sync += [self.armed.bit_select(arm.queue, 1).eq(1),
                         self.fired.bit_select(arm.queue, 1).eq(0)]
        return m


def _past(produced, consumed):
    """Whether there is a completion at or past ``consumed``, up to a whole ring ahead."""
    ahead = (produced - consumed)[:RingIndex.width]
    return (ahead != 0) & (ahead <= 1 << (RingIndex.width - 1))
