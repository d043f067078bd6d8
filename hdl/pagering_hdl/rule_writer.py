"""Puts a flow rule into the tables that compare: walks through every row of every slice."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

from .flow_steps import ORDER, PORTS, REST, FlowRest, steps
from .layouts import L3
from .rule_match import SLICE_BITS, SLICES

__all__ = ["RulePattern", "RuleTail", "RuleWriter"]


class RuleTail(data.Struct):
    """The last word of :data:`abi.RULE`: what to do, and what to look at."""

    mark: 16
    queue: 6
    drop: 1
    l3: L3
    match_l3: 1
    match_source: 1
    match_destination: 1
    match_source_port: 1
    match_destination_port: 1
    match_protocol: 1
    match_vlan: 1


class RulePattern(wiring.Component):
    """What a rule wants of one word of a flow. Without a clock.

    Members
    -------
    index : :py:`In(range(10))`
        Which word.
    stored : :py:`In(32)`
        That word of the rule.
    tail : :py:`In(RuleTail)`
    bits, mask : :py:`Out(32)`
        What the word must be, in the bits that the mask has.
    """

    def __init__(self):
        super().__init__({"index": In(range(len(ORDER))), "stored": In(32), "tail": In(RuleTail),
                          "bits": Out(32), "mask": Out(32)})

    def elaborate(self, platform):
        m = Module()
        tail, wanted, looked = self.tail, Signal(FlowRest), Signal(FlowRest)
        m.d.comb += [
            wanted.eq(self.stored), wanted.l3.eq(tail.l3), wanted.ports.eq(1), wanted.tagged.eq(1),
            looked.protocol.eq(tail.match_protocol.replicate(8)),
            Value.cast(looked.l3).eq(tail.match_l3.replicate(2)),
            looked.ports.eq(tail.match_source_port | tail.match_destination_port),
            looked.tagged.eq(tail.match_vlan), looked.vlan.eq(tail.match_vlan.replicate(12)),
            self.bits.eq(Mux(self.index == REST, wanted.as_value(), self.stored)),
        ]
        with m.If(self.index == REST):
            m.d.comb += self.mask.eq(looked.as_value())
        with m.Elif(self.index == PORTS):
            m.d.comb += self.mask.eq(Cat(tail.match_destination_port.replicate(16),
                                         tail.match_source_port.replicate(16)))
        with m.Elif((self.index[:2] == 0) | (tail.l3 == L3.IPV6)):
            m.d.comb += self.mask.eq(Mux(self.index[2], tail.match_destination,
                                         tail.match_source).replicate(32))
        return m


class RuleWriter(wiring.Component):
    """Writes one rule at a time; three cycles a row, and more while lookups have the tables.

    Parameters
    ----------
    lanes : :class:`int`
        Words in a step.

    Members
    -------
    begin : :py:`In(1)`, begin_rule : :py:`In(range(64))`
        Start, if not ``busy``.
    busy : :py:`Out(1)`, rule : :py:`Out(range(64))`
    done : :py:`Out(1)`
        Event: ``rule`` is in its place.
    word : :py:`Out(range(11))`, look : :py:`Out(1)`, stored : :py:`In(32)`
        Fetch a word of the rule; a cycle later it is there.
    tail : :py:`Out(RuleTail)`, act : :py:`Out(1)`, act_free : :py:`In(1)`
        At last: set what the rule does, held until free.
    write, write_at, value, bits, free
        To :class:`~pagering_hdl.rule_match.RuleMatch`.
    """

    def __init__(self, lanes):
        self.lanes = lanes
        at = range(max(2, len(steps(lanes))))
        super().__init__({
            "begin": In(1), "begin_rule": In(range(abi.RULES)), "busy": Out(1),
            "rule": Out(range(abi.RULES)), "done": Out(1),
            "word": Out(range(abi.RULE_WORDS)), "look": Out(1), "stored": In(32),
            "tail": Out(RuleTail), "act": Out(1), "act_free": In(1),
            "write": Out(lanes), "write_at": Out(at), "value": Out(SLICE_BITS),
            "bits": Out(len(SLICES)), "free": In(1),
        })

    def elaborate(self, platform):
        m = Module()
        self.place = Signal(range(len(ORDER)))
        m.submodules.pattern = pattern = RulePattern()
        wanted, mask = Signal(32), Signal(32)
        last = abi.RULE_WORDS - 1
        self._point(m, pattern)
        self._compare(m, wanted, mask)
        with m.FSM(name="rule_writer") as fsm:
            m.d.comb += self.busy.eq(~fsm.ongoing("Idle"))
            with m.State("Idle"):
                m.d.sync += [self.rule.eq(self.begin_rule), self.place.eq(0), self.value.eq(0)]
                with m.If(self.begin):
                    m.next = "Fetch tail"
            with m.State("Fetch tail"):
                m.d.comb += [self.look.eq(1), self.word.eq(last)]
                m.next = "Take tail"
            with m.State("Take tail"):
                m.d.sync += self.tail.eq(self.stored)
                m.next = "Fetch word"
            with m.State("Fetch word"):
                m.d.comb += [self.look.eq(1), self.word.eq(pattern.index)]
                m.next = "Take word"
            with m.State("Take word"):
                m.d.sync += [wanted.eq(pattern.bits), mask.eq(pattern.mask)]
                m.next = "Read row"
            with m.State("Read row"):
                with m.If(self.free):
                    m.next = "Take row"
            with m.State("Take row"):
                m.next = "Write row"
            with m.State("Write row"):
                self._write_row(m)
            with m.State("Write action"):
                m.d.comb += [self.act.eq(1), self.done.eq(self.act_free)]
                with m.If(self.act_free):
                    m.next = "Idle"
        return m

    def _point(self, m, pattern):
        """Turn the place in the order of the wire into a word, a step and a lane."""
        m.d.comb += [pattern.stored.eq(self.stored), pattern.tail.eq(self.tail)]
        with m.Switch(self.place):
            for place, word in enumerate(ORDER):
                with m.Case(place):
                    m.d.comb += [pattern.index.eq(word),
                                 self.write_at.eq(place // self.lanes)]

    def _compare(self, m, wanted, mask):
        value = Cat(self.value, Const(0, 2))
        for number, (low, high) in enumerate(SLICES):
            unlike = (wanted[low:high] ^ value[:high - low]) & mask[low:high]
            m.d.sync += self.bits[number].eq(~unlike.any())

    def _write_row(self, m):
        for place in range(len(ORDER)):
            with m.If(self.place == place):
                m.d.comb += self.write[place % self.lanes].eq(1)
        with m.If(self.free):
            m.d.sync += self.value.eq(self.value + 1)
            m.next = "Read row"
            with m.If(self.value.all()):
                m.d.sync += self.place.eq(self.place + 1)
                m.next = "Fetch word"
                with m.If(self.place == len(ORDER) - 1):
                    m.next = "Write action"
