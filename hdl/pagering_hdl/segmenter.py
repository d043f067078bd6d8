"""Cuts an admitted frame at page boundaries, and its headers from its payload."""

from collections.abc import Iterator
from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .config import CardConfig
from .layouts import Grant, Kind, Segment, Share, Side

__all__ = ["Segmenter", "segments"]


def segments(config: CardConfig, length: int, first: int | None) -> Iterator[dict[str, Any]]:
    """Yield the segments of a frame: what :class:`Segmenter` makes of its grant.

    Parameters
    ----------
    config : :class:`CardConfig`
    length : :class:`int`
        Bytes of the frame.
    first : :class:`int`, optional
        Where in the queue's open page it starts; None if it starts in a new page.
    """
    for done in range(0, length, config.page_bytes):
        size = min(length - done, config.page_bytes)
        start = first or 0
        last = start + -(-size // config.chunk_bytes) - 1
        yield {"length": size, "opens": int(first is None), "first": start, "last": last,
               "start": int(done == 0), "end": int(done + size == length),
               "last_of_page": int(last == config.chunks - 1)}


class Segmenter(wiring.Component):
    """One segment for each page of a frame, a cycle each; marks and skipped frames pass.

    In this order: CLOSE for the page of the headers, the headers, CLOSE for the other page, the
    frame or its payload page by page; each only if the grant says so.

    Members
    -------
    grants : :py:`In(stream.Signature(Grant))`
    segments : :py:`Out(stream.Signature(Segment))`
    """

    grants: In(stream.Signature(Grant))
    segments: Out(stream.Signature(Segment))

    def __init__(self, config):
        self.config = config
        self.page = Signal(3)
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        grant, segment = self.grants.p, self.segments.p
        # Which of the first three are done; and the pages of the frame that are.
        done, page = Signal(3), self.page
        steps = (grant.close_headers, grant.split, grant.close_payload)
        left = [~done[n] & step for n, step in enumerate(steps)]
        carries = grant.kind == Kind.SEGMENT
        more = Signal()
        m.d.comb += [
            more.eq(carries & (page != grant.frame.top >> self.config.page_log2)),
            # The queue of a frame that is skipped there may not be.
            segment.index.eq(grant.index & self.config.index_mask),
            self.segments.valid.eq(self.grants.valid),
        ]
        with m.If(left[0] | left[2] & ~left[1]):
            m.d.comb += [segment.kind.eq(Kind.CLOSE),
                         segment.side.eq(Mux(left[0], Side.HEADERS, Side.PAYLOAD))]
        with m.Elif(left[1]):
            m.d.comb += [segment.kind.eq(Kind.SEGMENT), segment.side.eq(Side.HEADERS),
                         segment.apart.eq(1), segment.start.eq(1)]
        with m.Else():
            m.d.comb += [segment.kind.eq(grant.kind), segment.side.eq(grant.side),
                         segment.start.eq(page == 0), segment.end.eq(~more)]
        share = Share(Mux(left[1], grant.headers.as_value(), grant.frame.as_value()))
        self._measure(m, share, more & ~left[1])
        with m.If(~carries):
            m.d.comb += segment.top.eq(grant.frame.top)
        self._advance(m, left, done, page, more)
        return m

    def _measure(self, m, share, whole):
        """Describe one page's part of a share; sizes are powers of two, so nothing is rounded."""
        config, segment = self.config, self.segments.p
        top = share.top & (config.page_bytes - 1)
        first, last, ends = Signal(6), Signal(6), Signal()
        beats = config.chunk_bytes // config.bus_bytes - 1
        m.d.comb += [
            first.eq(Mux(share.opens, 0, share.first)),
            # What fills a page begins at its first chunk.
            last.eq(first + (top >> config.chunk_log2)),
            ends.eq(whole | (last == config.chunks - 1)),
            segment.top.eq(Mux(whole, config.page_bytes - 1, top)),
            segment.pool.eq(share.pool), segment.opens.eq(share.opens),
            segment.first.eq(first & config.chunks - 1), segment.last_of_page.eq(ends),
            segment.last.eq(Mux(whole, config.chunks - 1, last & config.chunks - 1)),
            segment.fills.eq(whole | (((top >> config.bus_log2) & beats) == beats)),
        ]

    def _advance(self, m, left, done, page, more):
        """Go on to what is left; the grant is done when nothing is."""
        only_closes = self.grants.p.kind == Kind.CLOSE
        final = Signal()
        m.d.comb += [
            final.eq(Mux(only_closes, ~(left[0] & left[2]), ~(left[0] | left[1] | left[2] | more))),
            self.grants.ready.eq(self.segments.ready & final),
        ]
        with m.If(self.segments.valid & self.segments.ready):
            with m.If(final):
                m.d.sync += [done.eq(0), page.eq(0)]
            with m.Elif(left[0]):
                m.d.sync += done[0].eq(1)
            with m.Elif(left[1]):
                m.d.sync += done[1].eq(1)
            with m.Elif(left[2]):
                m.d.sync += done[2].eq(1)
            with m.Else():
                m.d.sync += page.eq(page + 1)
