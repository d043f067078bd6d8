"""The registers of pools and of the region table."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

from .block_table import BlockTable
from .count_mirror import MirrorSettings
from .layouts import Count, Fault, Index, PoolView, struct
from .page_table import Refusal
from .region_loader import LoaderCommand
from .region_table import RegionRow
from .register_port import RegisterPort, answer_late, masked, show, written
from .setting_tables import SettingTables
from .state_table import Lookup

__all__ = ["PoolRegisters", "RegionRegisters"]

LOW_WATER = struct(abi.POOL["LOW_WATER"])


class PoolRegisters(wiring.Component):
    """A bank of registers for each pool.

    Members
    -------
    port : :py:`In(RegisterPort())`
    set, enable : :py:`Out(1)`, set_index : :py:`Out(Index)`, refused : :py:`In(1)`,
    drained : :py:`In(pools)`
        To and from the switchboard.
    lifo : :py:`Out(pools)`, low : :py:`In(pools)`
    limit : :py:`In(Lookup(Index, Count))`, thresholds : :py:`In(Lookup(Index, ...))`
        What the host set, two cycles late.
    view : :py:`In(PoolView)`
        One pool after the other.
    peak : :py:`Out(Lookup(Index, Count))`
    oldest : :py:`Out(Lookup(7, 32))`
        OLDEST or OLDEST_AGE, one cycle late: pool above, age below.
    mirror : :py:`In(Lookup(7, MirrorSettings))`
        Likewise: pool above, high word below.
    retire : :py:`Out(stream.Signature(Index))`
    refusal : :py:`Out(Refusal)`
    """

    def __init__(self, config):
        self.config = config
        pools = config.pools
        super().__init__({
            "port": In(RegisterPort()),
            "set": Out(1), "set_index": Out(Index), "enable": Out(1), "refused": In(1),
            "drained": In(pools), "lifo": Out(pools), "low": In(pools),
            "limit": In(Lookup(Index, Count)), "thresholds": In(Lookup(Index, LOW_WATER)),
            "view": In(PoolView), "peak": Out(Lookup(Index, Count)),
            "oldest": Out(Lookup(7, 32)), "mirror": In(Lookup(7, MirrorSettings)),
            "retire": Out(stream.Signature(Index)), "refusal": Out(Refusal),
        })

    def elaborate(self, platform):
        m = Module()
        port, pools = self.port, self.config.pools
        m.submodules.tables = tables = SettingTables(abi.POOL, {"LIMIT": 1, "LOW_WATER": 1},
                                                     depth=pools)
        m.d.comb += [tables.index.eq(port.write_index), tables.data.eq(port.data)]
        for name, asker in (("LIMIT", self.limit), ("LOW_WATER", self.thresholds)):
            lookup = getattr(tables, name)[0]
            m.d.comb += [
                getattr(tables, f"write_{name}").eq(written(port, abi.POOL, name)),
                lookup.addr.eq(asker.addr), Value.cast(asker.data).eq(lookup.data),
            ]
        retires = written(port, abi.POOL, "RETIRE") & port.data[0]
        mirrors, high = Signal(), Signal()
        impossible = Signal()
        if not self.config.pool_watch:
            m.d.comb += impossible.eq(mirrors & ~high & port.data[0])
        too_early = (retires | mirrors) & ~self.drained.bit_select(port.write_index, 1)
        m.d.comb += [
            port.ready.eq(~retires | too_early | self.retire.ready),
            self.set.eq(written(port, abi.POOL, "CONTROL")), self.enable.eq(port.data[0]),
            self.set_index.eq(port.write_index),
            self.retire.valid.eq(retires & ~too_early), self.retire.payload.eq(port.write_index),
            self.refusal.valid.eq(too_early | self.refused | impossible),
            self.refusal.fault.eq(Fault.REGISTER_VALUE),
        ]
        with m.If(self.set & ~self.refused):
            m.d.sync += self.lifo.bit_select(port.write_index, 1).eq(port.data[1])
        m.submodules.mirrors = addresses = BlockTable(MirrorSettings, depth=2 * pools, index=7)
        wiring.connect(m, wiring.flipped(self.mirror), addresses.read[0])
        m.d.comb += [
            high.eq(written(port, abi.POOL, "MIRROR_HIGH")),
            mirrors.eq(high | written(port, abi.POOL, "MIRROR_LOW")),
            addresses.write.en.eq(mirrors & ~too_early & ~impossible),
            addresses.write.addr.eq(Cat(high, port.write_index)),
            addresses.write.data.word.eq(Mux(high, port.data, masked(abi.POOL["MIRROR_LOW"],
                                                                     port.data))),
        ]
        self._show(m)
        return m

    def _show(self, m):
        """Answer what changes by itself."""
        port, index, turn = self.port, self.port.read_index, Signal()
        view, oldest = self.view, self.oldest.data
        m.d.sync += turn.eq(view.pool == index)
        # All registers are shown when the pool's turn comes.
        answer_late(m, port, 2, turn)
        m.d.comb += [
            self.peak.addr.eq(index),
            self.oldest.addr.eq(Cat(port.read_offset == abi.POOL["OLDEST_AGE"].offset, index)),
        ]
        show(m, port, abi.POOL, {
            "STATUS": Cat(self.drained.bit_select(index, 1), self.low.bit_select(index, 1)),
            "REGISTERED": view.registered, "FREE": view.free, "OUTSTANDING": view.outstanding,
            "PEAK": self.peak.data,
            "OLDEST": oldest, "OLDEST_AGE": oldest,
        })


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
