"""What every stream obeys: an offer stands, and does not change, until it is taken.

Ref: Amaranth standard library, "Data transfer rules" of streams.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from amaranth.hdl import Assert, Assume, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import Flow

from pagering_hdl.state_table import Lookup

from .specification import Specification

__all__ = ["Offers", "assume_inputs", "stands", "streams"]


def streams(part: Any) -> Iterator[tuple[str, bool, Any]]:
    """Yield name, whether it is an output, and the port of each stream of a component."""
    for name, member in part.signature.members.items():
        if member.is_signature and isinstance(member.signature, stream.Signature):
            yield name, member.flow is Flow.Out, getattr(part, name)


def stands(m: Any, port: Any, say: type[Assert] | type[Assume], name: str = "stream", *,
           may_pause: bool = False, meaning: Any = None) -> Any:
    """Assume or assert that an offer stands; return whether one is waiting.

    With ``may_pause`` it may be taken back for a while, but does not change. ``meaning`` is
    what of the payload matters, if not all of it.
    """
    waits, kept = Signal(name=f"{name}_waits"), Signal(name=f"{name}_stands")
    payload = Value.cast(port.payload if meaning is None else meaning)
    offered = Signal.like(payload)
    same = payload == offered
    with m.If(port.valid):
        m.d.sync += [waits.eq(~port.ready), offered.eq(payload)]
    m.d.comb += [kept.eq(~waits | (same if may_pause else port.valid & same)),
                 say(kept)]
    return waits


def assume_inputs(m: Any, part: Any) -> None:
    """Assume of each input stream what its sender promises."""
    for name, output, port in streams(part):
        if not output:
            stands(m, port, Assume, name)


class Offers(Specification):
    """The contract of every output of a part, found by looking at its signature.

    Of its inputs it is assumed. Tables that the part asks are assumed to give the same answer for
    as long as they are asked the same: settings are locked while they are in use.
    """

    promise = "an offer stands, and does not change, until it is taken"
    steps = 4
    own = False
    pausing: tuple[str, ...] = ()
    """Outputs that may take an offer back, but then offer the same: their takers are ready or
    not whatever is offered."""
    at_once: tuple[str, ...] = ()
    """Outputs that offer only what is taken in the same cycle."""

    def specify(self, m: Any, dut: Any) -> dict[str, Any]:
        assume_inputs(m, self.dut)
        for name, member in self.dut.signature.members.items():
            if member.is_signature and isinstance(member.signature, Lookup) and (
                    member.flow is Flow.Out):
                _steady(m, getattr(self.dut, name), name)
        self.surroundings(m, dut)
        return {name: port.valid & port.ready if name in self.at_once else waits
                for name, port in self.outputs().items()
                for waits in [stands(m, port, Assert, name, may_pause=name in self.pausing,
                                     meaning=self.meaning(name, port.payload))]}

    def outputs(self) -> dict[str, Any]:
        """Return the streams in question."""
        return {name: port for name, output, port in streams(self.dut) if output}

    def meaning(self, _name: str, payload: Any) -> Any:
        """Return what of an offer matters."""
        return payload

    def surroundings(self, m: Any, dut: Any) -> None:
        """Assume what else the part may count on."""


def _steady(m: Any, lookup: Any, name: str) -> None:
    asked, addr, data = Signal(name=f"{name}_asked"), Signal.like(lookup.addr), Signal.like(
        Value.cast(lookup.data))
    m.d.sync += [asked.eq(1), addr.eq(lookup.addr), data.eq(Value.cast(lookup.data))]
    with m.If(asked & (addr == lookup.addr)):
        m.d.comb += Assume(Value.cast(lookup.data) == data)
