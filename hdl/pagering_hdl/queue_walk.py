"""A walk past all queues: how far each has come, and how far its host has."""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .layouts import Index, Kind, RingIndex, Visible
from .moderation import Candidate, Moderation, Units
from .state_table import Lookup, StateTable

__all__ = ["Arm", "QueueWalk"]

ROUND_MIN = 8
"""A queue is judged again only when its last verdict has been acted upon."""


class Arm(data.Struct):
    """An event: the host arms a queue's interrupt."""

    valid: unsigned(1)
    queue: Index
    index: RingIndex


class QueueWalk(wiring.Component):
    """Looks at the queues in turn, one a cycle.

    Members
    -------
    visible : :py:`In(Visible)`, arm : :py:`In(Arm)`
    restart : :py:`In(1)`, restart_index : :py:`In(Index)`
        Event: the host enables a queue. Its index is set back.
    moderation : :py:`Out(Lookup(Index, Moderation))`, since : :py:`Out(Lookup(Index, Units))`,
    waits : :py:`In(queues)`
        What else is to be known of a queue.
    looks : :py:`Out(1)`, queue : :py:`Out(Index)`
        Event: that queue is looked at.
    candidate : :py:`Out(Candidate)`
        A cycle later: what was seen.
    """

    def __init__(self, queues):
        self.queues = queues
        super().__init__({
            "visible": In(Visible), "arm": In(Arm), "restart": In(1), "restart_index": In(Index),
            "moderation": Out(Lookup(Index, Moderation)), "since": Out(Lookup(Index, Units)),
            "waits": In(queues), "looks": Out(1), "queue": Out(Index),
            "candidate": Out(Candidate),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.produced_table = produced = StateTable(RingIndex, depth=self.queues,
                                                            cleared=False)
        m.submodules.targets = targets = StateTable(RingIndex, depth=self.queues, cleared=False)
        visible, arm, queue, candidate = self.visible, self.arm, self.queue, self.candidate
        moves = visible.valid & (visible.kind == Kind.SEGMENT)
        # A queue has nothing in its ring from its start to its first completion, whatever the table
        # says of its past.
        fresh, seen = Signal(self.queues, init=-1), Signal(RingIndex, reset_less=True)
        m.d.comb += [
            produced.write.en.eq(moves), produced.write.addr.eq(visible.index),
            produced.write.data.eq(visible.produced), candidate.produced.eq(seen),
            targets.write.en.eq(arm.valid), targets.write.addr.eq(arm.queue),
            targets.write.data.eq(arm.index), self.looks.eq(queue < self.queues),
            *(lookup.addr.eq(queue) for lookup in (self.moderation, self.since, produced.read[0],
                                                   targets.read[0])),
        ]
        with m.If(moves):
            m.d.sync += fresh.bit_select(visible.index, 1).eq(0)
        with m.If(self.restart):
            m.d.sync += fresh.bit_select(self.restart_index, 1).eq(1)
        last = max(ROUND_MIN, self.queues) - 1
        m.d.sync += [
            queue.eq(Mux(queue == last, 0, queue + 1)),
            candidate.valid.eq(self.looks), candidate.queue.eq(queue),
            seen.eq(Mux(fresh.bit_select(queue, 1), 0, produced.read[0].data)),
            candidate.armed.eq(targets.read[0].data), candidate.since.eq(self.since.data),
            candidate.waits.eq(self.waits.bit_select(queue, 1)),
            candidate.limits.eq(self.moderation.data),
        ]
        return m
