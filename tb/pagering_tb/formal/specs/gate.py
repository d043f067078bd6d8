"""Where a frame is judged."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Assert, Mux, Signal

from pagering_hdl.frame_gate import FrameGate
from pagering_hdl.layouts import DropCause
from pagering_tb.formal.contract import assume_inputs
from pagering_tb.formal.mutant import Mutant
from pagering_tb.formal.specification import Specification

__all__ = ["EveryFrameIsJudged"]


class EveryFrameIsJudged(Specification):
    """A frame is followed beat by beat as it leaves the counter of bytes, and judged once more.

    The host does not change limits while a frame is under way.
    """

    part = "frame_gate"
    promise = "each frame is committed whole or dropped, once, for a cause that it has"
    steps = 2
    mutants = (
        Mutant(FrameGate, "elaborate", "& ~self.clearing", ""),
        Mutant(FrameGate, "elaborate", "~now.as_value().any() & ", ""),
        Mutant(FrameGate, "elaborate", "known.oversize | (total > maximum)", "total > maximum + 1"),
        Mutant(FrameGate, "elaborate", "known.overflow | (~doomed & ~fits)", "~doomed & ~fits"),
        Mutant(FrameGate, "_judge", "self.rollback.eq(self.dropped.valid)",
               "self.rollback.eq(self.dropped.valid & ~beat.bad)"),
        Mutant(FrameGate, "_judge", "(total < self.limits.minimum) | (total == 0)", "total == 0"),
    )
    MAX_FRAME = 6

    def __init__(self) -> None:
        super().__init__()
        self.dut = FrameGate(16, self.MAX_FRAME)
        self.tied = ("limits",)

    def specify(self, m: Any, dut: Any) -> dict[str, Any]:
        part, counter = self.dut, dut.submodules.counter
        assume_inputs(m, part)
        m.d.comb += part.limits.eq(self.constant(m, part.limits.shape(), "limits_set"))
        # Frames that are on the way to the judge, and those that have been judged.
        ends_in = part.frames.tvalid & part.frames.tready & part.frames.tlast
        inside, beat = Signal(2), counter.o.p
        taken, ends = counter.o.valid & counter.o.ready, part.ended
        m.d.sync += inside.eq(inside + ends_in - ends)
        m.d.comb += [
            Assert(inside == (counter.o.valid & beat.last)), Assert(ends == (taken & beat.last)),
            Assert(ends == (part.commit | part.dropped.valid)),
            Assert(~(part.commit & part.dropped.valid)),
            Assert(part.rollback == part.dropped.valid),
            # Nothing is taken, so nothing can go uncounted, while the tables are cleared.
            Assert(~part.clearing | ~(taken | part.write | ends | part.taken.any())),
            Assert(~part.write | (part.room & taken)),
            Assert(~part.commit | part.place),
        ]
        # Bytes, but that nothing is added to too many; those in the FIFO; whether any is missing.
        size, written, hole = Signal(4), Signal(4), Signal()
        total = size + beat.bytes
        kept = written + Mux(part.write, beat.bytes, 0)
        broken = hole | beat.hole | ~(beat.full | beat.last)
        with m.If(taken):
            m.d.sync += [size.eq(Mux(beat.last, 0, Mux(
                size > self.MAX_FRAME, size, total))), written.eq(Mux(beat.last, 0, kept)),
                         hole.eq(broken & ~beat.last)]
        most = Mux(part.limits.maximum > self.MAX_FRAME, self.MAX_FRAME, part.limits.maximum)
        cause = part.dropped.cause
        with m.If(part.commit):
            m.d.comb += [
                Assert(~beat.bad & ~broken & (total != 0) & (part.length == total)),
                Assert((total >= part.limits.minimum) & (total <= most)),
                # All of it is in the FIFO.
                Assert(kept == total),
            ]
        with m.If(part.dropped.valid):
            for name, holds in ((DropCause.BAD_FRAME, beat.bad), (DropCause.MALFORMED, broken),
                                (DropCause.OVERSIZE, total > most), (
                                    DropCause.RUNT, (total < part.limits.minimum) | (total == 0))):
                m.d.comb += Assert((cause != name) | holds)
            m.d.comb += Assert(
                (cause == DropCause.BAD_FRAME) | (cause == DropCause.MALFORMED)
                | (cause == DropCause.OVERSIZE) | (cause == DropCause.RUNT)
                | (cause == DropCause.OVERFLOW) | (cause == DropCause.CARD_DISABLED))
        # What induction has to know of the frame under way.
        known = part.known
        m.d.comb += [
            Assert(beat.bytes <= 2), Assert(known.malformed == hole),
            Assert(known.oversize == (size > most)),
            Assert(known.oversize | (part.before == size)), Assert(size <= self.MAX_FRAME + 2),
            Assert((part.midframe & known.as_value().any()) | (written == size)),
            Assert(part.midframe | ((size == 0) & ~hole)),
        ]
        return {"the longest frame": part.commit & (total == self.MAX_FRAME),
                "an oversize one": part.dropped.valid & (cause == DropCause.OVERSIZE),
                "an overflow": part.dropped.valid & (cause == DropCause.OVERFLOW)}
