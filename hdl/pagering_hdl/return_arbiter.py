"""Where the two ways back meet: tokens that the host wrote, and tokens that the card fetched."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .layouts import Return
from .streams import StreamBuffer

__all__ = ["ReturnArbiter"]


class ReturnArbiter(wiring.Component):
    """Takes turns: while tokens wait on both ways, each gets every other cycle.

    So a queue that returns a whole ring at once cannot keep another's return window waiting.

    Members
    -------
    pushed, pulled : :py:`In(stream.Signature(Return))`
    returns : :py:`Out(stream.Signature(Return))`
    """

    pushed: In(stream.Signature(Return))
    pulled: In(stream.Signature(Return))
    returns: Out(stream.Signature(Return))

    def elaborate(self, platform):
        m = Module()
        m.submodules.buffer = buffer = StreamBuffer(Return)
        wiring.connect(m, wiring.flipped(self.returns), buffer.o)
        turn = Signal()
        # ``turn`` is of the one that did not go last.
        with m.If(self.pulled.valid & (turn | ~self.pushed.valid)):
            wiring.connect(m, wiring.flipped(self.pulled), buffer.i)
            with m.If(buffer.i.ready):
                m.d.sync += turn.eq(0)
        with m.Else():
            wiring.connect(m, wiring.flipped(self.pushed), buffer.i)
            with m.If(buffer.i.ready & self.pushed.valid):
                m.d.sync += turn.eq(1)
        return m
