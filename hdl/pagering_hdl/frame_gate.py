"""Where a frame enters the card and is judged: whole and good, or dropped under one cause."""

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

from .axi import AxiStream
from .layouts import Drop, DropCause, struct
from .size_bound import SizeBound

__all__ = ["Beat", "BeatCounter", "FrameGate"]


class Beat(data.StructLayout):
    """A beat of the receive stream whose byte count is known.

    Members: ``data``, zero where there is no byte; ``bytes``, valid bytes from lane 0; ``hole``, a
    byte is missing below the last one; ``full``, no byte is missing; ``last``; ``bad``, only
    meaningful with ``last``.
    """

    def __init__(self, bits):
        super().__init__({
            "data": bits, "bytes": range(bits // 8 + 1), "hole": 1, "full": 1, "last": 1, "bad": 1,
        })


class BeatCounter(wiring.Component):
    """Counts the bytes of each beat, so that no later stage needs ``tkeep``.

    Members
    -------
    frames : :py:`In(AxiStream(bits))`
    o : :py:`Out(stream.Signature(Beat(bits)))`
        One cycle later.
    """

    def __init__(self, bits):
        super().__init__({"frames": In(AxiStream(bits)), "o": Out(stream.Signature(Beat(bits)))})

    def elaborate(self, platform):
        m = Module()
        # Like the gate's midframe, the register outlives a reset of the card: a beat that was taken
        # from the stream is never lost, so what follows it is never mistaken for a frame.
        valid, beat = Signal(reset_less=True), Signal(self.o.payload.shape(), reset_less=True)
        keep = self.frames.tkeep
        m.d.comb += [
            self.o.valid.eq(valid), self.o.payload.eq(beat),
            self.frames.tready.eq(~valid | self.o.ready),
        ]
        with m.If(self.frames.tready):
            m.d.sync += [
                valid.eq(self.frames.tvalid),
                beat.data.eq(Cat(Mux(keep[lane], self.frames.tdata.word_select(lane, 8), 0)
                                 for lane in range(len(keep)))),
                beat.bytes.eq(sum(keep)),
                # A run of ones from lane 0 plus one has no bit in common with itself.
                beat.hole.eq((keep & (keep + 1)[:len(keep)]).any()),
                beat.full.eq(keep.all()),
                beat.last.eq(self.frames.tlast),
                beat.bad.eq(self.frames.tuser),
            ]
        return m


class Flaws(data.Struct):
    """What is wrong with a frame, apart from its size."""

    deaf: unsigned(1)
    malformed: unsigned(1)
    overflow: unsigned(1)


class FrameGate(wiring.Component):
    """Writes each frame to the packet FIFO and at its last beat commits it or rolls it back.

    A frame that is doomed is swallowed without being written any further. A frame that arrives
    while the card is not receiving is swallowed whole; so is the rest of a frame that a reset cut
    in two, which is why ``midframe`` outlives a reset of the card, that by its pin too: the wire
    goes on. A sender that is reset with the card in mid-frame loses its first frame so.

    A beat that the FIFO has no room for waits a cycle, in which its flaws are found: if it has any,
    it needs no room.

    Parameters
    ----------
    bits : :class:`int`
        Width of the stream.
    max_frame : :class:`int`
        Bytes that the card can take.

    Members
    -------
    frames : :py:`In(AxiStream(bits))`
        Held (``tready`` low) while the FIFO is full, unless ``control.drop_when_full``.
    control : :py:`In(struct(abi.CARD["CONTROL"]))`
    limits : :py:`In(struct(abi.CARD["FRAME_LIMITS"]))`
        Those of two cycles before a frame's first beat comes are for all of it.
    closed : :py:`In(1)`
        A reset is near: doom the frame under way and hold the next.
    clearing : :py:`In(1)`
        Take no beat: the tables in which its frame would be counted are being cleared.
    room : :py:`In(1)`
        The FIFO can take one more beat.
    place : :py:`In(1)`
        One more frame can be committed. Only asked for with a frame's last beat.
    write : :py:`Out(1)`
        Put ``beat`` in the FIFO.
    beat : :py:`Out(bits)`
        With zeros behind the frame's last byte.
    commit, rollback : :py:`Out(1)`
        At the last beat, with or after its write: keep the frame, or forget it.
    length : :py:`Out(14)`
        Bytes of the frame that is committed.
    taken : :py:`Out(range(bits // 8 + 1))`
        Bytes that are taken off the stream.
    first : :py:`Out(1)`
        They are of a frame's first beat.
    ended : :py:`Out(1)`
        Event: a frame ended on the stream.
    size : :py:`Out(15)`
        Its bytes; of a frame that is too long for 14 bits, any number that also is.
    dropped : :py:`Out(Drop)`
    """

    def __init__(self, bits, max_frame):
        self.bits = bits
        self.max_frame = max_frame
        super().__init__({
            "frames": In(AxiStream(bits)),
            "control": In(struct(abi.CARD["CONTROL"])),
            "limits": In(struct(abi.CARD["FRAME_LIMITS"])),
            "closed": In(1), "clearing": In(1), "room": In(1), "place": In(1),
            "write": Out(1), "beat": Out(bits), "commit": Out(1), "rollback": Out(1),
            "length": Out(14), "taken": Out(range(bits // 8 + 1)), "first": Out(1),
            "ended": Out(1), "size": Out(15), "dropped": Out(Drop),
        })
        # What is known to be wrong with the frame under way, and its bytes before this beat.
        # After a reset of the card, deaf: it stands for the rest of the frame that was cut.
        self.known, self.before = Signal(Flaws, init={"deaf": 1}), Signal(15)
        self.midframe = Signal(reset_less=True)
        self.here, self.take = Signal(), Signal()
        # Which beat of it comes next. The frame must exceed the floor, and not the maximum.
        self.maximum, self.floor = SizeBound(bits, max_frame), SizeBound(bits, 0xFFFF)
        self.number = Signal.like(self.maximum.number, init=1)

    def elaborate(self, platform):
        m = Module()
        m.submodules.counter = counter = BeatCounter(self.bits)
        m.submodules.maximum, m.submodules.floor = self.maximum, self.floor
        wiring.connect(m, counter.frames, wiring.flipped(self.frames))
        beat, valid, take = counter.o.p, counter.o.valid, self.take
        self._measure(m, valid, beat)
        # What is wrong with the frame: from earlier beats, and with this one.
        known, now, midframe = self.known, Signal(Flaws), self.midframe
        fits, doomed = Signal(), now.deaf | now.malformed | self.maximum.exceeded | known.overflow
        m.d.comb += [
            now.deaf.eq(Mux(midframe, known.deaf | self.closed, ~self.control.receive)),
            now.malformed.eq(known.malformed | beat.hole | ~(beat.full | beat.last)),
            now.overflow.eq(known.overflow | (~doomed & ~fits)),
            fits.eq(self.room & (self.place | ~beat.last)),
            # Of this beat's own flaws it is told a cycle late: from here it is far to the wire.
            counter.o.ready.eq((midframe | ~self.closed) & ~self.clearing & (
                now.deaf | known.malformed | self.maximum.known | known.overflow
                | fits | self.control.drop_when_full)),
            take.eq(valid & counter.o.ready),
            # A last beat without bytes takes no place: the reader counts beats from the length.
            self.taken.eq(Mux(take, beat.bytes, 0)), self.first.eq(take & ~midframe),
            self.write.eq(take & ~now.as_value().any() & ~self.maximum.exceeded
                          & (beat.bytes != 0)),
            self.beat.eq(beat.data), self.here.eq(Mux(valid, ~(take & beat.last), midframe)),
        ]
        with m.If(~self.here):
            m.d.sync += known.eq(0)
        with m.Elif(valid):
            m.d.sync += known.malformed.eq(now.malformed)
        with m.If(take):
            m.d.sync += midframe.eq(~beat.last)
            with m.If(~beat.last):
                m.d.sync += [known.deaf.eq(now.deaf), known.overflow.eq(now.overflow)]
        self._judge(m, take & beat.last, beat, now)
        return m

    def _measure(self, m, valid, beat):
        """Count the frame's bytes and beats, and hold them against the limits."""
        before, total, limits = self.before, Signal(15), self.limits
        m.d.comb += [total.eq(before + beat.bytes), self.length.eq(total), self.size.eq(total)]
        with m.If(self.take):
            # Past 14 bits nothing is added: there is no longer frame than that to tell apart.
            m.d.sync += [before.eq(Mux(before[14], before, total)), self.number.eq(self.number + 1)]
            with m.If(beat.last):
                m.d.sync += [before.eq(0), self.number.eq(1)]
        maximum = Signal.like(self.maximum.limit, reset_less=True)
        floor = Signal.like(self.floor.limit, reset_less=True)
        m.d.sync += [
            maximum.eq(Mux(limits.maximum > self.max_frame, self.max_frame, limits.maximum)),
            # A frame has a byte at least.
            floor.eq(limits.minimum - (limits.minimum != 0)),
        ]
        for bound, limit in ((self.maximum, maximum), (self.floor, floor)):
            m.d.comb += [
                bound.limit.eq(limit), bound.here.eq(self.here), bound.valid.eq(valid),
                bound.taken.eq(self.take), bound.bytes.eq(beat.bytes), bound.number.eq(self.number),
            ]

    def _judge(self, m, ends, beat, now):
        """Commit, or drop under the first cause that applies."""
        m.d.comb += [self.ended.eq(ends), self.rollback.eq(self.dropped.valid),
                     self.dropped.valid.eq(ends)]
        with m.If(now.deaf):
            m.d.comb += self.dropped.cause.eq(DropCause.CARD_DISABLED)
        with m.Elif(beat.bad):
            m.d.comb += self.dropped.cause.eq(DropCause.BAD_FRAME)
        with m.Elif(now.malformed):
            m.d.comb += self.dropped.cause.eq(DropCause.MALFORMED)
        with m.Elif(self.maximum.exceeded):
            m.d.comb += self.dropped.cause.eq(DropCause.OVERSIZE)
        with m.Elif(now.overflow):
            m.d.comb += self.dropped.cause.eq(DropCause.OVERFLOW)
        with m.Elif(~self.floor.exceeded):
            m.d.comb += self.dropped.cause.eq(DropCause.RUNT)
        with m.Else():
            m.d.comb += [self.commit.eq(ends), self.dropped.valid.eq(0)]
