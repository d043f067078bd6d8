"""The recycle ring: the free pages of every pool, on the card.

A ring for each pool would need room for all pages in every pool. Here each pool's free pages form
a chain through one block RAM that has a word for each page: the word of a page names the page that
leaves after it. A chain cannot overflow, whatever share of the pages a pool has, and a page is put
at its far end (FIFO) or at its near end (LIFO) in one write. Taking a page needs the word of the
page taken, so it costs two cycles.
"""

from collections import deque

from amaranth.hdl import Assert, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .layouts import Enrolment, Index, PageId, PoolCounts
from .state_table import Lookup, StateTable

__all__ = ["ChainEnds", "RecycleRing", "RingModel"]


class RingModel:
    """The rings of all pools, in Python: what :class:`RecycleRing` does."""

    def __init__(self, pools: int) -> None:
        self.rings: list[deque[int]] = [deque() for _ in range(pools)]
        self.registered = [0] * pools

    def put(self, pool: int, page: int, *, lifo: bool = False, new: bool = False) -> None:
        """Put a page on a ring; under LIFO it is the next to leave."""
        ring = self.rings[pool]
        (ring.appendleft if lifo else ring.append)(page)
        self.registered[pool] += new

    def take(self, pool: int) -> int:
        """Take the next page off a ring."""
        return self.rings[pool].popleft()

    def retire(self, pool: int) -> None:
        """Empty a ring."""
        self.rings[pool].clear()
        self.registered[pool] = 0


class ChainEnds(data.Struct):
    """The pages at the ends of a pool's chain; meaningless while it is empty."""

    head: PageId
    """Leaves next."""
    tail: PageId


class RecycleRing(wiring.Component):
    """Free pages of all pools.

    The host cannot make it overflow or run dry: a page comes only from the page table, which knows
    that it is off the ring, and is asked for only by admission, which knows that it is on it.

    Parameters
    ----------
    config : :class:`CardConfig`

    Members
    -------
    enrolments : :py:`In(stream.Signature(Enrolment))`
        Pages to put on a ring: one cycle each.
    takes : :py:`In(stream.Signature(Index))`
        Pools to take a page from: two cycles each.
    pages : :py:`Out(stream.Signature(PageId))`
        The pages taken, in order, one cycle later.
    lifo : :py:`In(pools)`
        A bit for each pool: the page put last leaves first.
    retire : :py:`In(stream.Signature(Index))`
        Empty this pool's ring; it has no registered page afterwards.
    counts : :py:`In(Lookup(Index, PoolCounts))`
        Three ports for others to read.
    """

    def __init__(self, config):
        self.config = config
        super().__init__({
            "enrolments": In(stream.Signature(Enrolment)),
            "takes": In(stream.Signature(Index)),
            "pages": Out(stream.Signature(PageId)),
            "lifo": In(config.pools),
            "retire": In(stream.Signature(Index)),
            "counts": In(Lookup(Index, PoolCounts)).array(3),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.after = after = Memory(shape=PageId, depth=self.config.pages, init=[])
        m.submodules.ends = ends = StateTable(ChainEnds, depth=self.config.pools)
        m.submodules.counts_table = counts = StateTable(PoolCounts, depth=self.config.pools,
                                                        reads=4)
        for asked, port in zip(self.counts, counts.read[1:], strict=True):
            wiring.connect(m, wiring.flipped(asked), port)
        self.link, self.next = after.write_port(), after.read_port()
        pool, taking = Signal(Index), Signal()
        taken_from = Signal(Index)
        m.d.comb += [
            ends.read[0].addr.eq(pool), counts.read[0].addr.eq(pool),
            ends.write.addr.eq(pool), counts.write.addr.eq(pool),
            ends.write.data.eq(ends.read[0].data), counts.write.data.eq(counts.read[0].data),
            self.next.addr.eq(ends.read[0].data.head),
        ]
        # A bit for each pool with a page: a put need not wait for the counts.
        self.filled = Signal(self.config.pools)
        with m.If(self.pages.ready):
            m.d.sync += self.pages.valid.eq(0)
        with m.If(taking):
            # Second cycle of a take: the chain begins at the page that was named by the one taken.
            m.d.comb += [pool.eq(taken_from), ends.write.en.eq(1),
                         ends.write.data.head.eq(self.next.data)]
            m.d.sync += taking.eq(0)
        with m.Elif(self.enrolments.valid):
            m.d.comb += [pool.eq(self.enrolments.p.pool), self.enrolments.ready.eq(1)]
            self._put(m, ends, counts)
        with m.Elif(self.retire.valid):
            m.d.comb += [pool.eq(self.retire.payload), self.retire.ready.eq(1)]
            self._retire(m, counts)
        with m.Elif(self.takes.valid & (~self.pages.valid | self.pages.ready)):
            m.d.comb += [pool.eq(self.takes.payload), self.takes.ready.eq(1)]
            m.d.sync += [taking.eq(1), taken_from.eq(pool)]
            self._take(m, ends, counts)
        return m

    def _put(self, m, ends, counts):
        now, old = counts.read[0].data, ends.read[0].data
        page = self.enrolments.p.page
        lifo = self.lifo.bit_select(self.enrolments.p.pool, 1)
        empty = Signal()
        m.d.comb += [
            empty.eq(~self.filled.bit_select(self.enrolments.p.pool, 1)),
            self.link.en.eq(~empty),
            self.link.addr.eq(Mux(lifo, page, old.tail)),
            self.link.data.eq(Mux(lifo, old.head, page)),
            ends.write.en.eq(1),
            ends.write.data.head.eq(Mux(empty | lifo, page, old.head)),
            ends.write.data.tail.eq(Mux(empty | ~lifo, page, old.tail)),
            counts.write.en.eq(1),
            counts.write.data.pushed.eq(now.pushed + 1),
            counts.write.data.registered.eq(now.registered + self.enrolments.p.new),
        ]
        m.d.sync += [self.filled.bit_select(self.enrolments.p.pool, 1).eq(1),
                     Assert(empty == (now.pushed == now.popped))]
        m.d.sync += Assert((now.pushed - now.popped)[:17] < self.config.pages)

    def _take(self, m, ends, counts):
        now = counts.read[0].data
        popped = counts.write.data.popped
        m.d.comb += [counts.write.en.eq(1), popped.eq(now.popped + 1)]
        m.d.sync += self.filled.bit_select(self.takes.payload, 1).eq(popped != now.pushed)
        m.d.sync += [self.pages.payload.eq(ends.read[0].data.head), self.pages.valid.eq(1)]
        m.d.sync += Assert(now.pushed != now.popped)

    def _retire(self, m, counts):
        m.d.comb += [counts.write.en.eq(1), counts.write.data.registered.eq(0),
                     counts.write.data.pushed.eq(counts.read[0].data.popped)]
        m.d.sync += self.filled.bit_select(self.retire.payload, 1).eq(0)
