"""Cuts an admitted frame at page boundaries."""

from collections.abc import Iterator
from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .config import CardConfig
from .layouts import Grant, Kind, Length, Segment

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

    A grant that closes the queue's open page is preceded by a CLOSE.

    Members
    -------
    grants : :py:`In(stream.Signature(Grant))`
    segments : :py:`Out(stream.Signature(Segment))`
    """

    grants: In(stream.Signature(Grant))
    segments: Out(stream.Signature(Segment))

    def __init__(self, config):
        self.config = config
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        config, grant, segment = self.config, self.grants.p, self.segments.p
        done, closed = Signal(Length), Signal()
        left, chunks = Signal(Length), Signal(Length)
        closing, whole = Signal(), Signal()
        m.d.comb += [
            left.eq(grant.length - done),
            closing.eq(grant.closes & ~closed),
            whole.eq((grant.kind == Kind.SEGMENT) & (left > config.page_bytes)),
            segment.kind.eq(Mux(closing, Kind.CLOSE, grant.kind)),
            segment.index.eq(grant.index),
            segment.pool.eq(grant.pool),
            segment.length.eq(Mux(whole, config.page_bytes, left)),
            segment.opens.eq(grant.opens),
            chunks.eq((segment.length + config.chunk_bytes - 1) >> config.chunk_log2),
            segment.first.eq(Mux(grant.opens, 0, grant.first)),
            segment.last.eq(segment.first + chunks - 1),
            segment.start.eq(done == 0),
            segment.end.eq(~whole),
            segment.last_of_page.eq(segment.last == config.chunks - 1),
            self.segments.valid.eq(self.grants.valid),
            self.grants.ready.eq(self.segments.ready & ~closing & ~whole),
        ]
        with m.If(self.segments.valid & self.segments.ready):
            m.d.sync += [
                closed.eq(closing),
                done.eq(Mux(whole & ~closing, done + config.page_bytes, 0)),
            ]
            with m.If(whole & ~closing):
                m.d.sync += closed.eq(1)
        return m
