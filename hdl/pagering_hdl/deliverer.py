"""Hands a written segment to the host: first in the page table, then in a completion.

In this order, so that a token is good before the host can have seen it, and not a cycle earlier
than its data: a guessed token of memory that is still being filled is refused.
"""

from amaranth.hdl import Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .layouts import Completion, Index, Kind, Written
from .page_table import Delivery

__all__ = ["Deliverer", "Entry"]


class Entry(data.Struct):
    """A completion of a queue, but for its phase; or a mark."""

    kind: Kind
    index: Index
    completion: Completion


class Deliverer(wiring.Component):
    """Makes deliveries and completions of written segments, without a clock.

    Members
    -------
    written : :py:`In(stream.Signature(Written))`
    deliveries : :py:`Out(stream.Signature(Delivery))`
    entries : :py:`Out(stream.Signature(Entry))`
    """

    written: In(stream.Signature(Written))
    deliveries: Out(stream.Signature(Delivery))
    entries: Out(stream.Signature(Entry))

    def elaborate(self, platform):
        m = Module()
        segment, entry = self.written.p, self.entries.p
        is_segment, is_close = segment.kind == Kind.SEGMENT, segment.kind == Kind.CLOSE
        delivers, completes = is_segment | is_close, ~is_close
        can_deliver = self.deliveries.ready | ~delivers
        can_complete = self.entries.ready | ~completes
        m.d.comb += [
            self.deliveries.valid.eq(self.written.valid & delivers & can_complete),
            self.entries.valid.eq(self.written.valid & completes & can_deliver),
            self.written.ready.eq(can_deliver & can_complete),
            self.deliveries.p.page.eq(segment.token.page),
            self.deliveries.p.first.eq(segment.token.first),
            self.deliveries.p.last.eq(segment.token.last),
            self.deliveries.p.none.eq(is_close),
            self.deliveries.p.closes.eq(is_close | segment.last_of_page),
            entry.kind.eq(segment.kind), entry.index.eq(segment.index),
            entry.completion.token.eq(segment.token.as_value()),
            entry.completion.length.eq(segment.length),
            entry.completion.start.eq(segment.start), entry.completion.end.eq(segment.end),
            entry.completion.write_error.eq(segment.error),
            entry.completion.last_of_page.eq(segment.last_of_page),
        ]
        return m
