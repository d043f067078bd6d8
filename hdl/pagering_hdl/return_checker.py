"""What comes back through the return windows: tokens, true and forged."""

from amaranth.hdl import Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .layouts import Fault, Return
from .page_table import Refusal
from .streams import StreamQueue

__all__ = ["ReturnChecker"]


class ReturnChecker(wiring.Component):
    """Refuses tokens that name no page, or no chunks of one, before the page table is asked.

    The page table does the rest: owner, generation, and whether the host holds the chunks.

    Members
    -------
    returns : :py:`In(stream.Signature(Return))`
        From the register window, in the order written.
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
        m.submodules.queue = queue = StreamQueue(Return, depth=16)
        wiring.connect(m, wiring.flipped(self.returns), queue.i)
        token = queue.o.p.token
        slot = Signal(16)
        no_page, no_chunk = Signal(), Signal()
        m.d.comb += [
            slot.eq(token.page >> self.config.region_pages_log2),
            no_page.eq(~self.valid.bit_select(slot, 1) | (slot >= self.config.regions)),
            no_chunk.eq((token.first > token.last)
                        | (token.last > Const(self.config.chunks - 1, 6))),
            self.checked.p.eq(queue.o.p),
            self.checked.valid.eq(queue.o.valid & ~no_page & ~no_chunk),
            queue.o.ready.eq(self.checked.ready | no_page | no_chunk),
            self.refusal.valid.eq(queue.o.valid & (no_page | no_chunk)),
            self.refusal.fault.eq(Fault.RETURN_CHUNK),
            self.idle.eq(queue.level == 0),
        ]
        with m.If(no_page):
            m.d.comb += self.refusal.fault.eq(Fault.RETURN_PAGE)
        return m
