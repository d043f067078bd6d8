"""When to ask the other side of the wire to be silent."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

from .layouts import struct

__all__ = ["Pause"]


class Pause(wiring.Component):
    """Raises ``pause`` while the packet FIFO is full, a pool is low or a frame waits for memory.

    The FIFO has two levels, so that a level that trembles does not make ``pause`` tremble.

    Members
    -------
    enable : :py:`In(struct(abi.CARD["PAUSE"]))`
    levels : :py:`In(struct(abi.CARD["PAUSE_FIFO"]))`
    level : :py:`In(range(depth + 1))`
        Beats in the packet FIFO.
    low, held : :py:`In(1)`
        A pool is low; a frame waits.
    status : :py:`Out(struct(abi.CARD["PAUSE_STATUS"]))`
        Three cycles later.
    begins : :py:`Out(1)`
        Event: ``pause`` was raised.
    peak : :py:`Out(32)`
        Most bytes in the FIFO so far.
    """

    def __init__(self, config):
        self.config = config
        super().__init__({
            "enable": In(struct(abi.CARD["PAUSE"])), "levels": In(struct(abi.CARD["PAUSE_FIFO"])),
            "level": In(range(config.fifo_beats + 1)), "low": In(1), "held": In(1),
            "status": Out(struct(abi.CARD["PAUSE_STATUS"])), "begins": Out(1), "peak": Out(32),
        })

    def elaborate(self, platform):
        m = Module()
        beats, units = Signal.like(self.level), Signal(16)
        most = Signal.like(self.level)
        full, pool, held, was = Signal(), Signal(), Signal(), Signal()
        per_unit = abi.PAUSE_UNIT.bit_length() - 1 - self.config.bus_log2
        m.d.comb += [
            units.eq(beats >> per_unit), self.peak.eq(most << self.config.bus_log2),
            self.begins.eq(self.status.pause & ~was),
        ]
        m.d.sync += [
            beats.eq(self.level), pool.eq(self.low), held.eq(self.held),
            self.status.fifo.eq(full), self.status.pools.eq(pool), self.status.held.eq(held),
            self.status.pause.eq((self.enable.fifo & full) | (self.enable.pools & pool)
                                 | (self.enable.held & held)),
            was.eq(self.status.pause),
        ]
        with m.If(units >= self.levels.xoff):
            m.d.sync += full.eq(1)
        with m.Elif(units <= self.levels.xon):
            m.d.sync += full.eq(0)
        with m.If(beats > most):
            m.d.sync += most.eq(beats)
        return m
