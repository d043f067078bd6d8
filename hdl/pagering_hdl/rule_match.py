"""Compares a flow with every flow rule at once, whatever its wildcards: a TCAM of block RAM.

Each slice of a few bits of the flow addresses a row of its own table; the row has a bit for each
rule that has nothing against this slice. The rules that no slice speaks against are met.
"""

from functools import reduce
from operator import and_

from amaranth.hdl import Assert, Cat, Const, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from pagering import abi

from .flow_steps import StepMark, flow_step, steps

__all__ = ["GROUP", "LowestRule", "RuleHit", "RuleMatch", "RuleTables", "slice_bits", "slices"]

GROUP = 8
"""Rules whose bits are written together."""


def slice_bits(lanes):
    """Return how wide a slice is, with so many words in a step: a block RAM should be full."""
    return 5 if lanes == 1 else 6


def slices(lanes):
    """Return first and last bit, exclusive, of each slice of a word."""
    bits = slice_bits(lanes)
    return tuple((at, min(at + bits, 32)) for at in range(0, 32, bits))


class RuleHit(data.Struct):
    """The lowest rule that a flow meets, if any."""

    valid: 1
    rule: range(abi.RULES)


class RuleTables(wiring.Component):
    """The tables of one lane.

    Parameters
    ----------
    lanes : :class:`int`
        Words in a step.

    Members
    -------
    look : :py:`In(1)`, at : :py:`In(range(steps))`, word : :py:`In(32)`
    rules : :py:`Out(64)`
        Those that the word speaks for; two cycles later, and one more for the sum.
    write : :py:`In(1)`, write_at : :py:`In(range(steps))`, value : :py:`In(slice_bits)`
        Set one row of each slice, in a cycle without ``look``.
    group : :py:`In(range(8))`, bits : :py:`In(8 * slices)`
        For which eight rules, and what their bits become in each slice.
    """

    def __init__(self, lanes):
        self.lanes, self.depth = lanes, len(steps(lanes))
        at, width = range(max(2, self.depth)), slice_bits(lanes)
        super().__init__({
            "look": In(1), "at": In(at), "word": In(32), "rules": Out(abi.RULES),
            "write": In(1), "write_at": In(at), "value": In(width),
            "group": In(range(abi.RULES // GROUP)), "bits": In(GROUP * len(slices(lanes))),
        })

    def elaborate(self, platform):
        m = Module()
        width, found = slice_bits(self.lanes), []
        for number, (low, high) in enumerate(slices(self.lanes)):
            m.submodules[f"slice_{number}"] = rows = Memory(
                shape=abi.RULES, depth=self.depth << width, init=[],
                attrs={"ram_style": "block", "no_rw_check": 1})
            into, out = rows.write_port(granularity=GROUP), rows.read_port()
            row = Signal(abi.RULES, name=f"row_{number}")
            part = Cat(self.word[low:high], Const(0, width))[:width]
            m.d.comb += [
                out.en.eq(self.look), out.addr.eq(Cat(part, self.at)),
                into.en.eq(Mux(self.write, 1 << self.group, 0)),
                into.addr.eq(Cat(self.value, self.write_at)),
                into.data.eq(self.bits.word_select(number, GROUP).replicate(abi.RULES // GROUP)),
            ]
            m.d.sync += row.eq(out.data)
            found.append(row)
        m.d.comb += self.rules.eq(reduce(and_, found))
        m.d.sync += Assert(~(self.look & self.write))
        return m


class LowestRule(wiring.Component):
    """Finds the lowest rule among those that are met: first in each group, a cycle later of all.

    Members
    -------
    rules : :py:`In(64)`
    hit : :py:`Out(RuleHit)`
    """

    def __init__(self):
        super().__init__({"rules": In(abi.RULES), "hit": Out(RuleHit)})

    def elaborate(self, platform):
        m = Module()
        count = abi.RULES // GROUP
        some = Signal(count)
        lowest = [Signal(range(GROUP), name=f"lowest_{n}") for n in range(count)]
        for number in range(count):
            group = self.rules.word_select(number, GROUP)
            m.d.sync += some[number].eq(group.any())
            for rule in reversed(range(GROUP)):
                with m.If(group[rule]):
                    m.d.sync += lowest[number].eq(rule)
        m.d.comb += self.hit.valid.eq(some.any())
        for number in reversed(range(count)):
            with m.If(some[number]):
                m.d.comb += self.hit.rule.eq(Cat(lowest[number], Const(number, 3)))
        return m


class RuleMatch(wiring.Component):
    """Finds the rule that a flow meets, ``LATENCY`` cycles after the flow's last step.

    Members
    -------
    ahead : :py:`In(StepMark)`, step : :py:`In(flow_step(lanes))`
    enabled : :py:`In(64)`
        A bit for each rule that counts; one that does not at any step of a flow is not met.
    hit : :py:`Out(RuleHit)`
    write : :py:`In(lanes)`
        Set a row of one lane; with ``write_at``, ``value``, ``group`` and ``bits`` as of
        :class:`RuleTables`, held until ``free``.
    free : :py:`Out(1)`
    """

    LATENCY = 4

    def __init__(self, lanes):
        self.lanes = lanes
        at = range(max(2, len(steps(lanes))))
        super().__init__({
            "ahead": In(StepMark), "step": In(flow_step(lanes)),
            "enabled": In(abi.RULES), "hit": Out(RuleHit),
            "write": In(lanes), "write_at": In(at), "value": In(slice_bits(lanes)),
            "group": In(range(abi.RULES // GROUP)), "bits": In(GROUP * len(slices(lanes))),
            "free": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        mark, found = self.step.mark, []
        m.d.comb += self.free.eq(~mark.valid)
        for lane in range(self.lanes):
            m.submodules[f"lane_{lane}"] = tables = RuleTables(self.lanes)
            m.d.comb += [
                tables.look.eq(mark.valid), tables.at.eq(mark.at),
                tables.word.eq(self._word(m, lane)), tables.write.eq(self.write[lane] & self.free),
                tables.write_at.eq(self.write_at), tables.value.eq(self.value),
                tables.group.eq(self.group), tables.bits.eq(self.bits),
            ]
            found.append(self._meant(lane, tables.rules, self._later(m, mark.at, f"at_{lane}")))
        first, valid = self._later(m, mark.first, "first"), self._later(m, mark.valid, "valid")
        met = Signal(abi.RULES)
        with m.If(valid):
            m.d.sync += met.eq(reduce(and_, found) & self.enabled & (
                first.replicate(abi.RULES) | met))
        m.submodules.lowest = lowest = LowestRule()
        m.d.comb += [lowest.rules.eq(met), self.hit.eq(lowest.hit)]
        return m

    def _word(self, m, lane):
        """Return the word of the flow that a lane's step stands for."""
        second = Signal(name=f"second_{lane}")
        m.d.sync += second.eq(0)
        with m.Switch(self.ahead.at):
            for number, words in enumerate(steps(self.lanes)):
                if lane < len(words) and 4 <= words[lane] < 8:
                    with m.Case(number):
                        m.d.sync += second.eq(1)
        pair = self.step.words[lane]
        return Mux(second, pair.b, pair.a)

    def _meant(self, lane, rules, at):
        """A lane that has no word in a step speaks against nobody."""
        idle = [number for number, words in enumerate(steps(self.lanes)) if lane >= len(words)]
        return reduce(lambda found, number: found | (at == number).replicate(abi.RULES),
                      idle, rules)

    def _later(self, m, value, name):
        """Return a part of the step when the tables have answered."""
        for stage in range(2):
            now = Signal.like(value, name=f"{name}_{stage}")
            m.d.sync += now.eq(value)
            value = now
        return value
