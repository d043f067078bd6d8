"""What has happened lately: counts of few bits, which a :class:`CounterSweep` carries on.

They run freely modulo a power of two. Happenings that can all come at once have flip-flops; where
only one of many can come in a cycle, one small memory counts them all.
"""

from functools import reduce
from operator import or_
from typing import NamedTuple

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

__all__ = ["Tallies", "Tally", "TallyTable"]


class Tally(NamedTuple):
    """What a tally is made of."""

    number: int
    """By which it is asked for."""
    width: int
    amount: int = 1
    """Bits of what is added in a cycle."""


class Tallies(wiring.Component):
    """A tally for each of several happenings.

    Parameters
    ----------
    tallies : :class:`dict` of :class:`str` to :class:`Tally`
    bits : :class:`int`
        Of their numbers.

    Members
    -------
    amounts : :py:`In(StructLayout)`
        What is added to each, by name.
    number : :py:`In(bits)`
        Which to show.
    tally, mask : :py:`Out(...)`
        Two cycles later, with as many ones as that tally has bits. Zero if there is none.
    """

    def __init__(self, tallies, bits):
        self.tallies = tallies
        widest = max(tally.width for tally in tallies.values())
        super().__init__({
            "amounts": In(data.StructLayout(
                {name: unsigned(tally.amount) for name, tally in tallies.items()})),
            "number": In(bits), "tally": Out(widest), "mask": Out(widest),
        })

    def elaborate(self, platform):
        m = Module()
        counts = {name: Signal(tally.width, name=name.lower())
                  for name, tally in self.tallies.items()}
        for name, count in counts.items():
            m.d.sync += count.eq(count + self.amounts[name])
        # A bit for each, found in the cycle before: an AND and an OR, and no wide multiplexer.
        chosen = {name: Signal(name=f"chosen_{name.lower()}") for name in self.tallies}
        m.d.sync += [
            *(chosen[name].eq(self.number == tally.number) for name, tally in self.tallies.items()),
            self.tally.eq(reduce(or_, (counts[name] & chosen[name].replicate(tally.width)
                                       for name, tally in self.tallies.items()))),
            self.mask.eq(reduce(or_, (chosen[name].replicate(tally.width)
                                      for name, tally in self.tallies.items()))),
        ]
        return m


class TallyTable(wiring.Component):
    """Tallies of which one moves in a cycle.

    Parameters
    ----------
    width : :class:`int`
        Bits of each.
    depth : :class:`int`
        How many.
    amount : :ref:`shape-like <lang-shapelike>`

    Members
    -------
    valid : :py:`In(1)`, which : :py:`In(range(depth))`, amount : :py:`In(...)`
        Add to one.
    number : :py:`In(range(depth))`, chosen : :py:`In(1)`
        Which to show, and whether.
    fresh : :py:`In(1)`
        A reset was just now: set the one that is asked for to zero. Until all have been asked
        for, nothing can be added.
    tally, mask : :py:`Out(width)`
        Two cycles later, with ones in all bits. Zero if it was not chosen.
    """

    def __init__(self, width, *, depth, amount=1):
        self.width = width
        self.depth = max(2, depth)
        super().__init__({
            "valid": In(1), "which": In(range(self.depth)), "amount": In(amount),
            "number": In(range(self.depth)), "chosen": In(1), "fresh": In(1),
            "tally": Out(width), "mask": Out(width),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.rows = rows = Memory(shape=self.width, depth=self.depth, init=[])
        moved, shown = rows.read_port(domain="comb"), rows.read_port(domain="comb")
        into = rows.write_port()
        number, chosen, fresh = Signal.like(self.number), Signal(), Signal()
        m.d.comb += [
            moved.addr.eq(self.which), shown.addr.eq(number), into.en.eq(self.valid | fresh),
            into.addr.eq(Mux(fresh, number, self.which)),
            into.data.eq(Mux(fresh, 0, moved.data + self.amount)),
        ]
        m.d.sync += [
            number.eq(self.number), fresh.eq(self.fresh), chosen.eq(self.chosen & ~self.fresh),
            self.tally.eq(Mux(chosen, shown.data, 0)), self.mask.eq(chosen.replicate(self.width)),
        ]
        return m
