"""Where a decision has registers: so a narrow card is fast, and a wide one decides every cycle.

A frame on a bus of 64 bits lasts eight cycles or more, on one of 512 bits a single one. The same
logic serves both. It is written with numbered cuts between its steps; on a narrow card each cut is
a register and a decision takes as many cycles as there are cuts, while what it is about stands
still; on a wide card there are none, and it takes no cycle at all.
"""

from amaranth.hdl import Module, Signal

__all__ = ["Pace"]


class Pace:
    """The cuts of one part.

    Parameters
    ----------
    m : :class:`Module`
        The part.
    cuts : iterable of :class:`int`
        The numbers of those that are registers.
    """

    def __init__(self, m: Module, cuts):
        self.m = m
        self.cuts = frozenset(cuts)

    def keep(self, cut: int, value, name: str):
        """Return ``value`` as it is behind a cut: a cycle later, or at once."""
        kept = Signal.like(value, name=name)
        self.m.d["sync" if cut in self.cuts else "comb"] += kept.eq(value)
        return kept
