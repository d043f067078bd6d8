"""The recycle ring: the free pages of every pool, on the card.

A ring for each pool would need room for all pages in every pool. Here each pool's free pages form
a chain through one block RAM that has a word for each page: the word of a page names the page that
leaves after it. A chain cannot overflow, whatever share of the pages a pool has, and a page is put
at its far end (FIFO) or at its near end (LIFO) in one write. Taking a page needs the word of the
page taken, so it costs three cycles: one to read it and one to keep it.
"""

from collections import deque

from amaranth.hdl import Assert, Module, Mux, Shape, Signal, unsigned
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .layouts import Count, Enrolment, Index, PageId, PoolCounts
from .state_table import Lookup, StateTable
from .streams import StreamBuffer

__all__ = ["Action", "ChainEnds", "Order", "PoolChains", "RecycleRing", "RingModel",
           "RingScheduler"]


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


class ChainEnds(data.StructLayout):
    """The pages at the ends of a pool's chain; meaningless while it is empty.

    Members: ``head``, which leaves next; ``tail``.
    """

    def __init__(self, config):
        page = range(config.pages)
        super().__init__({"head": page, "tail": page})


class Order(enum.Enum, shape=2):
    """What is done to a pool's chain."""

    PUT = 0
    TAKE = 1
    RETIRE = 2


class Action(data.Struct):
    """An order with all that it needs."""

    order: Order
    pool: Index
    page: PageId
    lifo: unsigned(1)
    new: unsigned(1)


