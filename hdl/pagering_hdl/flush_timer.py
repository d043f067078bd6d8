"""Decides when a line of completions that does not fill is written as far as it goes."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .layouts import Index

__all__ = ["FlushTimer"]

PAUSE = 2
"""Cycles from when a flush is taken to when its queue no longer waits."""


class FlushTimer(wiring.Component):
    """Picks the queues whose waiting completions should be written now.

    Members
    -------
    period : :py:`In(16)`
        Cycles; 0 is 65536.
    waiting : :py:`In(queues)`
        A bit for each queue whose line is partly unwritten.
    quiet : :py:`In(1)`
        No frame is under way that could fill a line.
    flushes : :py:`Out(stream.Signature(Index))`
        Write this queue's line. The line may have been written since.
    """

    def __init__(self, queues):
        super().__init__({
            "period": In(16), "waiting": In(queues), "quiet": In(1),
            "flushes": Out(stream.Signature(Index)),
        })
        self.queues = queues

    def elaborate(self, platform):
        m = Module()
        timer, old, overdue = Signal(16), Signal(self.queues), Signal(self.queues)
        # A line is old after the first tick that finds it, and overdue after the second.
        m.d.sync += [timer.eq(timer - 1), old.eq(old & self.waiting),
                     overdue.eq(overdue & self.waiting)]
        with m.If(timer == 0):
            m.d.sync += [timer.eq(self.period - 1), old.eq(self.waiting),
                         overdue.eq(old & self.waiting)]
        due, pause = Signal(self.queues), Signal(range(PAUSE + 1))
        m.d.comb += due.eq(self.waiting & (overdue | self.quiet.replicate(self.queues)))
        with m.If(self.flushes.valid):
            with m.If(self.flushes.ready):
                m.d.sync += [self.flushes.valid.eq(0), pause.eq(PAUSE)]
        with m.Elif(pause != 0):
            m.d.sync += pause.eq(pause - 1)
        with m.Else():
            m.d.sync += self.flushes.valid.eq(due.any())
            for queue in reversed(range(self.queues)):
                with m.If(due[queue]):
                    m.d.sync += self.flushes.payload.eq(queue)
        return m
