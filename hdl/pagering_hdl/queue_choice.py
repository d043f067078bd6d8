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
    """Decides from all that was found, in the same cycle.

    Members
    -------
    control : :py:`In(struct(abi.CARD["STEERING"]))`
    valid : :py:`In(1)`, findings : :py:`In(Findings)`
    decided : :py:`Out(1)`, decision : :py:`Out(Decision)`
    """

    control: In(struct(abi.CARD["STEERING"]))
    valid: In(1)
    findings: In(Findings)
    decided: Out(1)
    decision: Out(Decision)

    def elaborate(self, platform):
        m = Module()
        found, rule, turn = self.findings, self.findings.rule, Signal(Index)
        with m.If(self.valid):
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
            self.decided.eq(self.valid), decision.hash.eq(found.hash),
            decision.hash_type.eq(found.hash_type),
            decision.mark.eq(Mux(rule.valid, rule.action.mark, 0)),
            decision.queue.eq(Mux(rule.valid & ~dropped, rule.action.queue, queue)),
            decision.drop.eq(~found.address_passes | ~found.vlan_passes | dropped),
            decision.cause.eq(Mux(~found.address_passes, DropCause.MAC_FILTER,
                                  Mux(~found.vlan_passes, DropCause.VLAN_FILTER,
                                      DropCause.RULE))),
        ]
        return m
