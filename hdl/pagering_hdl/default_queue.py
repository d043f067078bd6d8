"""What stands in for steering on a card without it."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

from .layouts import Arrival, Dissection, Index, struct

__all__ = ["DefaultQueue"]


class DefaultQueue(wiring.Component):
    """Sends each frame to the queue that the host names, or to all in turn. It costs no cycle.

    Members
    -------
    control : :py:`In(struct(abi.CARD["STEERING"]))`
    dissections : :py:`In(stream.Signature(Dissection))`
    arrivals : :py:`Out(stream.Signature(Arrival))`
    """

    control: In(struct(abi.CARD["STEERING"]))
    dissections: In(stream.Signature(Dissection))
    arrivals: Out(stream.Signature(Arrival))

    def elaborate(self, platform):
        m = Module()
        turn, frame, arrival = Signal(Index), self.dissections.p, self.arrivals.p
        # A frame that waits keeps its queue, whatever the host sets meanwhile.
        waits, kept, chosen = Signal(), Signal(Index), Signal(Index)
        in_turn = self.control.mode == abi.SteeringMode.ROUND_ROBIN
        with m.If(self.arrivals.valid & self.arrivals.ready):
            m.d.sync += turn.eq(Mux(turn >= self.control.last, 0, turn + 1))
        m.d.comb += [
            self.arrivals.valid.eq(self.dissections.valid),
            self.dissections.ready.eq(self.arrivals.ready),
            chosen.eq(Mux(in_turn, turn, self.control.queue)),
            arrival.queue.eq(Mux(waits, kept, chosen)),
            arrival.length.eq(frame.length), arrival.facts.eq(frame.facts),
        ]
        m.d.sync += [waits.eq(self.arrivals.valid & ~self.arrivals.ready), kept.eq(arrival.queue)]
        return m
