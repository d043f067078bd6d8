"""Frames add up: each that is kept is granted memory or dropped, and told of, once."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Assert, Assume

from pagering_hdl.admission import Admission
from pagering_hdl.deliverer import Deliverer
from pagering_hdl.layouts import Kind
from pagering_tb.formal.contract import assume_inputs
from pagering_tb.formal.mutant import Mutant
from pagering_tb.formal.specification import Specification, small

__all__ = ["EveryArrivalIsDecided", "EverySegmentIsTold"]


class EveryArrivalIsDecided(Specification):
    """What is said in the cycle in which a frame leaves, and in no other.

    On a wide card, which decides a frame in a cycle and promises nothing. Counts, limits and
    settings may be anything, and change at any time.
    """

    part = "admission"
    promise = "each frame is granted memory once, and its facts go along, or it is dropped once"
    steps = 2
    own = False
    memories = False
    mutants = (
        Mutant(Admission, "_decide", "self.grants.valid & self.grants.ready & ~waits",
               "self.grants.valid & self.grants.ready"),
        Mutant(Admission, "_decide", "self.dropped.valid.eq(self.arrivals.ready &",
               "self.dropped.valid.eq(self.arrivals.valid &"),
        Mutant(Admission, "_decide", "self.dropped_queue.eq(frame.queue)",
               "self.dropped_queue.eq(frame.length)"),
    )

    def __init__(self) -> None:
        super().__init__()
        self.dut = Admission(small(bus_bits=512))

    def specify(self, m: Any, dut: Any) -> dict[str, Any]:
        part, frame, grant = self.dut, self.dut.arrivals, self.dut.grants
        assume_inputs(m, part)
        leaves, goes = frame.valid & frame.ready, grant.valid & grant.ready
        # Facts go with the grant, and only a frame has them.
        gives, refused = part.facts.valid & part.facts.ready, part.dropped.valid
        m.d.comb += [
            Assert(leaves == (gives ^ refused)), Assert(~(gives & refused)),
            Assert(~gives | goes & (grant.p.kind == Kind.SEGMENT)),
            # Whoever reads the frames is told to pass over what is dropped.
            Assert(~refused | goes & (grant.p.kind == Kind.SKIP)),
            Assert(~leaves | (grant.p.index == frame.p.queue)),
            Assert(~refused | (part.dropped_queue == frame.p.queue)),
        ]
        return {"granted": gives, "dropped": refused, "it waits": frame.valid & part.waits}


class EverySegmentIsTold(Specification):
    """Whatever has been written goes to the page table and to the host, each once.

    Headers that go apart are not the last of their frame.
    """

    part = "deliverer"
    promise = "each segment is delivered once and told of once, and a frame ends with its last one"
    steps = 1
    mutants = (
        Mutant(Deliverer, "elaborate", "self.deliveries.valid.eq(self.written.valid & delivers",
               "self.deliveries.valid.eq(self.written.valid"),
        Mutant(Deliverer, "elaborate", "completes = is_segment | is_close, ~is_close & ~apart",
               "completes = is_segment | is_close, ~is_close"),
        Mutant(Deliverer, "elaborate", "self.written.ready.eq(can_deliver & can_complete)",
               "self.written.ready.eq(can_complete)"),
        Mutant(Deliverer, "elaborate", "& segment.end),", "),"),
        Mutant(Deliverer, "elaborate", "entry.completion.end.eq(segment.end)",
               "entry.completion.end.eq(segment.start)"),
    )

    def __init__(self) -> None:
        super().__init__()
        self.dut = Deliverer()

    def specify(self, m: Any, dut: Any) -> dict[str, Any]:
        part, segment, entry = self.dut, self.dut.written.p, self.dut.entries.p
        assume_inputs(m, part)
        comes, delivered, told, ended = (stream.valid & stream.ready for stream in (
            part.written, part.deliveries, part.entries, part.facts))
        is_segment, is_close = segment.kind == Kind.SEGMENT, segment.kind == Kind.CLOSE
        is_apart = is_segment & segment.apart
        m.d.comb += [
            Assume(~(is_apart & segment.end)),
            Assert(delivered == (comes & (is_segment | is_close))),
            Assert(told == (comes & ~is_close & ~is_apart)),
            Assert(ended == (told & is_segment & entry.completion.end)),
            Assert(~(comes & is_segment & segment.end) | ended),
            Assert(~told | (entry.kind == segment.kind) & (entry.index == segment.index)),
            Assert(~told | ~is_segment | (entry.completion.length == segment.length)
                   & (entry.completion.token == segment.token.as_value())),
        ]
        return {"a frame of one segment": ended & segment.start,
                "headers apart": delivered & ~told & is_apart,
                "a mark": told & ~is_segment}
