"""The contract of every stream between two parts: an offer stands until it is taken.

A part whose outputs come from a buffer or a queue keeps it by that; its mutant breaks those.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Assert, Assume, Cat, Mux, Signal

from pagering_hdl.completion_lines import CompletionLines
from pagering_hdl.deliverer import Deliverer
from pagering_hdl.dma_writer import DmaWriter
from pagering_hdl.layouts import Kind
from pagering_hdl.line_announcer import LineAnnouncer
from pagering_hdl.line_reader import LineReader
from pagering_hdl.packet_reader import PacketReader
from pagering_hdl.page_opener import PageOpener
from pagering_hdl.page_table import PageTable
from pagering_hdl.placement_fork import PlacementFork
from pagering_hdl.placer import Placer
from pagering_hdl.recycle_ring import RecycleRing
from pagering_hdl.region_loader import RegionLoader
from pagering_hdl.response_tracker import ResponseTracker
from pagering_hdl.segment_fork import SegmentFork
from pagering_hdl.segmenter import Segmenter
from pagering_hdl.streams import StreamBuffer, StreamQueue, StreamRelay
from pagering_tb.formal.contract import Offers
from pagering_tb.formal.mutant import Mutant
from pagering_tb.formal.specification import small

__all__ = [
    "CompletionLinesOffers", "DelivererOffers", "DmaWriterOffers",
    "LineAnnouncerOffers", "LineReaderOffers", "PacketReaderOffers", "PageOpenerOffers",
    "PageTableOffers",
    "PlacementForkOffers", "PlacerOffers", "RecycleRingOffers", "RegionLoaderOffers",
    "ResponseTrackerOffers", "SegmentForkOffers", "SegmenterOffers",
]


_BUFFER = Mutant(StreamBuffer, "elaborate", "~self.o.valid | self.o.ready", "1")
_RELAY = Mutant(StreamRelay, "elaborate", "self.i.ready.eq(~self.o.valid)", "self.i.ready.eq(1)")
_QUEUE = Mutant(StreamQueue, "elaborate", "leaves.eq(self.o.valid & self.o.ready)",
                "leaves.eq(self.o.valid)")


class PacketReaderOffers(Offers):
    """Beats of frames, to the writer."""

    part = "packet_reader"
    mutants = (_BUFFER,)

    def __init__(self) -> None:
        super().__init__()
        self.dut = PacketReader(64, 16)

    def surroundings(self, m: Any, dut: Any) -> None:
        """The storage keeps what it last read."""
        enabled, stored = Signal(init=1), Signal(64)
        m.d.sync += [enabled.eq(self.dut.enable), stored.eq(self.dut.stored)]
        with m.If(~enabled):
            m.d.comb += Assume(self.dut.stored == stored)


class SegmenterOffers(Offers):
    """Segments, one grant at a time."""

    part = "segmenter"
    mutants = (Mutant(Segmenter, "_advance", "self.segments.valid & self.segments.ready",
                      "self.segments.valid"),)

    def __init__(self) -> None:
        super().__init__()
        self.dut = Segmenter(small())


class PlacerOffers(Offers):
    """Placements."""

    part = "placer"
    mutants = (_RELAY,)

    def __init__(self) -> None:
        super().__init__()
        self.dut = Placer(small())


class PageOpenerOffers(Offers):
    """Pages wanted, pages to enter, pages to fill."""

    part = "page_opener"
    own = True
    mutants = (_QUEUE, Mutant(PageOpener, "elaborate", "Mux(keeps, kept, self.orders.p.pool)",
                              "self.orders.p.pool"))

    def __init__(self) -> None:
        super().__init__()
        self.dut = PageOpener()

    def surroundings(self, m: Any, dut: Any) -> None:
        """For each page taken, one comes; for each page asked about, one answer."""
        part, queues, asked = self.dut, dut.submodules.queues, dut.submodules.asked
        m.d.comb += [Assume(~part.pages.valid | (queues.level != 0)),
                     Assume(~part.opened | (asked.level != 0))]


class RecycleRingOffers(Offers):
    """Pages taken off the ring."""

    part = "recycle_ring"
    mutants = (Mutant(RecycleRing, "elaborate", "~self.pages.valid | self.pages.ready", "1"),)

    def __init__(self) -> None:
        super().__init__()
        self.dut = RecycleRing(small())


class PageTableOffers(Offers):
    """Pages on their way back to it."""

    part = "page_table"
    mutants = (_QUEUE,)

    def __init__(self) -> None:
        super().__init__()
        self.dut = PageTable(small())


class RegionLoaderOffers(Offers):
    """Pages renewed and enrolled; a ring emptied."""

    part = "region_loader"
    own = True
    reach = 20
    mutants = (Mutant(RegionLoader, "elaborate",
                      "with m.If(self.retire.ready):", "with m.If(1):"),)

    def __init__(self) -> None:
        super().__init__()
        self.dut = RegionLoader(small())

    def surroundings(self, m: Any, dut: Any) -> None:
        """The registers refuse slots that are none."""
        m.d.comb += Assume(self.dut.commands.p.slot < 2)


class SegmentForkOffers(Offers):
    """A segment, to those who begin with it."""

    part = "segment_fork"
    mutants = (Mutant(SegmentFork, "elaborate", "valid & need & ~had[number]",
                      "valid & need & ~had[number] & self.placed.ready"),)

    def __init__(self) -> None:
        super().__init__()
        self.dut = SegmentFork(small())


class PlacementForkOffers(Offers):
    """A placement, to those who carry it out."""

    part = "placement_fork"
    mutants = (Mutant(PlacementFork, "elaborate", "has & ~self.jobs.ready", "0"),)

    def __init__(self) -> None:
        super().__init__()
        self.dut = PlacementFork()


class DmaWriterOffers(Offers):
    """The write address and write data channels."""

    part = "dma_writer"
    mutants = (_BUFFER,)

    def __init__(self) -> None:
        super().__init__()
        self.dut = DmaWriter(small())


class ResponseTrackerOffers(Offers):
    """Segments that are written."""

    part = "response_tracker"
    mutants = (_QUEUE,)

    def __init__(self) -> None:
        super().__init__()
        self.dut = ResponseTracker(small())


class DelivererOffers(Offers):
    """A delivery and a completion, offered when both can be taken."""

    part = "deliverer"
    pausing = ("deliveries", "entries")
    mutants = (Mutant(Deliverer, "elaborate", "delivers & known & can_complete",
                      "delivers & can_complete"),)

    def __init__(self) -> None:
        super().__init__()
        self.dut = Deliverer()

    def specify(self, m: Any, dut: Any) -> dict[str, Any]:
        waits = super().specify(m, dut)
        # What induction has to know: what waits is of the segment that waits.
        written, facts = self.dut.written, self.dut.facts
        segment, close = (written.p.kind == kind for kind in (Kind.SEGMENT, Kind.CLOSE))
        m.d.comb += [
            Assert(~waits["deliveries"] | (written.valid & (close | segment & facts.valid))),
            Assert(~waits["entries"] | (written.valid & ~close & Mux(
                segment, facts.valid & ~written.p.apart, 1))),
        ]
        return waits

    def meaning(self, name: str, payload: Any) -> Any:
        """A mark is a kind and an index; the rest of its entry is nobody's."""
        if name != "entries":
            return payload
        mark = Cat(payload.kind.as_value(), payload.index)
        return Mux(payload.kind == Kind.SEGMENT, payload.as_value(), mark)


class CompletionLinesOffers(Offers):
    """Lines to be written."""

    part = "completion_lines"
    mutants = (Mutant(CompletionLines, "_ask", "(~sends | line.ready)", "1"),)
    reach = 16

    def __init__(self) -> None:
        super().__init__()
        self.dut = CompletionLines(small())


class LineAnnouncerOffers(Offers):
    """Writes of lines, and lines to be read."""

    part = "line_announcer"
    mutants = (Mutant(LineAnnouncer, "elaborate", "self.requests.ready.eq(self.idle)",
                      "self.requests.ready.eq(~self.jobs.valid)"),)

    def __init__(self) -> None:
        super().__init__()
        self.dut = LineAnnouncer(small())


class LineReaderOffers(Offers):
    """Beats of lines."""

    part = "line_reader"
    mutants = (_QUEUE,)

    def __init__(self) -> None:
        super().__init__()
        self.dut = LineReader(small())
