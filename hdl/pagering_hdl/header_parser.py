"""Walks through the headers behind Ethernet: IP, its options and extension headers, TCP or UDP.

One step takes one word of 8 bytes, counted from the L3 header. No header is shorter than that, so
at most one begins in a word: in its upper half or, behind an odd number of IPv4 options, in its
lower half. What is read here may lie behind the end of the frame: :mod:`.header_bounds` judges.
"""

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .frame_words import WORD_BITS
from .layouts import FlowKey

__all__ = ["HeaderParser", "Headers", "Regions"]

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


class Headers(data.Struct):
    """What a frame's headers say."""

    ipv4: unsigned(1)
    ipv6: unsigned(1)
    datagram: unsigned(16)
    """IPv4: total length. IPv6: payload length."""
    fragment: unsigned(1)
    inner: unsigned(1)
    """A fragment, but not the first."""
    detour: unsigned(1)
    """A routing header names another destination than that of the pseudo header."""
    known: unsigned(1)
    """What follows IP has been reached: the rest has a meaning."""
    words: unsigned(5)
    """Words of 8 bytes before it, and"""
    half: unsigned(1)
    """half a one more."""
    flow: FlowKey
    udp_length: unsigned(16)
    no_checksum: unsigned(1)
    """UDP: its checksum is zero."""
    offset: unsigned(4)
    """TCP: its header's length in words of 4 bytes."""


