"""Counts of everything that happens to a frame, a token or a write."""

from amaranth.hdl import Module, Mux
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

from .layouts import Drop, Index, Kind, Visible
from .page_table import Refusal
from .state_table import Lookup, StateTable

__all__ = ["CardCounters", "QueueCounters"]

REFUSALS = 4
"""Sources of refusals: return checker, page table, register blocks, register window."""


class CardCounters(wiring.Component):
    """Card-wide counters, 32 bits each, in the order of :data:`abi.COUNTERS`.

    Members
    -------
    ended : :py:`In(1)`, gate_drop, admission_drop : :py:`In(Drop)`
    visible : :py:`In(Visible)`, accepted, recycled : :py:`In(1)`
    refusals : :py:`In(Refusal)` of each source
    data_error, line_error : :py:`In(1)`
    values : :py:`Out(ArrayLayout(32, len(abi.COUNTERS)))`
    fault : :py:`Out(1)`
        Event: a fault counter moves.
    """

    def __init__(self):
        super().__init__({
            "ended": In(1), "gate_drop": In(Drop), "admission_drop": In(Drop),
            "visible": In(Visible), "accepted": In(1), "recycled": In(1),
            "refusals": In(Refusal).array(REFUSALS), "data_error": In(1), "line_error": In(1),
            "values": Out(data.ArrayLayout(32, len(abi.COUNTERS))), "fault": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        amounts = {
            "FRAMES_IN": self.ended,
            "FRAMES_DELIVERED": Mux(self.visible.valid & (self.visible.kind == Kind.SEGMENT),
                                    self.visible.frames, 0),
            "RETURNS": self.accepted, "RECYCLED": self.recycled,
        }
        for cause in abi.DropCause:
            amounts[f"DROP_{cause.name}"] = sum(
                drop.valid & (drop.cause == cause.value)
                for drop in (self.gate_drop, self.admission_drop))
        for fault in abi.Fault:
            amounts[f"FAULT_{fault.name}"] = sum(
                refusal.valid & (refusal.fault == fault.value)
                for refusal in self.refusals)
        amounts["FAULT_DATA_WRITE"] = self.data_error
        amounts["FAULT_COMPLETION_WRITE"] = self.line_error
        for number, (name, _) in enumerate(abi.COUNTERS):
            m.d.sync += self.values[number].eq(self.values[number] + amounts[name])
        m.d.sync += self.fault.eq((sum(refusal.valid for refusal in self.refusals) != 0)
                                  | self.data_error | self.line_error)
        return m


class QueueCounters(wiring.Component):
    """Frames delivered to and dropped from each queue.

    Members
    -------
    visible : :py:`In(Visible)`, dropped : :py:`In(1)`, dropped_queue : :py:`In(Index)`
    delivered, drops : :py:`In(Lookup(Index, 32))`
    """

    def __init__(self, queues):
        self.queues = queues
        super().__init__({
            "visible": In(Visible), "dropped": In(1), "dropped_queue": In(Index),
            "delivered": In(Lookup(Index, 32)), "drops": In(Lookup(Index, 32)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.delivered_table = delivered = StateTable(32, depth=self.queues, reads=2)
        m.submodules.drops_table = drops = StateTable(32, depth=self.queues, reads=2)
        wiring.connect(m, wiring.flipped(self.delivered), delivered.read[1])
        wiring.connect(m, wiring.flipped(self.drops), drops.read[1])
        m.d.comb += [
            delivered.read[0].addr.eq(self.visible.index),
            delivered.write.addr.eq(self.visible.index),
            delivered.write.en.eq(self.visible.valid & (self.visible.kind == Kind.SEGMENT)),
            delivered.write.data.eq(delivered.read[0].data + self.visible.frames),
            drops.read[0].addr.eq(self.dropped_queue), drops.write.addr.eq(self.dropped_queue),
            # A frame steered to a queue that does not exist counts on the card only.
            drops.write.en.eq(self.dropped & (self.dropped_queue < self.queues)),
            drops.write.data.eq(drops.read[0].data + 1),
        ]
        return m
