"""What every stream obeys: an offer stands, and does not change, until it is taken.

Ref: Amaranth standard library, "Data transfer rules" of streams; ARM IHI 0022H §A3.2.1 has the
same rule for each channel of AXI.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, ClassVar

from amaranth.hdl import Assert, Assume, Cat, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import Flow

from pagering_hdl.axi import AxiLite, AxiRead, AxiStream, AxiWrite
from pagering_hdl.register_port import RegisterPort
from pagering_hdl.state_table import Lookup

from .specification import Specification

__all__ = ["Offers", "assume_inputs", "stands", "streams"]

AXI = (AxiLite, AxiRead, AxiStream, AxiWrite)
Ways = Callable[[Any], tuple[Any, ...]]
"""From what is offered to a flag for each way that it may have come, the most urgent first."""


def streams(part: Any) -> Iterator[tuple[str, bool, Any]]:
    """Yield name, whether it is an output, and the port of each stream of a component.

    The channels of AXI are streams, too, named ``bus_aw`` and so on; so are the writes of a
    register port.
    """
    for name, member in part.signature.members.items():
        if not member.is_signature:
            continue
        output, port = member.flow is Flow.Out, getattr(part, name)
        if isinstance(member.signature, stream.Signature):
            yield name, output, port
        elif isinstance(member.signature, AXI):
            for prefix, drives, channel in _channels(member.signature, port):
                yield f"{name}_{prefix}", drives, channel
        elif isinstance(member.signature, RegisterPort):
            yield f"{name}_write", output, SimpleNamespace(
                valid=port.write, ready=port.ready,
                payload=Cat(port.write_index, port.write_offset, port.data))


def _channels(signature: Any, port: Any) -> Iterator[tuple[str, bool, Any]]:
    """Yield name, whether it is an output, and signals of each channel of an AXI interface."""
    for name, member in signature.members.items():
        if name.endswith("valid"):
            prefix = name.removesuffix("valid")
            carried = [value for value in signature.members if value.startswith(prefix)
                       and value not in (name, f"{prefix}ready")]
            yield prefix, member.flow is Flow.Out, SimpleNamespace(
                valid=getattr(port, name), ready=getattr(port, f"{prefix}ready"),
                payload=Cat(Value.cast(getattr(port, value)) for value in carried))


def stands(m: Any, port: Any, say: type[Assert] | type[Assume], name: str = "stream", *,
           may_pause: Any = 0, meaning: Any = None, source: Any = None) -> Any:
    """Assume or assert that an offer stands; return whether one is waiting.

    While ``may_pause`` it may be taken back, but does not change. ``meaning`` is what of the
    payload matters, if not all of it. ``source`` is an offer that it is made of, for induction to
    know of: that one waits, with the same meaning, for as long as this one does.
    """
    waits, kept = Signal(name=f"{name}_waits"), Signal(name=f"{name}_stands")
    payload = Value.cast(port.payload if meaning is None else meaning)
    offered = Signal.like(payload)
    with m.If(port.valid):
        m.d.sync += [waits.eq(~port.ready), offered.eq(payload)]
    m.d.comb += [kept.eq(~waits | Value.cast(may_pause) & ~port.valid
                         | port.valid & (payload == offered)), say(kept)]
    if source is not None:
        m.d.comb += Assert(~waits | source.valid & (source.payload == offered))
    return waits


def joined(m: Any, port: Any, say: type[Assert] | type[Assume], name: str, ways: Ways, *,
           may_pause: Any = 0, meaning: Any = None, sources: Sequence[Any] = ()) -> Any:
    """Say the same of a stream that is joined from several; return whether an offer is waiting.

    An offer is taken back only for a more urgent one, and comes again the same.
    """
    waits, urgent, behind = [], Value.cast(may_pause), iter(sources)
    for number, way in enumerate(ways(port.payload)):
        one = SimpleNamespace(valid=Signal(name=f"{name}_{number}"), ready=port.ready,
                              payload=port.payload)
        m.d.comb += one.valid.eq(port.valid & way)
        waits.append(stands(m, one, say, f"{name}_{number}", may_pause=urgent, meaning=meaning,
                            source=next(behind, None)))
        urgent |= one.valid
    return Cat(waits).any()


def assume_inputs(m: Any, part: Any, ways: Mapping[str, Ways] | None = None) -> None:
    """Assume of each input stream what its sender promises."""
    for name, output, port in streams(part):
        if not output:
            joined(m, port, Assume, name, (ways or {}).get(name, _one_way))


def _one_way(_payload: Any) -> tuple[Any, ...]:
    return (1,)


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
    never: tuple[str, ...] = ()
    """Outputs that offer nothing at all."""
    ways: ClassVar[Mapping[str, Ways]] = {}
    """Of inputs and outputs that are joined from several streams."""

    def specify(self, m: Any, dut: Any) -> dict[str, Any]:
        assume_inputs(m, self.dut, self.ways)
        for name, member in self.dut.signature.members.items():
            if member.is_signature and isinstance(member.signature, Lookup) and (
                    member.flow is Flow.Out):
                _steady(m, getattr(self.dut, name), name)
        self.surroundings(m, dut)
        outputs = self.outputs()
        m.d.comb += [Assert(~outputs[name].valid | outputs[name].ready) for name in self.at_once]
        m.d.comb += [Assert(~outputs.pop(name).valid) for name in self.never]
        return {name: port.valid & port.ready if name in self.at_once else waits
                for name, port in outputs.items()
                for waits in [joined(m, port, Assert, name, self.ways.get(name, _one_way),
                                     may_pause=int(name in self.pausing),
                                     meaning=self.meaning(name, port.payload),
                                     sources=self.sources(name))]}

    def outputs(self) -> dict[str, Any]:
        """Return the streams in question."""
        return {name: port for name, output, port in streams(self.dut) if output}

    def meaning(self, _name: str, payload: Any) -> Any:
        """Return what of an offer matters."""
        return payload

    def sources(self, _name: str) -> Sequence[Any]:
        """Return for each way of an output the offer that it is made of, or None, if it helps."""
        return ()

    def surroundings(self, m: Any, dut: Any) -> None:
        """Assume what else the part may count on."""


def _steady(m: Any, lookup: Any, name: str) -> None:
    asked, addr, data = Signal(name=f"{name}_asked"), Signal.like(lookup.addr), Signal.like(
        Value.cast(lookup.data))
    m.d.sync += [asked.eq(1), addr.eq(lookup.addr), data.eq(Value.cast(lookup.data))]
    with m.If(asked & (addr == lookup.addr)):
        m.d.comb += Assume(Value.cast(lookup.data) == data)
