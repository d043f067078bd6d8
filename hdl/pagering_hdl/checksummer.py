"""Ones'-complement sums of 16-bit words in network byte order. Ref: RFC 1071.

Sums are kept with all their carries; :class:`Carried` folds one at the end of a frame.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .frame_words import WORD_BITS
from .header_step import Regions

__all__ = ["Carried", "Checksummer", "LaneSummer"]

LANE_BITS = 16
LANES = WORD_BITS // LANE_BITS
FRAME_SUM = LANE_BITS + 13
"""Bits for the sum of a frame of up to 16383 bytes."""
HEADER_SUM = LANE_BITS + 5
"""Bits for the sum of an IPv4 header."""


class Carried(data.Struct):
    """A sum whose carries have been added to its lower 16 bits once."""

    total: unsigned(LANE_BITS)
    carry: unsigned(2)

    def folded(self):
        """Return the 16-bit sum."""
        return (self.total + self.carry)[:LANE_BITS]

    def is_right(self):
        """Return whether the 16-bit sum is all ones, found without adding."""
        return self.total[2:].all() & (self.total[:2] == ~self.carry)


class LaneSummer(wiring.Component):
    """Sums up lanes of 16 bits, cycle after cycle, from one end of a frame to the next.

    Parameters
    ----------
    old, new : :class:`int`
        Lanes that come before and behind the end of a frame.
    width : :class:`int`
        Bits of the sum.

    Members
    -------
    old, new : :py:`In(data.ArrayLayout(16, lanes))`
        Zeros add nothing.
    final : :py:`In(1)`
        A frame ends between ``old`` and ``new``.
    sum : :py:`Out(width)`
        Two cycles after ``final``: of that frame.
    """

    def __init__(self, *, old, new, width):
        self.width = width
        super().__init__({
            "old": In(data.ArrayLayout(LANE_BITS, old)),
            "new": In(data.ArrayLayout(LANE_BITS, new)),
            "final": In(1), "sum": Out(width),
        })

    def elaborate(self, platform):
        m = Module()
        old, new, ends = Signal(self.width), Signal(self.width), Signal()
        total, done = Signal(self.width), Signal(self.width)
        m.d.sync += [
            old.eq(_tree(list(self.old))), new.eq(_tree(list(self.new))), ends.eq(self.final),
            self.sum.eq(done), total.eq(Mux(ends, 0, done) + new),
        ]
        m.d.comb += done.eq(total + old)
        return m


def _tree(values):
    """Return the sum of values, added in pairs."""
    while len(values) > 1:
        values = [total for at in range(0, len(values), 4) for total in _pairs(values[at:at + 4])]
    return values[0] if values else 0


def _pairs(values):
    """Return the sums of two pairs of values, or of one.

    One carry chain adds both, with a bit between them: from a tree of chains of their own,
    synthesis would make one chain and, before it, two lookup tables for each bit.
    """
    if len(values) < 4:
        return [sum(values[:2]), *values[2:]]
    width = max(map(len, values)) + 1
    left, right = (Cat(Cat(value, Const(0, width - len(value))) for value in values[at::2])
                   for at in (0, 1))
    both = left + right
    return [both[:width], both[width:2 * width]]


class Checksummer(wiring.Component):
    """Three sums of each frame; three cycles of latency.

    Parameters
    ----------
    bits : :class:`int`
        Width of a beat.

    Members
    -------
    valid, final : :py:`In(1)`, words, behind : :py:`In(words_of(bits))`
        From :class:`LinkParser`.
    regions : :py:`In(data.ArrayLayout(Regions, words))`
        From :class:`HeaderParser`.
    complete : :py:`Out(29)`, header : :py:`Out(21)`, segment : :py:`Out(29)`
        Three cycles after ``final``: everything behind the Ethernet header, the IPv4 header, TCP
        or UDP with the addresses.
    """

    def __init__(self, bits):
        self.count = bits // WORD_BITS
        words = data.ArrayLayout(WORD_BITS, self.count)
        super().__init__({
            "valid": In(1), "final": In(1), "words": In(words), "behind": In(words),
            "regions": In(data.ArrayLayout(Regions, self.count)),
            "complete": Out(FRAME_SUM), "header": Out(HEADER_SUM), "segment": Out(FRAME_SUM),
        })

    def elaborate(self, platform):
        m = Module()
        lanes = LANES * self.count
        # The first 8 bytes behind a frame's end are of an Ethernet header, and so come as zeros.
        first = LANES if self.count == 1 else 0
        m.submodules.complete = complete = LaneSummer(old=first, new=lanes - first,
                                                      width=FRAME_SUM)
        m.submodules.header = header = LaneSummer(old=LANES, new=lanes - LANES, width=HEADER_SUM)
        m.submodules.segment = segment = LaneSummer(old=LANES, new=lanes - LANES, width=FRAME_SUM)
        shape = data.ArrayLayout(WORD_BITS, self.count)
        behind, in_header, in_segment = (Signal(shape, name=name)
                                         for name in ("behind", "in_header", "in_segment"))
        ends = Signal()
        m.d.sync += ends.eq(self.final)
        for at in range(self.count):
            valid = self.valid | self.final if at == 0 else self.valid
            regions = self.regions[at]
            m.d.sync += behind[at].eq(Mux(self.valid, self.behind[at], 0))
            for byte in range(8):
                place, value = slice(8 * byte, 8 * byte + 8), self.words[at].word_select(byte, 8)
                m.d.sync += [
                    in_header[at][place].eq(Mux(valid & regions.header[byte // 4], value, 0)),
                    in_segment[at][place].eq(Mux(valid & regions.segment[byte], value, 0)),
                ]
        for summer, masked, old in ((complete, behind, first * LANE_BITS),
                                    (header, in_header, WORD_BITS),
                                    (segment, in_segment, WORD_BITS)):
            flat = masked.as_value()
            m.d.comb += [summer.old.eq(flat[:old]), summer.new.eq(flat[old:])]
        m.d.comb += [
            *(summer.final.eq(ends) for summer in (complete, header, segment)),
            self.complete.eq(complete.sum), self.header.eq(header.sum),
            self.segment.eq(segment.sum),
        ]
        return m
