"""Where frames come in: kept whole, or not at all."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Assert, Assume, Mux, Signal

from pagering_hdl.packet_fifo import PacketFifo
from pagering_hdl.packet_reader import PacketReader
from pagering_tb.formal.contract import assume_inputs
from pagering_tb.formal.mutant import Mutant
from pagering_tb.formal.specification import Specification, rows

__all__ = ["FramesAreKeptWhole"]


class FramesAreKeptWhole(Specification):
    """One beat, whichever, is watched from its being written to its being read, or forgotten.

    The gate writes when there is room, and the commands are for frames that are committed.
    """

    part = "packet_fifo"
    promise = "what is committed is read, in order and unchanged; what is rolled back never is"
    steps = 3
    mutants = (
        Mutant(PacketFifo, "elaborate", "Mux(self.rollback, committed, after)", "after"),
        Mutant(PacketFifo, "elaborate", "committed.eq(after)", "committed.eq(head)"),
        Mutant(PacketFifo, "elaborate", "with m.If(self.commit)", "with m.If(self.rollback)"),
        Mutant(PacketFifo, "_room", "~fills | self.rollback", "1"),
        Mutant(PacketFifo, "_room", "~full | (self.rollback & under_way)",
               "~full | self.rollback"),
        Mutant(PacketReader, "elaborate", "command.last & skips.replicate(11)", "0"),
    )
    DEPTH = 8

    def __init__(self) -> None:
        super().__init__()
        self.dut = PacketFifo(16, self.DEPTH, realign=False)

    def specify(self, m: Any, dut: Any) -> dict[str, Any]:
        part, reader = self.dut, dut.submodules.reader
        assume_inputs(m, part)
        command, coming = reader.command, part.commands.p
        # Beats that are committed and not read; of the frame under way.
        kept, under_way = Signal(4), Signal(4)
        room = Signal(init=1)
        gone = reader.freed
        due = Mux(reader.busy, command.last + 1, 0)
        m.d.comb += [
            Assume(~part.write | part.room), Assume(~(part.commit & part.rollback)),
            Assume(~part.commands.valid | (coming.last + 1 + due <= kept)),
            Assert(due <= kept), Assert(kept + under_way <= self.DEPTH),
            Assert(~part.room | (kept + under_way != self.DEPTH)), Assert(gone <= kept),
            Assert(part.room == room), Assert(part.under_way == (under_way != 0)),
            Assert((part.committed - reader.place)[:4] == kept),
            Assert((part.head - part.committed)[:4] == under_way),
        ]
        grown = under_way + part.write
        # Room comes back a cycle late.
        m.d.sync += room.eq(kept + Mux(part.rollback, 0, grown) != self.DEPTH)
        m.d.sync += [
            kept.eq(kept - gone + Mux(part.commit, grown, 0)),
            under_way.eq(Mux(part.commit | part.rollback, 0, grown)),
        ]
        self._watch(m, dut, kept, under_way, gone)
        return {"a rollback of two beats": part.rollback & (under_way == 2) & (kept != 0),
                "a frame is read to its end": reader.busy & part.commands.ready
                & ~command.skip & (kept == 3),
                "full": ~part.room}

    def _watch(self, m: Any, dut: Any, kept: Any, under_way: Any, gone: Any) -> None:
        """Follow one beat: where it is, what it is, and that it is what the reader gets."""
        part, reader = self.dut, dut.submodules.reader
        pick, inside, new = Signal(), Signal(), Signal()
        self.free.append(pick)
        before, beat = Signal(4), Signal(16)
        stored = Array(rows(m, dut.submodules.storage))
        with m.If(part.write & pick & ~inside):
            m.d.sync += [inside.eq(~part.rollback), new.eq(~part.commit), beat.eq(part.beat),
                         before.eq(kept + under_way - gone)]
        with m.Elif(inside):
            m.d.sync += [before.eq(before - gone), new.eq(new & ~part.commit)]
            with m.If((gone > before) | (new & part.rollback)):
                m.d.sync += inside.eq(0)
        with m.If(inside):
            m.d.comb += [
                Assert(stored[(reader.place + before)[:3]] == beat),
                Assert(before < kept + under_way), Assert(new == (before >= kept)),
            ]
        # It is what is read next, and the storage answers a cycle later.
        read, expected = Signal(), Signal(16)
        m.d.sync += [read.eq(inside & (before == 0) & (gone == 1) & reader.enable
                             & ~reader.command.skip), expected.eq(beat)]
        with m.If(read):
            m.d.comb += Assert(reader.stored == expected)
