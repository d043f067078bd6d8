"""Ethernet: where the L3 header starts, behind up to two VLAN tags, and the words from there on.

Everything behind the Ethernet header is a multiple of 4 bytes long, so an L3 header starts 2 or 6
bytes into a word, and so does all that follows. The parser shifts the words by as much: what comes
out are the words of a frame counted from its L3 header. What a shifted word has from the word
before must come out too when the frame ends, and does, in the cycle after: beside the first word
of the next frame, which has nothing of L3 in it yet.
"""

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .frame_words import Ending, words_of
from .layouts import L3

__all__ = ["Link", "LinkParser"]

TAGS = (0x8100, 0x88A8, 0x9100)
ETHERTYPES = {0x0800: L3.IPV4, 0x86DD: L3.IPV6, 0x0806: L3.ARP}


class Link(data.Struct):
    """What the Ethernet header says."""

    destination: unsigned(48)
    tci: unsigned(16)
    """Of the outer tag, if there is one."""
    tags: unsigned(2)
    l3: L3


class _Place(data.Struct):
    """Where in a frame the parser is, and what it has seen."""

    words: unsigned(3)
    """Words since the frame began; no more than 4 are counted."""
    previous: unsigned(64)
    link: Link


class LinkParser(wiring.Component):
    """Finds the L3 header; one cycle of latency.

    Parameters
    ----------
    bits : :class:`int`
        Width of a beat.

    Members
    -------
    i_valid : :py:`In(1)`, i_words : :py:`In(words_of(bits))`
    i_ended : :py:`In(1)`, i_ending : :py:`In(Ending)`
        From :class:`FrameWords`.
    valid : :py:`Out(1)`
        All ``words`` and ``behind`` are.
    final : :py:`Out(1)`
        The first of ``words`` (valid too) is the last of a frame; ``link`` and ``ending`` are of
        that frame, the other words of the next one.
    words : :py:`Out(words_of(bits))`
        Shifted.
    ipv4, ipv6 : :py:`Out(words)`
        A bit for each word: such a header starts here.
    behind : :py:`Out(words_of(bits))`
        Not shifted, zeros in place of the first 14 bytes. All are of the next frame if ``final``.
    link : :py:`Out(Link)`, ending : :py:`Out(Ending)`
    """

    def __init__(self, bits):
        self.count = bits // 64
        super().__init__({
            "i_valid": In(1), "i_words": In(words_of(bits)), "i_ended": In(1),
            "i_ending": In(Ending),
            "valid": Out(1), "final": Out(1), "words": Out(words_of(bits)),
            "ipv4": Out(self.count), "ipv6": Out(self.count), "behind": Out(words_of(bits)),
            "link": Out(Link), "ending": Out(Ending),
        })

    def elaborate(self, platform):
        m = Module()
        place = Signal(_Place)
        flush, ending = Signal(), Signal(Ending)
        m.d.sync += [flush.eq(self.i_ended), self.valid.eq(self.i_valid), self.final.eq(flush),
                     self.link.eq(place.link), self.ending.eq(ending)]
        with m.If(self.i_ended):
            m.d.sync += ending.eq(self.i_ending)
        before = place
        for at, word in enumerate(self.i_words):
            self._shift(m, at, before, Mux(flush, 0, word) if at == 0 else word)
            if at == 0:
                fresh = Signal(_Place)
                m.d.comb += fresh.eq(before)
                with m.If(flush):
                    m.d.comb += [fresh.words.eq(0), fresh.link.tags.eq(0)]
                before = fresh
            before = self._read(m, at, before, word)
        with m.If(self.i_valid):
            m.d.sync += place.eq(before)
        with m.Elif(flush):
            m.d.sync += [place.words.eq(0), place.link.tags.eq(0)]
        return m

    def _shift(self, m, at, place, word):
        """Give out a word with what the one before has left, and say if L3 starts there."""
        link, odd = place.link, place.link.tags == 1
        starts = place.words == Mux(link.tags == 0, 2, 3)
        m.d.sync += [
            self.words[at].eq(Mux(odd, Cat(word[48:], place.previous[:48]),
                                  Cat(word[16:], place.previous[:16]))),
            self.ipv4[at].eq(starts & (link.l3 == L3.IPV4)),
            self.ipv6[at].eq(starts & (link.l3 == L3.IPV6)),
        ]

    def _read(self, m, at, place, word):
        """Return the place behind ``word``."""
        after = Signal(_Place, name=f"after_{at}")
        upper, lower = _Ethertype(m, word[48:], f"upper_{at}"), _Ethertype(m, word[16:32],
                                                                           f"lower_{at}")
        m.d.comb += [after.eq(place), after.previous.eq(word),
                     after.words.eq(place.words + (place.words != 4))]
        m.d.sync += [self.behind[at][:16].eq(Mux(place.words == 0, 0, word[:16])),
                     self.behind[at][16:].eq(Mux(place.words < 2, 0, word[16:]))]
        with m.Switch(place.words):
            with m.Case(0):
                m.d.comb += after.link.destination.eq(word[16:])
            with m.Case(1):
                m.d.comb += [after.link.l3.eq(lower.l3), after.link.tags.eq(lower.is_tag),
                             after.link.tci.eq(word[:16])]
            with m.Case(2):
                with m.If((place.link.tags != 0) & upper.is_tag):
                    m.d.comb += [after.link.tags.eq(2), after.link.l3.eq(lower.l3)]
                with m.Elif(place.link.tags != 0):
                    m.d.comb += after.link.l3.eq(upper.l3)
        return after


class _Ethertype:
    """Two bytes, decoded."""

    def __init__(self, m, value, name):
        self.is_tag = Signal(name=f"{name}_is_tag")
        self.l3 = Signal(L3, name=f"{name}_l3")
        with m.Switch(value):
            with m.Case(*TAGS):
                m.d.comb += self.is_tag.eq(1)
            for ethertype, l3 in ETHERTYPES.items():
                with m.Case(ethertype):
                    m.d.comb += self.l3.eq(l3)
