"""What comes back from the host: tokens, true and forged."""

from amaranth.hdl import Const, Module, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .layouts import Fault, Return
from .page_table import Refusal
from .streams import StreamSkid

__all__ = ["ReturnChecker"]


class Judged(data.Struct):
    """A token with what is wrong with it by itself."""

    item: Return
    no_page: unsigned(1)
    no_chunk: unsigned(1)


class ReturnChecker(wiring.Component):
    """Refuses tokens that name no page, or no chunks of one, before the page table is asked.

    The page table does the rest: owner, generation, and whether the host holds the chunks.

    A token is judged a cycle before it goes on. Its region may be retired in between: the page
    table retires all pages of a region before it takes another token, so it refuses this one.

    Members
    -------
    returns : :py:`In(stream.Signature(Return))`
        In the order in which they are to be looked at.
    checked : :py:`Out(stream.Signature(Return))`
    valid : :py:`In(regions)`
        Regions in use.
    refusal : :py:`Out(Refusal)`
    idle : :py:`Out(1)`
    """

    def __init__(self, config):
        self.config = config
        super().__init__({
            "returns": In(stream.Signature(Return)),
            "checked": Out(stream.Signature(Return)),
            "valid": In(config.regions),
            "refusal": Out(Refusal),
            "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.judged = judged = StreamSkid(Judged)
        token, found = self.returns.p.token, judged.o.p
        slot = Signal(16)
        bad = found.no_page | found.no_chunk
        m.d.comb += [
            slot.eq(token.page >> self.config.region_pages_log2),
            judged.i.valid.eq(self.returns.valid), self.returns.ready.eq(judged.i.ready),
            judged.i.p.item.eq(self.returns.p),
            judged.i.p.no_page.eq(~self.valid.bit_select(slot, 1)
                                  | (slot >= self.config.regions)),
            judged.i.p.no_chunk.eq((token.first > token.last)
                                   | (token.last > Const(self.config.chunks - 1, 6))),
            self.checked.p.eq(found.item), self.checked.valid.eq(judged.o.valid & ~bad),
            judged.o.ready.eq(self.checked.ready | bad),
            self.refusal.valid.eq(judged.o.valid & bad),
            self.refusal.fault.eq(Fault.RETURN_CHUNK),
            self.idle.eq(~judged.o.valid),
        ]
        with m.If(found.no_page):
            m.d.comb += self.refusal.fault.eq(Fault.RETURN_PAGE)
        return m
