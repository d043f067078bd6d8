"""Walks through the headers behind Ethernet: IP, its options and extension headers, TCP or UDP.

One step takes one word of 8 bytes, counted from the L3 header. No header is shorter than that, so
at most one begins in a word: in its upper half or, behind an odd number of IPv4 options, in its
lower half. What is read here may lie behind the end of the frame: :mod:`.header_bounds` judges.
"""

from operator import attrgetter

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .frame_words import WORD_BITS
from .layouts import FlowKey

__all__ = ["Fields", "HeaderParser", "Headers", "Regions"]

OPTIONS = (0, 60)
"""IPv6: hop-by-hop and destination options."""
ROUTING = 43
FRAGMENT = 44


class Regions(data.Struct):
    """Which bytes of a word belong to what is summed up."""

    header: unsigned(2)
    """IPv4 header: its lower and its upper half."""
    segment: unsigned(8)
    """TCP or UDP with its pseudo header, byte for byte; the first one is on top."""


class Fields(data.Struct):
    """What stands in the headers."""

    datagram: unsigned(16)
    """IPv4: total length. IPv6: payload length."""
    fragment: unsigned(1)
    inner: unsigned(1)
    """A fragment, but not the first."""
    detour: unsigned(1)
    """A routing header names another destination than that of the pseudo header."""
    flow: FlowKey
    udp_length: unsigned(16)
    no_checksum: unsigned(1)
    """UDP: its checksum is zero."""
    offset: unsigned(4)
    """TCP: its header's length in words of 4 bytes."""


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


class _Walk(data.Struct):
    """Where the parser is."""

    ipv4: unsigned(1)
    """Inside a frame with such a header, and behind its start."""
    ipv6: unsigned(1)
    known: unsigned(1)
    """The L4 header has begun."""
    words: unsigned(5)
    half: unsigned(1)
    left: unsigned(7)
    """Words of 4 bytes left of the header under way."""
    lost: unsigned(1)
    """The next header is too far off."""
    options: unsigned(1)
    """An extension header follows: options or routing,"""
    routing: unsigned(1)
    """routing,"""
    fragment: unsigned(1)
    """fragment."""
    age: unsigned(2)
    """Second words of 4 bytes seen of every two of the L4 header; counts to 2."""
    rest: unsigned(14)
    """Whole words of 8 bytes left of the datagram,"""
    tail: unsigned(3)
    """and bytes more."""


