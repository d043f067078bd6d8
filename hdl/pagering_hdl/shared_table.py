"""A table in block RAM that the card looks up and the host sets, through one port."""

from amaranth.hdl import Assert, Module, Mux, Shape, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

__all__ = ["SharedTable", "TableAccess"]


class TableAccess(wiring.Signature):
    """The host's side of a table, as the host drives it.

    Members: ``row``; ``write`` and ``value``, held until ``free`` says that the host has this
    cycle; ``shown``, what the row held when it was last read.
    """

    def __init__(self, row, shape):
        super().__init__({"row": Out(row), "write": Out(1), "value": Out(shape),
                          "free": In(1), "shown": In(shape)})


class SharedTable(wiring.Component):
    """Rows that a lookup always gets, at once; the host has the cycles between lookups.

    Reading and writing never meet in one cycle, so nothing has to be decided about it, and a row
    is old or new, never a mixture. After reset the table clears itself, a row a cycle, like
    :class:`~pagering_hdl.state_table.StateTable`; until then ``host.value`` must be 0, which is
    what it clears itself with.

    Parameters
    ----------
    shape : :ref:`shape-like <lang-shapelike>`
        Shape of a row.
    depth : :class:`int`
        Rows.

    Members
    -------
    look : :py:`In(1)`, look_row : :py:`In(range(depth))`
    data : :py:`Out(shape)`
        What was looked up in the cycle before.
    host : :py:`In(TableAccess(range(depth), shape))`
        In a free cycle it writes, or else reads; ``shown`` is two cycles late.
    set : :py:`Out(1)`, set_row : :py:`Out(range(depth))`
        A row is set to ``host.value``, after reset too: for who keeps some rows once more.
    """

    def __init__(self, shape, *, depth):
        self.shape, self.depth = shape, max(2, depth)
        index = range(self.depth)
        super().__init__({
            "look": In(1), "look_row": In(index), "data": Out(shape),
            "host": In(TableAccess(index, shape)), "set": Out(1), "set_row": Out(index),
        })

    def elaborate(self, platform):
        m = Module()
        width = Shape.cast(self.shape).width
        m.submodules.rows = rows = Memory(shape=width, depth=self.depth, init=[],
                                          attrs={"ram_style": "block"})
        into, out = rows.write_port(), rows.read_port()
        at = Signal(range(self.depth))
        m.d.comb += [
            at.eq(Mux(self.look, self.look_row, self.host.row)),
            self.host.free.eq(~self.look),
            into.addr.eq(at), out.addr.eq(at), out.en.eq(~into.en),
            into.en.eq(self.host.write & ~self.look),
            into.data.eq(Value.cast(self.host.value)),
            Value.cast(self.data).eq(out.data),
            self.set.eq(into.en), self.set_row.eq(at),
        ]
        read = Signal()
        m.d.sync += read.eq(self.host.free & ~into.en)
        with m.If(read):
            m.d.sync += Value.cast(self.host.shown).eq(out.data)
        self._clear(m, at, into)
        return m

    def _clear(self, m, at, into):
        row, clearing = Signal(range(self.depth)), Signal(init=1)
        m.d.sync += row.eq(row + clearing)
        with m.If(row == self.depth - 1):
            m.d.sync += clearing.eq(0)
        with m.If(clearing):
            m.d.comb += [self.host.free.eq(0), at.eq(row), into.en.eq(1)]
        m.d.sync += Assert(~clearing | ~Value.cast(self.host.value).any())
