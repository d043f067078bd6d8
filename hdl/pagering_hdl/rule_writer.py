"""Puts a flow rule into the tables that compare: walks through every row of every slice.

A row takes no fewer than the bits of eight rules at a time, and nobody reads it back. So the rule
is put in place together with the seven that share its bits: what they had, they get once more.
"""

from itertools import pairwise

from amaranth.hdl import Assert, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

from .flow_steps import ORDER, PORTS, REST, FlowRest, steps
from .layouts import L3
from .rule_match import GROUP, slice_bits, slices

__all__ = ["GroupReader", "RuleLooks", "RulePattern", "RuleTail", "RuleWriter"]


class RuleLooks(data.Struct):
    """What a rule looks at."""

    l3: L3
    match_l3: 1
    match_source: 1
    match_destination: 1
    match_source_port: 1
    match_destination_port: 1
    match_protocol: 1
    match_vlan: 1


class RuleTail(data.Struct):
    """The last word of :data:`abi.RULE`: what to do, and what to look at."""

    mark: 16
    queue: 6
    drop: 1
    looks: RuleLooks


class RulePattern(wiring.Component):
    """What a rule wants of one word of a flow. Without a clock.

    Members
    -------
    index : :py:`In(range(10))`
        Which word.
    stored : :py:`In(32)`
        That word of the rule.
    looks : :py:`In(RuleLooks)`
    bits, mask : :py:`Out(32)`
        What the word must be, in the bits that the mask has.
    """

    def __init__(self):
        super().__init__({"index": In(range(len(ORDER))), "stored": In(32),
                          "looks": In(RuleLooks), "bits": Out(32), "mask": Out(32)})

    def elaborate(self, platform):
        m = Module()
        looks, wanted, looked = self.looks, Signal(FlowRest), Signal(FlowRest)
        m.d.comb += [
            wanted.eq(self.stored), wanted.l3.eq(looks.l3), wanted.ports.eq(1), wanted.tagged.eq(1),
            looked.protocol.eq(looks.match_protocol.replicate(8)),
            Value.cast(looked.l3).eq(looks.match_l3.replicate(2)),
            looked.ports.eq(looks.match_source_port | looks.match_destination_port),
            looked.tagged.eq(looks.match_vlan), looked.vlan.eq(looks.match_vlan.replicate(12)),
            self.bits.eq(Mux(self.index == REST, wanted.as_value(), self.stored)),
        ]
        with m.If(self.index == REST):
            m.d.comb += self.mask.eq(looked.as_value())
        with m.Elif(self.index == PORTS):
            m.d.comb += self.mask.eq(Cat(looks.match_destination_port.replicate(16),
                                         looks.match_source_port.replicate(16)))
        with m.Elif((self.index[:2] == 0) | (looks.l3 == L3.IPV6)):
            m.d.comb += self.mask.eq(Mux(self.index[2], looks.match_destination,
                                         looks.match_source).replicate(32))
        return m


