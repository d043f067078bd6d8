"""Start and drain: when memory may be unmapped."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Assert, Assume, Signal

from pagering_hdl.layouts import Kind
from pagering_hdl.lifecycle import Switchboard
from pagering_tb.formal.contract import stands
from pagering_tb.formal.mutant import Mutant
from pagering_tb.formal.specification import Specification

__all__ = ["DrainedIsTrue"]


class DrainedIsTrue(Specification):
    """Each queue's fence is followed from its going in to its coming out of the pipeline."""

    part = "lifecycle"
    promise = ("no queue or pool is drained while it is enabled, a mark of it is under way or it "
               "is busy")
    steps = 2
    mutants = (
        Mutant(Switchboard, "elaborate", "self.allowed & drained", "self.allowed"),
        Mutant(Switchboard, "elaborate", "drained.bit_select(self.index, 1).eq(0)",
               "drained.bit_select(self.index, 1).eq(1)"),
        Mutant(Switchboard, "elaborate", "Mux(starts, self.start, self.fence)", "self.fence"),
        Mutant(Switchboard, "elaborate", "~self.marks.valid & due.any()", "due.any()"),
        Mutant(Switchboard, "elaborate", "(out & ~self.busy)", "out"),
    )

    def __init__(self) -> None:
        super().__init__()
        self.dut = Switchboard(2, start=Kind.START_QUEUE, fence=Kind.FENCE_QUEUE)

    def specify(self, m: Any, dut: Any) -> dict[str, Any]:
        part = self.dut
        waits = stands(m, part.marks, Assert, "marks")
        taken = part.marks.valid & part.marks.ready
        m.d.comb += [Assume(part.index < 2), Assume(part.fenced_index < 2)]
        for index in range(2):
            # Between its fence's going in and its coming out; the pipeline keeps fences.
            fenced = Signal(name=f"fence_of_{index}")
            out = part.fenced & (part.fenced_index == index)
            goes = taken & (part.marks.p.index == index)
            fence = part.marks.p.kind == Kind.FENCE_QUEUE
            m.d.comb += Assume(~out | fenced)
            with m.If(goes & fence):
                m.d.sync += fenced.eq(1)
            with m.Elif(out):
                m.d.sync += fenced.eq(0)
            mark = part.marks.valid & (part.marks.p.index == index)
            on, due, drained = part.enabled[index], part.due[index], part.drained[index]
            finishing = part.finishing[index]
            was_busy, was_drained = Signal(), Signal(init=1)
            m.d.sync += [was_busy.eq(part.busy[index]), was_drained.eq(drained)]
            m.d.comb += [
                Assert(~(drained & ~was_drained & was_busy)),
                Assert(~(finishing & (on | due | mark | fenced | drained))),
                Assert(~(drained & (on | due | mark | fenced))),
                Assert(~(fenced & (on | due | mark))),
                # Off, and not drained: its fence has yet to be sent, or has been.
                Assert(on | drained | due | fenced | (mark & fence) | finishing),
                Assert(~(mark & fence & (on | due))),
            ]
        return {"a fence waits while the other is drained": waits & part.drained[0]
                & (part.marks.p.kind == Kind.FENCE_QUEUE)}
