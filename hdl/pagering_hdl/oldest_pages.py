"""Finds the page of each pool that the host has had for longest, so that a leak has a name.

Every page has the time at which it was handed over whole, in a memory of its own that follows the
page table's events. A walk goes over all pages for one pool, then for the next: no event waits for
it, and it costs no cycle of the page table.

A time is kept in few bits. It starts in units of ``abi.AGE_CYCLES`` cycles, and whenever the walk
meets one whose age fills half of its range, it is noted anew in units four times as long. So an
age of any length is known to within a sixteenth of itself, and of two pages it can be told which
is older by comparing first the units, then the ages in them.
"""

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from pagering import abi

from .block_table import BlockTable
from .layouts import PageMove, struct
from .state_table import Lookup
from .stays import STEPS, Stays

__all__ = ["OldestPages"]

Age = unsigned(32)
"""In units of ``abi.AGE_CYCLES`` cycles."""


class OldestPages(wiring.Component):
    """Walks over all pages, one a cycle.

    Members
    -------
    moved : :py:`In(PageMove)`
    valid : :py:`In(regions)`
        Regions in use: what is known of other pages is of an earlier life.
    shown : :py:`In(Lookup(7, 32))`
        Find of the last walk for a pool, as its registers show it: pool above, its age below. One
        cycle late.
    """

    def __init__(self, config):
        self.config = config
        super().__init__({"moved": In(PageMove), "valid": In(config.regions),
                          "shown": In(Lookup(7, 32))})

    def elaborate(self, platform):
        m = Module()
        config = self.config
        m.submodules.stays = stays = Stays(config)
        m.submodules.finds = finds = BlockTable(32, depth=2 * config.pools, index=7)
        wiring.connect(m, wiring.flipped(self.shown), finds.read[0])
        best = Signal(stays.seen.shape())
        pool, page = Signal(range(config.pools)), Signal(range(config.pages))
        drained = Signal(range(STEPS + 1))
        m.d.comb += [
            stays.moved.eq(self.moved), stays.valid.eq(self.valid),
            stays.pool.eq(pool), stays.page.eq(page),
        ]
        with m.If(stays.seen.counts & (~best.counts | (stays.seen.rank.as_value()
                                                        > best.rank.as_value()))):
            m.d.sync += best.eq(stays.seen)
        with m.FSM(name="oldest_pages"):
            with m.State("Walk"):
                m.d.comb += stays.walking.eq(1)
                m.d.sync += [page.eq(page + 1), drained.eq(0)]
                with m.If(page == config.pages - 1):
                    m.next = "Await verdicts"
                self._turn_back(m, stays, page)
            with m.State("Await verdicts"):
                m.d.sync += drained.eq(drained + 1)
                with m.If(drained == STEPS):
                    m.d.sync += page.eq(0)
                    m.next = "Note page"
                self._turn_back(m, stays, page)
            with m.State("Round time"):
                m.d.comb += stays.rounds.eq(1)
                with m.If(stays.rounded):
                    m.next = "Walk"
            self._note_find(m, finds, pool, best)
        return m

    def _turn_back(self, m, stays, page):
        """Note the time of a page anew if it is due; the walk goes on from there."""
        with m.If(stays.due):
            m.d.sync += page.eq(stays.seen.page)
            m.next = "Round time"

    def _note_find(self, m, finds, pool, best):
        """Write the oldest page of a pool and its age to the registers; go on to the next pool."""
        find, age = Signal(struct(abi.POOL["OLDEST"])), Signal(Age)
        m.d.comb += [
            find.page.eq(best.page), find.queue.eq(best.queue), find.valid.eq(best.counts),
            finds.write.addr.eq(Cat(0, pool)), finds.write.data.eq(find),
        ]
        with m.State("Note page"):
            m.d.comb += finds.write.en.eq(1)
            m.d.sync += age.eq(Mux(best.counts, best.rank.age, 0))
            m.next = "Scale age"
        with m.State("Scale age"):
            m.d.sync += [age.eq(age << 2), best.rank.units.eq(best.rank.units - 1)]
            with m.If(best.rank.units == 0):
                m.d.sync += age.eq(age)
                m.next = "Note age"
        with m.State("Note age"):
            m.d.comb += [finds.write.en.eq(1), finds.write.addr.eq(Cat(1, pool)),
                         finds.write.data.eq(age)]
            m.d.sync += [best.eq(0), pool.eq(Mux(pool == self.config.pools - 1, 0, pool + 1))]
            m.next = "Walk"