class GroupReader(wiring.Component):
    """Reads one word of each rule of a group, and compares it with a value, slice by slice.

    Members
    -------
    begin : :py:`In(1)`, group : :py:`In(range(8))`, index : :py:`In(range(11))`
        Read that word of those rules, once more from the first rule on; the other two are held.
    tails : :py:`In(1)`
        It is the last word of each rule: keep what it says.
    value : :py:`In(slice_bits)`
    done : :py:`Out(1)`
        All eight have been read.
    bits : :py:`Out(8 * slices)`
        In each slice, a bit for each rule that has nothing against ``value``.
    look : :py:`Out(1)`, rule : :py:`Out(range(64))`, stored : :py:`In(32)`
        Fetch a word of a rule; a cycle later it is there.
    """

    def __init__(self, lanes):
        self.lanes = lanes
        super().__init__({
            "begin": In(1), "group": In(range(abi.RULES // GROUP)),
            "index": In(range(abi.RULE_WORDS)), "tails": In(1), "value": In(slice_bits(lanes)),
            "done": Out(1), "bits": Out(GROUP * len(slices(lanes))),
            "look": Out(1), "rule": Out(range(abi.RULES)), "stored": In(32),
        })

    def elaborate(self, platform):
        m = Module()
        asked = Signal(range(GROUP + 1), init=GROUP)
        stage, word = Signal(3), Signal(32)
        m.d.comb += [
            self.look.eq(asked != GROUP), self.rule.eq(Cat(asked[:3], self.group)),
            self.done.eq(~self.look & ~stage.any()),
        ]
        m.d.sync += [stage.eq(Cat(self.look, stage)), word.eq(self.stored)]
        with m.If(self.begin):
            m.d.sync += asked.eq(0)
        with m.Elif(self.look):
            m.d.sync += asked.eq(asked + 1)
        m.d.sync += Assert(~self.begin | self.done)
        self._compare(m, word, self._pattern(m, stage[1], word), stage[2])
        return m

    def _pattern(self, m, arrived, word):
        """Keep what the rules look at, in a ring; return what is wanted of the word."""
        tail = Signal(RuleTail)
        m.submodules.pattern = pattern = RulePattern()
        ring = [Signal(RuleLooks, name=f"looks_{n}") for n in range(GROUP)]
        m.d.comb += [tail.eq(word), pattern.index.eq(self.index), pattern.stored.eq(word),
                     pattern.looks.eq(ring[0])]
        with m.If(arrived):
            m.d.sync += [here.eq(there) for here, there in pairwise(ring)]
            m.d.sync += ring[-1].eq(Mux(self.tails, tail.looks.as_value(), ring[0].as_value()))
        return pattern

    def _compare(self, m, word, pattern, arrived):
        """Shift in a bit for each slice: after eight rules the first one is lowest."""
        wanted, mask = Signal(32), Signal(32)
        m.d.sync += [wanted.eq(pattern.bits), mask.eq(pattern.mask)]
        value = Cat(self.value, Const(0, slice_bits(self.lanes)))
        for number, (low, high) in enumerate(slices(self.lanes)):
            unlike = (wanted[low:high] ^ value[:high - low]) & mask[low:high]
            bits = self.bits.word_select(number, GROUP)
            with m.If(arrived):
                m.d.sync += bits.eq(Cat(bits[1:], ~unlike.any()))


class RuleWriter(wiring.Component):
    """Writes one rule at a time; some twelve cycles a row, and more while lookups have the tables.

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
    look, look_rule : :py:`Out`, word : :py:`Out(range(11))`, stored : :py:`In(32)`
        Fetch a word of a rule; a cycle later it is there.
    write, write_at, value, group, bits, free
        To :class:`~pagering_hdl.rule_match.RuleMatch`.
    """

    def __init__(self, lanes):
        self.lanes = lanes
        at = range(max(2, len(steps(lanes))))
        super().__init__({
            "begin": In(1), "begin_rule": In(range(abi.RULES)), "busy": Out(1),
            "rule": Out(range(abi.RULES)), "done": Out(1),
            "look": Out(1), "look_rule": Out(range(abi.RULES)),
            "word": Out(range(abi.RULE_WORDS)), "stored": In(32),
            "write": Out(lanes), "write_at": Out(at), "value": Out(slice_bits(lanes)),
            "group": Out(range(abi.RULES // GROUP)), "bits": Out(GROUP * len(slices(lanes))),
            "free": In(1),
        })

    def elaborate(self, platform):
        m = Module()
        self.place = Signal(range(len(ORDER)))
        m.submodules.reader = reader = GroupReader(self.lanes)
        self._read(m, reader)
        with m.FSM(name="rule_writer") as fsm:
            m.d.comb += self.busy.eq(~fsm.ongoing("Idle"))
            with m.State("Idle"):
                m.d.sync += [self.rule.eq(self.begin_rule), self.place.eq(0), self.value.eq(0)]
                m.d.comb += reader.begin.eq(self.begin)
                with m.If(self.begin):
                    m.next = "Read tails"
            with m.State("Read tails"):
                m.d.comb += [reader.tails.eq(1), reader.begin.eq(reader.done)]
                with m.If(reader.done):
                    m.next = "Compare word"
            with m.State("Compare word"):
                with m.If(reader.done):
                    m.next = "Write row"
            with m.State("Write row"):
                self._write_row(m, reader)
        return m

    def _read(self, m, reader):
        """Turn the place in the order of the wire into a word, a step and a lane."""
        m.d.comb += [
            reader.group.eq(self.group), reader.value.eq(self.value), reader.index.eq(self.word),
            reader.stored.eq(self.stored), self.look.eq(reader.look),
            self.look_rule.eq(reader.rule), self.bits.eq(reader.bits),
            self.group.eq(self.rule[3:]),
        ]
        with m.Switch(self.place):
            for place, word in enumerate(ORDER):
                with m.Case(place):
                    m.d.comb += [self.word.eq(word), self.write_at.eq(place // self.lanes)]
        with m.If(reader.tails):
            m.d.comb += self.word.eq(abi.RULE_WORDS - 1)

    def _write_row(self, m, reader):
        for place in range(len(ORDER)):
            with m.If(self.place == place):
                m.d.comb += self.write[place % self.lanes].eq(1)
        with m.If(self.free):
            m.d.sync += self.value.eq(self.value + 1)
            m.next = "Compare word"
            with m.If(self.value.all()):
                m.d.sync += self.place.eq(self.place + 1)
            with m.If(self.value.all() & (self.place == len(ORDER) - 1)):
                m.d.comb += self.done.eq(1)
                m.next = "Idle"
            with m.Else():
                m.d.comb += reader.begin.eq(1)
