"""Where frames wait for admission: what each is, and what was decided about it a little later."""

from amaranth.hdl import Assert, Module, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .layouts import Arrival, Facts, Length
from .queue_choice import Decision

__all__ = ["ArrivalQueue", "Waiting"]


class Waiting(data.Struct):
    """What a frame is besides its flow."""

    length: Length
    facts: Facts


class ArrivalQueue(wiring.Component):
    """Two memories that are written apart and read together, in block RAM; two cycles of latency.

    Parameters
    ----------
    depth : :class:`int`
        Frames inside: a power of two. Their number is the sender's to know.

    Members
    -------
    enters : :py:`In(1)`, waiting : :py:`In(Waiting)`
        A frame.
    decided : :py:`In(1)`, decision : :py:`In(Decision)`
        Of the next frame that waits for one.
    arrivals : :py:`Out(stream.Signature(Arrival))`
    """

    def __init__(self, depth):
        if depth < 2 or depth & (depth - 1):
            raise ValueError(f"frames wait in a power of two of places, not in {depth}")
        self.depth = depth
        super().__init__({
            "enters": In(1), "waiting": In(Waiting), "decided": In(1), "decision": In(Decision),
            "arrivals": Out(stream.Signature(Arrival)),
        })

    def elaborate(self, platform):
        m = Module()
        first, leaves, arrivals = Signal(range(self.depth)), Signal(), self.arrivals
        decided, waiting, decision = Signal.like(first), Signal(Waiting), Signal(Decision)
        m.d.comb += leaves.eq((first != decided) & (~arrivals.valid | arrivals.ready))
        for name, event, value, found, end in (
                ("waiting", self.enters, self.waiting, waiting, Signal.like(first)),
                ("decisions", self.decided, self.decision, decision, decided)):
            m.submodules[name] = rows = Memory(
                shape=Value.cast(value).shape(), depth=self.depth, init=[],
                attrs={"ram_style": "block", "no_rw_check": 1})
            into, out = rows.write_port(), rows.read_port()
            m.d.comb += [
                into.en.eq(event), into.addr.eq(end), into.data.eq(Value.cast(value)),
                out.en.eq(leaves), out.addr.eq(first), Value.cast(found).eq(out.data),
            ]
            m.d.sync += [end.eq(end + event), Assert(~(event & leaves & (end == first)))]
        m.d.sync += first.eq(first + leaves)
        with m.If(leaves | arrivals.ready):
            m.d.sync += arrivals.valid.eq(leaves)
        m.d.comb += [
            arrivals.p.length.eq(waiting.length), arrivals.p.facts.eq(waiting.facts),
            arrivals.p.queue.eq(decision.queue), arrivals.p.drop.eq(decision.drop),
            arrivals.p.cause.eq(decision.cause), arrivals.p.facts.hash.eq(decision.hash),
            arrivals.p.facts.hash_type.eq(decision.hash_type),
            arrivals.p.facts.mark.eq(decision.mark),
        ]
        return m
