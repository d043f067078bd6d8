"""The registers of the pools."""

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

from .count_mirror import MirrorSettings
from .layouts import Count, Fault, Index, PoolView, struct
from .mirror_registers import MirrorRegisters
from .page_table import Refusal
from .register_port import RegisterPort, answer_late, asked, overhear, show, written
from .setting_tables import SettingTables
from .state_table import Lookup

__all__ = ["PoolRegisters"]

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
    mirror
        See :class:`MirrorRegisters`.
    retire : :py:`Out(stream.Signature(Index))`
    refusal : :py:`Out(Refusal)`
    """

    def __init__(self, config):
        self.config = config
        pools = config.pools
        super().__init__({
            "port": In(RegisterPort()), "set": Out(1), "set_index": Out(Index), "enable": Out(1),
            "refused": In(1), "drained": In(pools), "lifo": Out(pools), "low": In(pools),
            "limit": In(Lookup(Index, Count)), "thresholds": In(Lookup(Index, LOW_WATER)),
            "view": In(PoolView), "peak": Out(Lookup(Index, Count)),
            "oldest": Out(Lookup(7, 32)), "mirror": In(Lookup(7, MirrorSettings)),
            "retire": Out(stream.Signature(Index)), "refusal": Out(Refusal),
        })

    def elaborate(self, platform):
        m = Module()
        port = self.port
        m.submodules.tables = tables = SettingTables(
            abi.POOL, {"LIMIT": 1, "LOW_WATER": 1}, depth=self.config.pools)
        m.d.comb += [tables.index.eq(port.write_index), tables.data.eq(port.data)]
        for name, asker in (("LIMIT", self.limit), ("LOW_WATER", self.thresholds)):
            lookup = getattr(tables, name)[0]
            m.d.comb += [
                getattr(tables, f"write_{name}").eq(written(port, abi.POOL, name)),
                lookup.addr.eq(asker.addr), Value.cast(asker.data).eq(lookup.data),
            ]
        m.submodules.mirrors = mirrors = MirrorRegisters(self.config)
        overhear(m, port, mirrors.port)
        wiring.connect(m, wiring.flipped(self.mirror), mirrors.mirror)
        retires = written(port, abi.POOL, "RETIRE") & port.data[0]
        too_early = (retires | mirrors.writes) & ~self.drained.bit_select(port.write_index, 1)
        m.d.comb += [
            port.ready.eq(~retires | too_early | self.retire.ready),
            self.set.eq(written(port, abi.POOL, "CONTROL")), self.enable.eq(port.data[0]),
            self.set_index.eq(port.write_index),
            self.retire.valid.eq(retires & ~too_early), self.retire.payload.eq(port.write_index),
            self.refusal.valid.eq(too_early | self.refused | mirrors.impossible),
            self.refusal.fault.eq(Fault.REGISTER_VALUE), mirrors.refused.eq(too_early),
        ]
        with m.If(self.set & ~self.refused):
            m.d.sync += self.lifo.bit_select(port.write_index, 1).eq(port.data[1])
        self._show(m)
        return m

    def _show(self, m):
        """Answer what changes by itself."""
        port, index, view, turn = self.port, self.port.read_index, self.view, Signal()
        m.d.sync += turn.eq(view.pool == index)
        # All registers are shown when the pool's turn comes.
        answer_late(m, port, 2, turn)
        m.d.comb += [
            self.peak.addr.eq(index),
            self.oldest.addr.eq(Cat(asked(port, abi.POOL, "OLDEST_AGE"), index)),
        ]
        show(m, port, abi.POOL, {
            "STATUS": Cat(self.drained.bit_select(index, 1), self.low.bit_select(index, 1)),
            "REGISTERED": view.registered, "FREE": view.free, "OUTSTANDING": view.outstanding,
            "PEAK": self.peak.data, ("OLDEST", "OLDEST_AGE"): self.oldest.data,
        })
