"""What every stream obeys: an offer stands, and does not change, until it is taken.

Ref: Amaranth standard library, "Data transfer rules" of streams.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from amaranth.hdl import Assert, Assume, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import Flow

__all__ = ["assert_outputs", "assume_inputs", "stands", "streams"]


def streams(part: Any) -> Iterator[tuple[str, bool, Any]]:
    """Yield name, whether it is an output, and the port of each stream of a component."""
    for name, member in part.signature.members.items():
        if member.is_signature and isinstance(member.signature, stream.Signature):
            yield name, member.flow is Flow.Out, getattr(part, name)


def stands(m: Any, port: Any, say: type[Assert] | type[Assume], name: str = "stream") -> Any:
    """Assume or assert that an offer stands; return whether one is waiting."""
    waits, kept = Signal(name=f"{name}_waits"), Signal(name=f"{name}_stands")
    offered, payload = Signal.like(Value.cast(port.payload)), Value.cast(port.payload)
    m.d.sync += [waits.eq(port.valid & ~port.ready), offered.eq(payload)]
    m.d.comb += [kept.eq(~waits | (port.valid & (payload == offered))), say(kept)]
    return waits


def assume_inputs(m: Any, part: Any) -> None:
    """Assume of each input stream what its sender promises."""
    for name, output, port in streams(part):
        if not output:
            stands(m, port, Assume, name)


def assert_outputs(m: Any, part: Any) -> dict[str, Any]:
    """Assert the contract of each output stream; return whether each has an offer waiting."""
    return {name: stands(m, port, Assert, name)
            for name, output, port in streams(part) if output}
