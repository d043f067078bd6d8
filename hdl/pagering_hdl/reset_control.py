"""Resets the card in mid-traffic without breaking a write on the bus."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["ResetControl"]


class ResetControl(wiring.Component):
    """Closes the gate, lets everything drain, clears the state, opens again.

    It stands outside of what it resets. After power-on it begins with the clearing.

    Parameters
    ----------
    rows : :class:`int`
        Rows of the longest table of state, which clears a row a cycle.

    Members
    -------
    request : :py:`In(1)`
    idle : :py:`In(1)`
        No write is under way, and none will come while the gate is closed.
    busy : :py:`In(1)`
        Something that is not reset with the rest is being cleared, for longer maybe.
    resetting : :py:`Out(1)`
        From the request until the card can be used.
    clear : :py:`Out(1)`
        Reset of the rest of the card.
    clearing : :py:`Out(1)`
        It, or the clearing of tables after it: what is written to them now is lost.
    """

    request: In(1)
    idle: In(1)
    busy: In(1)
    resetting: Out(1)
    clear: Out(1)
    clearing: Out(1)

    def __init__(self, rows):
        self.rows = rows
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        row = Signal(range(self.rows + 1))
        with m.FSM(name="reset_control", init="Clear tables") as fsm:
            m.d.comb += [
                self.resetting.eq(~fsm.ongoing("Run")),
                self.clearing.eq(fsm.ongoing("Clear") | fsm.ongoing("Clear tables")),
            ]
            with m.State("Run"):
                with m.If(self.request):
                    m.next = "Drain"
            with m.State("Drain"):
                with m.If(self.idle):
                    m.next = "Clear"
            with m.State("Clear"):
                m.d.comb += self.clear.eq(1)
                m.d.sync += row.eq(0)
                m.next = "Clear tables"
            with m.State("Clear tables"):
                with m.If(row != self.rows):
                    m.d.sync += row.eq(row + 1)
                with m.Elif(~self.busy):
                    m.next = "Run"
        return m
