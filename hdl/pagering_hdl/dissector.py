"""Takes each frame apart while it streams into the packet FIFO, and queues what it found."""

from amaranth.hdl import Assert, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .layouts import Dissection, Length
from .streams import StreamQueue

__all__ = ["Dissector"]


class Dissector(wiring.Component):
    """Watches the beats that the gate writes, and tells of each frame that is committed.

    Parameters
    ----------
    bits : :class:`int`
        Width of a beat.
    depth : :class:`int`
        Beats in the packet FIFO.

    Members
    -------
    write : :py:`In(1)`, beat : :py:`In(bits)`, length : :py:`In(14)`
    commit, rollback : :py:`In(1)`
        All as the packet FIFO sees them.
    time : :py:`In(64)`
        Goes into ``facts.timestamp`` as it is when a frame's first beat is written.
    room : :py:`Out(1)`
        One more frame can be committed.
    dissections : :py:`Out(stream.Signature(Dissection))`
        Of each committed frame, in order, some cycles after it was committed.
    """

    def __init__(self, bits, depth):
        # Frames of one beat could fill the storage with as many frames as beats; an eighth is
        # enough for frames of 64 bytes, and shorter ones find no room a little earlier.
        self.depth = max(32, depth // 8)
        super().__init__({
            "write": In(1), "beat": In(bits), "commit": In(1), "rollback": In(1),
            "length": In(Length), "time": In(64), "room": Out(1),
            "dissections": Out(stream.Signature(Dissection)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = queue = StreamQueue(Dissection, depth=self.depth, block=True)
        wiring.connect(m, wiring.flipped(self.dissections), queue.o)
        midframe, stamp = Signal(), Signal(64)
        with m.If(self.commit | self.rollback):
            m.d.sync += midframe.eq(0)
        with m.Elif(self.write):
            m.d.sync += midframe.eq(1)
        with m.If(self.write & ~midframe):
            m.d.sync += stamp.eq(self.time)
        m.d.sync += [queue.i.valid.eq(self.commit), queue.i.p.length.eq(self.length)]
        m.d.comb += queue.i.p.facts.timestamp.eq(stamp)
        # A place in the queue is taken when a frame is committed, long before it is filled.
        taken = Signal(range(self.depth))
        leaves = self.dissections.valid & self.dissections.ready
        m.d.sync += taken.eq(taken + self.commit - leaves)
        m.d.comb += self.room.eq(taken != self.depth - 1)
        m.d.sync += Assert(~self.commit | self.room)
        m.d.sync += Assert(~queue.i.valid | queue.i.ready)
        return m
