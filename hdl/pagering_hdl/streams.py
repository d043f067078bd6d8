"""The stream vocabulary: what stands between two stages."""

from amaranth.hdl import Assert, Module, Mux, Signal, Value
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

__all__ = ["StreamBuffer", "StreamQueue", "StreamRelay"]


class StreamBuffer(wiring.Component):
    """A register between two stages: breaks the path of the payload, not that of ready.

    Full throughput, one cycle of latency.

    Parameters
    ----------
    shape : :ref:`shape-like <lang-shapelike>`
        Shape of the payload.

    Members
    -------
    i : :py:`In(stream.Signature(shape))`
    o : :py:`Out(stream.Signature(shape))`
    """

    def __init__(self, shape):
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.i.ready.eq(~self.o.valid | self.o.ready)
        with m.If(self.i.ready):
            m.d.sync += [self.o.valid.eq(self.i.valid), self.o.payload.eq(self.i.payload)]
        return m


class StreamRelay(wiring.Component):
    """A register between two stages: breaks the path of the payload and that of ready.

    One payload every two cycles, one cycle of latency.

    Parameters
    ----------
    shape : :ref:`shape-like <lang-shapelike>`
        Shape of the payload.

    Members
    -------
    i : :py:`In(stream.Signature(shape))`
    o : :py:`Out(stream.Signature(shape))`
    """

    def __init__(self, shape):
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.i.ready.eq(~self.o.valid)
        with m.If(self.i.ready):
            m.d.sync += [self.o.valid.eq(self.i.valid), self.o.payload.eq(self.i.payload)]
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        return m


class StreamQueue(wiring.Component):
    """A FIFO that keeps the payload's shape.

    Parameters
    ----------
    shape : :ref:`shape-like <lang-shapelike>`
        Shape of the payload.
    depth : :class:`int`
        Payloads it holds, at least 2.
    block : :class:`bool`
        Whether to read the storage synchronously (block RAM, latency 2) or not (distributed RAM,
        latency 1).

    Members
    -------
    i : :py:`In(stream.Signature(shape))`
    o : :py:`Out(stream.Signature(shape))`
    level : :py:`Out(range(depth + 1))`
        Payloads inside.
    """

    def __init__(self, shape, *, depth, block=False):
        if depth < 2:
            raise ValueError(f"queue depth must be at least 2, not {depth}")
        self.depth = depth
        self.block = block
        super().__init__({
            "i": In(stream.Signature(shape)),
            "o": Out(stream.Signature(shape)),
            "level": Out(range(depth + 1)),
        })

    def elaborate(self, platform):
        m = Module()
        if self.block:
            self._block_storage(m)
            return m
        width = Value.cast(self.i.payload).shape().width
        m.submodules.storage = storage = fifo.SyncFIFO(width=width, depth=self.depth)
        m.d.comb += [
            storage.w_data.eq(self.i.payload),
            storage.w_en.eq(self.i.valid),
            self.i.ready.eq(storage.w_rdy),
            Value.cast(self.o.payload).eq(storage.r_data),
            self.o.valid.eq(storage.r_rdy),
            storage.r_en.eq(self.o.ready),
            self.level.eq(storage.level),
        ]
        return m

    def _block_storage(self, m):
        """All but one payload in a memory, and that one at its output."""
        width = Value.cast(self.i.payload).shape().width
        rows = self.depth - 1
        # A row is never read while it is written; unless told, synthesis spends a lookup table on
        # each bit to say what would happen then.
        m.submodules.storage = storage = Memory(shape=width, depth=rows, init=[],
                                                attrs={"ram_style": "block", "no_rw_check": 1})
        into, out = storage.write_port(), storage.read_port()
        stored = Signal(range(rows + 1))
        m.d.comb += [
            self.i.ready.eq(stored != rows),
            into.en.eq(self.i.valid & self.i.ready), into.data.eq(Value.cast(self.i.payload)),
            out.en.eq((stored != 0) & (~self.o.valid | self.o.ready)),
            Value.cast(self.o.payload).eq(out.data), self.level.eq(stored + self.o.valid),
        ]
        m.d.sync += stored.eq(stored + into.en - out.en)
        for port in (into, out):
            with m.If(port.en):
                m.d.sync += port.addr.eq(Mux(port.addr == rows - 1, 0, port.addr + 1))
        with m.If(out.en):
            m.d.sync += self.o.valid.eq(1)
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        m.d.sync += Assert(~(into.en & out.en & (into.addr == out.addr)))
