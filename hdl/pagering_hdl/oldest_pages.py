"""Finds the page of each pool that the host has had for longest, so that a leak has a name.

Every page has the time at which it was handed over whole, in a memory of its own that follows the
page table's events. A walk goes over all pages for one pool, then for the next: no event waits for
it, and it costs no cycle of the page table.
"""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In

from .block_table import BlockTable
from .layouts import Index, PageId, PageMove
from .state_table import Lookup

__all__ = ["OldestPage", "OldestPages"]

Time = unsigned(32)
"""In units of ``abi.AGE_CYCLES`` cycles."""
STEPS = 4
"""Cycles from a page's turn to its verdict."""


class Stay(data.Struct):
    """Where a page is, and since when."""

    out: unsigned(1)
    """Only the host has it."""
    pool: Index
    queue: Index
    since: Time


class OldestPage(data.Struct):
    """The find of one walk."""

    valid: unsigned(1)
    page: PageId
    queue: Index
    age: Time


class OldestPages(wiring.Component):
    """Walks over all pages, one a cycle.

    Members
    -------
    moved : :py:`In(PageMove)`
    valid : :py:`In(regions)`
        Regions in use: what is known of other pages is of an earlier life.
    shown : :py:`In(Lookup(Index, OldestPage))`
        Find of the last walk for a pool; one cycle late.
    """

    def __init__(self, config):
        self.config = config
        super().__init__({"moved": In(PageMove), "valid": In(config.regions),
                          "shown": In(Lookup(Index, OldestPage))})

    def elaborate(self, platform):
        m = Module()
        config = self.config
        m.submodules.stays = stays = Memory(shape=Stay, depth=config.pages, init=[],
                                            attrs={"ram_style": "block"})
        m.submodules.finds = finds = BlockTable(OldestPage, depth=config.pools)
        wiring.connect(m, wiring.flipped(self.shown), finds.read[0])
        clock, moved, into = Signal(Time.width + 10), Signal(PageMove), stays.write_port()
        self.now = clock[10:]
        m.d.sync += [clock.eq(clock + 1), moved.eq(self.moved)]
        m.d.comb += [
            into.en.eq(moved.valid), into.addr.eq(moved.page), into.data.out.eq(moved.out),
            into.data.pool.eq(moved.pool), into.data.queue.eq(moved.queue),
            into.data.since.eq(self.now),
        ]
        pool, page = Signal(Index), Signal(range(config.pages))
        walking, ending = Signal(), Signal(range(STEPS + 1))
        best = Signal(OldestPage)
        self._judge(m, stays.read_port(), page, pool, walking, best)
        m.d.comb += [finds.write.addr.eq(pool), finds.write.data.eq(best)]
        with m.FSM(name="oldest_pages"):
            with m.State("Walk"):
                m.d.comb += walking.eq(1)
                m.d.sync += [page.eq(page + 1), ending.eq(0)]
                with m.If(page == config.pages - 1):
                    m.d.sync += page.eq(0)
                    m.next = "Await verdicts"
            with m.State("Await verdicts"):
                m.d.sync += ending.eq(ending + 1)
                with m.If(ending == STEPS):
                    m.next = "Note find"
            with m.State("Note find"):
                m.d.comb += finds.write.en.eq(1)
                m.d.sync += [best.eq(0), pool.eq(Mux(pool == config.pools - 1, 0, pool + 1))]
                m.next = "Walk"
        return m

    def _judge(self, m, read, page, pool, walking, best):
        """Read, look whether the page counts, take its age, compare: a cycle each."""
        slot_log2 = self.config.region_pages_log2
        asked, looked, aged = (Signal(PageId, name=f"{step}_page")
                               for step in ("asked", "looked", "aged"))
        walked, counts, candidate = Signal(), Signal(), Signal()
        stay, age, queue = Signal(Stay), Signal(Time), Signal(Index)
        m.d.comb += read.addr.eq(page)
        m.d.sync += [
            asked.eq(page), walked.eq(walking),
            looked.eq(asked), stay.eq(read.data),
            counts.eq(walked & self.valid.bit_select(asked >> slot_log2, 1)),
            aged.eq(looked), age.eq(self.now - stay.since), queue.eq(stay.queue),
            candidate.eq(counts & stay.out & (stay.pool == pool)),
        ]
        with m.If(candidate & (~best.valid | (age > best.age))):
            m.d.sync += [best.valid.eq(1), best.page.eq(aged), best.queue.eq(queue),
                         best.age.eq(age)]
