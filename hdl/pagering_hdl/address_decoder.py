"""Which register an address of the window is, and what may be done with it."""

from amaranth.hdl import Const, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

__all__ = ["BLOCKS", "AccessRights", "BlockFinder", "blocks"]

BLOCKS = {"card": abi.CARD, "region": abi.REGION, "pool": abi.POOL, "queue": abi.QUEUE,
          "user": abi.USER, "steer": abi.STEER, "stats": abi.STATS}


def blocks(config):
    """Return the blocks that a card has, by name."""
    return {name: block for name, block in BLOCKS.items() if name != "steer" or config.steering}


class BlockFinder(wiring.Component):
    """Finds the block and copy of an address. Without a clock.

    Members
    -------
    address : :py:`In(20)`
    blocks : :py:`Out(7)`
        A bit for each of :data:`BLOCKS`.
    index : :py:`Out(8)`
        Which copy of the block; it may be that there is none.
    """

    address: In(abi.WINDOW_ADDRESS_BITS)
    blocks: Out(len(BLOCKS))
    index: Out(8)

    def elaborate(self, platform):
        m = Module()
        page, offset = self.address[12:], self.address[:12]
        found = dict(zip(BLOCKS, self.blocks, strict=True))
        with m.Switch(page):
            with m.Case(abi.CARD.base >> 12):
                with m.If(offset[10:] == abi.REGION.base >> 10):
                    m.d.comb += [found["region"].eq(1), self.index.eq(offset[2:10])]
                with m.Else():
                    m.d.comb += found["card"].eq(1)
            with m.Case(abi.POOL.base >> 12):
                m.d.comb += [found["pool"].eq(1), self.index.eq(offset[6:])]
            with m.Case(abi.STEER.base >> 12):
                m.d.comb += found["steer"].eq(1)
            with m.Case(abi.STATS.base >> 12):
                m.d.comb += found["stats"].eq(1)
            with m.Default():
                m.d.comb += [found["queue"].eq(~page[0]), found["user"].eq(page[0]),
                             self.index.eq(page[1:] - 1)]
        return m


class AccessRights(wiring.Component):
    """Says what may be done at a place of a block. Without a clock.

    Members
    -------
    blocks : :py:`In(7)`, index : :py:`In(8)`, offset : :py:`In(12)`
        A block as :class:`BlockFinder` finds it, and where in its page.
    readable, writable : :py:`Out(1)`
        There is a register, and it may be read or written.
    command : :py:`Out(1)`
        It is one that reads as zero.
    """

    def __init__(self, config):
        self.there = blocks(config)
        self.counts = {"": 1, "regions": config.regions, "pools": config.pools,
                       "queues": config.queues}
        super().__init__({
            "blocks": In(len(BLOCKS)), "index": In(8), "offset": In(12),
            "readable": Out(1), "writable": Out(1), "command": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        offset = self.offset
        for name, block in self.there.items():
            found = self.blocks[list(BLOCKS).index(name)]
            with m.If(found & (self.index < self.counts[block.count]) & (offset[:2] == 0)):
                self._permit(m, block, offset[:block.stride.bit_length() - 1])
                if block is abi.USER:
                    with m.If(offset[abi.RETURN_WINDOW.bit_length() - 1]):
                        m.d.comb += self.writable.eq(1)
        return m

    def _permit(self, m, block, offset):
        """Look the register up in a list of a bit for each word of the block."""
        bits = max(1, max(register.offset for register in block).bit_length() - 2)
        for right, accesses in (("readable", abi.Access), ("command", (abi.Access.WO,)),
                                ("writable", set(abi.Access) - {abi.Access.RO})):
            rights = sum(1 << register.offset // 4 for register in block
                         if register.access in accesses)
            with m.If(offset[2 + bits:] == 0):
                m.d.comb += getattr(self, right).eq(
                    Const(rights, 1 << bits).bit_select(offset[2:2 + bits], 1))
