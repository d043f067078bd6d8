"""Walks through the headers behind Ethernet: IP, its options and extension headers, TCP or UDP.

One step takes one word of 8 bytes, counted from the L3 header. No header is shorter than that, so
at most one begins in a word: in its upper half or, behind an odd number of IPv4 options, in its
lower half. What is read here may lie behind the end of the frame: :mod:`.header_bounds` judges.
"""

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .frame_words import WORD_BITS
from .header_step import Fields, Regions, Step, Walk

__all__ = ["HeaderParser", "Headers"]


class Headers(data.Struct):
    """What headers a frame has."""

    ipv4: unsigned(1)
    ipv6: unsigned(1)
    known: unsigned(1)
    """What follows IP has been reached: the rest has a meaning."""
    words: unsigned(5)
    """Words of 8 bytes before it, and"""
    half: unsigned(1)
    """half a one more."""
    fields: Fields


class HeaderParser(wiring.Component):
    """Reads the headers; one cycle of latency.

    Parameters
    ----------
    bits : :class:`int`
        Width of a beat.

    Members
    -------
    valid, final : :py:`In(1)`, words : :py:`In(words_of(bits))`, ipv4, ipv6 : :py:`In(words)`
        From :class:`LinkParser`.
    regions : :py:`Out(data.ArrayLayout(Regions, words))`
        Of ``words``, in the same cycle.
    headers : :py:`Out(Headers)`
        Of the frame that ended with ``final`` one cycle ago.
    reached : :py:`Out(1)`
        The frame under way has got behind the first word of its L4 header: its flow is in
        ``headers`` already, unless there is more than one word in a beat.
    """

    def __init__(self, bits):
        self.count = bits // WORD_BITS
        super().__init__({
            "valid": In(1), "final": In(1), "words": In(data.ArrayLayout(WORD_BITS, self.count)),
            "ipv4": In(self.count), "ipv6": In(self.count),
            "regions": Out(data.ArrayLayout(Regions, self.count)), "headers": Out(Headers),
            "reached": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        walk, fields = Signal(Walk), Signal(Fields)
        m.d.comb += self.reached.eq(walk.known)
        before = walk
        for at, word in enumerate(self.words):
            step = Step(m, at, before, word, self.ipv4[at], self.ipv6[at])
            moves = self.valid | (self.final if at == 0 else 0)
            for field, enable, value in step.finds:
                with m.If(moves & enable):
                    m.d.sync += field(fields).eq(value)
            m.d.comb += self.regions[at].as_value().eq(step.regions())
            before = step.after
            if at == 0:
                self._show(m, fields, step)
                before = fresh = Signal(Walk)
                m.d.comb += fresh.eq(step.after)
                with m.If(self.final):
                    m.d.comb += [fresh.ipv4.eq(0), fresh.ipv6.eq(0), fresh.known.eq(0)]
        with m.If(self.valid):
            m.d.sync += walk.eq(before)
        with m.Elif(self.final):
            m.d.sync += walk.eq(fresh)
        return m

    def _show(self, m, fields, step):
        """Give out what is known behind the first word, which may be the last one of a frame."""
        m.d.sync += [getattr(self.headers, name).eq(getattr(step.after, name))
                     for name in ("ipv4", "ipv6", "known", "words", "half")]
        shown = fields
        if self.count > 1:
            # The words behind it, of the next frame, may bring the same fields.
            now, shown = Signal(Fields), Signal(Fields)
            m.d.comb += now.eq(fields)
            for field, enable, value in step.finds:
                with m.If(enable):
                    m.d.comb += field(now).eq(value)
            m.d.sync += shown.eq(now)
        m.d.comb += self.headers.fields.eq(shown)
