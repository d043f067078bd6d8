"""Where the pages are: each region's DMA address, its pool, and whether it may be used."""

from amaranth.hdl import Assert, Cat, Const, Module, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from pagering import abi

from .layouts import Index, PageId, struct
from .state_table import LateLookup, Lookup

__all__ = ["Region", "RegionRow", "RegionTable"]


AddressPart = unsigned(struct(abi.REGION["REGION"])["address"].width)


class Region(data.Struct):
    """A run of pages, aligned to its own size."""

    base: 52
    """Bits 63:12 of its DMA address."""
    pool: Index


class RegionRow(data.Struct):
    """Of a region, what the host is shown: the rest of its address it has written apart."""

    base: AddressPart
    pool: Index


class RegionTable(wiring.Component):
    """Looks up pages by their region.

    Members
    -------
    address : :py:`In(LateLookup(PageId, 64))`
        DMA address of a page in use.
    owner : :py:`In(Lookup(PageId, Index))`
        Pool of a page; two ports.
    slot : :py:`In(Lookup(8, Index))`
        Pool of a slot.
    row : :py:`In(Lookup(8, RegionRow))`
        What the host is shown of a slot, one cycle later: for the host, who can wait for block RAM.
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
            "address": In(LateLookup(PageId, 64)),
            "owner": In(Lookup(PageId, Index)),
            "slot": In(Lookup(8, Index)), "row": In(Lookup(8, RegionRow)),
            "valid": Out(config.regions),
            "write_en": In(1), "write_slot": In(8), "write": In(Region),
            "set_valid": In(1), "clear_valid": In(1),
        })

    def elaborate(self, platform):
        m = Module()
        config = self.config
        # What is not a region's yet is told of none: these need no clearing after a reset.
        aligned = config.region_log2 - 12
        # A region is written before its pages are in use.
        m.submodules.bases = bases = Memory(shape=52 - aligned, depth=max(2, config.regions),
                                            init=[], attrs={"ram_style": "block",
                                                            "no_rw_check": 1})
        m.submodules.pools = pools = Memory(shape=max(1, (config.pools - 1).bit_length()),
                                            depth=max(2, config.regions), init=[],
                                            attrs={"ram_style": "distributed"})
        base, place = bases.read_port(), Signal(config.region_pages_log2)
        owner, slot = (pools.read_port(domain="comb") for _ in range(2))
        base_in, pool_in = bases.write_port(), pools.write_port()
        # For the host, as much as it is shown, in block RAM.
        m.submodules.rows = rows = Memory(shape=RegionRow, depth=config.regions, init=[],
                                          attrs={"ram_style": "block"})
        row, row_in = rows.read_port(), rows.write_port()
        page = self.address.addr
        m.d.comb += [
            base.addr.eq(page >> config.region_pages_log2), base.en.eq(self.address.en),
            # The region is aligned to its size: the page's place in it replaces zeros.
            self.address.data.eq(Cat(Const(0, config.page_log2), place, base.data)),
            owner.addr.eq(self.owner.addr >> config.region_pages_log2),
            self.owner.data.eq(owner.data),
            slot.addr.eq(self.slot.addr), self.slot.data.eq(slot.data),
            row.addr.eq(self.row.addr), self.row.data.eq(row.data),
            base_in.data.eq(self.write.base >> aligned), pool_in.data.eq(self.write.pool),
            row_in.data.base.eq(self.write.base), row_in.data.pool.eq(self.write.pool),
        ]
        for port in (base_in, pool_in, row_in):
            m.d.comb += [port.en.eq(self.write_en), port.addr.eq(self.write_slot)]
        with m.If(self.address.en):
            m.d.sync += [place.eq(page), Assert(~self.write_en | (base.addr != base_in.addr))]
        self._mark(m)
        return m

    def _mark(self, m):
        """Change a bit: its row and column of eight are found first, which are few signals."""
        changed = (self.set_valid | self.clear_valid) << self.write_slot[3:]
        column = 1 << self.write_slot[:3]
        for slot in range(self.config.regions):
            with m.If(changed[slot // 8] & column[slot % 8]):
                m.d.sync += self.valid[slot].eq(~self.clear_valid)
