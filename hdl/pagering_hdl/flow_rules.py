"""Flow rules: their words as the host set them, what they match, what they do."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
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
        wiring.connect(m, wiring.flipped(host.words), words.host)
        enabled = Signal(abi.RULES)
        m.d.comb += [
            match.ahead.eq(self.ahead), match.step.eq(self.step),
            match.enabled.eq(enabled),
            words.look.eq(writer.look), words.look_row.eq(Cat(writer.word, writer.rule)),
            writer.stored.eq(words.data), writer.begin.eq(host.enable & ~host.enabled),
            writer.begin_rule.eq(host.rule), writer.free.eq(match.free),
            match.rule.eq(writer.rule),
            *(getattr(match, name).eq(getattr(writer, name))
              for name in ("write", "write_at", "value", "bits")),
            host.busy.eq(writer.busy), host.enabled.eq(enabled.bit_select(host.rule, 1)),
            host.locked.eq(host.enabled | writer.busy & (writer.rule == host.rule)),
        ]
        # No rule is disabled while the writer is at work, so there is one change at a time.
        with m.If(host.disable | writer.done):
            m.d.sync += enabled.bit_select(Mux(writer.done, writer.rule, host.rule), 1).eq(
                writer.done)
        self._act(m, match, writer)
        return m

    def _act(self, m, match, writer):
        """Look up what the rule that is met does."""
        m.submodules.actions = actions = SharedTable(RuleAction, depth=abi.RULES, clears=False)
        final = self.step.mark.valid & self.step.mark.last
        for stage in range(RuleMatch.LATENCY):
            now = Signal(name=f"final_{stage}")
            m.d.sync += now.eq(final)
            final = now
        met = Signal()
        m.d.comb += [
            actions.look.eq(final), actions.look_row.eq(match.hit.rule),
            actions.host.row.eq(writer.rule), actions.host.write.eq(writer.act),
            actions.host.value.eq(writer.tail.as_value()), writer.act_free.eq(actions.host.free),
        ]
        m.d.sync += [met.eq(match.hit.valid), self.verdict.valid.eq(met),
                     self.verdict.action.eq(actions.data)]
