"""A large memory of per-queue or per-pool state that comes out of reset cleared."""

from amaranth.hdl import Module, Mux, Shape, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .state_table import Lookup

__all__ = ["BlockTable"]


class BlockTable(wiring.Component):
    """As :class:`StateTable`, but in block RAM: an answer comes one cycle after its question.

    It costs no logic per row or read port, only block RAM. Like the other it is cleared, a row a
    cycle, after reset, until when writes are lost; and a single row is a register.

    Parameters
    ----------
    shape : :ref:`shape-like <lang-shapelike>`
        Shape of a row.
    depth : :class:`int`
        Rows.
    reads : :class:`int`
        Read ports. Each costs a copy of the memory.
    index : :ref:`shape-like <lang-shapelike>`
        Shape of the address. Addresses past the last row are not checked.

    Members
    -------
    read : :py:`In(Lookup(index, shape))` for each port, as ``read[n]``
        The value before any write of the cycle in which ``addr`` was there.
    write : :py:`In(WritePort)`
        ``en``, ``addr``, ``data``.
    """

    def __init__(self, shape, *, depth, reads=1, index=6):
        self.shape = shape
        self.depth = depth
        super().__init__({
            "read": In(Lookup(index, shape)).array(reads),
            "write": In(wiring.Signature({"en": Out(1), "addr": Out(index), "data": Out(shape)})),
        })

    def elaborate(self, platform):
        m = Module()
        if self.depth == 1:
            self._keep_one(m)
            return m
        m.submodules.rows = rows = Memory(shape=Shape.cast(self.shape).width, depth=self.depth,
                                          init=[], attrs={"ram_style": "block"})
        for port in self.read:
            side = rows.read_port()
            m.d.comb += [side.addr.eq(port.addr), Value.cast(port.data).eq(side.data)]
        sweep = Signal(range(self.depth + 1))
        sweeping = Signal()
        m.d.comb += sweeping.eq(sweep != self.depth)
        m.d.sync += sweep.eq(sweep + sweeping)
        into = rows.write_port()
        m.d.comb += [
            into.en.eq(sweeping | self.write.en),
            into.addr.eq(Mux(sweeping, sweep, self.write.addr)),
            into.data.eq(Mux(sweeping, 0, Value.cast(self.write.data))),
        ]
        return m

    def _keep_one(self, m):
        row = Signal(Shape.cast(self.shape).width)
        with m.If(self.write.en):
            m.d.sync += row.eq(Value.cast(self.write.data))
        for port in self.read:
            data = Signal.like(row, reset_less=True)
            m.d.sync += data.eq(row)
            m.d.comb += Value.cast(port.data).eq(data)
