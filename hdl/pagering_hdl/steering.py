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
        In the same cycle.
    """

    control: In(struct(abi.CARD["STEERING"]))
    dissections: In(stream.Signature(Dissection))
    arrivals: Out(stream.Signature(Arrival))

    def elaborate(self, platform):
        m = Module()
        turn = Signal(6)
        m.d.comb += [
            self.arrivals.valid.eq(self.dissections.valid),
            self.dissections.ready.eq(self.arrivals.ready),
            self.arrivals.p.length.eq(self.dissections.p.length),
            self.arrivals.p.facts.eq(self.dissections.p.facts),
            self.arrivals.p.queue.eq(Mux(self.control.mode == abi.SteeringMode.ROUND_ROBIN, turn,
                                         self.control.queue)),
        ]
        with m.If(self.arrivals.valid & self.arrivals.ready):
            m.d.sync += turn.eq(Mux(turn >= self.control.last, 0, turn + 1))
        return m
