"""The recycle ring."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Assert, Assume, Cat, Const, Mux, Signal

from pagering_hdl.recycle_ring import ChainEnds, Order, PoolChains
from pagering_tb.formal.contract import assume_inputs
from pagering_tb.formal.mutant import Mutant
from pagering_tb.formal.specification import Specification, rows, small

__all__ = ["RingIsAQueueOfPages"]


class RingIsAQueueOfPages(Specification):
    """Beside the ring stands an abstract one: for each page, whether it is on and at which place.

    The chain through the block RAM must tell the same story link for link. So no page is lost or
    doubled, and pages leave in the order that the pool's policy says.
    """

    part = "recycle_ring"
    promise = "a page is on one ring at most and leaves in its pool's order; the counts are true"
    steps = 3
    mutants = (
        Mutant(PoolChains, "_put", "Mux(empty | ~lifo, page, old.tail)",
               "Mux(empty | lifo, page, old.tail)"),
        Mutant(PoolChains, "_put", "self.link.en.eq(~empty)", "self.link.en.eq(~empty & ~lifo)"),
        Mutant(PoolChains, "_count", "on + 1", "on + 2"),
        Mutant(PoolChains, "_take", "~only", "1"),
        Mutant(PoolChains, "_count", "Mux(retires, off, on + 1)", "Mux(retires, on, on + 1)"),
    )
    POOLS, PAGES = 2, 4

    def __init__(self) -> None:
        super().__init__()
        self.card = small(pools=self.POOLS, pages=self.PAGES)
        self.dut = PoolChains(self.card)
        # The abstract ring.
        self.on = Array(Signal(name=f"on_{page}") for page in range(self.PAGES))
        self.pool = Array(Signal(name=f"pool_{page}") for page in range(self.PAGES))
        self.place = Array(Signal(2, name=f"place_{page}") for page in range(self.PAGES))
        self.length = Array(Signal(3, name=f"length_{pool}") for pool in range(self.POOLS))

        self.counted = Array(Signal(3, name=f"counted_{pool}") for pool in range(self.POOLS))
        self.taken, self.taken_from = Signal(), Signal(1)

    def specify(self, m: Any, dut: Any) -> dict[str, Any]:
        ring = self.dut
        self.ends, self.tables = dut.submodules.ends, (ring.pushed, ring.popped)
        self.after = dut.submodules.after
        action, taking = ring.actions.p, ring.step != 0
        put, take, retire = (ring.actions.valid & (action.order == order)
                             for order in (Order.PUT, Order.TAKE, Order.RETIRE))
        assume_inputs(m, ring)
        m.d.comb += [
            Assume(action.page < self.PAGES), Assume(action.pool < self.POOLS),
            Assume(~ring.actions.valid | put | take | retire),
            # The page table enrols what is off the ring; admission grants what is on it.
            Assume(~put | ~self.on[action.page]),
            Assume(~take | taking | ((self.length[action.pool] != 0) & ~ring.pages.valid)),
            Assert(~taking | (take & (action.pool == self.taken_from))),
            Assert(ring.step < 3), Assert(self.taken == (ring.step == 1)),
        ]
        self.quiet(m, self.ends, *self.tables, ring.registered, busy=ring.actions.valid)
        with m.If(put):
            self._put(m, action.page, action.pool)
        with m.If(retire):
            self._leave(m, action.pool)
        taken, wanted = self.taken, Signal(2)
        m.d.sync += taken.eq(ring.begins)
        with m.If(ring.begins):
            m.d.sync += [wanted.eq(self._first(m, action.pool)), self.taken_from.eq(action.pool)]
            self._take(m, action.pool)
        with m.If(taken):
            m.d.comb += Assert(ring.pages.valid & (ring.pages.payload == wanted))
        m.d.sync += [self.counted[pool].eq(self.length[pool]) for pool in range(self.POOLS)]
        self._agree(m)
        full = (self.length[0] == self.PAGES) & (self.length[1] == 0)
        return {"all pages in one pool": full,
                "a page taken of three": taken & (self.length[1] == 2)}

    def _first(self, m: Any, pool: Any) -> Any:
        first = Signal(2)
        for page in range(self.PAGES):
            with m.If(self.on[page] & (self.pool[page] == pool) & (self.place[page] == 0)):
                m.d.comb += first.eq(page)
        return first

    def _put(self, m: Any, page: Any, pool: Any) -> None:
        lifo = self.dut.actions.p.lifo
        for other in range(self.PAGES):
            with m.If(lifo & (self.pool[other] == pool)):
                m.d.sync += self.place[other].eq(self.place[other] + 1)
        m.d.sync += [self.on[page].eq(1), self.pool[page].eq(pool),
                     self.place[page].eq(Mux(lifo, 0, self.length[pool])),
                     self.length[pool].eq(self.length[pool] + 1)]

    def _take(self, m: Any, pool: Any) -> None:
        m.d.sync += self.length[pool].eq(self.length[pool] - 1)
        for page in range(self.PAGES):
            with m.If(self.on[page] & (self.pool[page] == pool)):
                m.d.sync += [self.on[page].eq(self.place[page] != 0),
                             self.place[page].eq(self.place[page] - 1)]

    def _leave(self, m: Any, pool: Any) -> None:
        m.d.sync += self.length[pool].eq(0)
        for page in range(self.PAGES):
            with m.If(self.pool[page] == pool):
                m.d.sync += self.on[page].eq(0)

    def _agree(self, m: Any) -> None:
        """Assert that ring and abstract ring say the same."""
        ends = [ChainEnds(self.card)(row) for row in rows(m, self.ends.rows)]
        pushed, popped = (rows(m, table.rows) for table in self.tables)
        for pool in range(self.POOLS):
            members = [self.on[page] & (self.pool[page] == pool) for page in range(self.PAGES)]
            length = self.length[pool]
            m.d.comb += [
                Assert(length == sum(members)),
                Assert((pushed[pool] - popped[pool])[:17] == self.counted[pool]),
            ]
            # In the last cycles of a take it is known, but not yet told, that it was the only page.
            with m.If((self.dut.step != 0) & (self.taken_from == pool)):
                m.d.comb += [Assert(self.dut.filled[pool]), Assert(self.dut.only == (length == 0))]
            with m.Else():
                m.d.comb += Assert(self.dut.filled[pool] == (length != 0))
            for page, member in enumerate(members):
                with m.If(member):
                    m.d.comb += Assert(self.place[page] < length)
                    with m.If(self.place[page] == length - 1):
                        m.d.comb += Assert(ends[pool].tail == page)
        sweeping = Cat(table.sweeping for table in (self.ends, *self.tables))
        m.d.comb += [Assert(~sweeping.any() | sweeping.all()),
                     Assert(~sweeping.any() | ~(Cat(self.on).any() | (self.dut.step != 0)))]
        self._agree_chain(m, ends, rows(m, self.after))

    def _agree_chain(self, m: Any, ends: list[Any], after: list[Any]) -> None:
        """While a take goes on, the page that was read is the chain's new head."""
        read = Mux(self.taken, self.dut.next.data, self.dut.follows)
        for page in range(self.PAGES):
            pool, place = self.pool[page], self.place[page]
            for owner in range(self.POOLS):
                head = Mux((self.dut.step != 0) & (self.taken_from == owner), read,
                           ends[owner].head)
                with m.If(self.on[page] & (pool == owner) & (place == 0)):
                    m.d.comb += Assert(head == page)
            for other in range(self.PAGES):
                with m.If(self.on[page] & self.on[other] & (pool == self.pool[other])):
                    m.d.comb += Assert((place != self.place[other]) | (page == other))
                    with m.If(self.place[other] == place + Const(1, 2)):
                        m.d.comb += Assert((self.place[other] == 0) | (after[page] == other))
