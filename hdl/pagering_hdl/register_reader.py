"""How a register is read: from a memory what the host set, from its block what else there is."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["RegisterReader"]


class RegisterReader(wiring.Component):
    """Asks the memory, then the block, then gives the answer.

    Parameters
    ----------
    blocks : :class:`int`
        How many there are.

    Members
    -------
    start : :py:`In(1)`
        There is a read, until ``done``.
    recalls : :py:`In(1)`, reaches : :py:`In(blocks)`
        Whether the memory knows the register, and the block to ask, if any.
    ask : :py:`Out(1)`, recalled : :py:`In(1)`, memory : :py:`In(32)`
        To the memory, and from it for one cycle.
    read : :py:`Out(blocks)`, answered : :py:`In(blocks)`, values : :py:`In(32)` of each block
        To the blocks and from them.
    done : :py:`Out(1)`, found : :py:`Out(32)`
        For one cycle.
    """

    def __init__(self, blocks):
        super().__init__({
            "start": In(1), "recalls": In(1), "reaches": In(blocks),
            "ask": Out(1), "recalled": In(1), "memory": In(32),
            "read": Out(blocks), "answered": In(blocks), "values": In(32).array(blocks),
            "done": Out(1), "found": Out(32),
        })

    def elaborate(self, platform):
        m = Module()
        kept = Signal(32, reset_less=True)
        with m.FSM(name="register_reader") as self.phase:
            with m.State("Read memory"):
                m.d.comb += self.ask.eq(self.start)
                with m.If(self.recalled):
                    m.d.sync += kept.eq(Mux(self.recalls, self.memory, 0))
                    m.next = "Ask block"
            with m.State("Ask block"):
                m.d.comb += self.read.eq(self.reaches)
                with m.If((self.read & ~self.answered) == 0):
                    m.next = "Answer"
            with m.State("Answer"):
                m.d.comb += self.done.eq(1)
                m.next = "Read memory"
        found = kept
        for read, value in zip(self.read, self.values, strict=True):
            # Those that are not asked give zeros: to reset a register costs no logic.
            shown = Signal(32, reset_less=True)
            m.d.sync += shown.eq(Mux(read, value, 0))
            found |= shown
        m.d.comb += self.found.eq(found)
        return m
