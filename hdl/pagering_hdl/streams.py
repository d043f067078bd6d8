"""The stream vocabulary: what stands between two stages."""

from functools import reduce
from operator import xor

from amaranth.hdl import Assert, Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

__all__ = ["StreamBuffer", "StreamQueue", "StreamRelay", "StreamSkid", "following"]

TAPS = {2: (1,), 3: (2,), 4: (3,), 5: (3,), 6: (5,), 7: (6,), 8: (6, 5, 4), 9: (5,), 10: (7,),
        11: (9,), 12: (6, 4, 1), 13: (4, 3, 1), 14: (5, 3, 1)}
"""By its length, which bits of a shift register, counted from one and besides the last, are fed
back to make it go through all values but zero."""


def following(place):
    """Return the row of a queue's memory that is used after ``place``: all, in a fixed order.

    To count would take a carry chain; a shift register takes a gate. So that it passes zero as
    well, what it feeds back is inverted before and after that.
    """
    bits = len(place)
    if bits == 1:
        return ~place
    fed = reduce(xor, (place[tap - 1] for tap in TAPS[bits]), place[-1] ^ ~place[:-1].any())
    return Cat(fed, place[:-1])


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


class StreamSkid(wiring.Component):
    """Two registers between two stages: break the path of the payload and that of ready.

    Full throughput, one cycle of latency. The second takes what comes when the first stands still.

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
        self.full, self.spare = Signal(), Signal.like(self.i.payload)

    def elaborate(self, platform):
        m = Module()
        full, spare = self.full, self.spare
        m.d.comb += self.i.ready.eq(~full)
        with m.If(~full):
            m.d.sync += spare.eq(self.i.payload)
        with m.If(~self.o.valid | self.o.ready):
            m.d.sync += [self.o.valid.eq(full | self.i.valid), full.eq(0)]
            with m.If(full):
                m.d.sync += self.o.payload.eq(spare)
            with m.Else():
                m.d.sync += self.o.payload.eq(self.i.payload)
        with m.Elif(self.i.valid):
            m.d.sync += full.eq(1)
        m.d.sync += Assert(~full | self.o.valid)
        return m


class StreamQueue(wiring.Component):
    """A FIFO that keeps the payload's shape.

    That it has room, and that it offers something, are registers.

    Parameters
    ----------
    shape : :ref:`shape-like <lang-shapelike>`
        Shape of the payload.
    depth : :class:`int`
        Payloads it holds: 2 to 16384.
    block : :class:`bool`
        Whether to read the storage synchronously (block RAM, latency 2) or not (distributed RAM,
        latency 1).

    Members
    -------
    i : :py:`In(stream.Signature(shape))`
    o : :py:`Out(stream.Signature(shape))`
    level : :py:`Out(range(depth + 1))`, empty : :py:`Out(1)`
        Payloads inside, and that there are none.
    """

    def __init__(self, shape, *, depth, block=False):
        if not 2 <= depth <= 1 << max(TAPS):
            raise ValueError(f"queue depth must be 2 to {1 << max(TAPS)}, not {depth}")
        self.depth = depth
        self.block = block
        super().__init__({
            "i": In(stream.Signature(shape)),
            "o": Out(stream.Signature(shape)),
            "level": Out(range(depth + 1)), "empty": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        width = Value.cast(self.i.payload).shape().width
        # Of a block RAM's payloads one is at its output. A row is never read while it is written;
        # unless told, synthesis spends a lookup table on each bit to say what would happen then.
        rows = self.depth - self.block
        m.submodules.storage = storage = Memory(
            shape=width, depth=1 << max(1, (rows - 1).bit_length()), init=[],
            attrs={"ram_style": "block", "no_rw_check": 1} if self.block else {})
        into = storage.write_port()
        out = storage.read_port(domain="sync" if self.block else "comb")
        stored, enters, leaves = Signal(range(rows + 1)), Signal(), Signal()
        some = self._count(m, stored, enters, leaves)
        m.d.comb += [
            enters.eq(self.i.valid & self.i.ready),
            into.en.eq(enters), into.data.eq(Value.cast(self.i.payload)),
            Value.cast(self.o.payload).eq(out.data),
        ]
        for port, moves in ((into, enters), (out, leaves)):
            with m.If(moves):
                m.d.sync += port.addr.eq(following(port.addr))
        if self.block:
            self._fetch(m, stored, some, leaves)
            m.d.comb += out.en.eq(leaves)
            m.d.sync += Assert(~(enters & leaves & (into.addr == out.addr)))
        else:
            m.d.comb += [self.o.valid.eq(some), leaves.eq(self.o.valid & self.o.ready),
                         self.level.eq(stored), self.empty.eq(~some)]
        if platform == "formal":
            m.d.comb += Assert((self.i.ready == (stored != rows)) & (some == (stored != 0)))
            self._confirm(m, stored, into.addr, out.addr)
        return m

    def _count(self, m, stored, enters, leaves):
        """Count what is stored; return whether something is."""
        rows, room, some = self.depth - self.block, Signal(init=1), Signal()
        m.d.comb += self.i.ready.eq(room)
        m.d.sync += [room.eq(leaves | (room & ~(enters & (stored == rows - 1)))),
                     some.eq(enters | (some & ~(leaves & (stored == 1)))),
                     Assert(room == (stored != rows)), Assert(some == (stored != 0))]
        with m.If(enters ^ leaves):
            m.d.sync += stored.eq(stored + Mux(enters, 1, -1))
        return some

    def _confirm(self, m, stored, last, first):
        """Say how rows and level are related: whoever proves anything of a queue has to know."""
        sound, row = Signal(self.depth + 1), first
        for count in range(self.depth - self.block + 1):
            after = Signal.like(first)
            m.d.comb += [sound[count].eq((stored == count) & (last == row)),
                         after.eq(following(row))]
            row = after
        m.d.comb += Assert(sound.any())

    def _fetch(self, m, stored, some, leaves):
        """Let what is stored leave for the output of a block RAM, when that is free."""
        m.d.comb += [leaves.eq(some & (~self.o.valid | self.o.ready)),
                     self.level.eq(stored + self.o.valid), self.empty.eq(~some & ~self.o.valid)]
        with m.If(leaves):
            m.d.sync += self.o.valid.eq(1)
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
