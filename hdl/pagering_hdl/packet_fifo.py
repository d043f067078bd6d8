"""Store and forward: frames wait here, whole, until their memory is found.

The gate writes beats as they come and commits or rolls back at the frame's end. Nothing is seen
by the reader before it is committed, so a frame that turns out bad costs no page, and a frame that
leaves never waits for its next beat.
"""

from amaranth.hdl import Assert, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .packet_reader import PacketReader, ReadCommand

__all__ = ["PacketFifo"]


class PacketFifo(wiring.Component):
    """Storage for frames, with commit and rollback.

    Parameters
    ----------
    bits : :class:`int`
        Width of a beat.
    depth : :class:`int`
        Beats, a power of two.
    realign : :class:`bool`
        Whether a frame may be read in parts that do not end with a beat.

    Members
    -------
    room : :py:`Out(1)`
        One more beat can be written. It comes back a cycle late.
    write : :py:`In(1)`, beat : :py:`In(bits)`
    commit, rollback : :py:`In(1)`
        With or after the frame's last beat.
    commands : :py:`In(stream.Signature(ReadCommand))`
        For each committed frame, in order: its segments, or one skip.
    beats : :py:`Out(stream.Signature(bits))`
    level : :py:`Out(range(depth + 1))`
        Beats inside, those of the frame under way too; a cycle ago.
    empty : :py:`Out(1)`
        No frame inside.
    """

    def __init__(self, bits, depth, *, realign=True):
        self.bits = bits
        self.depth = depth
        self.realign = realign
        # Where beats are written, and up to where they are committed: modulo twice the depth, as
        # is the reader's place, so that full and empty differ.
        self.head, self.committed = Signal(range(2 * depth)), Signal(range(2 * depth))
        self.under_way = Signal()
        """Beats of a frame that has not ended are inside."""
        super().__init__({
            "room": Out(1, init=1), "write": In(1), "beat": In(bits),
            "commit": In(1), "rollback": In(1),
            "commands": In(stream.Signature(ReadCommand)),
            "beats": Out(stream.Signature(bits)),
            "level": Out(range(depth + 1)), "empty": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        # What the reader takes is committed, so it is not what is written just now.
        m.submodules.storage = storage = Memory(shape=self.bits, depth=self.depth, init=[],
                                                attrs={"no_rw_check": 1})
        into, out = storage.write_port(), storage.read_port()
        m.submodules.reader = reader = PacketReader(self.bits, self.depth,
                                                      realign=self.realign)
        head, committed = self.head, self.committed
        m.d.comb += [
            into.en.eq(self.write), into.addr.eq(head), into.data.eq(self.beat),
            out.en.eq(reader.enable), out.addr.eq(reader.place), reader.stored.eq(out.data),
            self.empty.eq((committed == reader.place) & reader.idle),
        ]
        wiring.connect(m, reader.commands, wiring.flipped(self.commands))
        wiring.connect(m, wiring.flipped(self.beats), reader.beats)
        after, filled = Signal.like(head), Signal.like(head)
        m.d.comb += [after.eq(head + self.write), filled.eq(head - reader.place)]
        m.d.sync += [head.eq(Mux(self.rollback, committed, after)), self.level.eq(filled)]
        with m.If(self.commit):
            m.d.sync += committed.eq(after)
        self._room(m, filled)
        m.d.sync += Assert((committed - reader.place)[:len(head)] >= reader.freed)
        m.d.sync += Assert((head - committed)[:len(head)] <= filled)
        return m

    def _room(self, m, filled):
        """Tell a cycle ahead if there is room, without waiting for what is freed just now."""
        full, fills = filled == self.depth, filled == self.depth - 1
        # A frame under way makes room if it is rolled back, unless no beat of it was written.
        under_way = self.under_way
        m.d.sync += [
            self.room.eq(Mux(self.write, ~fills | self.rollback,
                             ~full | (self.rollback & under_way))),
            under_way.eq((under_way | self.write) & ~(self.commit | self.rollback)),
            Assert(~self.room | ~full),
            Assert(~self.write | self.room),
        ]
