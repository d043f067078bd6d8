"""Where frames are steered before they have ended: nothing is believed too early, or lost."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Assert, Assume, Cat, Mux, Signal

from pagering_hdl.preview import PreviewedPlace
from pagering_hdl.tentative import TentativeEvent
from pagering_tb.formal.mutant import Mutant
from pagering_tb.formal.specification import Specification

__all__ = ["EventsCountOnce", "PreviewsEnd"]


class PreviewsEnd(Specification):
    """A frame is kept only while the place is free, or about to be: that is the dissector's."""

    part = "preview"
    promise = ("what is shown stays until it is valid or revoked, and each frame that is kept is "
               "valid once")
    steps = 5
    mutants = (
        Mutant(PreviewedPlace, "elaborate", "self.final & ~self.keep & ours", "0"),
        Mutant(PreviewedPlace, "elaborate", "ours.eq(shown & ~under_way.any())", "ours.eq(shown)"),
        Mutant(PreviewedPlace, "elaborate", "self.reached & ~stays", "self.reached"),
        Mutant(PreviewedPlace, "elaborate", "~self.comes & ~wrong", "~wrong"),
        Mutant(PreviewedPlace, "elaborate", "kept & ~ours", "kept"),
    )

    def __init__(self) -> None:
        super().__init__()
        self.dut = PreviewedPlace()

    def specify(self, m: Any, dut: Any) -> dict[str, Any]:
        part = self.dut
        shown, revoked = part.preview.shown, part.preview.revoked
        # The frame in the place has ended, and was kept; what was shown is of one that has not.
        kept, under_way, showed, filled = part.final & part.keep, Signal(4), Signal(), Signal()
        ended_badly, was_wrong = Signal(), Signal()
        m.d.sync += [
            under_way.eq(Cat(kept, under_way)), showed.eq(shown | part.begins),
            ended_badly.eq(part.final & ~part.keep & shown & ~under_way[:3].any()),
            was_wrong.eq(part.comes & shown & ~part.right),
            filled.eq((filled | part.begins | part.fills)
                      & ~(part.valid & part.ready & ~part.begins)
                      & ~(part.final & ~part.keep & shown & ~under_way[:3].any())),
        ]
        m.d.comb += [
            Assume(~kept | ~(under_way[:3].any() | part.valid)),
            Assume(~(part.reached & part.final)),
            Assert(~under_way[3] | part.valid), Assert(part.comes == under_way[2]),
            Assert(revoked == (ended_badly | was_wrong)),
            Assert(~showed | shown | part.valid | revoked), Assert(~shown | showed),
            Assert(~(shown & (part.valid | revoked))),
            # It is filled while it is free, and full while it is asked for.
            Assert(~(part.begins | part.fills) | ~filled | (part.valid & part.ready)),
            Assert(filled == (shown | part.valid | under_way[:3].any())),
            # What induction has to know.
            Assert((under_way[:3] & (under_way[:3] - 1)) == 0),
            Assert(~(under_way[:3].any() & part.valid)),
        ]
        return {"shown, then valid": part.valid & showed, "rolled back": ended_badly,
                "not as it seemed": was_wrong & part.valid,
                "never shown": part.valid & under_way[3] & ~showed}


class EventsCountOnce(Specification):
    """One event at a time is tentative, and none follows it until it is not."""

    part = "tentative"
    promise = "an event that is not revoked counts once, confirmed, when it has come"
    mutants = (
        Mutant(TentativeEvent, "elaborate", "before.valid & ~(before.tentative & self.revoke)",
               "before.valid"),
        Mutant(TentativeEvent, "elaborate", "event.valid & ~event.tentative", "event.valid"),
        Mutant(TentativeEvent, "elaborate", "self.waits | (event.valid & event.tentative)",
               "self.waits"),
        Mutant(TentativeEvent, "elaborate", "undecided & ~self.confirm & ~self.revoke",
               "undecided & ~self.confirm"),
    )
    LATENCY = 3

    def __init__(self) -> None:
        super().__init__()
        self.dut = TentativeEvent(self.LATENCY)

    def specify(self, m: Any, dut: Any) -> dict[str, Any]:
        part = self.dut
        # When each event comes, those that are not revoked; how many have not counted yet; and
        # whether the youngest is tentative.
        due, inside = Signal(self.LATENCY), Signal(range(self.LATENCY + 2))
        unsure, last = Signal(), due[-1]
        valid = Cat(stage.valid for stage in part.stages)
        tentative = Cat(stage.tentative for stage in part.stages)
        m.d.comb += [
            Assume(~(part.confirm & part.revoke)), Assume(~part.tentative | part.i),
            Assume(~(part.confirm | part.revoke) | unsure),
            Assume(~part.i | ~unsure | part.confirm | part.revoke),
            Assert(part.o == (last & ~(part.revoke & ((due & (due - 1)) == 0)))),
            Assert(~part.counts | (inside > (unsure & ~part.confirm))),
            Assert(part.sure == (last & (inside > unsure))), Assert(~part.sure | part.counts),
            # What waits has come.
            Assert(inside == sum(due) + part.waits),
            Assert(~part.waits | (unsure & (due == 0))), Assert(~unsure | part.waits | due.any()),
            # What induction has to know: the youngest alone is tentative.
            Assert(valid == due), Assert((tentative & valid) == Mux(unsure, due & -due, 0)),
        ]
        m.d.sync += [
            due.eq(Cat(part.i, Mux(part.revoke, due & (due - 1), due))),
            unsure.eq(part.tentative | (unsure & ~part.confirm & ~part.revoke)),
            inside.eq(inside + part.i - part.counts - part.revoke),
        ]
        return {"confirmed late": part.confirm & part.waits, "revoked": part.revoke & ~part.waits,
                "confirmed as it comes": part.confirm & part.o,
                "one behind another": part.counts & (inside == 2)}
