"""Where everything is written to: from regions to pages, chunks, segments and lines.

Link by link: a page is in its region, a segment in its page, a burst in its segment (proved of
``burst_splitter``), a line of completions in its ring. So no write leaves what its queue was given.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Assert, Assume, Signal

from pagering_hdl.layouts import Kind
from pagering_hdl.line_announcer import PLACE_BYTES, LineAnnouncer
from pagering_hdl.placer import Locator, Picked
from pagering_hdl.region_table import Region, RegionTable
from pagering_hdl.segmenter import Segmenter
from pagering_tb.formal.contract import assume_inputs
from pagering_tb.formal.mutant import Mutant
from pagering_tb.formal.specification import Specification, rows, small

__all__ = ["LinesStayInTheirRing", "PagesAreInTheirRegion", "SegmentsFillTheirPages",
           "SegmentsStayInTheirPage"]


class PagesAreInTheirRegion(Specification):
    """One slot, whichever, is remembered as it was last written."""

    part = "region_table"
    promise = "a page's address is in the region, and its pool the pool, last written for its slot"
    steps = 2
    mutants = (
        Mutant(RegionTable, "elaborate", "place.eq(page)", "place.eq(page + 1)"),
        Mutant(RegionTable, "elaborate", "self.owner.addr >> config.region_pages_log2",
               "self.owner.addr >> (config.region_pages_log2 + 1)"),
        Mutant(RegionTable, "elaborate", "port.en.eq(self.write_en)",
               "port.en.eq(self.set_valid)"),
        Mutant(RegionTable, "elaborate", "self.write.base >> aligned", "self.write.base"),
    )

    def __init__(self) -> None:
        super().__init__()
        self.card = small(pages=8, region_pages=4)
        self.dut = RegionTable(self.card)

    def specify(self, m: Any, dut: Any) -> dict[str, Any]:
        part, card = self.dut, self.card
        bases, pools = dut.submodules.bases, dut.submodules.pools
        slot = self.constant(m, 1, "slot")
        region, page = Signal(Region), part.address.addr
        m.d.comb += [
            Assume(part.write_slot < card.regions), Assume(part.owner.addr < card.pages),
            Assume(page < card.pages), Assume(part.write.pool < card.pools),
            # Registers refuse a region that is not aligned to its size.
            Assume(part.write.base[:card.region_log2 - 12] == 0),
        ]
        with m.If(part.write_en & (part.write_slot == slot)):
            m.d.sync += region.eq(part.write)
        valid = Signal()
        with m.If(part.write_slot == slot):
            with m.If(part.clear_valid):
                m.d.sync += valid.eq(0)
            with m.Elif(part.set_valid):
                m.d.sync += valid.eq(1)
        for place, (base, pool) in enumerate(zip(rows(m, bases), rows(m, pools), strict=True)):
            with m.If(slot == place):
                m.d.comb += Assert((base == region.base >> card.region_log2 - 12)
                                   & (pool == region.pool))
        m.d.comb += [Assert(region.base[:card.region_log2 - 12] == 0),
                     Assert(part.valid.bit_select(slot, 1) == valid)]
        # The answer is about what was asked, as it was then.
        mine, start, expected = Signal(), Signal(64), Signal(64)
        with m.If(part.address.en):
            m.d.comb += Assume(~part.write_en | (page[card.region_pages_log2:]
                                                 != part.write_slot))
            m.d.sync += [mine.eq(page[card.region_pages_log2:] == slot),
                         start.eq(region.base << 12),
                         expected.eq((region.base << 12) + (page[:card.region_pages_log2]
                                                            << card.page_log2))]
        with m.If(mine):
            m.d.comb += [Assert(part.address.data == expected), Assert(expected >= start),
                         Assert(expected - start <= (1 << card.region_log2) - card.page_bytes)]
        with m.If(part.owner.addr[card.region_pages_log2:] == slot):
            m.d.comb += Assert(part.owner.data == region.pool)
        last = (card.region_pages - 1) << card.page_log2
        return {"the last page of a high region": mine & (slot == 1) & valid
                & start[63] & (expected - start == last)}


class SegmentsFillTheirPages(Specification):
    """A frame is counted byte by byte as its segments leave."""

    part = "segmenter"
    promise = "the segments of a grant are its bytes, each in one page, with the chunks they need"
    steps = 2
    mutants = (
        Mutant(Segmenter, "_measure", "Mux(whole, config.page_bytes - 1, top)", "top"),
        Mutant(Segmenter, "_measure", "top >> config.chunk_log2", "(top + 1) >> config.chunk_log2"),
        Mutant(Segmenter, "_measure", "Mux(share.opens, 0, share.first)", "share.first"),
        Mutant(Segmenter, "elaborate", "page != grant.frame.top >> self.config.page_log2",
               "page != (grant.frame.top + 1) >> self.config.page_log2"),
    )

    def __init__(self) -> None:
        super().__init__()
        self.card = small(chunk_bytes=1024)
        self.dut = Segmenter(self.card)

    def specify(self, m: Any, dut: Any) -> dict[str, Any]:
        part, card = self.dut, self.card
        grant, segment = part.grants.p, part.segments.p
        assume_inputs(m, part)
        for share in (grant.frame, grant.headers):
            # What fits in the open page goes there; admission sees to it.
            m.d.comb += Assume(share.opens | ((share.first << card.chunk_log2) + share.top
                                              < card.page_bytes))
        carries = grant.kind == Kind.SEGMENT
        m.d.comb += [Assume(grant.headers.top < card.page_bytes),
                     Assume(~grant.split | carries)]
        taken = part.segments.valid & part.segments.ready & (segment.kind == Kind.SEGMENT)
        sent = Signal(15)
        after = (sent + segment.top + 1)[:15]
        begin, end = segment.first << card.chunk_log2, (segment.last + 1) << card.chunk_log2
        with m.If(taken & ~segment.apart):
            m.d.sync += sent.eq(after)
        with m.If(part.grants.valid & part.grants.ready):
            m.d.sync += sent.eq(0)
            with m.If(carries):
                m.d.comb += Assert(taken & ~segment.apart & segment.end
                                   & (after == grant.frame.top + 1))
        with m.If(part.segments.valid & (segment.kind == Kind.SEGMENT)):
            m.d.comb += [
                Assert(segment.last < card.chunks), Assert(begin + segment.top < end),
                Assert(begin + segment.top >= end - card.chunk_bytes),
                Assert(segment.last_of_page == (end == card.page_bytes)),
                Assert(~segment.apart | (segment.top == grant.headers.top)),
                Assert(segment.apart | (segment.start == (sent == 0))),
            ]
        m.d.comb += [
            Assert(sent == part.page << card.page_log2),
            Assert((sent == 0) | (part.grants.valid & carries & (sent <= grant.frame.top)
                                  & grant.frame.opens)),
        ]
        return {"the third page ends a frame": taken & segment.end & (part.page == 2),
                "headers leave": taken & segment.apart,
                "in an open page": taken & ~segment.opens & (segment.first == 2)}


class SegmentsStayInTheirPage(Specification):
    """The table answers with the first byte of a page; the segment is the segmenter's."""

    part = "placer"
    promise = "a segment's memory is the chunks that its token names, of the page that it names"
    steps = 2
    reach = 4
    mutants = (
        Mutant(Locator, "elaborate", "segment.first << self.config.chunk_log2",
               "segment.last << self.config.chunk_log2"),
        Mutant(Locator, "elaborate", "self.address.addr.eq(self.picked.p.held.page)",
               "self.address.addr.eq(self.picked.p.held.page + 1)"),
        Mutant(Locator, "elaborate", "placement.token.last.eq(segment.last)",
               "placement.token.last.eq(segment.first)"),
    )

    def __init__(self) -> None:
        super().__init__()
        self.card = small(chunk_bytes=1024)
        self.dut = Locator(self.card)

    def specify(self, m: Any, dut: Any) -> dict[str, Any]:
        part, card = self.dut, self.card
        placement, token, page = part.placements.p, part.placements.p.token, part.address.data
        assume_inputs(m, part)
        came, item, looked_up = part.picked.valid & part.picked.ready, Signal(Picked), Signal(16)
        m.d.comb += [Assume(page[:card.page_log2] == 0), Assume(~page[63]),
                     Assume(self._fits(part.picked.p.segment))]
        with m.If(came):
            m.d.sync += item.eq(part.picked.p)
        with m.If(part.address.en):
            m.d.sync += looked_up.eq(part.address.addr)
        waits = dut.submodules.asked.o
        first = page + (token.first << card.chunk_log2)
        writes = part.placements.valid & (placement.kind == Kind.SEGMENT)
        m.d.comb += Assert(~waits.valid | (waits.p.as_value() == item.as_value())
                           & self._fits(item.segment))
        with m.If(writes):
            m.d.comb += [
                Assert(looked_up == token.page), Assert(token.page == item.held.page),
                Assert(token.generation == item.held.generation),
                Assert(placement.address == first), Assert(placement.top == item.segment.top),
                Assert(first + placement.top < page + ((token.last + 1) << card.chunk_log2)),
                Assert(first + placement.top < page + card.page_bytes),
            ]
        return {"to the last byte": writes & (token.last == card.chunks - 1)
                & (first + placement.top + 1 == page + card.page_bytes) & (token.first == 1)}

    def _fits(self, segment: Any) -> Any:
        card = self.card
        begin, end = (segment.first << card.chunk_log2,
                      (segment.last + 1) << card.chunk_log2)
        return (segment.last < card.chunks) & (begin + segment.top < end)


