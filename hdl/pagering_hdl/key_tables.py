"""What each few bits of a word add to its hash, looked up instead of computed.

A hash is linear: what a word adds is the sum, without carry, of what its groups of five bits add.
That depends on the key alone, and on the word's place in the flow. So there is a table for each
group, with a row for each value at each place, and the host's key is turned into these.
"""

from amaranth.hdl import Assert, Cat, Const, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from pagering import abi

from .shared_table import SharedTable, TableAccess

__all__ = ["GROUPS", "GroupTables", "KeyTables", "TableWrite", "WindowSums"]

GROUP_BITS = 5
GROUPS = tuple((low, min(low + GROUP_BITS, 32)) for low in range(0, 32, GROUP_BITS))
"""First and last bit, exclusive, of each group of a word."""
PLACES = 16
"""Words of the key, and more."""


class TableWrite(data.Struct):
    """A row that becomes known, of some of the tables."""

    groups: len(GROUPS)
    value: GROUP_BITS
    place: range(PLACES)
    sum: 32


class GroupTables(wiring.Component):
    """The tables of one lane.

    Members
    -------
    look : :py:`In(1)`, word : :py:`In(32)`, place : :py:`In(range(16))`
    sums : :py:`Out(ArrayLayout(32, 7))`
        What each group adds; two cycles later.
    write : :py:`In(TableWrite)`
        Never in a cycle with ``look``.
    """

    look: In(1)
    word: In(32)
    place: In(range(PLACES))
    sums: Out(data.ArrayLayout(32, len(GROUPS)))
    write: In(TableWrite)

    def elaborate(self, platform):
        m = Module()
        write = self.write
        for number, (low, high) in enumerate(GROUPS):
            m.submodules[f"group_{number}"] = rows = Memory(
                shape=32, depth=PLACES << GROUP_BITS, init=[],
                attrs={"ram_style": "block", "no_rw_check": 1})
            into, out = rows.write_port(), rows.read_port()
            value = Cat(self.word[low:high], Const(0, GROUP_BITS))[:GROUP_BITS]
            m.d.comb += [
                out.en.eq(self.look), out.addr.eq(Cat(value, self.place)),
                into.en.eq(write.groups[number]), into.addr.eq(Cat(write.value, write.place)),
                into.data.eq(write.sum),
            ]
            m.d.sync += self.sums[number].eq(out.data)
        m.d.sync += Assert(~(self.look & write.groups.any()))
        return m


class WindowSums(wiring.Component):
    """Fills the rows of one place: each value is a smaller one and one more bit, its highest.

    A value's sum is kept until its group is done, beside the tables, to go on from. What a bit adds
    is 32 bits of the key, a window that slides down the key by a bit for each bit of the place: at
    the end it is the place's own word of the key, where the place before begins.

    Members
    -------
    begin : :py:`In(1)`, word : :py:`In(32)`
        Start: a word of the key, that before the last one.
    slides : :py:`In(1)`
        Let the window slide to the word, and fill nothing; with ``begin``.
    place : :py:`In(range(16))`
        Of the word; held.
    done : :py:`Out(1)`
        Event: the window has come to the word, all rows are filled.
    write : :py:`Out(TableWrite)`, free : :py:`In(1)`
        Held until ``free``.
    """

    begin: In(1)
    word: In(32)
    slides: In(1)
    place: In(range(PLACES))
    done: Out(1)
    write: Out(TableWrite)
    free: In(1)

    def elaborate(self, platform):
        m = Module()
        m.submodules.known = known = Memory(shape=32, depth=1 << GROUP_BITS, init=[],
                                            attrs={"ram_style": "block", "no_rw_check": 1})
        into, smaller = known.write_port(), known.read_port()
        # The highest bit of the value, and the rest: below it, so the value without it.
        top, rest = Signal(GROUP_BITS), Signal(GROUP_BITS)
        group = Signal(len(GROUPS))
        word, bit, window, total = Signal(32), Signal(5), Signal(32), Signal(32)
        slid = [window.eq(Cat(window[1:], word.bit_select(bit, 1))), bit.eq(bit + 1)]
        m.d.comb += [
            smaller.addr.eq(rest), self.write.value.eq(top | rest), self.write.sum.eq(total),
            self.write.place.eq(self.place), into.addr.eq(top | rest), into.data.eq(total),
        ]
        with m.FSM(name="window_sums") as fsm:
            m.d.comb += smaller.en.eq(fsm.ongoing("Read smaller value"))
            with m.State("Idle"):
                m.d.sync += [word.eq(self.word), top.eq(1), rest.eq(0), group.eq(1)]
                with m.If(self.begin & self.slides):
                    m.next = "Slide"
                with m.Elif(self.begin):
                    m.next = "Take next bit"
            with m.State("Slide"):
                m.d.sync += slid
                with m.If(bit.all()):
                    m.d.comb += self.done.eq(1)
                    m.next = "Idle"
            with m.State("Take next bit"):
                m.d.sync += slid
                m.next = "Read smaller value"
            with m.State("Read smaller value"):
                m.next = "Add bit"
            with m.State("Add bit"):
                m.d.sync += total.eq(smaller.data ^ window)
                m.next = "Write row"
            with m.State("Write row"):
                m.d.comb += [self.write.groups.eq(group), into.en.eq(self.free)]
                with m.If(self.free):
                    self._go_on(m, top, rest, group)
        return m

    def _go_on(self, m, top, rest, group):
        """Go to the next value of the group, or to the next group."""
        full = top[-1] | (group[-1] & top[GROUPS[-1][1] - GROUPS[-1][0] - 1])
        m.d.sync += rest.eq(rest + 1)
        m.next = "Read smaller value"
        with m.If(rest + 1 == top):
            m.d.sync += [rest.eq(0), top.eq(top << 1)]
            m.next = "Take next bit"
            with m.If(full):
                m.d.sync += [top.eq(1), group.eq(group << 1)]
                with m.If(group[-1]):
                    m.d.comb += self.done.eq(1)
                    m.next = "Idle"


