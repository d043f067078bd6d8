"""An event that takes its time, about something that may be revoked meanwhile."""

from itertools import pairwise

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["TentativeEvent"]


class _Event(data.Struct):
    """An event on its way."""

    valid: 1
    tentative: 1


class TentativeEvent(wiring.Component):
    """Tells of an event some cycles later, and when it counts, which may be later still.

    One event at a time is tentative; until it has been confirmed or revoked no other follows it.

    Parameters
    ----------
    latency : :class:`int`
        Cycles from ``i`` to ``o``.

    Members
    -------
    i : :py:`In(1)`, tentative : :py:`In(1)`
        An event, and whether it still has to be confirmed.
    confirm, revoke : :py:`In(1)`
        Events: what is tentative counts, or never was. One that comes in this cycle is not meant.
    o : :py:`Out(1)`
        It has come, unless it was revoked.
    sure : :py:`Out(1)`
        It has come, and was confirmed before.
    counts : :py:`Out(1)`
        It has come and is confirmed. Each that is not revoked counts once.
    """

    def __init__(self, latency):
        if latency < 1:
            raise ValueError(f"an event takes at least one cycle, not {latency}")
        self.latency = latency
        # On their way, and the one that has come and waits for what will be said of it.
        self.stages = [Signal(_Event, name=f"stage_{number}") for number in range(latency)]
        self.waits = Signal()
        super().__init__({"i": In(1), "tentative": In(1), "confirm": In(1), "revoke": In(1),
                          "o": Out(1), "sure": Out(1), "counts": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.d.sync += [self.stages[0].valid.eq(self.i), self.stages[0].tentative.eq(self.tentative)]
        for before, stage in pairwise(self.stages):
            m.d.sync += [stage.valid.eq(before.valid & ~(before.tentative & self.revoke)),
                         stage.tentative.eq(before.tentative & ~self.confirm)]
        event, undecided = self.stages[-1], Signal()
        m.d.comb += [
            undecided.eq(self.waits | (event.valid & event.tentative)),
            self.o.eq(event.valid & ~(event.tentative & self.revoke)),
            self.sure.eq(event.valid & ~event.tentative),
            self.counts.eq(self.sure | (undecided & self.confirm)),
        ]
        m.d.sync += self.waits.eq(undecided & ~self.confirm & ~self.revoke)
        return m
