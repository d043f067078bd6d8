"""Counters of 64 bits in a block RAM, moved on by one adder that goes around all of them.

What happens is counted beside it, in *tallies* of a few bits that run freely and are never cleared
(``tallies``). The sweep looks at one counter a cycle: as much as its tally is ahead of its lowest
bits, so much has happened since the last look. A tally only has to be wide enough not to come
around between two looks. A counter that the host asks for is looked at out of turn, so that what
it reads is the count of that moment.
"""

from itertools import pairwise

from amaranth.hdl import Assert, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

__all__ = ["COUNTER_BITS", "CounterSweep", "lap", "tally_bits"]

COUNTER_BITS = 64
ASK_CYCLES = 5
"""The host asks once in so many cycles at most."""
ROWS_MIN = 16
"""With fewer, one look at a counter after the other could keep its count from being written."""


def lap(rows: int) -> int:
    """Return the most cycles from one look at a counter to the next, the host's asking included."""
    return rows * ASK_CYCLES // (ASK_CYCLES - 1) + 16


def tally_bits(rows: int, per_cycle: int, at_once: int = 0) -> int:
    """Return the bits of a tally that moves by ``per_cycle`` a cycle, and ``at_once`` on top."""
    return (lap(rows) * per_cycle + at_once).bit_length()


class CounterSweep(wiring.Component):
    """The counters, and the adder.

    Parameters
    ----------
    rows : :class:`int`
        Counters, at least 16.
    bits : :class:`int`
        Of the widest tally.

    Members
    -------
    ask : :py:`In(1)`, ask_row : :py:`In(range(rows))`
        Show this counter.
    answered : :py:`Out(1)`, value : :py:`Out(64)`
        The counter that was asked for.
    row : :py:`Out(range(rows))`, fresh : :py:`Out(1)`
        The counter that is looked at, and whether that is on the first way around.
    tally, mask : :py:`In(bits)`
        Its tally, and as many ones as that has bits; two cycles later.
    """

    def __init__(self, rows, bits):
        if rows < ROWS_MIN:
            raise ValueError(f"a sweep goes around {ROWS_MIN} counters or more, not {rows}")
        self.rows = rows
        super().__init__({
            "ask": In(1), "ask_row": In(range(rows)), "answered": Out(1),
            "value": Out(COUNTER_BITS), "row": Out(range(rows)), "fresh": Out(1),
            "tally": In(bits), "mask": In(bits),
        })

    def elaborate(self, platform):
        m = Module()
        # A row is not written while it is read, see below.
        m.submodules.counters = counters = Memory(
            shape=COUNTER_BITS, depth=self.rows, init=[],
            attrs={"ram_style": "block", "no_rw_check": 1})
        into, out = counters.write_port(), counters.read_port()
        # A memory has no reset: on the first way around all counters are taken for zero.
        meets = Signal()
        fresh, asked, rows = self._walk(m, meets)
        read, behind, result = (Signal(COUNTER_BITS, name=name)
                                for name in ("read", "behind", "result"))
        ahead = Signal.like(self.tally)
        m.d.comb += [
            out.addr.eq(self.row), into.addr.eq(rows[-1]), into.en.eq(~meets),
            into.data.eq(result), meets.eq(self.row == rows[-1]), self.fresh.eq(fresh[0]),
            self.value.eq(result), self.answered.eq(asked[-1]),
        ]
        # Two looks that follow closely read the same count, and the second finds the tally
        # farther ahead: what it writes, later, is right on its own. So the first need not write
        # while the second reads; and no third one follows as closely.
        m.d.sync += [
            read.eq(Mux(fresh[1], 0, out.data)),
            ahead.eq((self.tally - read[:len(ahead)]) & self.mask), behind.eq(read),
            result.eq(behind + ahead),
        ]
        return m

    def _walk(self, m, meets):
        """Choose a counter each cycle; return what is known of those looked at, newest first."""
        turn, first_lap = Signal(range(self.rows)), Signal(init=1)
        with m.If(~self.ask):
            m.d.sync += turn.eq(Mux(turn == self.rows - 1, 0, turn + 1))
            with m.If(turn == self.rows - 1):
                m.d.sync += first_lap.eq(0)
        m.d.sync += self.row.eq(Mux(self.ask, self.ask_row, turn))
        fresh, asked = ([Signal(name=f"{name}_{step}") for step in range(5)]
                        for name in ("fresh", "asked"))
        rows = [self.row, *(Signal.like(self.row, name=f"row_{step}") for step in range(1, 5))]
        for kept in (fresh, asked, rows):
            m.d.sync += [later.eq(now) for now, later in pairwise(kept)]
        # What was not written on the first way around, for a second look, is still to be.
        m.d.sync += [fresh[0].eq(first_lap), fresh[1].eq(fresh[0] | (meets & fresh[-1])),
                     asked[0].eq(self.ask), Assert(~self.ask | ~Cat(asked[:ASK_CYCLES - 1]).any())]
        # What the width of every tally rests on.
        since = Signal(range(lap(self.rows) + 2))
        m.d.sync += [since.eq(Mux((turn == 0) & ~self.ask, 0, since + 1)),
                     Assert(since <= lap(self.rows) - 8)]
        return fresh, asked, rows
