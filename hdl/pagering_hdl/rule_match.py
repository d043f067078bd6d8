"""Compares a flow with every flow rule at once, whatever its wildcards: a TCAM of block RAM.

Each slice of a few bits of the flow addresses a row of its own table; the row has a bit for each
rule that has nothing against this slice. The rules that no slice speaks against are met.
"""

from functools import reduce
from operator import and_

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

from .flow_steps import StepMark, flow_step, steps
from .shared_table import SharedTable

__all__ = ["GROUP", "SLICES", "SLICE_BITS", "LowestRule", "RuleHit", "RuleMatch", "RuleTables"]

SLICE_BITS = 6
SLICES = tuple((at, min(at + SLICE_BITS, 32)) for at in range(0, 32, SLICE_BITS))
"""First and last bit, exclusive, of each slice of a word."""
GROUP = 8
"""Rules whose bits are written together."""


class RuleHit(data.Struct):
    """The lowest rule that a flow meets, if any."""

    valid: 1
    rule: range(abi.RULES)


class RuleTables(wiring.Component):
    """The tables of one lane.

    Parameters
    ----------
    depth : :class:`int`
        Steps.

    Members
    -------
    look : :py:`In(1)`, at : :py:`In(range(depth))`, word : :py:`In(32)`
    rules : :py:`Out(64)`
        Those that the word speaks for; two cycles later, and one more for the sum.
    write : :py:`In(1)`, write_at : :py:`In(range(depth))`, value : :py:`In(6)`
        Change one row of each slice, held until ``free``.
    rule : :py:`In(range(64))`, bits : :py:`In(6)`
        Whose bit, and what it becomes in each slice.
    free : :py:`Out(1)`
        The writer has this cycle: it writes, or else reads what it will change.
    """

    def __init__(self, depth):
        self.depth = depth
        at = range(max(2, depth))
        super().__init__({
            "look": In(1), "at": In(at), "word": In(32), "rules": Out(abi.RULES),
            "write": In(1), "write_at": In(at), "value": In(SLICE_BITS),
            "rule": In(range(abi.RULES)), "bits": In(len(SLICES)), "free": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        groups = abi.RULES // GROUP
        found = []
        for number, (low, high) in enumerate(SLICES):
            table = SharedTable(abi.RULES, depth=self.depth << SLICE_BITS, groups=groups,
                                clears=False)
            m.submodules[f"slice_{number}"] = table
            stored, changed = Signal(GROUP, name=f"stored_{number}"), Signal(
                GROUP, name=f"changed_{number}")
            row = Signal(abi.RULES, name=f"row_{number}")
            m.d.comb += [
                table.look.eq(self.look),
                table.look_row.eq(Cat(Cat(self.word[low:high], Const(0, SLICE_BITS))[:SLICE_BITS],
                                      self.at)),
                table.host.row.eq(Cat(self.value, self.write_at)),
                stored.eq(table.host.shown.word_select(self.rule[3:], GROUP)), changed.eq(stored),
                changed.bit_select(self.rule[:3], 1).eq(self.bits[number]),
                table.host.value.eq(changed.replicate(groups)),
                table.host.write.eq(Mux(self.write, 1 << self.rule[3:], 0)),
            ]
            if number == 0:
                m.d.comb += self.free.eq(table.host.free)
            m.d.sync += row.eq(table.data)
            found.append(row)
        m.d.comb += self.rules.eq(reduce(and_, found))
        return m


class LowestRule(wiring.Component):
    """Finds the lowest rule among those that are met, in two cycles.

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
        m.d.sync += self.hit.valid.eq(some.any())
        for number in reversed(range(count)):
            with m.If(some[number]):
                m.d.sync += self.hit.rule.eq(Cat(lowest[number], Const(number, 3)))
        return m


class RuleMatch(wiring.Component):
    """Finds the rule that a flow meets, ``LATENCY`` cycles after the flow's last step.

    Members
    -------
    ahead : :py:`In(StepMark)`, step : :py:`In(flow_step(lanes))`
    enabled : :py:`In(64)`
        A bit for each rule that counts, as it is at the flow's first step.
    hit : :py:`Out(RuleHit)`
    write : :py:`In(lanes)`
        Change a row of one lane; with ``write_at``, ``value``, ``rule``, ``bits`` and ``free`` as
        of :class:`RuleTables`.
    """

    LATENCY = 5

    def __init__(self, lanes):
        self.lanes = lanes
        at = range(max(2, len(steps(lanes))))
        super().__init__({
            "ahead": In(StepMark), "step": In(flow_step(lanes)),
            "enabled": In(abi.RULES), "hit": Out(RuleHit),
            "write": In(lanes), "write_at": In(at), "value": In(SLICE_BITS),
            "rule": In(range(abi.RULES)), "bits": In(len(SLICES)), "free": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        mark, found = self.step.mark, []
        for lane in range(self.lanes):
            m.submodules[f"lane_{lane}"] = tables = RuleTables(len(steps(self.lanes)))
            m.d.comb += [
                tables.look.eq(mark.valid), tables.at.eq(mark.at),
                tables.word.eq(self._word(m, lane)), tables.write.eq(self.write[lane]),
                tables.write_at.eq(self.write_at), tables.value.eq(self.value),
                tables.rule.eq(self.rule), tables.bits.eq(self.bits),
            ]
            if lane == 0:
                m.d.comb += self.free.eq(tables.free)
            found.append(self._meant(lane, tables.rules, self._later(m, mark.at, f"at_{lane}")))
        first, valid = self._later(m, mark.first, "first"), self._later(m, mark.valid, "valid")
        met = Signal(abi.RULES)
        with m.If(valid):
            m.d.sync += met.eq(reduce(and_, found) & Mux(first, self.enabled, met))
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
