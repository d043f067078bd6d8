"""A small memory of per-queue or per-pool state that comes out of reset cleared."""

from amaranth.hdl import Module, Mux, Shape, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

__all__ = ["LateLookup", "Lookup", "StateTable"]


class Lookup(wiring.Signature):
    """A question to somebody else's table, as the one who asks drives it: answered at once."""

    def __init__(self, index, shape):
        super().__init__({"addr": Out(index), "data": In(shape)})


class LateLookup(wiring.Signature):
    """As :class:`Lookup`, but answered a cycle after ``en``; the answer stands until the next."""

    def __init__(self, index, shape):
        super().__init__({"en": Out(1), "addr": Out(index), "data": In(shape)})


class StateTable(wiring.Component):
    """One row per queue or pool in distributed RAM, read without a clock, written with one.

    A memory has no reset, but a card can be reset in mid-traffic. So after reset the table writes
    its initial value to row after row; ``depth`` cycles later it holds nothing of its past. Until
    then writes are lost: whoever resets it must wait. A single row is a register, which needs none
    of this.

    Parameters
    ----------
    shape : :ref:`shape-like <lang-shapelike>`
        Shape of a row.
    depth : :class:`int`
        Rows.
    reads : :class:`int`
        Read ports. Each costs a copy of the memory.
    init
        Value of each row after reset.
    cleared : :class:`bool`
        Whether rows are cleared after reset. It costs logic on each bit: not for rows that are
        written before they count.
    index : :ref:`shape-like <lang-shapelike>`
        Shape of the address: that of a queue or pool. Addresses past the last row are not checked.

    Members
    -------
    read : :py:`In(Lookup(index, shape))` for each port, as ``read[n]``
        The value before any write of this cycle.
    write : :py:`In(WritePort)`
        ``en``, ``addr``, ``data``.
    """

    def __init__(self, shape, *, depth, reads=1, init=0, cleared=True, index=6):
        self.shape = shape
        self.depth = depth
        self.init = init
        self.cleared = cleared
        super().__init__({
            "read": In(Lookup(index, shape)).array(reads),
            "write": In(wiring.Signature({"en": Out(1), "addr": Out(index), "data": Out(shape)})),
        })
        # Proofs look at these two.
        self.sweeping = Signal()
        if depth > 1:
            self.rows = Memory(shape=Shape.cast(shape).width, depth=depth, init=[init] * depth,
                               attrs={"ram_style": "distributed"})

    def elaborate(self, platform):
        m = Module()
        if self.depth == 1:
            self._keep_one(m)
            return m
        m.submodules.rows = rows = self.rows
        for port in self.read:
            side = rows.read_port(domain="comb")
            m.d.comb += [side.addr.eq(port.addr), Value.cast(port.data).eq(side.data)]
        into, sweeping = rows.write_port(), self.sweeping
        if not self.cleared:
            m.d.comb += [into.en.eq(self.write.en), into.addr.eq(self.write.addr),
                         into.data.eq(Value.cast(self.write.data))]
            return m
        sweep = Signal(range(self.depth + 1))
        m.d.comb += sweeping.eq(sweep != self.depth)
        m.d.sync += sweep.eq(sweep + sweeping)
        m.d.comb += [
            into.en.eq(sweeping | self.write.en),
            into.addr.eq(Mux(sweeping, sweep, self.write.addr)),
            into.data.eq(Mux(sweeping, self.init, self.write.data)),
        ]
        return m

    def _keep_one(self, m):
        row = Signal(Shape.cast(self.shape).width, init=self.init, reset_less=not self.cleared)
        m.d.comb += [Value.cast(port.data).eq(row) for port in self.read]
        with m.If(self.write.en):
            m.d.sync += row.eq(Value.cast(self.write.data))
