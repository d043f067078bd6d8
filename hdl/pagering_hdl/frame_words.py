"""The beats of frames as the parsers like them: in words of 8 bytes, the first byte on top."""

from amaranth.hdl import Cat, Module, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .layouts import Length

__all__ = ["WORD_BITS", "Ending", "FrameWords", "words_of"]

WORD_BITS = 64


def words_of(bits):
    """Return the shape of the words of one beat of ``bits``."""
    return data.ArrayLayout(WORD_BITS, bits // WORD_BITS)


class Ending(data.Struct):
    """What is known of a frame when it has ended."""

    keep: unsigned(1)
    """It was committed (else: rolled back)."""
    length: Length
    timestamp: unsigned(64)


class FrameWords(wiring.Component):
    """Turns beats into words; one cycle later.

    Parameters
    ----------
    bits : :class:`int`
        Width of a beat.

    Members
    -------
    write : :py:`In(1)`, beat : :py:`In(bits)`, length : :py:`In(14)`
    commit, rollback : :py:`In(1)`
        As the packet FIFO sees them; behind the last byte of a frame are zeros.
    time : :py:`In(64)`
        Sampled with the first beat.
    valid : :py:`Out(1)`, words : :py:`Out(words_of(bits))`
        A beat.
    ended : :py:`Out(1)`, ending : :py:`Out(Ending)`
        The frame ends, with this beat or (not ``valid``) behind the one before.
    """

    def __init__(self, bits):
        self.bits = bits
        super().__init__({
            "write": In(1), "beat": In(bits), "commit": In(1), "rollback": In(1),
            "length": In(Length), "time": In(64),
            "valid": Out(1), "words": Out(words_of(bits)), "ended": Out(1), "ending": Out(Ending),
        })

    def elaborate(self, platform):
        m = Module()
        lanes = self.bits // 8
        ends = self.commit | self.rollback
        bytes_ = [self.beat.word_select(lane, 8) for lane in range(lanes)]
        m.d.sync += [self.valid.eq(self.write), self.ended.eq(ends)]
        m.d.sync += [word.eq(Cat(*reversed(bytes_[8 * at:8 * at + 8])))
                     for at, word in enumerate(self.words)]
        midframe, stamp = Signal(), Signal(64)
        m.d.sync += [midframe.eq((midframe | self.write) & ~ends),
                     self.ending.keep.eq(self.commit), self.ending.length.eq(self.length)]
        m.d.comb += self.ending.timestamp.eq(stamp)
        with m.If(self.write & ~midframe):
            m.d.sync += stamp.eq(self.time)
        return m