class KeyTables(wiring.Component):
    """The key as the host sets it, and the tables of all lanes, which follow it.

    After reset all is zero, as the key is. A word of the key is in two windows, so a write of one
    takes some 1,300 cycles, and more while lookups have the tables; hashes that are made meanwhile
    are of neither key. The host's next write waits.

    Parameters
    ----------
    lanes : :class:`int`
        Words in a step.

    Members
    -------
    look : :py:`In(1)`, words : :py:`In(ArrayLayout(32, lanes))`,
    places : :py:`In(ArrayLayout(4, lanes))`
    sums : :py:`Out(ArrayLayout(32, 7 * lanes))`
        What all groups of all lanes add; two cycles later.
    host : :py:`In(TableAccess(range(10), 32))`
    busy : :py:`Out(1)`
        A cycle without ``look`` is wanted.
    """

    def __init__(self, lanes):
        self.lanes = lanes
        super().__init__({
            "look": In(1), "words": In(data.ArrayLayout(32, lanes)),
            "places": In(data.ArrayLayout(range(PLACES), lanes)),
            "sums": Out(data.ArrayLayout(32, lanes * len(GROUPS))),
            "host": In(TableAccess(range(abi.KEY_WORDS), 32)), "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.key = self._key = key = SharedTable(32, depth=PLACES)
        m.submodules.filler = self._filler = filler = WindowSums()
        write, host, cleared = self._tables(m), self.host, Signal(9)
        place = Signal(range(PLACES))
        m.d.comb += [
            key.host.row.eq(host.row), key.host.value.eq(host.value), host.shown.eq(key.host.shown),
            key.look_row.eq(place), filler.place.eq(place), filler.free.eq(~self.look),
            write.eq(filler.write),
        ]
        with m.FSM(name="key_tables") as fsm:
            m.d.comb += self.busy.eq(~fsm.ongoing("Idle"))
            with m.State("Clear tables"):
                # No sum has been made yet: what is written is zero.
                m.d.comb += [write.groups.eq(~0), Cat(write.value, write.place).eq(cleared)]
                m.d.sync += Assert(write.sum == 0)
                with m.If(~self.look):
                    m.d.sync += cleared.eq(cleared + 1)
                    with m.If(cleared.all()):
                        m.next = "Idle"
            self._follow(m, place)
        return m

    def _follow(self, m, place):
        """When the host has set a word, go through both places that it counts for.

        These are its own and the one before; the window comes from the word behind it.
        """
        key, filler, host, left = self._key, self._filler, self.host, Signal(range(3))
        m.d.comb += [filler.word.eq(key.data), filler.slides.eq(left == 2)]
        with m.State("Idle"):
            m.d.sync += [place.eq(host.row + 1), left.eq(2)]
            m.d.comb += key.host.write.eq(host.write)
            with m.If(host.write):
                m.next = "Fetch word"
        with m.State("Fetch word"):
            m.d.comb += key.look.eq(1)
            m.next = "Take word"
        with m.State("Take word"):
            m.d.comb += filler.begin.eq(1)
            m.next = "Fill place"
        with m.State("Fill place"):
            with m.If(filler.done):
                m.d.sync += [left.eq(left - 1), place.eq(place - 1)]
                m.next = "Fetch word"
            with m.If(filler.done & (left == 0)):
                m.next = "Answer"
        with m.State("Answer"):
            m.d.comb += host.free.eq(1)
            m.next = "Idle"

    def _tables(self, m):
        """Make the tables of each lane; return what is written to all."""
        write = Signal(TableWrite)
        for lane in range(self.lanes):
            m.submodules[f"lane_{lane}"] = tables = GroupTables()
            m.d.comb += [
                tables.look.eq(self.look), tables.word.eq(self.words[lane]),
                tables.place.eq(self.places[lane]), tables.write.eq(write),
                tables.write.groups.eq(Mux(self.look, 0, write.groups)),
            ]
            m.d.comb += [self.sums[lane * len(GROUPS) + number].eq(tables.sums[number])
                         for number in range(len(GROUPS))]
        return write