class LinesStayInTheirRing(Specification):
    """Requests name a line of the queue's ring; what is announced is that line or part of it."""

    part = "line_announcer"
    promise = "a write of completions is within one line of 64 bytes, at the line's place"
    steps = 3
    mutants = (
        Mutant(LineAnnouncer, "_describe", "PLACE_BYTES & -self.config.bus_bytes",
               "PLACE_BYTES + 8"),
        Mutant(LineAnnouncer, "_describe", "Cat(start, request.line)", "Cat(start, request.first)"),
        Mutant(LineAnnouncer, "_describe", "request.last) - start", "request.last)"),
    )

    def __init__(self) -> None:
        super().__init__()
        self.card = small()
        self.dut = LineAnnouncer(self.card)

    def specify(self, m: Any, dut: Any) -> dict[str, Any]:
        part = self.dut
        request, job = part.requests.p, part.jobs.p
        assume_inputs(m, part)
        m.d.comb += [Assume(~request.base[51]), Assume(request.first <= request.last)]
        # What was asked for when this was announced.
        asked = Signal.like(request)
        with m.If(part.requests.valid & part.requests.ready):
            m.d.sync += asked.eq(request)
        base, end = asked.base << 12, job.address + job.top + 1
        start = base + (asked.line << 6)
        writes = part.jobs.valid & (job.kind == Kind.SEGMENT)
        with m.If(writes):
            m.d.comb += [
                Assert(job.address[6:] == (end - 1)[6:]),
                Assert(job.address[:self.card.bus_log2] == 0), Assert(job.top < 64),
                Assert(job.address >= base),
                Assert(job.address >= start), Assert(end <= start + 64),
                Assert(job.address <= start + asked.first * PLACE_BYTES),
                Assert(end == start + (asked.last + 1) * PLACE_BYTES),
            ]
        return {"a whole line": writes & (job.top == 63),
                "its end": writes & (job.top == 15) & (job.address[:6] == 48),
                "it is read meanwhile": writes & part.reads.valid}
