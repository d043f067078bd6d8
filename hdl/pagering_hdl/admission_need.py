"""What a frame needs: from which of its queue's pages, how much of it, and how many new pages."""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .config import CardConfig
from .layouts import ChunkIndex, Count, Index, Length, QueueSettings, Side
from .pacing import Pace

__all__ = ["MemoryNeed", "OpenPage", "Piece", "PieceChooser", "memory_need"]


def memory_need(config: CardConfig, length: int,
                next_chunk: int | None) -> tuple[int, int, int | None]:
    """Return what a piece of a frame needs: what :class:`MemoryNeed` answers.

    Parameters
    ----------
    config : :class:`CardConfig`
    length : :class:`int`
        Bytes of the piece.
    next_chunk : :class:`int`, optional
        First chunk that is not taken of the queue's open page; None if none is open.

    Returns
    -------
    :class:`tuple`
        New pages; segments; ``next_chunk`` when the piece is in.
    """
    chunks = -(-length // config.chunk_bytes)
    fits = next_chunk is not None and next_chunk + chunks <= config.chunks
    pages = 0 if fits else -(-length // config.page_bytes)
    after = (chunks - 1) % config.chunks + 1 if pages else (next_chunk or 0) + chunks
    return pages, pages or 1, None if after == config.chunks else after


class OpenPage(data.Struct):
    """How far an open page of a queue is filled."""

    open: unsigned(1)
    next: ChunkIndex
    """First chunk that is not taken."""


class Piece(data.Struct):
    """What memory is asked for: a frame whole, its headers, or its payload."""

    pool: Index
    side: Side
    top: Length
    """Bytes less one."""


class PieceChooser(wiring.Component):
    """Decides whether a frame is split, and which piece of it is looked at.

    A frame of a splitting queue that is not split goes to the header pool, whole: the host may not
    be able to read the other.

    Members
    -------
    length : :py:`In(14)`, header : :py:`In(8)`
        Bytes of the frame, and up to the end of its L4 header (0: not known).
    settings : :py:`In(QueueSettings)`
    second : :py:`In(1)`
        Look at the payload of a frame that is split; its headers were first.
    split : :py:`Out(1)`, piece : :py:`Out(Piece)`
        Behind cuts 0 to 2.
    """

    length: In(Length)
    header: In(8)
    settings: In(QueueSettings)
    second: In(1)
    split: Out(1)
    piece: Out(Piece)

    def __init__(self, config):
        self.config = config
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        pace = Pace(m, self.config.admission_cuts)
        settings = pace.keep(0, self.settings, "settings_0")
        splits = settings.split & (self.header != 0) & (self.header < self.length) & (
            self.length > settings.threshold)
        split = pace.keep(1, splits, "split_1")
        if not self.config.header_split:
            split = 0
        headers, payload = split & ~self.second, split & self.second
        of_headers = settings.split & ~payload
        # Bytes less one, of any piece, in one addition: adding ~x is subtracting x + 1.
        less = Signal(Length)
        top = Mux(headers, self.header, self.length) + ~less
        m.d.comb += [
            less.eq(Mux(payload, self.header, 0)),
            self.split.eq(split),
            self.piece.top.eq(pace.keep(2, top[:Length.width], "top_2")),
            self.piece.side.eq(pace.keep(2, of_headers, "side_2")),
            self.piece.pool.eq(pace.keep(2, Mux(of_headers, settings.header_pool, settings.pool),
                                         "pool_2")),
        ]
        return m


class MemoryNeed(wiring.Component):
    """What a piece needs, given the open page that it may go to.

    It goes there if it fits whole, else to new pages from their first chunk on.

    Members
    -------
    top : :py:`In(14)`
        Bytes of the piece less one, behind cut 2.
    page : :py:`In(OpenPage)`
        Behind cut 3.
    opens : :py:`Out(1)`, pages : :py:`Out(Count)`
        Whether new pages are needed, and how many. All answers behind cut 4.
    segments : :py:`Out(8)`
    after : :py:`Out(OpenPage)`
        The open page when the piece is in.
    """

    top: In(Length)
    page: In(OpenPage)
    opens: Out(1)
    pages: Out(Count)
    segments: Out(8)
    after: Out(OpenPage)

    def __init__(self, config):
        self.config = config
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        config = self.config
        pace = Pace(m, config.admission_cuts)
        # All sizes are powers of two, so that with bytes less one nothing needs to be rounded up.
        top = pace.keep(3, self.top, "top_3")
        chunks, pages = top >> config.chunk_log2, (top >> config.page_log2) + 1
        # The last chunk that the piece takes, if it begins in the open page.
        end = pace.keep(4, self.page.next + chunks, "end_4")
        opens = pace.keep(4, ~self.page.open | ((self.page.next + chunks) >= config.chunks),
                          "opens_4")
        needed = pace.keep(4, pages, "pages_4")
        chunks = pace.keep(4, chunks, "chunks_4")
        last = Mux(opens, chunks, end) & (config.chunks - 1)
        m.d.comb += [
            self.opens.eq(opens), self.pages.eq(Mux(opens, needed, 0)),
            self.segments.eq(Mux(opens, needed, 1)),
            self.after.next.eq(last + 1), self.after.open.eq(last != config.chunks - 1),
        ]
        return m
