"""Interrupts."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Assert, Assume, Signal

from pagering_hdl.interrupts import Interrupts
from pagering_tb.formal.mutant import Mutant
from pagering_tb.formal.specification import Specification

__all__ = ["InterruptsMaskThemselves"]


class InterruptsMaskThemselves(Specification):
    """Of each queue it is remembered whether the host has armed since the interrupt fired."""

    part = "interrupts"
    promise = "an interrupt fires once for each time that it is armed, and never otherwise"
    steps = 3
    reach = 16
    mutants = (
        Mutant(Interrupts, "_act", "armed.eq(0), forced.eq(0)", "forced.eq(0)"),
        Mutant(Interrupts, "_obey", "(self.fired, self.waits)", "(self.waits,)"),
        Mutant(Interrupts, "_act", "verdict.valid & armed &", "verdict.valid &"),
    )

    def __init__(self) -> None:
        super().__init__()
        self.dut = Interrupts(2)

    def specify(self, m: Any, dut: Any) -> dict[str, Any]:
        part, armed = self.dut, Signal(2)
        m.d.comb += [Assume(index < 2) for index in (
            part.visible.index, part.arm.queue, part.restart_index, part.force_index)]
        before = Signal(2)
        m.d.sync += before.eq(part.fired)
        rises = part.fired & ~before
        # Armed by the host, and not used up: firing uses it up, and so does a restart.
        for queue in range(2):
            with m.If(part.arm.valid & (part.arm.queue == queue)):
                m.d.sync += armed[queue].eq(1)
            with m.Elif(part.restart & (part.restart_index == queue)):
                m.d.sync += armed[queue].eq(0)
            with m.Elif(rises[queue]):
                m.d.sync += armed[queue].eq(0)
        m.d.comb += [Assert((rises & ~armed) == 0), Assert((part.armed & part.fired) == 0),
                     Assert((part.armed & ~armed) == 0)]
        return {"it fires": rises[1], "and is armed again": part.armed[1] & before[1]}
