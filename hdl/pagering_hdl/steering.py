"""Which queue a frame goes to."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

from .layouts import Arrival, Dissection, struct

__all__ = ["Steering"]


class Steering(wiring.Component):
    """Names the queue of each frame: one that a register names, or each in turn.

    Members
    -------
    control : :py:`In(struct(abi.CARD["STEERING"]))`
    dissections : :py:`In(stream.Signature(Dissection))`
    arrivals : :py:`Out(stream.Signature(Arrival))`
        In the same cycle. A frame that waits keeps its queue, whatever is written meanwhile.
    """

    control: In(struct(abi.CARD["STEERING"]))
    dissections: In(stream.Signature(Dissection))
    arrivals: Out(stream.Signature(Arrival))

    def elaborate(self, platform):
        m = Module()
        turn = Signal(6)
        # The settings under which the frame that waits was offered.
        control, offered, waits = (Signal.like(self.control), Signal.like(self.control), Signal())
        m.d.comb += [
            self.arrivals.valid.eq(self.dissections.valid),
            self.dissections.ready.eq(self.arrivals.ready),
            self.arrivals.p.length.eq(self.dissections.p.length),
            self.arrivals.p.facts.eq(self.dissections.p.facts),
            control.eq(Mux(waits, offered, self.control)),
            self.arrivals.p.queue.eq(Mux(control.mode == abi.SteeringMode.ROUND_ROBIN, turn,
                                         control.queue)),
        ]
        m.d.sync += [offered.eq(control), waits.eq(self.arrivals.valid & ~self.arrivals.ready)]
        with m.If(self.arrivals.valid & self.arrivals.ready):
            m.d.sync += turn.eq(Mux(turn >= control.last, 0, turn + 1))
        return m
