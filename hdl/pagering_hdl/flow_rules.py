"""Flow rules: their words as the host set them, what they match, what they do."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from pagering import abi

from .flow_steps import StepMark, flow_step
from .rule_match import RuleMatch
from .rule_writer import RuleWriter
from .shared_table import SharedTable, TableAccess

__all__ = ["RULE_ROWS", "FlowRules", "RuleAccess", "RuleAction", "RuleVerdict"]

RULE_ROWS = 16 * abi.RULES
"""Rows of the rules' words: the first eleven of each sixteen."""


class RuleAction(data.Struct):
    """What a rule does with a frame."""

    mark: 16
    queue: 6
    drop: 1


class RuleVerdict(data.Struct):
    """What the rules say of a frame: nothing, if not ``valid``."""

    valid: 1
    action: RuleAction


class RuleAccess(wiring.Signature):
    """The host's side of the rules, as the host drives it.

    Members: ``rule``, the one it is about; ``words``, its words, which it sets only if the rule is
    not ``locked``; ``enable`` and ``disable``, not while ``busy``. In return ``enabled``: the rule
    counts; ``locked``: it counts or is being put in place; ``busy``: any is being put in place.
    """

    def __init__(self):
        super().__init__({
            "rule": Out(range(abi.RULES)), "words": Out(TableAccess(range(RULE_ROWS), 32)),
            "enable": Out(1), "disable": Out(1),
            "enabled": In(1), "locked": In(1), "busy": In(1)})


class FlowRules(wiring.Component):
    """Looks flows up; takes rules on and off meanwhile, each one whole.

    What each rule does is kept once more, apart from the words of all rules: so that it is looked
    up at once, and who reads those words has them for himself.

    Members
    -------
    ahead : :py:`In(StepMark)`, step : :py:`In(flow_step(lanes))`
    verdict : :py:`Out(RuleVerdict)`
        ``LATENCY`` cycles after a flow's last step.
    host : :py:`In(RuleAccess())`
    """

    LATENCY = RuleMatch.LATENCY + 2

    def __init__(self, lanes):
        self.lanes = lanes
        super().__init__({"ahead": In(StepMark), "step": In(flow_step(lanes)),
                          "verdict": Out(RuleVerdict), "host": In(RuleAccess())})

    def elaborate(self, platform):
        m = Module()
        host = self.host
        m.submodules.words = words = SharedTable(32, depth=RULE_ROWS)
        m.submodules.writer = writer = RuleWriter(self.lanes)
        m.submodules.match = match = RuleMatch(self.lanes)
        enabled = Signal(abi.RULES)
        m.d.comb += [
            match.ahead.eq(self.ahead), match.step.eq(self.step),
            match.enabled.eq(enabled),
            writer.stored.eq(words.data), writer.begin.eq(host.enable & ~host.enabled),
            writer.begin_rule.eq(host.rule), writer.free.eq(match.free),
            words.look.eq(writer.look), words.look_row.eq(Cat(writer.word, writer.look_rule)),
            *(getattr(match, name).eq(getattr(writer, name))
              for name in ("write", "write_at", "value", "group", "bits")),
            host.busy.eq(writer.busy), host.enabled.eq(enabled.bit_select(host.rule, 1)),
            host.locked.eq(host.enabled | writer.busy & (writer.rule == host.rule)),
        ]
        # No rule is disabled while the writer is at work, so there is one change at a time.
        with m.If(host.disable | writer.done):
            m.d.sync += enabled.bit_select(Mux(writer.done, writer.rule, host.rule), 1).eq(
                writer.done)
        self._host(m, words)
        self._act(m, words, match)
        return m

    def _host(self, m, words):
        """Let the host at the words: when nobody can be about to do what a rule said."""
        recent = Signal(RuleMatch.LATENCY)
        m.d.sync += recent.eq(Cat(self.host.disable, recent))
        inner, outer = words.host, self.host.words
        m.d.comb += [
            inner.row.eq(outer.row), inner.value.eq(outer.value), outer.shown.eq(inner.shown),
            inner.write.eq(outer.write & ~recent.any()),
            outer.free.eq(inner.free & ~recent.any()),
        ]

    def _act(self, m, words, match):
        """Look up what the rule that is met does: it is in the rule's last word."""
        m.submodules.actions = actions = Memory(
            shape=Value.cast(self.verdict.action).shape(), depth=abi.RULES, init=[],
            attrs={"ram_style": "block", "no_rw_check": 1})
        into, out = actions.write_port(), actions.read_port()
        word, met = words.set_row[:4], Signal()
        m.d.comb += [
            into.en.eq(words.set & (word == abi.RULE_WORDS - 1)), into.addr.eq(words.set_row[4:]),
            into.data.eq(words.host.value), out.addr.eq(match.hit.rule),
        ]
        m.d.sync += [met.eq(match.hit.valid), self.verdict.valid.eq(met),
                     self.verdict.action.eq(out.data)]
