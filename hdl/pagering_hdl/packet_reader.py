"""Reads frames out of the packet FIFO, whole or in parts, each part from the first lane on.

Where a frame's headers go apart, its payload begins in the middle of a beat. The beat is read once,
for the headers; what is left of it is carried over, and the payload is shifted down as it leaves.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .streams import StreamBuffer

__all__ = ["Fetched", "PacketReader", "ReadCommand", "Realigner"]


class ReadCommand(data.Struct):
    """What to do with the next bytes of the FIFO."""

    last: 11
    """Beats that they make, less one."""
    tail: 6
    """Bytes of the last of these beats, less one."""
    skip: 1
    """Forget them (else: send them to the DMA writer). They are a whole frame."""
    end: 1
    """The frame ends with them, and what comes next begins with a new beat."""


class Fetched(data.StructLayout):
    """A beat on its way out of the storage.

    Members: ``data``; ``fresh``, it was read now (else: all that is needed has been carried over);
    ``turn``, bytes of the beat before that are used up, less one, modulo the bytes of a beat.
    """

    def __init__(self, bits):
        super().__init__({"data": bits, "fresh": 1, "turn": range(bits // 8)})


class Realigner(wiring.Component):
    """Shifts beats down to the first lane. Without a clock but for what it carries over.

    Members
    -------
    fetched : :py:`In(stream.Signature(Fetched(bits)))`
    beats : :py:`Out(stream.Signature(bits))`
    """

    def __init__(self, bits):
        self.bits = bits
        super().__init__({
            "fetched": In(stream.Signature(Fetched(bits))), "beats": Out(stream.Signature(bits)),
        })

    def elaborate(self, platform):
        m = Module()
        beat = self.fetched.p
        carried = Signal(self.bits - 8)
        # A beat that is used up is turned by all of its bytes: by one less, as one is left out.
        window = Cat(carried, beat.data)
        m.d.comb += [
            self.beats.valid.eq(self.fetched.valid), self.fetched.ready.eq(self.beats.ready),
            self.beats.payload.eq(window >> (beat.turn << 3)),
        ]
        with m.If(self.fetched.valid & self.fetched.ready & beat.fresh):
            m.d.sync += carried.eq(beat.data[8:])
        return m


class PacketReader(wiring.Component):
    """Walks through the committed frames, one beat a cycle, as the commands say.

    A command that is waiting when the last beat of the one before is read costs no cycle; a skip
    costs one, however long it is.

    Parameters
    ----------
    bits : :class:`int`
        Width of a beat.
    depth : :class:`int`
        Beats in the storage.
    realign : :class:`bool`
        Whether a frame may be read in parts that do not end with a beat.

    Members
    -------
    commands : :py:`In(stream.Signature(ReadCommand))`
    beats : :py:`Out(stream.Signature(bits))`
        Three cycles later.
    address : :py:`Out(range(depth))`, enable : :py:`Out(1)`
        Read port of the storage: data one enabled cycle later.
    stored : :py:`In(bits)`
    freed : :py:`Out(range(depth + 1))`
        Beats that left the storage in this cycle.
    idle : :py:`Out(1)`
        No beat is on its way.
    """

    def __init__(self, bits, depth, *, realign=True):
        self.bits = bits
        self.realign = realign
        self.sent = Signal(11)
        super().__init__({
            "commands": In(stream.Signature(ReadCommand)),
            "beats": Out(stream.Signature(bits)),
            "address": Out(range(depth)), "enable": Out(1), "stored": In(bits),
            "freed": Out(range(depth + 1)), "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.buffer = buffer = StreamBuffer(Fetched(self.bits))
        m.submodules.realigner = realigner = Realigner(self.bits)
        wiring.connect(m, buffer.o, realigner.fetched)
        wiring.connect(m, wiring.flipped(self.beats), realigner.beats)
        command, fetched = self.commands.p, buffer.i
        width = (self.bits // 8 - 1).bit_length()
        # Bytes that are used up of the beat that was read last; 0 is all of them.
        used, sent = Signal(width), self.sent
        last, fresh, after = Signal(), Signal(), Signal(width + 1)
        m.d.comb += [
            last.eq(sent == command.last), after.eq(used + command.tail[:width] + 1),
            fresh.eq((used == 0) | ~last | (after > self.bits // 8)),
            self.enable.eq(~fetched.valid | fetched.ready),
            fetched.p.data.eq(self.stored),
            self.idle.eq(~fetched.valid & ~buffer.o.valid),
        ]
        if not self.realign:
            m.d.comb += fresh.eq(1)
        with m.If(self.enable):
            m.d.sync += [fetched.valid.eq(self.commands.valid & ~command.skip),
                         fetched.p.fresh.eq(fresh), fetched.p.turn.eq(used - 1)]
        with m.If(self.commands.valid & command.skip):
            m.d.comb += [self.freed.eq(command.last + 1), self.commands.ready.eq(1)]
        with m.Elif(self.commands.valid & self.enable):
            m.d.comb += [self.freed.eq(fresh), self.commands.ready.eq(last)]
            m.d.sync += sent.eq(Mux(last, 0, sent + 1))
            if self.realign:
                with m.If(last):
                    m.d.sync += used.eq(Mux(command.end, 0, after))
        m.d.sync += self.address.eq(self.address + self.freed)
        return m
