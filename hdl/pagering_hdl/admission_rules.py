"""What a frame needs, and the rules by which it gets it or not. Without a clock."""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .config import CardConfig
from .layouts import Count, DropCause, Index, Length, RingIndex

__all__ = ["AdmissionRules", "MemoryNeed", "OpenPage", "memory_need"]


def memory_need(config: CardConfig, length: int,
                next_chunk: int | None) -> tuple[int, int, int | None]:
    """Return what a frame needs: what :class:`MemoryNeed` answers.

    Parameters
    ----------
    config : :class:`CardConfig`
    length : :class:`int`
        Bytes of the frame.
    next_chunk : :class:`int`, optional
        First chunk that is not taken of the queue's open page; None if none is open, or if it is
        another pool's.

    Returns
    -------
    :class:`tuple`
        New pages; segments; ``next_chunk`` when the frame is in.
    """
    chunks = -(-length // config.chunk_bytes)
    fits = next_chunk is not None and next_chunk + chunks <= config.chunks
    pages = 0 if fits else -(-length // config.page_bytes)
    after = (chunks - 1) % config.chunks + 1 if pages else (next_chunk or 0) + chunks
    return pages, pages or 1, None if after == config.chunks else after


class OpenPage(data.Struct):
    """How far a queue's open page is filled."""

    open: unsigned(1)
    pool: Index
    next: unsigned(7)
    """First chunk that is not taken."""


class MemoryNeed(wiring.Component):
    """What a frame needs, given the queue's open page. Without a clock.

    It goes to the open page if it fits there whole, else to new pages from their first chunk on.

    Members
    -------
    length : :py:`In(14)`, open_page : :py:`In(OpenPage)`, pool : :py:`In(Index)`
    opens : :py:`Out(1)`
        New pages are needed.
    pages : :py:`Out(Count)`
        How many.
    segments : :py:`Out(8)`
    after : :py:`Out(OpenPage)`
        The queue's open page when the frame is in.
    """

    length: In(Length)
    open_page: In(OpenPage)
    pool: In(Index)
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
        chunks, whole, tail = Signal(9), Signal(8), Signal(7)
        m.d.comb += [
            chunks.eq((self.length + config.chunk_bytes - 1) >> config.chunk_log2),
            whole.eq((self.length + config.page_bytes - 1) >> config.page_log2),
            # Chunks of the frame's last page: all but those of the whole pages before.
            tail.eq(((chunks - 1) & (config.chunks - 1)) + 1),
            self.opens.eq(~self.open_page.open | (self.open_page.pool != self.pool)
                          | (self.open_page.next + chunks > config.chunks)),
            self.pages.eq(Mux(self.opens, whole, 0)),
            self.segments.eq(Mux(self.opens, whole, 1)),
            self.after.pool.eq(self.pool),
            self.after.next.eq(Mux(self.opens, tail, self.open_page.next + chunks)),
            self.after.open.eq(self.after.next != config.chunks),
        ]
        return m


class AdmissionRules(wiring.Component):
    """The first reason, in the order of :class:`abi.DropCause`, not to admit a frame.

    Members
    -------
    drop : :py:`In(1)`, drop_cause : :py:`In(DropCause)`
        Steering wants it dropped.
    queue_runs, pool_runs : :py:`In(1)`
    pages : :py:`In(Count)`, segments : :py:`In(8)`
        What the frame needs.
    free, held, limit : :py:`In(Count)`
        Pages of the pool: on the ring, off it, and most allowed off it.
    queue_held, quota : :py:`In(Count)`
        The same for the queue.
    queued : :py:`In(RingIndex)`, ring_log2 : :py:`In(5)`
        Completions not yet consumed, and the ring's size.
    refused : :py:`Out(1)`, cause : :py:`Out(DropCause)`
    """

    drop: In(1)
    drop_cause: In(DropCause)
    queue_runs: In(1)
    pool_runs: In(1)
    pages: In(Count)
    segments: In(8)
    free: In(Count)
    held: In(Count)
    limit: In(Count)
    queue_held: In(Count)
    quota: In(Count)
    queued: In(RingIndex)
    ring_log2: In(5)
    refused: Out(1)
    cause: Out(DropCause)

    def elaborate(self, platform):
        m = Module()
        rules = {
            DropCause.QUEUE_DISABLED: ~self.queue_runs,
            DropCause.POOL_DISABLED: ~self.pool_runs,
            DropCause.NO_PAGE: self.pages > self.free,
            # A frame that needs no new page is within every limit that the pages before it met.
            DropCause.POOL_LIMIT: (self.pages != 0) & (self.held + self.pages > self.limit),
            DropCause.QUEUE_QUOTA: (self.pages != 0)
            & (self.queue_held + self.pages > self.quota),
            DropCause.RING_FULL: self.queued + self.segments > (1 << self.ring_log2),
        }
        m.d.comb += self.refused.eq(self.drop | (sum(rules.values()) != 0))
        for cause, broken in reversed(rules.items()):
            with m.If(broken):
                m.d.comb += self.cause.eq(cause)
        with m.If(self.drop):
            m.d.comb += self.cause.eq(self.drop_cause)
        return m
