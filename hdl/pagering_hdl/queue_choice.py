"""What is found out about a frame, and the decision that follows."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

from .flow_rules import RuleVerdict
from .layouts import DropCause, HashType, Index, struct

__all__ = ["Decision", "Findings", "QueueChoice"]


class Findings(data.Struct):
    """What is known of a frame when it is decided."""

    hash: 32
    hash_type: HashType
    entry: Index
    """Queue that the indirection table names for the hash."""
    rule: RuleVerdict
    address_passes: 1
    vlan_passes: 1


class Decision(data.Struct):
    """What steering says of a frame."""

    queue: Index
    drop: 1
    cause: DropCause
    hash: 32
    hash_type: HashType
    mark: 16


class QueueChoice(wiring.Component):
    """Decides from all that was found, without a clock but for whose turn it is.

    Members
    -------
    control : :py:`In(struct(abi.CARD["STEERING"]))`
    findings : :py:`In(Findings)`
    decision : :py:`Out(Decision)`
    counts : :py:`In(1)`
        Event: a decision counts, so the next one has the next turn.
    """

    control: In(struct(abi.CARD["STEERING"]))
    findings: In(Findings)
    decision: Out(Decision)
    counts: In(1)

    def elaborate(self, platform):
        m = Module()
        found, rule, turn = self.findings, self.findings.rule, Signal(Index)
        with m.If(self.counts):
            m.d.sync += turn.eq(Mux(turn >= self.control.last, 0, turn + 1))
        queue = Signal(Index)
        with m.Switch(self.control.mode):
            with m.Case(abi.SteeringMode.FIXED):
                m.d.comb += queue.eq(self.control.queue)
            with m.Case(abi.SteeringMode.ROUND_ROBIN):
                m.d.comb += queue.eq(turn)
            with m.Default():
                m.d.comb += queue.eq(found.entry)
        dropped = rule.valid & rule.action.drop
        decision = self.decision
        m.d.comb += [
            decision.hash.eq(found.hash), decision.hash_type.eq(found.hash_type),
            decision.mark.eq(Mux(rule.valid, rule.action.mark, 0)),
            decision.queue.eq(Mux(rule.valid & ~dropped, rule.action.queue, queue)),
            decision.drop.eq(~found.address_passes | ~found.vlan_passes | dropped),
            decision.cause.eq(Mux(~found.address_passes, DropCause.MAC_FILTER,
                                  Mux(~found.vlan_passes, DropCause.VLAN_FILTER,
                                      DropCause.RULE))),
        ]
        return m