class RingScheduler(wiring.Component):
    """Puts first, then retirements, then takes; one at a time to the chains, one cycle later.

    Members
    -------
    enrolments : :py:`In(stream.Signature(Enrolment))`, takes : :py:`In(stream.Signature(Index))`,
    retire : :py:`In(stream.Signature(Index))`, lifo : :py:`In(pools)`
        See :class:`RecycleRing`.
    free : :py:`In(1)`
        The page of a take would have a place. A take that waited for one in front of the chains
        would hold up the puts behind it, without which the page table may not take the page that
        is in its place.
    actions : :py:`Out(stream.Signature(Action))`
    """

    def __init__(self, pools):
        super().__init__({
            "enrolments": In(stream.Signature(Enrolment)),
            "takes": In(stream.Signature(Index)), "retire": In(stream.Signature(Index)),
            "lifo": In(pools), "free": In(1), "actions": Out(stream.Signature(Action)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.chosen = chosen = StreamBuffer(Action)
        action, go = chosen.i.p, chosen.i.ready
        wiring.connect(m, chosen.o, wiring.flipped(self.actions))
        m.d.comb += [
            chosen.i.valid.eq(self.enrolments.valid | self.retire.valid
                              | (self.takes.valid & self.free)),
            action.page.eq(self.enrolments.p.page), action.new.eq(self.enrolments.p.new),
            action.lifo.eq(self.lifo.bit_select(self.enrolments.p.pool, 1)),
        ]
        with m.If(self.enrolments.valid):
            m.d.comb += [action.order.eq(Order.PUT), action.pool.eq(self.enrolments.p.pool),
                         self.enrolments.ready.eq(go)]
        with m.Elif(self.retire.valid):
            m.d.comb += [action.order.eq(Order.RETIRE), action.pool.eq(self.retire.payload),
                         self.retire.ready.eq(go)]
        with m.Else():
            m.d.comb += [action.order.eq(Order.TAKE), action.pool.eq(self.takes.payload),
                         self.takes.ready.eq(go & self.free)]
        return m


class PoolChains(wiring.Component):
    """The chains of all pools, and how long they are.

    Members
    -------
    actions : :py:`In(stream.Signature(Action))`
        A take comes only when the page before it is gone.
    pages : :py:`Out(stream.Signature(PageId))`, counts : :py:`In(Lookup(Index, PoolCounts))`
        See :class:`RecycleRing`.
    """

    def __init__(self, config):
        self.config = config
        super().__init__({
            "actions": In(stream.Signature(Action)), "pages": Out(stream.Signature(PageId)),
            "counts": In(Lookup(Index, PoolCounts)).array(2),
        })
        reads = 1 + len(self.counts)
        # Proofs look at these.
        self.pushed, self.popped = (StateTable(Count, depth=config.pools, reads=reads)
                                    for _ in range(2))
        self.registered = StateTable(Shape.cast(range(config.pages + 1)), depth=config.pools,
                                     reads=reads)

    def elaborate(self, platform):
        m = Module()
        action = self.actions.p
        # A take reads a word that only a put writes: what a row gives that is read while it is
        # written does not matter.
        page = unsigned((self.config.pages - 1).bit_length())
        m.submodules.after = after = Memory(shape=page, depth=self.config.pages, init=[],
                                            attrs={"no_rw_check": 1})
        m.submodules.ends = ends = StateTable(ChainEnds(self.config), depth=self.config.pools)
        self.link, self.next = after.write_port(), after.read_port()
        # A bit for each pool with a page: a put need not wait for the counts.
        self.filled = Signal(self.config.pools)
        self.begins, self.step = Signal(), Signal(range(3))
        self.only, self.follows = Signal(), Signal(page)
        m.d.comb += [
            ends.read[0].addr.eq(action.pool), ends.write.addr.eq(action.pool),
            ends.write.data.eq(ends.read[0].data), self.next.addr.eq(ends.read[0].data.head),
        ]
        counted = Signal()
        with m.If(self.pages.ready):
            m.d.sync += self.pages.valid.eq(0)
        with m.If(self.actions.valid):
            with m.Switch(action.order):
                with m.Case(Order.PUT):
                    m.d.comb += [self.actions.ready.eq(1), counted.eq(1)]
                    self._put(m, action, ends)
                with m.Case(Order.RETIRE):
                    m.d.comb += [self.actions.ready.eq(1), counted.eq(1)]
                    m.d.sync += self.filled.bit_select(action.pool, 1).eq(0)
                with m.Case(Order.TAKE):
                    m.d.comb += counted.eq(self.begins)
                    self._take(m, action, ends)
        self._count(m, action, counted)
        return m

    def _put(self, m, action, ends):
        old = ends.read[0].data
        page, lifo, empty = action.page, action.lifo, Signal()
        m.d.comb += [
            empty.eq(~self.filled.bit_select(action.pool, 1)),
            self.link.en.eq(~empty),
            self.link.addr.eq(Mux(lifo, page, old.tail)),
            self.link.data.eq(Mux(lifo, old.head, page)),
            ends.write.en.eq(1),
            ends.write.data.head.eq(Mux(empty | lifo, page, old.head)),
            ends.write.data.tail.eq(Mux(empty | ~lifo, page, old.tail)),
        ]
        m.d.sync += self.filled.bit_select(action.pool, 1).eq(1)

    def _take(self, m, action, ends):
        """Hand out the head; read its word; make the page that it names the new head."""
        old, only, follows = ends.read[0].data, self.only, self.follows
        m.d.sync += follows.eq(self.next.data)
        with m.Switch(self.step):
            with m.Case(0):
                m.d.comb += self.begins.eq(1)
                m.d.sync += [self.pages.payload.eq(old.head), self.pages.valid.eq(1),
                             only.eq(old.head == old.tail), self.step.eq(1)]
                m.d.sync += Assert(self.filled.bit_select(action.pool, 1) & ~self.pages.valid
                                   & ~self.link.en)
            with m.Case(1):
                m.d.sync += self.step.eq(2)
            with m.Default():
                m.d.comb += [ends.write.en.eq(1), ends.write.data.head.eq(follows),
                             self.actions.ready.eq(1)]
                m.d.sync += [self.filled.bit_select(action.pool, 1).eq(~only), self.step.eq(0)]

    def _count(self, m, action, counted):
        """Count a cycle later, which nobody notices: who is told of a page late waits for it."""
        m.submodules.pushed, m.submodules.popped = pushed, popped = self.pushed, self.popped
        m.submodules.registered = registered = self.registered
        for place, port in enumerate(self.counts):
            m.d.comb += [
                pushed.read[1 + place].addr.eq(port.addr),
                registered.read[1 + place].addr.eq(port.addr),
                popped.read[1 + place].addr.eq(port.addr),
                port.data.pushed.eq(pushed.read[1 + place].data),
                port.data.popped.eq(popped.read[1 + place].data),
                port.data.registered.eq(registered.read[1 + place].data),
            ]
        done, due = Signal(Action), Signal()
        m.d.sync += [done.eq(action), due.eq(counted)]
        m.d.comb += [
            table.read[0].addr.eq(done.pool) for table in (pushed, popped, registered)]
        m.d.comb += [table.write.addr.eq(done.pool) for table in (pushed, popped, registered)]
        on, off = pushed.read[0].data, popped.read[0].data
        retires = done.order == Order.RETIRE
        puts, takes = done.order == Order.PUT, done.order == Order.TAKE
        m.d.comb += [
            pushed.write.en.eq(due & ~takes), pushed.write.data.eq(Mux(retires, off, on + 1)),
            popped.write.en.eq(due & takes), popped.write.data.eq(off + 1),
            registered.write.en.eq(due & (retires | (puts & done.new))),
            registered.write.data.eq(Mux(retires, 0, registered.read[0].data + 1)),
        ]
        m.d.sync += [Assert(~(due & puts) | ((on - off)[:17] < self.config.pages)),
                     Assert(~(due & takes) | (on != off))]


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
        Pools to take a page from: three cycles each.
    pages : :py:`Out(stream.Signature(PageId))`
        The pages taken, in order, two cycles later.
    lifo : :py:`In(pools)`
        A bit for each pool: the page put last leaves first.
    retire : :py:`In(stream.Signature(Index))`
        Empty this pool's ring; it has no registered page afterwards.
    counts : :py:`In(Lookup(Index, PoolCounts))`
        Three ports for others to read; two cycles behind.
    """

    def __init__(self, config):
        self.config = config
        super().__init__({
            "enrolments": In(stream.Signature(Enrolment)),
            "takes": In(stream.Signature(Index)),
            "pages": Out(stream.Signature(PageId)),
            "lifo": In(config.pools),
            "retire": In(stream.Signature(Index)),
            "counts": In(Lookup(Index, PoolCounts)).array(2),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.scheduler = scheduler = RingScheduler(self.config.pools)
        m.submodules.chains = chains = PoolChains(self.config)
        wiring.connect(m, wiring.flipped(self.enrolments), scheduler.enrolments)
        wiring.connect(m, wiring.flipped(self.takes), scheduler.takes)
        wiring.connect(m, wiring.flipped(self.retire), scheduler.retire)
        wiring.connect(m, scheduler.actions, chains.actions)
        wiring.connect(m, chains.pages, wiring.flipped(self.pages))
        for asked, port in zip(self.counts, chains.counts, strict=True):
            wiring.connect(m, wiring.flipped(asked), port)
        m.d.comb += [scheduler.lifo.eq(self.lifo),
                     scheduler.free.eq(~self.pages.valid | self.pages.ready)]
        return m
