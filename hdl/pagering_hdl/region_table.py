"""Where the pages are: each region's DMA address, its pool, and whether it may be used."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .layouts import Index, PageId
from .state_table import Lookup, StateTable

__all__ = ["Region", "RegionTable"]


class Region(data.Struct):
    """A run of pages, aligned to its own size."""

    base: 52
    """Bits 63:12 of its DMA address."""
    pool: Index


class RegionTable(wiring.Component):
    """Looks up pages by their region. All answers but ``row`` come in the same cycle.

    Members
    -------
    address : :py:`In(Lookup(PageId, 64))`
        DMA address of a page.
    owner : :py:`In(Lookup(PageId, Index))`
        Pool of a page; two ports.
    slot : :py:`In(Lookup(8, Index))`
        Pool of a slot.
    row : :py:`In(Lookup(8, Region))`
        A whole row, by slot, one cycle later: for the host, who can wait for block RAM.
    valid : :py:`Out(regions)`
        A bit for each slot: its pages may be used.
    write_en : :py:`In(1)`, write_slot : :py:`In(8)`, write : :py:`In(Region)`
        Set a row. It stays invalid.
    set_valid, clear_valid : :py:`In(1)`
        Change the bit of ``write_slot``.
    """

    def __init__(self, config):
        self.config = config
        super().__init__({
            "address": In(Lookup(PageId, 64)),
            "owner": In(Lookup(PageId, Index)),
            "slot": In(Lookup(8, Index)), "row": In(Lookup(8, Region)),
            "valid": Out(config.regions),
            "write_en": In(1), "write_slot": In(8), "write": In(Region),
            "set_valid": In(1), "clear_valid": In(1),
        })

    def elaborate(self, platform):
        m = Module()
        config = self.config
        m.submodules.bases = bases = StateTable(52, depth=config.regions, index=8)
        m.submodules.pools = pools = StateTable(Index, depth=config.regions, reads=2, index=8)
        page = self.address.addr
        offset = Signal(config.region_pages_log2)
        full = Signal(64)
        m.d.comb += [
            bases.read[0].addr.eq(page >> config.region_pages_log2),
            offset.eq(page),
            full.eq(bases.read[0].data << 12),
            # The region is aligned to its size: the page's place in it replaces zeros.
            self.address.data.eq(Cat(full[:config.page_log2], offset, full[config.region_log2:])),
            pools.read[0].addr.eq(self.owner.addr >> config.region_pages_log2),
            self.owner.data.eq(pools.read[0].data),
        ]
        m.submodules.rows = rows = Memory(shape=Region, depth=config.regions, init=[])
        row, into = rows.read_port(), rows.write_port()
        m.d.comb += [
            pools.read[1].addr.eq(self.slot.addr), self.slot.data.eq(pools.read[1].data),
            row.addr.eq(self.row.addr), self.row.data.eq(row.data),
            into.en.eq(self.write_en), into.addr.eq(self.write_slot), into.data.eq(self.write),
        ]
        m.d.comb += [
            bases.write.en.eq(self.write_en), pools.write.en.eq(self.write_en),
            bases.write.addr.eq(self.write_slot), pools.write.addr.eq(self.write_slot),
            bases.write.data.eq(self.write.base), pools.write.data.eq(self.write.pool),
        ]
        with m.If(self.set_valid):
            m.d.sync += self.valid.bit_select(self.write_slot, 1).eq(1)
        with m.If(self.clear_valid):
            m.d.sync += self.valid.bit_select(self.write_slot, 1).eq(0)
        return m
