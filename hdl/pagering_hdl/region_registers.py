"""The registers of the region table: a region is registered by one write."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

from .layouts import Fault, Index, struct
from .page_table import Refusal
from .region_loader import LoaderCommand
from .region_table import RegionRow
from .register_port import RegisterPort, answer_late
from .state_table import Lookup

__all__ = ["RegionRegisters"]


class RegionRegisters(wiring.Component):
    """A register for each region slot; and the merging of registering with retiring.

    Members
    -------
    port : :py:`In(RegisterPort())`
    high : :py:`In(32)`
        Upper half of the address.
    retire : :py:`In(stream.Signature(Index))`
        From the pool registers.
    commands : :py:`Out(stream.Signature(LoaderCommand))`
        To the loader, which takes one when the one before is done.
    valid : :py:`In(regions)`, slot : :py:`Out(Lookup(8, RegionRow))`
    loading : :py:`In(1)`, loading_slot : :py:`In(8)`
    refusal : :py:`Out(Refusal)`
    """

    def __init__(self, config):
        self.config = config
        super().__init__({
            "port": In(RegisterPort()), "high": In(32), "retire": In(stream.Signature(Index)),
            "commands": Out(stream.Signature(LoaderCommand)),
            "valid": In(config.regions), "slot": Out(Lookup(8, RegionRow)),
            "loading": In(1), "loading_slot": In(8), "refusal": Out(Refusal),
        })

    def elaborate(self, platform):
        m = Module()
        port, config = self.port, self.config
        asked = Signal(struct(abi.REGION["REGION"]))
        base = Cat(asked.address, self.high)
        misaligned, refused = Signal(), Signal()
        command, waiting = Signal(LoaderCommand), Signal()
        free = ~waiting
        m.d.comb += [
            asked.eq(port.data),
            misaligned.eq((base & (config.region_pages * config.page_bytes // 4096 - 1)) != 0),
            refused.eq(~asked.valid | (asked.pool >= config.pools)
                       | self.valid.bit_select(port.write_index, 1)),
            port.ready.eq(free), self.retire.ready.eq(free & ~port.write),
            self.refusal.valid.eq(port.write & free & (misaligned | refused)),
            self.refusal.fault.eq(Fault.REGION_REFUSED),
            self.commands.valid.eq(waiting), self.commands.p.eq(command),
        ]
        with m.If(misaligned & ~refused):
            m.d.comb += self.refusal.fault.eq(Fault.REGION_ALIGNMENT)
        with m.If(self.commands.ready):
            m.d.sync += waiting.eq(0)
        with m.If(port.write & free & ~misaligned & ~refused):
            m.d.sync += [waiting.eq(1), command.retire.eq(0), command.slot.eq(port.write_index),
                         command.region.base.eq(base), command.region.pool.eq(asked.pool)]
        with m.Elif(self.retire.valid & self.retire.ready):
            m.d.sync += [waiting.eq(1), command.retire.eq(1),
                         command.region.pool.eq(self.retire.payload)]
        index = port.read_index
        shown = Signal(struct(abi.REGION["REGION"]))
        answer_late(m, port, 1)
        m.d.comb += [
            self.slot.addr.eq(index),
            shown.valid.eq(self.valid.bit_select(index, 1)),
            shown.loading.eq(self.loading & (self.loading_slot == index)),
            port.value.eq(shown),
        ]
        with m.If(shown.valid | shown.loading):
            m.d.comb += [shown.pool.eq(self.slot.data.pool), shown.address.eq(self.slot.data.base)]
        return m
