"""The stream vocabulary: what stands between two stages."""

from amaranth.hdl import Module, Value
from amaranth.lib import fifo, stream, wiring
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
        kind = fifo.SyncFIFOBuffered if self.block else fifo.SyncFIFO
        width = Value.cast(self.i.payload).shape().width
        m.submodules.storage = storage = kind(width=width, depth=self.depth)
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
