"""Where a frame is judged."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Assert, Mux, Signal

from pagering_hdl.frame_gate import FrameGate
from pagering_hdl.layouts import DropCause
from pagering_hdl.size_bound import SizeBound
from pagering_tb.formal.contract import assume_inputs
from pagering_tb.formal.mutant import Mutant
from pagering_tb.formal.specification import Specification

__all__ = ["EveryFrameIsJudged"]


class EveryFrameIsJudged(Specification):
    """A frame is followed beat by beat as it leaves the counter of bytes, and judged once more.

    By the limits that were set two cycles before it came, whatever the host sets meanwhile.
    """

    part = "frame_gate"
    promise = "each frame is committed whole or dropped, once, for a cause that it has"
    steps = 2
    mutants = (
        Mutant(FrameGate, "elaborate", "& ~self.clearing", ""),
        Mutant(FrameGate, "elaborate", "~now.as_value().any() & ", ""),
        Mutant(FrameGate, "elaborate", "Mux(valid, ~(take & beat.last), midframe)", "midframe"),
        Mutant(SizeBound, "elaborate", "self.bytes > rest", "self.bytes > rest + 1"),
        Mutant(SizeBound, "elaborate", "self.number == full", "self.number > full"),
        Mutant(FrameGate, "elaborate", "known.overflow | (~doomed & ~fits)", "~doomed & ~fits"),
        Mutant(FrameGate, "_judge", "self.rollback.eq(self.dropped.valid)",
               "self.rollback.eq(self.dropped.valid & ~beat.bad)"),
        Mutant(FrameGate, "_measure", "limits.minimum - (limits.minimum != 0)", "limits.minimum"),
    )
    MAX_FRAME = 6

    def __init__(self) -> None:
        super().__init__()
        self.dut = FrameGate(16, self.MAX_FRAME)

    def specify(self, m: Any, dut: Any) -> dict[str, Any]:
        part, counter = self.dut, dut.submodules.counter
        assume_inputs(m, part)
        least, most = self._limits(m, counter)
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
        cause = part.dropped.cause
        with m.If(part.commit):
            m.d.comb += [
                Assert(~beat.bad & ~broken & (total != 0) & (part.length == total)),
                Assert((total >= least) & (total <= most)),
                # All of it is in the FIFO.
                Assert(kept == total),
            ]
        with m.If(part.dropped.valid):
            for name, holds in ((DropCause.BAD_FRAME, beat.bad), (DropCause.MALFORMED, broken),
                                (DropCause.OVERSIZE, total > most), (
                                    DropCause.RUNT, (total < least) | (total == 0))):
                m.d.comb += Assert((cause != name) | holds)
            m.d.comb += Assert(
                (cause == DropCause.BAD_FRAME) | (cause == DropCause.MALFORMED)
                | (cause == DropCause.OVERSIZE) | (cause == DropCause.RUNT)
                | (cause == DropCause.OVERFLOW) | (cause == DropCause.CARD_DISABLED))
        # What induction has to know of the frame under way, and of a beat that waits.
        known, fits = part.known, size <= self.MAX_FRAME
        m.d.comb += [
            Assert(beat.bytes <= 2), Assert(beat.full == (beat.bytes == 2)),
            Assert(~hole | known.malformed),
            Assert(~known.malformed | hole | (counter.o.valid & broken)),
            Assert(~fits | (part.before == size)), Assert(size <= self.MAX_FRAME + 2),
            Assert(~fits | hole | (part.before == (part.number - 1) << 1)),
            Assert((part.midframe & (known.as_value().any() | part.maximum.known))
                   | (written == size)),
            Assert(part.midframe | ((size == 0) & ~hole & (part.number == 1))),
        ]
        for bound, limit in ((part.maximum, most), (part.floor, least - (least != 0))):
            m.d.comb += Assert(bound.held == limit)
            with m.If(fits & ~hole):
                m.d.comb += [
                    Assert(bound.reached == (part.number - 1 == limit >> 1)),
                    Assert(bound.known | (size <= limit)),
                    Assert(~bound.known | (size > limit)
                           | counter.o.valid & ((total > limit) | broken)),
                ]
        m.d.comb += [Assert(most <= self.MAX_FRAME), Assert(fits | hole | part.maximum.known)]
        return {"the longest frame": part.commit & (total == self.MAX_FRAME),
                "an oversize one": part.dropped.valid & (cause == DropCause.OVERSIZE),
                "an overflow": part.dropped.valid & (cause == DropCause.OVERFLOW)}

    def _limits(self, m: Any, counter: Any) -> tuple[Any, Any]:
        """Return the least and the most bytes that the frame under way, or the next, may have."""
        part, before = self.dut, Signal.like(self.dut.limits)
        least, most = Signal(16), Signal(16)
        m.d.sync += before.eq(part.limits)
        ends = counter.o.ready & counter.o.p.last
        with m.If(Mux(counter.o.valid, ends, ~part.midframe)):
            m.d.sync += [least.eq(before.minimum),
                         most.eq(Mux(before.maximum > self.MAX_FRAME, self.MAX_FRAME,
                                     before.maximum))]
        m.d.comb += [
            Assert(part.floor.limit == before.minimum - (before.minimum != 0)),
            Assert(part.maximum.limit == Mux(before.maximum > self.MAX_FRAME, self.MAX_FRAME,
                                             before.maximum)),
        ]
        return least, most
