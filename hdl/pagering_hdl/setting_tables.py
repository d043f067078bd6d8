"""What the host sets for each queue or pool, for those who need it."""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In

from .layouts import Index
from .state_table import Lookup

__all__ = ["SettingTables"]


class SettingTables(wiring.Component):
    """Some registers of a block: of each a small table, a row for each copy, read without a clock.

    After reset all rows are set back, one a cycle; until then writes are lost. Of one copy
    there are no tables, but registers.

    Parameters
    ----------
    block : :class:`abi.Block`
    reads : :class:`dict` of :class:`str` to :class:`int`
        Registers, and how many read each: every reader costs a copy of the table.
    depth : :class:`int`
        Queues or pools.

    Members
    -------
    write : :py:`In(1)` for each register, as ``write_NAME``
    index : :py:`In(Index)`, data : :py:`In(32)`
        Event: the host sets the register. Read two cycles later.
    NAME : :py:`In(Lookup(Index, width))` for each register and reader, as ``NAME[n]``
        The register's named fields, and reserved bits between them.
    """

    def __init__(self, block, reads, *, depth):
        self.depth = depth
        self.registers = {name: block[name] for name in reads}
        self.widths = {name: max(field.lsb + field.width for field in register.named)
                       for name, register in self.registers.items()}
        super().__init__({
            **{f"write_{name}": In(1) for name in reads}, "index": In(Index), "data": In(32),
            **{name: In(Lookup(Index, unsigned(self.widths[name]))).array(count)
               for name, count in reads.items()},
        })

    def elaborate(self, platform):
        m = Module()
        if self.depth == 1:
            self._keep_one(m)
            return m
        sweep, sweeping = Signal(range(self.depth + 1)), Signal()
        # One register for all tables: neither the host's path nor the choice of what to write,
        # after reset, is in front of each of them.
        index, was_sweeping = Signal(Index), Signal()
        value = Signal(32, reset_less=True)
        m.d.comb += sweeping.eq(sweep != self.depth)
        m.d.sync += [sweep.eq(sweep + sweeping), was_sweeping.eq(sweeping),
                     index.eq(Mux(sweeping, sweep, self.index)),
                     value.eq(Mux(sweeping, 0, self.data))]
        for name, register in self.registers.items():
            m.submodules[name.lower()] = rows = Memory(
                shape=self.widths[name], depth=self.depth, init=[register.reset] * self.depth)
            into, writes = rows.write_port(), Signal(name=f"writes_{name.lower()}")
            m.d.sync += writes.eq(sweeping | getattr(self, f"write_{name}"))
            first = was_sweeping.replicate(self.widths[name]) & register.reset
            m.d.comb += [into.en.eq(writes), into.addr.eq(index), into.data.eq(value | first)]
            for lookup in getattr(self, name):
                side = rows.read_port(domain="comb")
                m.d.comb += [side.addr.eq(lookup.addr), lookup.data.eq(side.data)]
        return m

    def _keep_one(self, m):
        value = Signal(32, reset_less=True)
        m.d.sync += value.eq(self.data)
        for name, register in self.registers.items():
            kept = Signal(self.widths[name], name=name.lower(), init=register.reset)
            writes = Signal(name=f"writes_{name.lower()}")
            m.d.sync += writes.eq(getattr(self, f"write_{name}"))
            with m.If(writes):
                m.d.sync += kept.eq(value)
            m.d.comb += [lookup.data.eq(kept) for lookup in getattr(self, name)]
