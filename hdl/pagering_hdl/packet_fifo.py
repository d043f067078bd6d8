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
        One more beat can be written.
    write : :py:`In(1)`, beat : :py:`In(bits)`
    commit, rollback : :py:`In(1)`
        With or after the frame's last beat.
    commands : :py:`In(stream.Signature(ReadCommand))`
        For each committed frame, in order: its segments, or one skip.
    beats : :py:`Out(stream.Signature(bits))`
    level : :py:`Out(range(depth + 1))`
        Beats inside, those of the frame under way too.
    empty : :py:`Out(1)`
        No frame inside.
    """

    def __init__(self, bits, depth, *, realign=True):
        self.bits = bits
        self.depth = depth
        self.realign = realign
        self.used, self.pending = Signal(range(depth + 1)), Signal(range(depth + 1))
        super().__init__({
            "room": Out(1), "write": In(1), "beat": In(bits),
            "commit": In(1), "rollback": In(1),
            "commands": In(stream.Signature(ReadCommand)),
            "beats": Out(stream.Signature(bits)),
            "level": Out(range(depth + 1)), "empty": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.storage = storage = Memory(shape=self.bits, depth=self.depth, init=[])
        into, out = storage.write_port(), storage.read_port()
        m.submodules.reader = reader = PacketReader(self.bits, self.depth,
                                                      realign=self.realign)
        head, committed = Signal(range(self.depth)), Signal(range(self.depth))
        used, pending = self.used, self.pending
        m.d.comb += [
            self.room.eq(used != self.depth),
            into.en.eq(self.write), into.addr.eq(head), into.data.eq(self.beat),
            out.en.eq(reader.enable), out.addr.eq(reader.address), reader.stored.eq(out.data),
            self.level.eq(used), self.empty.eq((used == pending) & reader.idle),
        ]
        wiring.connect(m, reader.commands, wiring.flipped(self.commands))
        wiring.connect(m, wiring.flipped(self.beats), reader.beats)
        # pending: beats of the frame under way, which a rollback takes out again.
        written = Signal()
        m.d.comb += written.eq(self.write)
        after = Signal.like(head)
        m.d.comb += after.eq(head + written)
        m.d.sync += [head.eq(Mux(self.rollback, committed, after)),
                     committed.eq(Mux(self.commit, after, committed)),
                     pending.eq(Mux(self.rollback | self.commit, 0, pending + written)),
                     used.eq(used + written - reader.freed
                             - Mux(self.rollback, pending + written, 0))]
        m.d.sync += Assert(~self.write | (used != self.depth))
        m.d.sync += Assert(reader.freed + pending <= used)
        m.d.sync += [Assert(head == (reader.address + used)[:len(head)]),
                     Assert(head == (committed + pending)[:len(head)])]
        return m
