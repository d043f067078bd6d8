"""Who has each page: what an operation makes of an entry, and the whole life of every page."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Assert, Assume, Cat, Mux, Signal

from pagering_hdl.layouts import Fault
from pagering_hdl.page_table import EntryLogic, Operation, PageEntry, PageTable
from pagering_tb.formal.mutant import Mutant
from pagering_tb.formal.specification import Specification, contents, rows, small

__all__ = ["EntryObeysItsOwner", "PagesAreConserved"]


class EntryObeysItsOwner(Specification):
    """Every request, on every entry, of a page of eight chunks."""

    part = "page_table"
    promise = "a return is taken only of its holder, generation and chunks; else nothing changes"
    steps = 1
    reach = 1
    mutants = (
        Mutant(EntryLogic, "elaborate", "old.queue != request.queue", "0"),
        Mutant(EntryLogic, "elaborate", "old.generation != request.generation",
               "old.generation < request.generation"),
        Mutant(EntryLogic, "elaborate", "(self.named & ~old.chunks).any()",
               "~(self.named & old.chunks).any()"),
        Mutant(EntryLogic, "elaborate", "new.chunks.eq(old.chunks & ~self.named)",
               "new.chunks.eq(old.chunks ^ (self.named << 1))"),
        Mutant(EntryLogic, "elaborate", "new.open.eq(1), new.chunks.eq(0), new.queue",
               "new.open.eq(1), new.queue"),
    )
    CHUNKS = 8

    def __init__(self) -> None:
        super().__init__()
        self.dut = EntryLogic(self.CHUNKS)

    def specify(self, m: Any, dut: Any) -> dict[str, Any]:
        part, request, old, new = self.dut, self.dut.request, self.dut.old, self.dut.new
        m.d.comb += [Assume(request.first <= request.last), Assume(request.last < self.CHUNKS)]
        named = Cat(~request.none & (request.first <= chunk) & (request.last >= chunk)
                    for chunk in range(self.CHUNKS))
        is_return = request.operation == Operation.RETURN
        owner, current = old.queue == request.queue, old.generation == request.generation
        holds = (named & ~old.chunks) == 0
        accepted = is_return & owner & current & holds
        m.d.comb += [
            Assert(part.named == named),
            Assert(part.refused == (is_return & ~accepted)),
            Assert(~part.refused | (new == old)),
            # One fault, the first of these.
            Assert(~part.refused | (part.fault == Mux(owner, Mux(
                current, Fault.RETURN_IDLE, Fault.RETURN_GENERATION), Fault.RETURN_OWNER))),
            Assert(part.held_before == (old.open | old.chunks.any())),
            Assert(part.held_after == (new.open | new.chunks.any())),
            Assert(part.out_before == (~old.open & old.chunks.any())),
            Assert(part.out_after == (~new.open & new.chunks.any())),
        ]
        with m.If(accepted):
            m.d.comb += Assert((new.chunks == (old.chunks & ~named)) & (new.open == old.open)
                               & (new.queue == old.queue) & (new.generation == old.generation))
        with m.If(request.operation == Operation.OPEN):
            # Every token of before is stale from now on.
            m.d.comb += Assert(new.open & ~new.chunks.any() & (new.queue == request.queue)
                               & (new.generation == (old.generation + 1)[:len(old.generation)]))
        with m.If(request.operation == Operation.DELIVER):
            m.d.comb += Assert((new.chunks == (old.chunks | named)) & (new.queue == old.queue)
                               & (new.generation == old.generation)
                               & (new.open == (old.open & ~request.closes)))
        return {"a token is taken": accepted & (named == 0b111000),
                "a stranger's": part.refused & ~owner & current,
                "an old one": part.refused & owner & ~current & holds,
                "a chunk twice": part.refused & owner & current}


class PagesAreConserved(Specification):
    """Every page of a small card is followed: on the ring, held, or not registered.

    A page that is held is open or has chunks at the host, or else it is on its way to the ring:
    always exactly one of these. The placer delivers chunks of open pages, each once; the loader
    enrols and retires; returns may be anything.
    """

    part = "page_table"
    promise = "a page is in one place only, and no chunk is given out twice before it is back"
    steps = 3
    reach = 12
    slow = True
    mutants = (
        Mutant(PageTable, "elaborate", "done & logic.held_before & ~logic.held_after",
               "done & logic.held_before"),
        Mutant(PageTable, "elaborate", "done = busy & ~logic.refused", "done = busy"),
        Mutant(PageTable, "elaborate", "recycles.i.p.page.eq(request.page)",
               "recycles.i.p.page.eq(chosen.page)"),
        Mutant(PageTable, "elaborate", "transparent_for=[write]", ""),
        Mutant(PageTable, "_count", "logic.out_before != logic.out_after", "logic.out_after"),
        Mutant(PageTable, "_count", "counts & logic.held_before & ~logic.held_after",
               "counts & ~logic.held_after"),
    )
    PAGES, CHUNKS, POOLS, QUEUES = 4, 2, 2, 2

    def __init__(self) -> None:
        super().__init__()
        self.dut = PageTable(small())
        self.tied = ("owner__data",)
        pages = range(self.PAGES)
        self.registered = Array(Signal(name=f"registered_{page}") for page in pages)
        self.on_ring = Array(Signal(name=f"on_ring_{page}") for page in pages)
        self.open = Array(Signal(name=f"open_{page}") for page in pages)
        self.given = Array(Signal(self.CHUNKS, name=f"given_{page}") for page in pages)

    def specify(self, m: Any, dut: Any) -> dict[str, Any]:
        part = self.dut
        self.logic, self.recycles = dut.submodules.logic, dut.submodules.recycles
        left, out = dut.submodules.left, dut.submodules.out
        self.quiet(m, left, out, busy=part.opens.valid | part.deliveries.valid
                   | part.loads.valid | part.returns.valid)
        # Each region, of two pages, belongs to a pool.
        pools = self.constant(m, 2, "pool_of_region")
        m.d.comb += part.owner.data.eq(pools.bit_select(part.owner.addr[1], 1))
        took = Signal()
        m.d.sync += took.eq(part.opens.valid & part.opens.ready
                            | part.deliveries.valid & part.deliveries.ready
                            | part.loads.valid & part.loads.ready
                            | part.returns.valid & part.returns.ready)
        self._senders(m)
        self._lives(m)
        entries = self._entries(m, rows(m, dut.submodules.entries), took)
        self._in_one_place(m, entries, took)
        self._counts(m, entries, pools, left, out)
        self._refusals_change_nothing(m, rows(m, dut.submodules.entries))
        return {
            "all pages held": Cat(entry.open for entry in entries).all(),
            "two on their way to the ring": self.recycles.level == 2,
            "back before it is closed": took & self.logic.held_before & ~self.logic.held_after
            & self.logic.old.open,
            "retired while the host has it": took & self.logic.out_before
            & (self.logic.request.operation == Operation.RETIRE),
        }

    def _senders(self, m: Any) -> None:
        """Assume what the ring, the placer, the checker and the loader promise."""
        part, width = self.dut, 16
        opens, delivery, load = part.opens.p, part.deliveries.p, part.loads.p
        token = part.returns.p.token
        self.named = Signal(self.CHUNKS)
        on_way = Signal(self.PAGES)
        for valid, page in (*((taken, item.page) for taken, item in contents(m, self.recycles)),
                            (self.recycles.i.valid, self.recycles.i.p.page)):
            with m.If(valid):
                m.d.comb += on_way.bit_select(page[:width], 1).eq(1)
        self.on_way = on_way
        m.d.comb += [
            self.named.eq(Cat(~delivery.none & (delivery.first <= chunk)
                              & (delivery.last >= chunk) for chunk in range(self.CHUNKS))),
            *(Assume(page < self.PAGES) for page in (opens.page, delivery.page, load.page,
                                                     token.page)),
            Assume(opens.queue < self.QUEUES), Assume(part.returns.p.queue < self.QUEUES),
            *(Assume((item.first <= item.last) & (item.last < self.CHUNKS))
              for item in (delivery, token)),
            Assume(~part.opens.valid | self.on_ring[opens.page]),
            Assume(~part.deliveries.valid | (self.open[delivery.page] & (
                self.given[delivery.page] & self.named == 0) & (~delivery.none
                                                                | delivery.closes))),
            # A pool is retired when nothing is open, and what comes back late goes before.
            Assume(~part.loads.valid | ~load.retire | (
                self.registered[load.page] & ~self.open[load.page]
                & ~on_way.bit_select(load.page, 1))),
            Assume(~part.loads.valid | load.retire | ~self.registered[load.page]),
        ]

    def _lives(self, m: Any) -> None:
        """Follow every page from outside."""
        part = self.dut
        opens, delivery, load = part.opens.p, part.deliveries.p, part.loads.p
        with m.If(part.recycled.valid & part.recycled.ready):
            m.d.comb += Assert(~self.on_ring[part.recycled.p.page])
            m.d.sync += self.on_ring[part.recycled.p.page].eq(1)
        with m.If(part.opens.valid & part.opens.ready):
            m.d.sync += [self.on_ring[opens.page].eq(0), self.open[opens.page].eq(1),
                         self.given[opens.page].eq(0)]
        with m.If(part.deliveries.valid & part.deliveries.ready):
            m.d.sync += self.given[delivery.page].eq(self.given[delivery.page] | self.named)
            with m.If(delivery.closes):
                m.d.sync += self.open[delivery.page].eq(0)
        with m.If(part.loads.valid & part.loads.ready):
            # The loader puts it on the ring, or empties the ring.
            m.d.sync += [self.registered[load.page].eq(~load.retire),
                         self.on_ring[load.page].eq(~load.retire)]

    def _entries(self, m: Any, stored: list[Any], took: Any) -> list[Any]:
        """Return the entries as they will be when the operation under way is done."""
        entries = []
        done = took & ~self.logic.refused
        for page, row in enumerate(stored):
            entry = Signal(PageEntry(self.CHUNKS), name=f"entry_{page}")
            with m.If(done & (self.logic.request.page == page)):
                m.d.comb += entry.eq(self.logic.new)
            with m.Else():
                m.d.comb += entry.eq(row)
            entries.append(entry)
        return entries

    def _in_one_place(self, m: Any, entries: list[Any], took: Any) -> None:
        places = [(taken, item.page) for taken, item in contents(m, self.recycles)]
        places.append((self.recycles.i.valid, self.recycles.i.p.page))
        for page, entry in enumerate(entries):
            ways = sum(valid & (where == page) for valid, where in places)
            held = entry.open | entry.chunks.any()
            m.d.comb += [
                Assert(self.registered[page] | ~(self.on_ring[page] | held | (ways != 0))),
                # Exactly one of these.
                Assert(~self.registered[page] | (self.on_ring[page] + held + ways == 1)),
                Assert(entry.open == self.open[page]),
                Assert((entry.chunks & ~self.given[page]) == 0),
                Assert(~held | (entry.queue < self.QUEUES)),
            ]
        m.d.comb += Assert(self.recycles.level + took <= 4)

    def _counts(self, m: Any, entries: list[Any], pools: Any, left: Any, out: Any) -> None:
        """The running counts are those of the pages."""
        for pool, row in enumerate(_after_write(m, out)):
            has = [~entry.open & entry.chunks.any() & (pools[page // 2] == pool)
                   for page, entry in enumerate(entries)]
            m.d.comb += Assert(row == sum(has))
        opened = Array(Signal(17, name=f"opened_{queue}") for queue in range(self.QUEUES))
        with m.If(self.dut.opens.valid & self.dut.opens.ready):
            m.d.sync += opened[self.dut.opens.p.queue].eq(opened[self.dut.opens.p.queue] + 1)
        for queue, row in enumerate(_after_write(m, left)):
            has = [(entry.open | entry.chunks.any()) & (entry.queue == queue)
                   for entry in entries]
            m.d.comb += Assert((opened[queue] - row)[:17] == sum(has))
        m.d.comb += Assert(~(left.sweeping | out.sweeping) | ~Cat(self.on_ring).any())

    def _refusals_change_nothing(self, m: Any, stored: list[Any]) -> None:
        refused, before = Signal(), [Signal.like(row) for row in stored]
        m.d.sync += refused.eq(self.dut.refusal.valid)
        m.d.sync += [old.eq(row) for old, row in zip(before, stored, strict=True)]
        with m.If(self.dut.refusal.valid):
            m.d.comb += Assert(~self.recycles.i.valid & ~self.dut.accepted & ~self.dut.opened)
        with m.If(refused):
            m.d.comb += [Assert(old == row) for old, row in zip(before, stored, strict=True)]


def _after_write(m: Any, table: Any) -> list[Any]:
    """Return the rows of a table as they will be after this cycle."""
    write, found = table.write, []
    for place, row in enumerate(rows(m, table.rows)):
        after = Signal(17)
        m.d.comb += after.eq(Mux(write.en & (write.addr == place) & ~table.sweeping, write.data,
                                 row))
        found.append(after)
    return found
