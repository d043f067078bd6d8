"""Where frames wait for admission: what each is, and what was decided about it, early or late."""

from amaranth.hdl import Module, Mux, Signal, Value
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
    """Two memories that are written apart and read together, in block RAM.

    A frame leaves three cycles after it has entered and its decision counts. A decision that is
    sure as it is made, about a frame that waits for nothing else, goes past the memory: one cycle.

    Parameters
    ----------
    depth : :class:`int`
        Frames inside: a power of two. Their number is the sender's to know.

    Members
    -------
    enters : :py:`In(1)`, waiting : :py:`In(Waiting)`
        A frame.
    decided : :py:`In(1)`, decision : :py:`In(Decision)`
        Of the next frame that is without one. It replaces one that does not count yet.
    counts : :py:`In(1)`
        The last decision, this one too, counts; not before its frame enters.
    sure : :py:`In(1)`
        This one does, and that was known some time ago.
    arrivals : :py:`Out(stream.Signature(Arrival))`
    """

    def __init__(self, depth):
        if depth < 2 or depth & (depth - 1):
            raise ValueError(f"frames wait in a power of two of places, not in {depth}")
        self.depth = depth
        super().__init__({
            "enters": In(1), "waiting": In(Waiting), "decided": In(1), "decision": In(Decision),
            "counts": In(1), "sure": In(1), "arrivals": Out(stream.Signature(Arrival)),
        })

    def elaborate(self, platform):
        m = Module()
        arrivals, leaves, stays = self.arrivals, Signal(), Signal()
        waiting, decision = Signal(Waiting), Signal(Decision)
        waits, _ = self._rows(m, "waiting", self.waiting, waiting,
                              writes=self.enters, counts=self.enters, leaves=leaves)
        known, none = self._rows(m, "decisions", self.decision, decision,
                                 writes=self.decided, counts=stays, leaves=leaves)
        passes = self.sure & none & ~known & waits
        free = ~arrivals.valid | arrivals.ready
        m.d.comb += [leaves.eq(waits & (known | passes) & free),
                     stays.eq(self.counts & ~(passes & free))]
        with m.If(free):
            m.d.sync += arrivals.valid.eq(leaves)
        with m.If(leaves):
            self._arrive(m, waiting, Mux(known, decision.as_value(), self.decision.as_value()))
        return m

    def _rows(self, m, name, value, found, *, writes, counts, leaves):
        """Keep values in a memory, the first at its output, ``found``.

        A value may be written again until it counts. Return whether there is one at the output,
        and whether there is none in the memory.
        """
        m.submodules[name] = rows = Memory(
            shape=Value.cast(value).shape(), depth=self.depth, init=[],
            attrs={"ram_style": "block", "no_rw_check": 1})
        into, out = rows.write_port(), rows.read_port()
        first, end = (Signal(range(self.depth), name=f"{name}_{which}")
                      for which in ("first", "end"))
        there = Signal(name=f"{name}_there")
        m.d.comb += [
            into.en.eq(writes), into.addr.eq(end), into.data.eq(Value.cast(value)),
            out.en.eq((first != end) & (~there | leaves)), out.addr.eq(first),
            Value.cast(found).eq(out.data),
        ]
        m.d.sync += [first.eq(first + out.en), end.eq(end + counts),
                     there.eq(out.en | (there & ~leaves))]
        return there, first == end

    def _arrive(self, m, waiting, decided):
        """Bring both together."""
        arrival, decision = self.arrivals.p, Signal(Decision, name="decided_now")
        m.d.comb += decision.eq(decided)
        m.d.sync += [
            arrival.length.eq(waiting.length), arrival.facts.eq(waiting.facts),
            arrival.queue.eq(decision.queue), arrival.drop.eq(decision.drop),
            arrival.cause.eq(decision.cause), arrival.facts.hash.eq(decision.hash),
            arrival.facts.hash_type.eq(decision.hash_type),
            arrival.facts.mark.eq(decision.mark),
        ]