class _Walk(data.Struct):
    """Where the parser is. All but the first four start with a header of IP."""

    headers: Headers
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
        count = bits // WORD_BITS
        super().__init__({
            "valid": In(1), "final": In(1), "words": In(data.ArrayLayout(WORD_BITS, count)),
            "ipv4": In(count), "ipv6": In(count),
            "regions": Out(data.ArrayLayout(Regions, count)), "headers": Out(Headers),
        })

    def elaborate(self, platform):
        m = Module()
        walk = Signal(_Walk)
        before = walk
        for at, word in enumerate(self.words):
            after = self._step(m, at, before, word)
            if at == 0:
                m.d.sync += self.headers.eq(after.headers)
                fresh = Signal(_Walk)
                m.d.comb += fresh.eq(after)
                with m.If(self.final):
                    self._forget(m.d.comb, fresh)
                after = fresh
            before = after
        with m.If(self.valid):
            m.d.sync += walk.eq(before)
        with m.Elif(self.final):
            self._forget(m.d.sync, walk)
        return m

    @staticmethod
    def _forget(domain, walk):
        domain += [walk.headers.ipv4.eq(0), walk.headers.ipv6.eq(0), walk.headers.known.eq(0)]

    def _step(self, m, at, before, word):
        """Return the walk behind one word, and say which of its bytes count."""
        after = Signal(_Walk, name=f"walk_{at}")
        headers, walking = before.headers, Signal(name=f"walking_{at}")
        begins, transport = Signal(name=f"begins_{at}"), Signal(name=f"transport_{at}")
        m.d.comb += [
            after.eq(before),
            walking.eq((headers.ipv4 | headers.ipv6) & ~headers.known & ~before.lost),
            begins.eq(walking & (before.left[1:] == 0)),
            transport.eq(begins & ~before.options & ~before.fragment),
        ]
        follows, protocol = Signal(name=f"follows_{at}"), Signal(8, name=f"protocol_{at}")
        with m.If(self.ipv4[at] | self.ipv6[at]):
            self._start(m, after, word, self.ipv4[at], self.ipv6[at])
            m.d.comb += [follows.eq(self.ipv6[at]), protocol.eq(word[8:16])]
        with m.Elif(walking):
            self._walk(m, before, after, word, begins, transport)
            m.d.comb += [
                follows.eq(Mux(headers.ipv4, headers.words == 1, begins & ~transport)),
                protocol.eq(Mux(headers.ipv4, word[48:56], word[56:64])),
            ]
        with m.If(follows):
            # Every fragment is to tell the same: there, the fragment header is the last.
            more = self.ipv6[at] | (headers.ipv6 & ~before.fragment)
            m.d.comb += [
                after.headers.flow.protocol.eq(protocol),
                after.options.eq(more & protocol.matches(*OPTIONS, ROUTING)),
                after.routing.eq(more & (protocol == ROUTING)),
                after.fragment.eq(more & (protocol == FRAGMENT)),
            ]
        self._transport(m, before, after, word, transport)
        self._count_rest(m, before, after)
        self._regions(m, at, before, begins, transport)
        return after

    @staticmethod
    def _start(m, after, word, ipv4, ipv6):
        """Begin with the first word of an IP header."""
        headers, size = after.headers, word[56:60]
        place = word[:14]
        m.d.comb += [
            headers.ipv4.eq(ipv4 & (word[60:] == 4) & (size >= 5)),
            headers.ipv6.eq(ipv6 & (word[60:] == 6)),
            headers.datagram.eq(Mux(ipv4, word[32:48], word[16:32])),
            headers.fragment.eq(ipv4 & place.any()), headers.inner.eq(ipv4 & place[:13].any()),
            headers.detour.eq(0), headers.known.eq(0), headers.words.eq(1),
            headers.half.eq(ipv4 & size[0]),
            after.left.eq(Mux(ipv4, size - 2, 8)), after.lost.eq(0),
            after.options.eq(0), after.routing.eq(0), after.fragment.eq(0),
        ]

    @staticmethod
    def _walk(m, before, after, word, begins, transport):
        """Go on by one word: addresses, and the extension headers of IPv6."""
        headers, flow = after.headers, after.headers.flow
        count = before.headers.words
        with m.If(~transport):
            m.d.comb += [headers.words.eq(count + 1), after.lost.eq(count.all()),
                         after.left.eq(before.left - 2)]
        with m.If(begins & ~transport):
            m.d.comb += [after.left.eq(Mux(before.fragment, 0, word[48:53] << 1)),
                         headers.fragment.eq(before.fragment),
                         headers.inner.eq(before.fragment & word[35:48].any())]
            with m.If(before.options):
                m.d.comb += after.lost.eq(count.all() | word[53:56].any())
            with m.If(before.routing & word[32:40].any()):
                m.d.comb += headers.detour.eq(1)
        with m.If(before.headers.ipv4):
            with m.If(count == 1):
                m.d.comb += flow.source.eq(word[:32])
            with m.If(count == 2):
                m.d.comb += flow.destination.eq(word[32:])
        with m.Else():
            for at, half in enumerate((flow.source[64:], flow.source[:64],
                                       flow.destination[64:], flow.destination[:64]), start=1):
                with m.If(count == at):
                    m.d.comb += half.eq(word)

    @staticmethod
    def _transport(m, before, after, word, transport):
        """Read the L4 header, which begins with ``transport``: 4 bytes here, 4 bytes there."""
        half = before.headers.half
        even, odd = Signal(32), Signal(32)
        m.d.comb += Cat(odd, even).eq(Mux(half, word.rotate_left(32), word))
        second = Mux(transport, ~half, before.headers.known & (before.age == 0))
        with m.If(transport):
            m.d.comb += [after.headers.known.eq(1), after.age.eq(0),
                         Cat(after.headers.flow.destination_port,
                             after.headers.flow.source_port).eq(even)]
        with m.If(second):
            m.d.comb += [after.age.eq(1), after.headers.udp_length.eq(odd[16:]),
                         after.headers.no_checksum.eq(odd[:16] == 0)]
        with m.Elif(before.headers.known & (before.age == 1)):
            m.d.comb += [after.age.eq(2), after.headers.offset.eq(odd[28:])]

    @staticmethod
    def _count_rest(m, before, after):
        """Count down what is left of the datagram behind this word."""
        headers = before.headers
        with m.If(headers.words == 1):
            # Two words of it are in; the length of IPv6 is without its header's five.
            whole = headers.datagram[3:]
            m.d.comb += [after.rest.eq(whole + Mux(headers.ipv4, -2, 3)),
                         after.tail.eq(headers.datagram[:3])]
        with m.Elif(before.rest != 0):
            m.d.comb += after.rest.eq(before.rest - 1)
        with m.Else():
            m.d.comb += after.tail.eq(0)

    def _regions(self, m, at, before, begins, transport):
        headers, regions = before.headers, self.regions[at]
        pseudo, segment = Signal(2, name=f"pseudo_{at}"), Signal(2, name=f"segment_{at}")
        short = headers.ipv4 & ~headers.known
        long = headers.ipv6 & (headers.words <= 4)
        m.d.comb += [
            regions.header.eq(Mux(
                self.ipv4[at], 3,
                Mux(short, Cat(before.left >= 2, before.left != 0), 0))),
            pseudo.eq(Cat(long | (short & (headers.words == 1)),
                          long | (short & (headers.words == 2)))),
            segment.eq(Cat(headers.known | transport,
                           headers.known | (transport & ~headers.half))),
        ]
        inside = [(before.rest != 0) | (before.tail > byte) for byte in range(8)]
        m.d.comb += regions.segment.eq(Cat(
            pseudo[byte < 4] | (segment[byte < 4] & inside[byte]) for byte in reversed(range(8))))
