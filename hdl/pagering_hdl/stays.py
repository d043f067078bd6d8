"""Since when the host has each page, in a few bits."""

from amaranth.hdl import Assert, Module, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from pagering import abi

from .layouts import PageMove

__all__ = ["STEPS", "Rank", "Seen", "Stay", "Stays"]

Units = unsigned(4)
"""A time is in units of ``abi.AGE_CYCLES * 4**units`` cycles."""
COARSEST = 13
"""With it, ages have 32 bits."""
STEPS = 5
"""Cycles from a page's turn to its verdict."""


def time_bits(config):
    """Return how many bits of a time are kept: a walk must not take half of their range."""
    return max(7, config.pages.bit_length() - 6)


class Stay(data.StructLayout):
    """Where a page is, and since when.

    Members: ``out`` if only the host has it; ``pool``, ``queue``; ``units`` and ``since``, the
    lowest bits of a time in these units.
    """

    def __init__(self, config):
        super().__init__({"out": 1, "pool": range(config.pools), "queue": range(config.queues),
                          "units": Units, "since": time_bits(config)})


class Rank(data.StructLayout):
    """An age: the greater number is the greater age. Members: ``age``, ``units``."""

    def __init__(self, config):
        super().__init__({"age": time_bits(config), "units": Units})


class Seen(data.StructLayout):
    """Verdict on a page. Members: ``counts`` if it is out and of the pool in question; ``page``,
    ``queue``, ``rank``.
    """

    def __init__(self, config):
        super().__init__({"counts": 1, "page": range(config.pages),
                          "queue": range(config.queues), "rank": Rank(config)})


class Stays(wiring.Component):
    """The memory, and the look at one page after the other in a pipeline.

    Members
    -------
    moved : :py:`In(PageMove)`
    valid : :py:`In(regions)`
    page : :py:`In(range(pages))`, walking : :py:`In(1)`, pool : :py:`In(range(pools))`
        Which page to look at, and for which pool.
    seen : :py:`Out(Seen(config))`
        Some cycles later.
    due : :py:`Out(1)`
        The time of this page is to be rounded before its range is used up.
    rounds : :py:`In(1)`
        Do this to ``page``; held until ``rounded``.
    rounded : :py:`Out(1)`
        It is done, or need not be: the page has moved.
    """

    def __init__(self, config):
        self.config = config
        super().__init__({
            "moved": In(PageMove), "valid": In(config.regions),
            "page": In(range(config.pages)), "walking": In(1), "pool": In(range(config.pools)),
            "seen": Out(Seen(config)), "due": Out(1), "rounds": In(1), "rounded": Out(1),
        })
        self.moving, self.rounded_stay = Signal(PageMove), Signal(Stay(config))
        self.full, self.rounds_up = Signal(), Signal()
        self.clash, self.writes = Signal(), Signal()

    def elaborate(self, platform):
        m = Module()
        config = self.config
        # A page that moves while it is looked at counts from the next look on, so what is read
        # then does not matter.
        m.submodules.stays = stays = Memory(
            shape=Stay(config), depth=config.pages, init=[],
            attrs={"ram_style": "block", "no_rw_check": 1})
        into, read = stays.write_port(), stays.read_port()
        clock = Signal((abi.AGE_CYCLES - 1).bit_length() + 2 * COARSEST + time_bits(config) + 2)
        now, moving = clock[(abi.AGE_CYCLES - 1).bit_length():], self.moving
        m.d.sync += [clock.eq(clock + 1), moving.eq(self.moved)]
        m.d.comb += [
            read.addr.eq(self.page),
            self.clash.eq((moving.valid | self.writes) & (into.addr == self.page)),
            into.en.eq(moving.valid | self.writes), into.addr.eq(self.page),
            into.data.eq(self.rounded_stay),
        ]
        with m.If(moving.valid):
            m.d.comb += [
                into.addr.eq(moving.page), into.data.eq(0), into.data.out.eq(moving.out),
                into.data.pool.eq(moving.pool), into.data.queue.eq(moving.queue),
                into.data.since.eq(now),
            ]
        self._look(m, read.data, now)
        self._round(m)
        return m

    def _look(self, m, row, now):
        """Read; see whether the page counts and the time in its units; take its age."""
        config, bits = self.config, time_bits(self.config)
        asked, looked, timed = (Signal(range(config.pages), name=f"{step}_page")
                                for step in ("asked", "looked", "timed"))
        walked, in_use, counts, mine = Signal(), Signal(), Signal(), Signal()
        stay, before, aged = (Signal(Stay(config), name=name)
                              for name in ("stay", "before", "aged"))
        time, then, age, seen = Signal(bits + 2), Signal(bits + 2), Signal(bits), self.seen
        fills, since = Signal(), Signal(bits + 2)
        # Now in these units, by eight bits and then by two: that is less than all at once.
        eights = Signal(bits + 8)
        with m.Switch(stay.units[:2]):
            for place in range(4):
                with m.Case(place):
                    m.d.sync += time.eq(eights[2 * place:])
        with m.Switch(stay.units[2:]):
            for place in range(1 + COARSEST // 4):
                with m.Case(place):
                    m.d.comb += eights.eq(now[8 * place:])
        m.d.comb += [age.eq(time - before.since), since.eq(then - seen.rank.age),
                     fills.eq(before.out & age[-1] & (before.units != COARSEST))]
        m.d.sync += [
            asked.eq(self.page), walked.eq(self.walking & ~self.clash),
            looked.eq(asked), stay.eq(row),
            in_use.eq(walked & self.valid.bit_select(asked >> config.region_pages_log2, 1)),
            timed.eq(looked), before.eq(stay), counts.eq(in_use & stay.out),
            mine.eq(stay.pool == self.pool),
            seen.page.eq(timed), seen.queue.eq(before.queue), seen.rank.age.eq(age),
            seen.rank.units.eq(before.units), seen.counts.eq(counts & mine & ~fills),
            self.due.eq(counts & fills), then.eq(time), aged.eq(before), self.full.eq(fills),
            self.rounded_stay.eq(aged), self.rounded_stay.units.eq(aged.units + 1),
            self.rounded_stay.since.eq(since >> 2), self.rounds_up.eq(self.full),
        ]

    def _round(self, m):
        """Once the page has stood still through all steps, write what has come out of them."""
        still = Signal(range(STEPS + 1))
        ready = still == STEPS
        m.d.comb += [
            self.writes.eq(self.rounds & ready & self.rounds_up & ~self.moving.valid),
            self.rounded.eq(self.rounds & ready & (self.writes | ~self.rounds_up)),
        ]
        with m.If(~self.rounds | self.clash):
            m.d.sync += still.eq(0)
        with m.Elif(~ready):
            m.d.sync += still.eq(still + 1)
        m.d.sync += Assert(~self.writes | self.rounded_stay.out)
