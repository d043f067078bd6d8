"""From placements to the bus: bursts, beats, and the responses to them."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Assert, Assume, Mux, Signal

from pagering_hdl.burst_merger import BurstMerger
from pagering_hdl.burst_splitter import BurstSplitter
from pagering_hdl.layouts import Kind, LineJob
from pagering_hdl.response_tracker import ResponseTracker
from pagering_tb.formal.contract import assume_inputs
from pagering_tb.formal.mutant import Mutant
from pagering_tb.formal.specification import Specification, contents, small

__all__ = ["BurstsAreWhole", "BurstsStayInside", "NothingIsEarly"]


class BurstsStayInside(Specification):
    """The segment under way is described once more beside the splitter, byte by byte."""

    part = "burst_splitter"
    promise = "no burst crosses 4 KiB, is too long, or leaves the memory that its job names"
    steps = 2
    mutants = (
        Mutant(BurstSplitter, "_cut", "size.eq(stop - begin)", "size.eq(stop)"),
        Mutant(BurstSplitter, "_cut", "Mux(last, 0, sent + 1)", "sent + 1"),
        Mutant(BurstSplitter, "_cut", "sent == end[burst:]", "sent + 1 == end[burst:]"),
        Mutant(BurstSplitter, "_cut", "Mux(last, end, -1)", "-1"),
    )

    def __init__(self) -> None:
        super().__init__()
        self.card = small(chunk_bytes=128)
        self.dut = BurstSplitter(self.card)

    def specify(self, m: Any, dut: Any) -> dict[str, Any]:
        part, card = self.dut, self.card
        assume_inputs(m, part)
        for stream in (part.segments, part.lines):
            m.d.comb += [Assume(stream.p.address[:card.bus_log2] == 0),
                         # Nobody owns the end of the address space.
                         Assume(~stream.p.address[63])]
        segment, line, sent = part.segments.p, part.lines.p, Signal(16)
        m.d.comb += [
            Assume(line.address[:6] + line.top < 64),
            # A segment stays in its page.
            Assume(segment.address[:12] + segment.top < 4096),
            # What induction has to know of the segment under way.
            sent.eq(Mux(part.sent == 0, 0, (part.sent << part.burst_log2)
                        - segment.address[:part.burst_log2])),
            Assert((part.sent == 0) | (part.segments.valid & (segment.kind == Kind.SEGMENT)
                                       & (sent <= segment.top))),
        ]
        out = part.parts.p
        write = part.parts.valid & (out.kind == Kind.SEGMENT)
        size = (out.last << card.bus_log2) + out.tail + 1
        job = LineJob(Mux(out.line, line.as_value(), segment.as_value()))
        with m.If(write):
            m.d.comb += [
                Assert((out.address & (card.burst_bytes - 1)) + size <= card.burst_bytes),
                Assert(out.address >= job.address),
                Assert(out.address + size <= job.address + job.top + 1),
                # What may be joined begins inside of a burst, and with its segment.
                Assert(~out.joins | ((out.address & (card.burst_bytes - 1)) != 0)),
                Assert(~out.joins | (out.address == segment.address)),
            ]
        # All bytes are written: the last part ends where the job ends, and each begins where the
        # one before ended.
        reached = Signal(64)
        goes = write & part.parts.ready & ~out.line
        ends = goes & part.segments.ready
        with m.If(goes):
            m.d.sync += reached.eq(out.address + size)
        with m.If(write & ~out.line):
            m.d.comb += Assert(out.address == Mux(part.sent == 0, job.address, reached))
        m.d.comb += Assert((part.sent == 0) | (reached == segment.address + sent))
        with m.If(ends):
            m.d.comb += [Assert(out.address + size == segment.address + segment.top + 1),
                         Assert(out.end)]
        return {"a part ends at 4 KiB": write & (out.address[:12] + size == 4096),
                "a job of three parts ends": ends & (part.sent == 2)}


class BurstsAreWhole(Specification):
    """One burst at a time is put together once more, from the parts that went in."""

    part = "burst_merger"
    promise = "a burst is its parts, joined only where they may be, and none is lost"
    steps = 2
    mutants = (
        Mutant(BurstMerger, "elaborate", "part.joins & opened & write & ~ticket.line",
               "opened & write & ~ticket.line"),
        Mutant(BurstMerger, "elaborate", "burst.last + 1 + part.last", "burst.last + part.last"),
        Mutant(BurstMerger, "elaborate", "ticket.ends + part.end", "part.end"),
        Mutant(BurstMerger, "_cut_short", "self.starving & ~opened & ", "self.starving & "),
        Mutant(BurstMerger, "_cut_short", "m.d.sync += opened.eq(0)", "pass"),
        Mutant(BurstMerger, "elaborate", "(~opened | joins | room)", "1"),
    )

    def __init__(self) -> None:
        super().__init__()
        self.card = small()
        self.dut = BurstMerger(self.card)

    def specify(self, m: Any, dut: Any) -> dict[str, Any]:
        part, card = self.dut, self.card
        assume_inputs(m, part)
        into, ticket = part.parts.p, part.tickets.p
        enters = part.parts.valid & part.parts.ready
        writes = into.kind == Kind.SEGMENT
        # What the splitter promises: no part is longer than its burst, none is joined across one.
        within = card.burst_bytes - 1
        size = (into.last + 1) << card.bus_log2
        m.d.comb += [
            Assume(into.address[:card.bus_log2] == 0),
            Assume((into.address & within) + size <= card.burst_bytes),
            Assume(~into.joins | (writes & ((into.address & within) != 0))),
        ]
        # Parts that are in the card and whose burst has not left; and what it must look like.
        inside, beats, ends, address = Signal(8), Signal(9), Signal(7), Signal(64)
        # A part that is a burst of its own at once was never inside.
        at_once = enters & part.idle & part.tickets.valid
        follows = into.joins & (into.address == address + (beats << card.bus_log2))
        m.d.comb += Assume(~part.parts.valid | ~into.joins | follows)
        with m.If(enters & (~into.joins | part.tickets.valid | part.idle)):
            m.d.sync += [inside.eq(~at_once), beats.eq(into.last + 1), ends.eq(into.end),
                         address.eq(into.address)]
        with m.Elif(enters):
            m.d.sync += [inside.eq(inside + 1), beats.eq(beats + into.last + 1),
                         ends.eq(ends + into.end)]
        with m.Elif(part.tickets.valid):
            m.d.sync += inside.eq(0)
        m.d.comb += [Assert(part.idle == (inside == 0)),
                     Assert(~enters | part.idle | part.tickets.valid | into.joins)]
        # What induction has to know: the open burst is what went in.
        with m.If(~part.idle & (part.ticket.kind == Kind.SEGMENT)):
            m.d.comb += [
                Assert(part.burst.address == address), Assert(part.burst.last + 1 == beats),
                Assert((address & within) + (beats << card.bus_log2) <= card.burst_bytes),
                Assert(part.ticket.ends == ends), Assert(ends <= inside), Assert(inside <= beats),
            ]
        with m.If(~part.idle & (part.ticket.kind != Kind.SEGMENT)):
            m.d.comb += Assert(inside == 1)
        with m.If(at_once):
            m.d.comb += [
                Assert(writes & part.addresses.valid & part.bursts.valid & part.tickets.ready),
                Assert(part.addresses.ready & part.bursts.ready),
                Assert(part.addresses.p.address == into.address),
                Assert(part.addresses.p.last == into.last),
                Assert(part.bursts.payload == into.last), Assert(ticket.ends == into.end),
                Assert(ticket.goes_on == ~into.end),
            ]
        with m.Elif(part.addresses.valid):
            m.d.comb += [
                Assert(part.addresses.p.address == address),
                Assert(part.addresses.p.last + 1 == beats),
                Assert(part.bursts.payload == part.addresses.p.last),
                Assert(part.bursts.valid & part.tickets.valid), Assert(ticket.ends == ends),
            ]
        return {"a burst of three parts leaves": part.addresses.valid & (inside == 3),
                "a part leaves as it comes": at_once}


class NothingIsEarly(Specification):
    """Bursts and segments are counted from their going in to their coming out.

    Tickets and answers are queues, so what is under way is known piece by piece, and a mark that
    leaves has nothing before it. That is what makes *drained* true.
    """

    part = "response_tracker"
    promise = "nothing is written before its bursts are answered, no mark passes a burst before it"
    steps = 2
    reach = 8
    mutants = (
        Mutant(ResponseTracker, "elaborate", "self.bvalid | ~burst", "1"),
        Mutant(ResponseTracker, "elaborate", "expected.o.valid & burst", "expected.o.valid"),
        Mutant(ResponseTracker, "_hand_out", "self.written.ready & pending.o.valid & last",
               "self.written.ready & pending.o.valid"),
        Mutant(ResponseTracker, "_hand_out", "pending.o.valid & answers.valid", "pending.o.valid"),
    )

    def __init__(self) -> None:
        super().__init__()
        self.dut = ResponseTracker(small(chunk_bytes=128))

    def specify(self, m: Any, dut: Any) -> dict[str, Any]:
        part = self.dut
        inside = dut.submodules
        assume_inputs(m, part)
        head = inside.expected.o
        tickets = [(head.valid, head.p), *contents(m, inside.tickets_queue)]
        answers = contents(m, inside.answered)
        contents(m, inside.pending_queue)  # Nobody looks, but it says that the queue is sound.
        placed = inside.pending_queue.level + inside.head.o.valid
        ticket, response = part.tickets.p, part.bvalid & part.bready
        goes_in = part.tickets.valid & part.tickets.ready
        burst = ticket.kind == Kind.SEGMENT
        # Segments whose bursts are under way, or that are answered and not given out.
        sending = sum(Mux(taken & ~item.line, item.ends, 0) for taken, item in tickets)
        due = sum(Mux(taken, item.ends, 0) for taken, item in answers) - part.given
        m.d.comb += [
            # A segment waits here before its first burst is sent; a mark ends one, itself.
            Assume(~part.tickets.valid | ticket.line
                   | (sending + due + ticket.ends <= placed)),
            Assume(burst | ticket.line | (ticket.ends == 1)),
            # Each segment begins in a chunk of its own.
            Assume(ticket.line | (ticket.ends <= 2)),
            Assert(sending + due <= placed),
            *(Assert(~taken | item.line | (item.kind == Kind.SEGMENT) | (item.ends == 1))
              for taken, item in tickets),
            *(Assert(~taken | item.line | (item.ends <= 2)) for taken, item in tickets),
            *(Assert(~taken | (item.ends != 0)) for taken, item in answers),
            Assert((part.given == 0) | (answers[0][0] & (part.given < answers[0][1].ends))),
        ]
        unanswered, finished = Signal(4), Signal(10)
        m.d.sync += unanswered.eq(unanswered + (goes_in & burst) - response)
        leaves = head.valid & head.ready
        ends = Mux(leaves & ~tickets[0][1].line, tickets[0][1].ends, 0)
        gives = part.written.valid & part.written.ready
        m.d.sync += finished.eq(finished + ends - gives)
        m.d.comb += [
            # A burst leaves when it is answered, so what is behind it waits for that.
            Assert(unanswered == sum(taken & (item.kind == Kind.SEGMENT)
                                     for taken, item in tickets)),
            Assert(~(leaves & (tickets[0][1].kind == Kind.SEGMENT)) | response),
            Assert(~response | leaves), Assert(~part.bready | (unanswered != 0)),
            Assert(finished == due[:10]), Assert(~gives | (finished != 0)),
            Assert(~part.visible.valid | leaves),
            Assert(~part.idle | (unanswered == 0)),
        ]
        return {"two segments of one burst": gives & (part.given == 1),
                "a mark leaves and a burst is behind it": leaves & (unanswered == 1)
                & (tickets[0][1].kind == Kind.FENCE_QUEUE)}
