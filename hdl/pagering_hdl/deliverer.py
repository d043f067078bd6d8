"""Hands a written segment to the host: first in the page table, then in a completion.

In this order, so that a token is good before the host can have seen it, and not a cycle earlier
than its data: a guessed token of memory that is still being filled is refused.
"""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .layouts import Completion, Extension, Facts, Index, Kind, Written
from .page_table import Delivery

__all__ = ["Deliverer", "Entry"]


class Entry(data.Struct):
    """A completion of a queue, but for its phase; or a mark."""

    kind: Kind
    index: Index
    completion: Completion
    extension: Extension
    """For the queues that want it."""


class Deliverer(wiring.Component):
    """Makes deliveries and completions of written segments, without a clock.

    Headers that go apart are delivered, but have no completion of their own: they are kept until
    that of their payload's first segment names them.

    Members
    -------
    written : :py:`In(stream.Signature(Written))`
    facts : :py:`In(stream.Signature(Facts))`
        Of each frame, in the same order; taken with its last segment.
    deliveries : :py:`Out(stream.Signature(Delivery))`
    entries : :py:`Out(stream.Signature(Entry))`
    """

    written: In(stream.Signature(Written))
    facts: In(stream.Signature(Facts))
    deliveries: Out(stream.Signature(Delivery))
    entries: Out(stream.Signature(Entry))

    def elaborate(self, platform):
        m = Module()
        segment, entry = self.written.p, self.entries.p
        is_segment, is_close = segment.kind == Kind.SEGMENT, segment.kind == Kind.CLOSE
        apart = is_segment & segment.apart
        delivers, completes = is_segment | is_close, ~is_close & ~apart
        kept = Signal(Written)
        with m.If(self.written.valid & self.written.ready & is_segment):
            m.d.sync += kept.eq(0)
            with m.If(apart):
                m.d.sync += kept.eq(segment)
        known = self.facts.valid | ~is_segment
        can_deliver = (self.deliveries.ready | ~delivers) & known
        can_complete = self.entries.ready | ~completes
        m.d.comb += [
            self.deliveries.valid.eq(self.written.valid & delivers & known & can_complete),
            self.entries.valid.eq(self.written.valid & completes & can_deliver),
            self.written.ready.eq(can_deliver & can_complete),
            self.facts.ready.eq(self.written.valid & self.written.ready & is_segment
                                & segment.end),
            self.deliveries.p.page.eq(segment.token.page),
            self.deliveries.p.first.eq(segment.token.first),
            self.deliveries.p.last.eq(segment.token.last),
            self.deliveries.p.none.eq(is_close),
            self.deliveries.p.closes.eq(is_close | segment.last_of_page),
            entry.kind.eq(segment.kind), entry.index.eq(segment.index),
            entry.completion.token.eq(segment.token.as_value()),
            entry.completion.length.eq(segment.length),
            entry.completion.start.eq(segment.start), entry.completion.end.eq(segment.end),
            entry.completion.write_error.eq(segment.error | kept.error),
            entry.completion.last_of_page.eq(segment.last_of_page),
            entry.completion.split.eq(kept.apart),
        ]
        m.d.comb += [getattr(entry.completion, name).eq(getattr(self.facts.p, name))
                     for name in ("l3", "l4", "fragment", "l3_checked", "l3_ok", "l4_checked",
                                  "l4_ok", "vlan", "header", "checksum", "hash", "hash_type")]
        self._extend(m, entry.extension, kept)
        return m

    def _extend(self, m, extension, kept):
        """Tell the rest with the frame's first segment."""
        facts = self.facts.p
        m.d.comb += extension.header_token.eq(kept.token.as_value())
        with m.If(self.written.p.start):
            m.d.comb += [
                Cat(extension.time_low, extension.time_high).eq(facts.timestamp),
                extension.tci.eq(facts.tci), extension.mark.eq(facts.mark),
            ]