class _Step:
    """What one word does to a walk, and which fields of the headers it brings.

    Attributes
    ----------
    after : Signal
        The walk behind the word.
    finds : list
        Of name and part of a field, enable, value.
    """

    def __init__(self, m, at, before, word, ipv4, ipv6):
        self.before, self.word, self.ipv4, self.ipv6 = before, word, ipv4, ipv6
        self.after = Signal(_Walk, name=f"walk_{at}")
        self.finds = []
        self.starts, self.walking = ipv4 | ipv6, Signal(name=f"walking_{at}")
        self.transport = Signal(name=f"transport_{at}")
        self.extension = Signal(name=f"extension_{at}")
        begins = self.walking & (before.left[1:] == 0)
        follows = before.options | before.fragment
        m.d.comb += [
            self.after.eq(before),
            self.walking.eq((before.ipv4 | before.ipv6) & ~before.known & ~before.lost),
            self.transport.eq(begins & ~follows), self.extension.eq(begins & follows),
        ]
        self._walk(m)
        self._addresses()
        self._protocol(m)
        self._transport(m)
        self._count_rest(m)

    def find(self, name, enable, value, part=slice(None)):
        """Note that ``word`` has a field of the headers, or a part of one."""
        self.finds.append((lambda fields: attrgetter(name)(fields)[part], enable, value))

    def _walk(self, m):
        """From header to header."""
        before, after, word, size = self.before, self.after, self.word, self.word[56:60]
        place = word[:14]
        with m.If(self.starts):
            m.d.comb += [
                after.ipv4.eq(self.ipv4 & (word[60:] == 4) & (size >= 5)),
                after.ipv6.eq(self.ipv6 & (word[60:] == 6)),
                after.known.eq(0), after.words.eq(1), after.half.eq(self.ipv4 & size[0]),
                after.left.eq(Mux(self.ipv4, size - 2, 8)), after.lost.eq(0),
            ]
        with m.Elif(self.transport):
            m.d.comb += after.known.eq(1)
        with m.Elif(self.walking):
            m.d.comb += [after.words.eq(before.words + 1), after.lost.eq(before.words.all()),
                         after.left.eq(before.left - 2)]
            with m.If(self.extension):
                m.d.comb += after.left.eq(Mux(before.fragment, 0, word[48:53] << 1))
                with m.If(before.options & word[53:56].any()):
                    m.d.comb += after.lost.eq(1)
        self.find("datagram", self.starts, Mux(self.ipv4, word[32:48], word[16:32]))
        self.find("fragment", self.starts, self.ipv4 & place.any())
        self.find("inner", self.starts, self.ipv4 & place[:13].any())
        self.find("detour", self.starts, 0)
        self.find("fragment", self.extension & before.fragment, 1)
        self.find("inner", self.extension & before.fragment, word[35:48].any())
        self.find("detour", self.extension & before.routing & word[32:40].any(), 1)

    def _addresses(self):
        """IPv4 has one in each of two words, IPv6 in two words each."""
        word = self.word
        short, long = ([self.walking & version & (self.before.words == at) for at in range(5)]
                       for version in (self.before.ipv4, self.before.ipv6))
        high, middle, low = slice(64, 128), slice(32, 64), slice(32)
        self.find("flow.source", long[1], word, high)
        self.find("flow.source", long[2], word[32:], middle)
        self.find("flow.source", short[1] | long[2], word[:32], low)
        self.find("flow.destination", long[3], word, high)
        self.find("flow.destination", long[4], word[32:], middle)
        self.find("flow.destination", short[2] | long[4],
                  Mux(self.before.ipv4, word[32:], word[:32]), low)

    def _protocol(self, m):
        """What the next header is; every fragment is to say the same, so theirs is the last."""
        before, after, word = self.before, self.after, self.word
        follows = Mux(self.starts, self.ipv6,
                      Mux(before.ipv4, self.walking & (before.words == 1), self.extension))
        protocol = Mux(self.starts, word[8:16], Mux(before.ipv4, word[48:56], word[56:64]))
        more = self.ipv6 | (before.ipv6 & ~before.fragment & ~self.starts)
        with m.If(self.starts | self.extension):
            m.d.comb += [
                after.options.eq(more & protocol.matches(*OPTIONS, ROUTING)),
                after.routing.eq(more & (protocol == ROUTING)),
                after.fragment.eq(more & (protocol == FRAGMENT)),
            ]
        self.find("flow.protocol", follows, protocol)

    def _transport(self, m):
        """The L4 header begins with ``transport``: 4 bytes here, 4 bytes there."""
        before, after, word = self.before, self.after, self.word
        even, odd = (Mux(before.half, *halves) for halves in ((word[:32], word[32:]),
                                                              (word[32:], word[:32])))
        second = Mux(self.transport, ~before.half, before.known & (before.age == 0))
        third = before.known & (before.age == 1)
        with m.If(self.transport):
            m.d.comb += after.age.eq(~before.half)
        with m.Elif(second | third):
            m.d.comb += after.age.eq(before.age + 1)
        self.find("flow.source_port", self.transport, even[16:])
        self.find("flow.destination_port", self.transport, even[:16])
        self.find("udp_length", second, odd[16:])
        self.find("no_checksum", second, odd[:16] == 0)
        self.find("offset", third, odd[28:])

    def _count_rest(self, m):
        """Count down what is left of the datagram behind the word."""
        before, after = self.before, self.after
        # The length of IPv4 is with its header, that of IPv6 without: five words more.
        size = Mux(self.ipv4, self.word[32:48], self.word[16:32])
        with m.If(self.starts):
            m.d.comb += [after.rest.eq(size[3:] + Mux(self.ipv4, -1, 4)), after.tail.eq(size[:3])]
        with m.Elif(before.rest != 0):
            m.d.comb += after.rest.eq(before.rest - 1)
        with m.Else():
            m.d.comb += after.tail.eq(0)

    def regions(self):
        """Return which bytes of the word count."""
        before = self.before
        short, long = before.ipv4 & ~before.known, before.ipv6 & (before.words <= 4)
        header = Mux(self.ipv4, 3, Mux(short, Cat(before.left >= 2, before.left != 0), 0))
        pseudo = (long | (short & (before.words == 1)), long | (short & (before.words == 2)))
        segment = (before.known | self.transport,
                   before.known | (self.transport & ~before.half))
        inside = [(before.rest != 0) | (before.tail > byte) for byte in range(8)]
        bytes_ = Cat(pseudo[byte < 4] | (segment[byte < 4] & inside[byte])
                     for byte in reversed(range(8)))
        return Cat(header[:2], bytes_)


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
    """

    def __init__(self, bits):
        self.count = bits // WORD_BITS
        super().__init__({
            "valid": In(1), "final": In(1), "words": In(data.ArrayLayout(WORD_BITS, self.count)),
            "ipv4": In(self.count), "ipv6": In(self.count),
            "regions": Out(data.ArrayLayout(Regions, self.count)), "headers": Out(Headers),
        })

    def elaborate(self, platform):
        m = Module()
        walk, fields = Signal(_Walk), Signal(Fields)
        before = walk
        for at, word in enumerate(self.words):
            step = _Step(m, at, before, word, self.ipv4[at], self.ipv6[at])
            moves = self.valid | (self.final if at == 0 else 0)
            for field, enable, value in step.finds:
                with m.If(moves & enable):
                    m.d.sync += field(fields).eq(value)
            m.d.comb += self.regions[at].as_value().eq(step.regions())
            before = step.after
            if at == 0:
                self._show(m, fields, step)
                before = fresh = Signal(_Walk)
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
