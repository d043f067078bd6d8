"""What the other parts stand on."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Assert, Signal

from pagering_hdl.streams import StreamBuffer, StreamQueue, StreamSkid
from pagering_tb.formal.contract import assume_inputs, stands
from pagering_tb.formal.mutant import Mutant
from pagering_tb.formal.specification import Specification, contents

__all__ = ["BufferKeepsOrder", "QueueKeepsOrder", "SkidKeepsOrder"]


class BufferKeepsOrder(Specification):
    """One payload at a time is followed through."""

    part = "streams"
    promise = "a buffer loses nothing, adds nothing and changes nothing; its offers stand"
    steps = 2
    mutants = (
        Mutant(StreamBuffer, "elaborate", "~self.o.valid | self.o.ready", "self.o.ready | 1"),
        Mutant(StreamBuffer, "elaborate", "self.o.valid.eq(self.i.valid)", "self.o.valid.eq(1)"),
    )

    def __init__(self) -> None:
        super().__init__()
        self.dut = StreamBuffer(4)

    def specify(self, m: Any, dut: Any) -> dict[str, Any]:
        i, o = self.dut.i, self.dut.o
        assume_inputs(m, self.dut)
        waits = stands(m, o, Assert, "o")
        inside, taken = Signal(2), Signal(4)
        m.d.sync += inside.eq(inside + (i.valid & i.ready) - (o.valid & o.ready))
        with m.If(i.valid & i.ready):
            m.d.sync += taken.eq(i.payload)
        m.d.comb += Assert(inside == o.valid)
        with m.If(o.valid):
            m.d.comb += Assert(o.payload == taken)
        return {"an offer waits and another comes": waits & i.valid}


class SkidKeepsOrder(Specification):
    """The two payloads that may be inside are kept once more, in order."""

    part = "streams"
    promise = "a skid loses nothing, adds nothing and keeps the order; its offers stand"
    steps = 2
    mutants = (
        Mutant(StreamSkid, "elaborate", "with m.If(~full)", "with m.If(1)"),
        Mutant(StreamSkid, "elaborate", "self.i.ready.eq(~full)", "self.i.ready.eq(1)"),
        Mutant(StreamSkid, "elaborate", "full | self.i.valid", "self.i.valid"),
    )

    def __init__(self) -> None:
        super().__init__()
        self.dut = StreamSkid(4)

    def specify(self, m: Any, dut: Any) -> dict[str, Any]:
        i, o, part = self.dut.i, self.dut.o, self.dut
        assume_inputs(m, part)
        waits = stands(m, o, Assert, "o")
        first, second, inside = Signal(4), Signal(4), Signal(2)
        comes, goes = i.valid & i.ready, o.valid & o.ready
        m.d.sync += inside.eq(inside + comes - goes)
        with m.If(goes):
            m.d.sync += first.eq(second)
        with m.If(comes & (inside - goes == 0)):
            m.d.sync += first.eq(i.payload)
        with m.Elif(comes):
            m.d.sync += second.eq(i.payload)
        m.d.comb += [Assert(inside == o.valid + part.full), Assert(~part.full | o.valid),
                     Assert(~o.valid | (o.payload == first)),
                     Assert(~part.full | (part.spare == second))]
        return {"two are inside": (inside == 2) & waits, "one comes as one leaves": comes & goes}


class QueueKeepsOrder(Specification):
    """One payload, whichever, is watched from its going in to its coming out.

    What the FIFO states about its level and its pointers is proved as well.
    """

    part = "streams"
    promise = "a queue loses nothing, keeps the order, tells its level; its offers stand"
    steps = 3
    mutants = (
        Mutant(StreamQueue, "elaborate", "enters.eq(self.i.valid & self.i.ready)",
               "enters.eq(self.i.valid)"),
        Mutant(StreamQueue, "elaborate", "eq(out.data)", "eq(self.i.payload)"),
        Mutant(StreamQueue, "elaborate", "leaves.eq(self.o.valid & self.o.ready)",
               "leaves.eq(self.o.valid & (self.o.ready | self.i.valid))"),
    )
    DEPTH = 4

    def __init__(self) -> None:
        super().__init__()
        self.dut = StreamQueue(2, depth=self.DEPTH)

    def specify(self, m: Any, dut: Any) -> dict[str, Any]:
        i, o = self.dut.i, self.dut.o
        assume_inputs(m, self.dut)
        waits = stands(m, o, Assert, "o")
        goes_in, goes_out = i.valid & i.ready, o.valid & o.ready
        level = Signal(range(self.DEPTH + 1))
        m.d.sync += level.eq(level + goes_in - goes_out)
        m.d.comb += [Assert(level == self.dut.level), Assert(o.valid == (level != 0)),
                     Assert(i.ready == (level != self.DEPTH))]
        # The one that is watched, how many are before it, and what it is.
        watch, inside = self.constant(m, 3, "watch"), Signal()
        before, payload, came = Signal(range(self.DEPTH)), Signal(2), Signal(3)
        m.d.sync += came.eq(came + goes_in)
        with m.If(goes_in & (came == watch) & ~inside):
            m.d.sync += [inside.eq(1), payload.eq(i.payload), before.eq(level - goes_out)]
        with m.Elif(inside & goes_out):
            m.d.sync += [inside.eq(before != 0), before.eq(before - 1)]
        stored_now = contents(m, self.dut)
        with m.If(inside):
            m.d.comb += Assert(before < level)
            with m.If(before == 0):
                m.d.comb += Assert(o.payload == payload)
            for place, (taken, stored) in enumerate(stored_now):
                m.d.comb += Assert(~taken | (before != place) | (stored == payload))
        return {"full": ~i.ready & waits, "empty again": (level == 0) & goes_in}
