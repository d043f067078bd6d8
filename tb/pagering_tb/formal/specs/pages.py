"""Who has each page: what an operation makes of an entry, and the whole life of every page."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Assert, Assume, Cat, Mux, Signal, Value

from pagering_hdl.layouts import Fault
from pagering_hdl.page_entry import EntryLogic, NamedChunks, Operation, PageEntry, held, out
from pagering_hdl.page_table import PageTable
from pagering_tb.formal.mutant import Mutant
from pagering_tb.formal.specification import Specification, contents, rows, small

__all__ = ["ChunksAreNamed", "EntryObeysItsOwner", "PagesAreConserved"]


def _named(request: Any, chunks: int) -> Any:
    return Cat(~request.none & (request.first <= chunk) & (request.last >= chunk)
               for chunk in range(chunks))


class ChunksAreNamed(Specification):
    """Every request, of a page of eight chunks."""

    part = "page_table"
    promise = "an operation names the chunks from its first to its last, or none"
    steps = 1
    reach = 1
    mutants = (
        Mutant(NamedChunks, "elaborate", "self.chunks - 1 - request.last",
               "self.chunks - request.last"),
        Mutant(NamedChunks, "elaborate", "Mux(request.none, 0,", "Mux(0, 0,"),
    )
    CHUNKS = 8

    def __init__(self) -> None:
        super().__init__()
        self.dut = NamedChunks(small(chunk_bytes=4096 // self.CHUNKS))

    def specify(self, m: Any, dut: Any) -> dict[str, Any]:
        part, request = self.dut, self.dut.request
        m.d.comb += [Assume(request.first <= request.last),
                     Assert(part.named == _named(request, self.CHUNKS))]
        return {"three in the middle": part.named == 0b111000, "none": part.named == 0}


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
        Mutant(EntryLogic, "elaborate", "effect.eq(Effect.CLEAR_ALL), new.open.eq(1)",
               "new.open.eq(1)"),
    )
    CHUNKS = 8

    def __init__(self) -> None:
        super().__init__()
        self.dut = EntryLogic(small(chunk_bytes=4096 // self.CHUNKS))

    def specify(self, m: Any, dut: Any) -> dict[str, Any]:
        part, request, old, new = self.dut, self.dut.request, self.dut.old, self.dut.new
        named = part.named
        is_return = request.operation == Operation.RETURN
        owner, current = old.queue == request.queue, old.generation == request.generation
        holds = (named & ~old.chunks) == 0
        accepted = is_return & owner & current & holds
        m.d.comb += [
            Assert(part.refused == (is_return & ~accepted)),
            Assert(~part.refused | (new == old)),
            # One fault, the first of these.
            Assert(~part.refused | (part.fault == Mux(owner, Mux(
                current, Fault.RETURN_IDLE, Fault.RETURN_GENERATION), Fault.RETURN_OWNER))),
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
    enrols and retires; returns may be anything. A page may still be on its way to the ring when it
    is retired: the loader empties the ring after that.

    What is followed from outside counts an operation when the table begins to decide on it; what
    its senders promise counts the one before that too.
    """

    part = "page_table"
    promise = "a page is in one place only, and no chunk is given out twice before it is back"
    steps = 3
    reach = 12
    mutants = (
        Mutant(PageTable, "_compare", "done.held & ~held(self.written)", "done.held"),
        Mutant(PageTable, "_decide", "is_return & ~logic.refused", "is_return"),
        Mutant(PageTable, "_compare", "self.recycles.page.eq(done.page)",
               "self.recycles.page.eq(self.asked.page)"),
        Mutant(PageTable, "_find", "Mux(one_ago, logic.new,", "Mux(0, logic.new,"),
        Mutant(PageTable, "_find", "Mux(two_ago, self.written,", "Mux(0, self.written,"),
        Mutant(PageTable, "_compare", "done.out ^ out(self.written)", "out(self.written)"),
        Mutant(PageTable, "_compare", "leaves & ~enrols & (done.operation != Operation.RETIRE)",
               "leaves"),
    )
    PAGES, CHUNKS, POOLS, QUEUES = 4, 2, 2, 2

    def __init__(self) -> None:
        super().__init__()
        self.dut = PageTable(small())
        self.tied = ("owner__data",)
        pages = range(self.PAGES)

        def each(shape: int, name: str) -> Any:
            return Array(Signal(shape, name=f"{name}_{page}") for page in pages)
        # From outside; and after the operation that is decided on next.
        self.registered, self.registered_next = each(1, "registered"), each(1, "registered_next")
        self.on_ring, self.on_ring_next = each(1, "on_ring"), each(1, "on_ring_next")
        self.open, self.open_next = each(1, "open"), each(1, "open_next")
        self.given, self.given_next = (each(self.CHUNKS, "given"),
                                       each(self.CHUNKS, "given_next"))

    def specify(self, m: Any, dut: Any) -> dict[str, Any]:
        part = self.dut
        self.logic, self.waiting = dut.submodules.logic, dut.submodules.waiting
        counts, self.storage = dut.submodules.counts, dut.submodules.entries
        self.quiet(m, counts.left, counts.out, busy=part.opens.valid | part.deliveries.valid
                   | part.loads.valid | part.returns.valid)
        # Each region, of two pages, belongs to a pool.
        self.pools = self.constant(m, 2, "pool_of_region")
        m.d.comb += part.owner.data.eq(self._pool(part.owner.addr))
        stored = rows(m, self.storage)
        self._steps(m, Array(stored))
        entries = self._entries(m, stored)
        self._ways(m)
        self._senders(m)
        self._lives(m)
        self._in_one_place(m, entries)
        self._counts(m, entries, counts)
        self._refusals_change_nothing(m, stored)
        return {
            "all pages held": Cat(entry.open for entry in entries).all(),
            "two on their way to the ring": part.recycling & self.had_left,
            "back before it is closed": self.left & self.logic.old.open,
            "retired while the host has it": part.deciding & out(part.entry)
            & (part.asked.operation == Operation.RETIRE),
            "changed three times in a row": part.finding & part.deciding & part.comparing
            & (part.found.page == part.asked.page) & (part.found.page == part.done.page),
        }

    def _pool(self, page: Any) -> Any:
        return self.pools.bit_select(page >> 1, 1)

    def _steps(self, m: Any, stored: Any) -> None:
        """Assert what the steps of the table know of the operations in them."""
        part, read = self.dut, self.storage.read_ports[0].data
        asked, done = part.asked, part.done
        old_row, done_row, found_row = (Value.cast(stored[item.page])
                                        for item in (asked, done, part.found))
        just_written = part.comparing & (done.page == part.found.page)
        m.d.comb += [
            Assert(~part.finding | just_written | (Value.cast(read) == found_row)),
            Assert(~part.deciding | (Value.cast(part.entry) == old_row)),
            Assert(~part.deciding | (part.named == _named(asked, self.CHUNKS))),
            Assert(~part.deciding | (part.pool == self._pool(asked.page))),
            Assert(~part.comparing | (Value.cast(part.written) == done_row)),
            Assert(~part.comparing | (done.pool == self._pool(done.page))),
            Assert(~part.recycling | (part.recycles.pool == self._pool(part.recycles.page))),
        ]

    def _entries(self, m: Any, stored: list[Any]) -> list[Any]:
        """Return the entries as they will be when what is being decided is done."""
        part, entries = self.dut, []
        for page, row in enumerate(stored):
            entry = Signal(PageEntry(part.config), name=f"entry_{page}")
            with m.If(part.deciding & (part.asked.page == page)):
                m.d.comb += entry.eq(self.logic.new)
            with m.Else():
                m.d.comb += entry.eq(row)
            entries.append(entry)
        return entries

    def _ways(self, m: Any) -> None:
        """See which pages leave their queue in the steps, and which are on their way back."""
        part = self.dut
        asked, done, new = part.asked, part.done, self.logic.new
        self.left = part.deciding & held(part.entry) & ~held(new)
        self.had_left = part.comparing & done.held & ~held(part.written)
        self.places = [(taken, item.page) for taken, item in contents(m, self.waiting)]
        self.places += [
            (part.recycling, part.recycles.page),
            (self.had_left & (done.operation != Operation.RETIRE), done.page),
            (self.left & (asked.operation != Operation.RETIRE), asked.page)]
        self.ways = [Signal(4, name=f"ways_{page}") for page in range(self.PAGES)]
        for page, ways in enumerate(self.ways):
            m.d.comb += ways.eq(sum(valid & (where == page) for valid, where in self.places))

    def _senders(self, m: Any) -> None:
        """Assume what the ring, the placer, the checker and the loader promise."""
        part = self.dut
        opens, delivery, load = part.opens.p, part.deliveries.p, part.loads.p
        token, ways = part.returns.p.token, Array(self.ways)
        named = _named(delivery, self.CHUNKS)
        m.d.comb += [
            *(Assume(page < self.PAGES) for page in (opens.page, delivery.page, load.page,
                                                     token.page)),
            Assume(opens.queue < self.QUEUES), Assume(part.returns.p.queue < self.QUEUES),
            *(Assume((item.first <= item.last) & (item.last < self.CHUNKS))
              for item in (delivery, token)),
            Assume(~part.opens.valid | self.on_ring_next[opens.page]),
            Assume(~part.deliveries.valid | (self.open_next[delivery.page] & (
                self.given_next[delivery.page] & named == 0) & (~delivery.none
                                                                | delivery.closes))),
            # A pool is retired when nothing is open, and registered when its ring was emptied.
            Assume(~part.loads.valid | ~load.retire | (
                self.registered_next[load.page] & ~self.open_next[load.page])),
            Assume(~part.loads.valid | load.retire | (
                ~self.registered_next[load.page] & (ways[load.page] == 0))),
        ]
        # So it is with the operation that has been chosen.
        found, page = part.found, part.found.page
        named = _named(found, self.CHUNKS)
        with m.If(part.finding), m.Switch(found.operation):
            with m.Case(Operation.OPEN):
                m.d.comb += Assert(self.on_ring[page])
            with m.Case(Operation.DELIVER):
                m.d.comb += Assert(self.open[page] & (self.given[page] & named == 0)
                                   & (~found.none | found.closes))
            with m.Case(Operation.RETIRE):
                m.d.comb += Assert(self.registered[page] & ~self.open[page])
            with m.Case(Operation.ENROL):
                m.d.comb += Assert(~self.registered[page] & (ways[page] == 0))
            with m.Case(Operation.RETURN):
                m.d.comb += Assert(~found.none)
            with m.Default():
                m.d.comb += Assert(0)

    def _lives(self, m: Any) -> None:
        """Follow every page from outside."""
        part, found = self.dut, self.dut.found
        for page in range(self.PAGES):
            registered, on_ring = self.registered_next[page], self.on_ring_next[page]
            is_open, given = self.open_next[page], self.given_next[page]
            m.d.comb += [registered.eq(self.registered[page]), on_ring.eq(self.on_ring[page]),
                         is_open.eq(self.open[page]), given.eq(self.given[page])]
            with m.If(part.finding & (found.page == page)), m.Switch(found.operation):
                with m.Case(Operation.OPEN):
                    m.d.comb += [on_ring.eq(0), is_open.eq(1), given.eq(0)]
                with m.Case(Operation.DELIVER):
                    m.d.comb += given.eq(self.given[page] | _named(found, self.CHUNKS))
                    with m.If(found.closes):
                        m.d.comb += is_open.eq(0)
                with m.Case(Operation.ENROL, Operation.RETIRE):
                    # The loader puts it on the ring, or empties the ring.
                    enrols = found.operation == Operation.ENROL
                    m.d.comb += [registered.eq(enrols), on_ring.eq(enrols)]
            m.d.sync += [self.registered[page].eq(registered), self.on_ring[page].eq(on_ring),
                         self.open[page].eq(is_open), self.given[page].eq(given)]
        with m.If(part.recycled.valid & part.recycled.ready):
            page = part.recycled.p.page
            m.d.comb += Assert(~self.on_ring[page])
            m.d.sync += self.on_ring[page].eq(self.registered_next[page])

    def _in_one_place(self, m: Any, entries: list[Any]) -> None:
        part = self.dut
        for page, entry in enumerate(entries):
            ways = self.ways[page]
            m.d.comb += [
                Assert(self.registered[page]
                       | (~(self.on_ring[page] | held(entry)) & (ways <= 1))),
                # Exactly one of these.
                Assert(~self.registered[page] | (self.on_ring[page] + held(entry) + ways == 1)),
                Assert(entry.open == self.open[page]),
                Assert((entry.chunks & ~self.given[page]) == 0),
            ]
        m.d.comb += Assert(self.waiting.level + part.finding + part.deciding + part.comparing
                           + part.recycling <= self.waiting.depth)

    def _counts(self, m: Any, entries: list[Any], counts: Any) -> None:
        """The running counts are those of the pages, but for what is still in the steps."""
        part, old, new, written = self.dut, self.dut.entry, self.logic.new, self.dut.written
        for pool, row in enumerate(_after_write(m, counts.out)):
            has = [out(entry) & (self._pool(Value.cast(page)) == pool)
                   for page, entry in enumerate(entries)]
            here, there = (part.deciding & (part.pool == pool),
                           part.comparing & (part.done.pool == pool))
            m.d.comb += Assert(
                (row + (here & out(new)) + (there & out(written)))[:17]
                == (sum(has) + (here & out(old)) + (there & part.done.out))[:17])
        opened = Array(Signal(17, name=f"opened_{queue}") for queue in range(self.QUEUES))
        with m.If(part.finding & (part.found.operation == Operation.OPEN)):
            m.d.sync += opened[part.found.queue].eq(opened[part.found.queue] + 1)
        for queue, row in enumerate(_after_write(m, counts.left)):
            has = [held(entry) & (entry.queue == queue) for entry in entries]
            m.d.comb += Assert((opened[queue] - row)[:17] == sum(has)
                               + (self.left & (old.queue == queue))
                               + (self.had_left & (written.queue == queue)))
        begins = counts.left.sweeping | counts.out.sweeping
        m.d.comb += Assert(~begins | ~(Cat(self.registered).any() | part.finding | part.deciding
                                       | part.comparing | part.telling))

    def _refusals_change_nothing(self, m: Any, stored: list[Any]) -> None:
        part, before = self.dut, [Signal.like(row) for row in stored]
        m.d.sync += [old.eq(row) for old, row in zip(before, stored, strict=True)]
        with m.If(part.refusal.valid):
            m.d.comb += [Assert(part.comparing & ~self.had_left & ~part.accepted),
                         Assert(part.done.out == out(part.written))]
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
