"""Which frames the card takes: by destination address, by VLAN."""

from functools import reduce
from operator import xor

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from pagering import abi
from pagering.filters import BROADCAST, multicast_hash

from .layouts import struct
from .shared_table import SharedTable, TableAccess

__all__ = ["AddressFilter", "FrameHead", "VlanFilter", "hash_of"]


class FrameHead(data.Struct):
    """An event: a frame starts, and this is what the filters look at."""

    valid: 1
    destination: 48
    tagged: 1
    vlan: 12


def hash_of(address):
    """Return :func:`pagering.filters.multicast_hash` of a value: each bit of it is a sum."""
    none = multicast_hash(0)
    changes = [multicast_hash(1 << bit) ^ none for bit in range(48)]
    return Cat(reduce(xor, (address[at] for at in range(48) if changes[at] >> bit & 1),
                      Const(none >> bit & 1, 1)) for bit in range(6))


class AddressFilter(wiring.Component):
    """Compares a frame's destination with the addresses of the card, a few in each cycle.

    Parameters
    ----------
    banks : :class:`int`
        Addresses compared in a cycle. A frame takes ``8 / banks`` cycles; if the next one starts
        earlier, nothing is found out about the one before.

    Members
    -------
    head : :py:`In(FrameHead)`
    settings : :py:`In(struct(abi.STEER["FILTER"]))`, multicast : :py:`In(64)`
    passes : :py:`Out(1)`
        ``8 / banks + 4`` cycles after ``head``, until the next one's.
    low, high : :py:`In(TableAccess(range(8), 32 and 17))`
        The addresses, for the host; a row of ``high`` has ``valid`` in bit 16.
    """

    def __init__(self, banks):
        if banks not in (1, 2, 4, 8):
            raise ValueError(f"addresses are compared 1, 2, 4 or 8 at a time, not {banks}")
        self.banks = banks
        row = range(abi.ADDRESSES)
        super().__init__({
            "head": In(FrameHead), "settings": In(struct(abi.STEER["FILTER"])),
            "multicast": In(64), "passes": Out(1),
            "low": In(TableAccess(row, 32)), "high": In(TableAccess(row, 17)),
        })

    def elaborate(self, platform):
        m = Module()
        rows = abi.ADDRESSES // self.banks
        row, after, going = Signal(range(max(2, rows))), Signal(range(max(2, rows))), Signal()
        look = Signal()
        m.d.comb += [look.eq(self.head.valid | going), row.eq(Mux(self.head.valid, 0, after))]
        with m.If(look):
            m.d.sync += [after.eq(row + 1), going.eq(row != rows - 1)]
        # The destination goes along with the rows that it is compared with.
        one, two = Signal(48), Signal(48)
        m.d.sync += two.eq(one)
        with m.If(self.head.valid):
            m.d.sync += one.eq(self.head.destination)
        flags = [Cat(self.head.valid, look & (row == rows - 1))]
        for stage in range(4):
            now = Signal(2, name=f"flags_{stage}")
            m.d.sync += now.eq(flags[-1])
            flags.append(now)
        equal = Cat(self._bank(m, bank, look, row, two) for bank in range(self.banks)).any()
        found, first, last = Signal(), flags[3][0], flags[4][1]
        m.d.sync += found.eq(equal | (found & ~first))
        allowed = self._allowed(m, two)
        with m.If(last):
            m.d.sync += self.passes.eq(found | allowed)
        return m

    def _bank(self, m, number, look, row, destination):
        """Return whether a bank's row is the destination: compared in two cycles."""
        depth = abi.ADDRESSES // self.banks
        stored = []
        for name, width in (("low", 32), ("high", 17)):
            host = getattr(self, name)
            table = SharedTable(width, depth=depth)
            m.submodules[f"{name}_{number}"] = table
            mine = Signal(name=f"{name}_{number}_mine")
            m.d.comb += [
                mine.eq(host.row[:3] % self.banks == number),
                table.look.eq(look), table.look_row.eq(row),
                table.host.row.eq(host.row // self.banks), table.host.write.eq(host.write & mine),
                table.host.value.eq(host.value),
            ]
            with m.If(mine):
                m.d.comb += [host.free.eq(table.host.free), host.shown.eq(table.host.shown)]
            word = Signal(width, name=f"{name}_{number}_row")
            m.d.sync += word.eq(table.data)
            stored.append(word)
        low, high = stored
        alike = Signal(4, name=f"alike_{number}")
        m.d.sync += alike.eq(Cat(low[:16] == destination[:16], low[16:] == destination[16:32],
                                 high[:16] == destination[32:], high[16]))
        return alike.all()

    def _allowed(self, m, destination):
        """Return whether the destination is let in unseen, two cycles later."""
        settings = self.settings
        group, everybody, hashed, allowed = Signal(), Signal(), Signal(6), Signal()
        m.d.sync += [group.eq(destination[40]), everybody.eq(destination == BROADCAST),
                     hashed.eq(hash_of(destination))]
        listed = settings.all_multicast | self.multicast.bit_select(hashed, 1)
        m.d.sync += allowed.eq(
            settings.promiscuous | Mux(everybody, settings.broadcast, group & listed))
        return allowed


class VlanFilter(wiring.Component):
    """Looks a frame's VLAN up in a table of bits.

    Members
    -------
    head : :py:`In(FrameHead)`
    settings : :py:`In(struct(abi.STEER["FILTER"]))`
    passes : :py:`Out(1)`
        Five cycles after ``head``, until the next one's.
    vlans : :py:`In(TableAccess(range(128), 32))`
        For the host.
    """

    def __init__(self):
        super().__init__({
            "head": In(FrameHead), "settings": In(struct(abi.STEER["FILTER"])),
            "passes": Out(1), "vlans": In(TableAccess(range(abi.VLAN_ROWS), 32)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.table = table = SharedTable(32, depth=abi.VLAN_ROWS)
        wiring.connect(m, wiring.flipped(self.vlans), table.host)
        m.d.comb += [table.look.eq(self.head.valid), table.look_row.eq(self.head.vlan[5:])]
        # Valid, tagged, and the place in the row go along with the row.
        along = [Cat(self.head.valid, self.head.tagged, self.head.vlan[:5])]
        for stage in range(4):
            now = Signal(7, name=f"along_{stage}")
            m.d.sync += now.eq(along[-1])
            along.append(now)
        row, eighth = Signal(32), Signal(4)
        m.d.sync += [row.eq(table.data),
                     eighth.eq(row.word_select(along[2][4:7], 4))]
        listed = Signal()
        m.d.sync += listed.eq(eighth.bit_select(along[3][2:4], 1))
        with m.If(along[4][0]):
            m.d.sync += self.passes.eq(
                ~self.settings.vlan | Mux(along[4][1], listed, self.settings.untagged))
        return m
