"""Reads frames out of the packet FIFO, whole or in parts, each part from the first lane on.

Where a frame's headers go apart, its payload begins in the middle of a beat. The beat is read once,
for the headers; what is left of it is carried over, and the payload is shifted down as it leaves.
Headers end 2 bytes behind a multiple of 4, and where else a frame is cut a page is full: so beats
are only ever shifted by so much.
"""

from amaranth.hdl import Array, Assert, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .streams import StreamBuffer

__all__ = ["Fetched", "PacketReader", "ReadCommand", "Realigner"]

WORD_BITS = 32
"""What lengths of headers are counted in, but for two bytes."""


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


class Used(data.StructLayout):
    """Bytes of a beat that are used up.

    Members: ``some``, not all of them: 2 and ``words`` times 4.
    """

    def __init__(self, bits):
        super().__init__({"some": 1, "words": range(bits // WORD_BITS)})


class Fetched(data.StructLayout):
    """A beat on its way out of the storage.

    Members: ``data``; ``fresh``, it was read now (else: all that is needed has been carried over);
    ``used``, what is used up of the beat before, :class:`Used`.
    """

    def __init__(self, bits):
        super().__init__({"data": bits, "fresh": 1, "used": Used(bits)})


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
        # The first two bytes of a beat are never carried over: the shortest headers are longer.
        carried = Signal(self.bits - WORD_BITS // 2)
        window = Cat(carried, beat.data)
        words = self.bits // WORD_BITS
        shifted = Array(window[WORD_BITS * at:][:self.bits] for at in range(words))
        m.d.comb += [
            self.beats.valid.eq(self.fetched.valid), self.fetched.ready.eq(self.beats.ready),
            self.beats.payload.eq(Mux(beat.used.some, shifted[beat.used.words], beat.data)),
        ]
        with m.If(self.fetched.valid & self.fetched.ready & beat.fresh):
            m.d.sync += carried.eq(beat.data[WORD_BITS // 2:])
        return m


class PacketReader(wiring.Component):
    """Walks through the committed frames, one beat a cycle, as the commands say.

    Each command is kept in a register while it is carried out. One that is waiting when the last
    beat of that before is read costs no cycle; a skip costs one, however long it is.

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
        What does not end its frame makes whole beats, or with ``realign`` its first part may end
        2 bytes behind a multiple of 4.
    beats : :py:`Out(stream.Signature(bits))`
        Three cycles later.
    place : :py:`Out(range(2 * depth))`, enable : :py:`Out(1)`
        Read port of the storage: data one enabled cycle later. The top bit is no address.
    stored : :py:`In(bits)`
    freed : :py:`Out(range(depth + 1))`
        Beats that leave the storage in this cycle.
    idle : :py:`Out(1)`
        No beat is on its way.
    """

    def __init__(self, bits, depth, *, realign=True):
        self.bits = bits
        self.realign = realign
        self.busy, self.command = Signal(), Signal(ReadCommand)
        """What is under way; of its beats, those that are left."""
        super().__init__({
            "commands": In(stream.Signature(ReadCommand)),
            "beats": Out(stream.Signature(bits)),
            "place": Out(range(2 * depth)), "enable": Out(1), "stored": In(bits),
            "freed": Out(range(depth + 1)), "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.buffer = buffer = StreamBuffer(Fetched(self.bits))
        m.submodules.realigner = realigner = Realigner(self.bits)
        wiring.connect(m, buffer.o, realigner.fetched)
        wiring.connect(m, wiring.flipped(self.beats), realigner.beats)
        command, fetched = self.command, buffer.i
        last, fresh, skips, takes = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            last.eq(command.last == 0), fresh.eq(1),
            self.enable.eq(~fetched.valid | fetched.ready), fetched.p.data.eq(self.stored),
            self.idle.eq(~fetched.valid & ~buffer.o.valid),
            skips.eq(self.busy & command.skip),
            takes.eq(self.busy & ~command.skip & self.enable),
            self.commands.ready.eq(~self.busy | skips | (takes & last)),
            self.freed.eq(Mux(skips, command.last + 1, takes & fresh)),
        ]
        with m.If(self.enable):
            m.d.sync += [fetched.valid.eq(takes), fetched.p.fresh.eq(fresh)]
        with m.If(self.commands.ready):
            m.d.sync += [self.busy.eq(self.commands.valid), command.eq(self.commands.p)]
        with m.Elif(takes):
            m.d.sync += command.last.eq(command.last - 1)
        if self.realign:
            self._use(m, takes & last, fetched.p.used, fresh, last)
        # One carry chain: a skip of all beats but one, and one beat more.
        step = Cat(skips | (takes & fresh), command.last & skips.replicate(11))
        m.d.sync += self.place.eq((Cat(Const(1, 1), self.place) + step) >> 1)
        return m

    def _use(self, m, ends, shown, fresh, last):
        """Keep what is used up of the beat that was read last."""
        used, command = Signal(Used(self.bits)), self.command
        width = (self.bits // 8 - 1).bit_length()
        after = Signal(width + 1)
        m.d.comb += [
            after.eq(Cat(Const(0, 1), used.as_value()) + command.tail[:width] + 1),
            fresh.eq(~used.some | ~last | (after > self.bits // 8)),
        ]
        with m.If(self.enable):
            m.d.sync += shown.eq(used)
        with m.If(ends):
            m.d.sync += Value.cast(used).eq(Mux(command.end, 0, after[1:width]))
            m.d.sync += Assert(command.end | ~after[0])
            m.d.sync += Assert(command.end | after[1] | (after[:width] == 0))
