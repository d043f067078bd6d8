"""What became of each frame that was steered to a queue, for the counters of the queue."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

from .layouts import L3, Arrival, Drop, Index, Length

__all__ = ["FrameFate", "Outcome", "QueueMeter"]

OUTCOMES = 8
"""A queue's counters from CSUM_NONE on; the lower three bits of their numbers tell them apart."""

Outcome = enum.Enum("Outcome", {
    counter.name: counter.number % OUTCOMES for counter in abi.QUEUE_COUNTERS
    if counter.name.startswith(("CSUM_", "DROP_"))})
DROPS = {cause: Outcome[name] for cause, name in abi.QUEUE_DROPS.items()}


class FrameFate(data.Struct):
    """An event: a frame has been admitted to its queue, or refused."""

    valid: 1
    queue: Index
    outcome: Outcome
    admitted: 1
    vlan: 1
    length: Length


class QueueMeter(wiring.Component):
    """Tells what became of each frame, two cycles after it was decided.

    Members
    -------
    decided : :py:`In(1)`, frame : :py:`In(Arrival)`, dropped : :py:`In(Drop)`
        A frame leaves admission; ``dropped`` says whether it was refused.
    fate : :py:`Out(FrameFate)`
        Not ``valid`` for a frame that was refused because there is no such queue.
    """

    def __init__(self, queues):
        self.queues = queues
        super().__init__({"decided": In(1), "frame": In(Arrival), "dropped": In(Drop),
                          "fate": Out(FrameFate)})

    def elaborate(self, platform):
        m = Module()
        decided, frame, dropped, fate = Signal(), Signal(Arrival), Signal(Drop), self.fate
        m.d.sync += [
            decided.eq(self.decided), frame.eq(self.frame), dropped.eq(self.dropped),
            fate.valid.eq(decided & (frame.queue < self.queues)), fate.queue.eq(frame.queue),
            fate.admitted.eq(decided & ~dropped.valid), fate.length.eq(frame.length),
            fate.vlan.eq(frame.facts.vlan),
        ]
        with m.If(dropped.valid):
            with m.Switch(dropped.cause):
                for cause, outcome in DROPS.items():
                    with m.Case(cause.value):
                        m.d.sync += fate.outcome.eq(outcome)
        with m.Else():
            m.d.sync += fate.outcome.eq(self._checked(frame.facts))
        return m

    @staticmethod
    def _checked(facts):
        """Return what the card knows of the frame's checksums, as an outcome."""
        bad = Cat(facts.l3_checked & ~facts.l3_ok, facts.l4_checked & ~facts.l4_ok).any()
        ip = (facts.l3 == L3.IPV4) | (facts.l3 == L3.IPV6)
        return Mux(bad, Outcome.CSUM_BAD, Mux(facts.l4_checked, Outcome.CSUM_UNNECESSARY, Mux(
            ip, Outcome.CSUM_COMPLETE, Outcome.CSUM_NONE)))
