"""What the host asks of the register window, step by step: an access, its place, its right."""

from amaranth.hdl import Module, Mux, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

from .address_decoder import BLOCKS, AccessRights, BlockFinder
from .streams import StreamBuffer

__all__ = ["Access", "AccessDecoder", "Request"]


class Access(data.Struct):
    """A read or a write as it came."""

    write: unsigned(1)
    address: unsigned(abi.WINDOW_ADDRESS_BITS)
    data: unsigned(32)
    whole: unsigned(1)
    """Of all four bytes."""


class PlacedAccess(data.Struct):
    """An access, and the block that it is for."""

    write: unsigned(1)
    blocks: unsigned(len(BLOCKS))
    index: unsigned(8)
    offset: unsigned(12)
    data: unsigned(32)
    whole: unsigned(1)


class Request(data.Struct):
    """An access that is known to be good or bad."""

    write: unsigned(1)
    blocks: unsigned(len(BLOCKS))
    """A bit for each of ``BLOCKS``; none, if there is nothing to be read."""
    index: unsigned(8)
    offset: unsigned(12)
    """In its page."""
    data: unsigned(32)
    good: unsigned(1)
    """There is a register, and it may be read or written."""

    def to(self, name):
        """Return whether it is for a block, by name."""
        return self.blocks[list(BLOCKS).index(name)]


class AccessDecoder(wiring.Component):
    """Finds the block and copy; then says whether it may be. One access a cycle, three cycles late.

    Members
    -------
    accesses : :py:`In(stream.Signature(Access))`
    requests : :py:`Out(stream.Signature(Request))`
    """

    def __init__(self, config):
        self.config = config
        super().__init__({"accesses": In(stream.Signature(Access)),
                          "requests": Out(stream.Signature(Request))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.taken = taken = StreamBuffer(Access)
        m.submodules.placed = placed = StreamBuffer(PlacedAccess)
        m.submodules.decoded = decoded = StreamBuffer(Request)
        m.submodules.finder = finder = BlockFinder()
        m.submodules.rights = rights = AccessRights(self.config)
        wiring.connect(m, wiring.flipped(self.accesses), taken.i)
        wiring.connect(m, decoded.o, wiring.flipped(self.requests))
        access, place, request = taken.o.p, placed.o.p, decoded.i.p
        m.d.comb += [
            placed.i.valid.eq(taken.o.valid), taken.o.ready.eq(placed.i.ready),
            finder.address.eq(access.address),
            placed.i.p.blocks.eq(finder.blocks), placed.i.p.index.eq(finder.index),
            placed.i.p.offset.eq(access.address),
            *(getattr(placed.i.p, name).eq(getattr(access, name))
              for name in ("write", "data", "whole")),
            decoded.i.valid.eq(placed.o.valid), placed.o.ready.eq(decoded.i.ready),
            *(getattr(rights, name).eq(getattr(place, name))
              for name in ("blocks", "index", "offset")),
            *(getattr(request, name).eq(getattr(place, name))
              for name in ("write", "index", "offset", "data")),
            request.blocks.eq(Mux(place.write | ~rights.command, place.blocks, 0)),
            request.good.eq(Mux(place.write, rights.writable & place.whole, rights.readable)),
        ]
        return m
