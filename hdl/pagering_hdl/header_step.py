"""What one word of 8 bytes means to the walk through the headers, and which fields it brings.

A step is made of gates alone: :class:`.header_parser.HeaderParser` takes one for each word of a
beat, the next where the one before has got to.
"""

from operator import attrgetter

from amaranth.hdl import Cat, Mux, Signal, unsigned
from amaranth.lib import data

from .layouts import FlowKey

__all__ = ["Fields", "Regions", "Step", "Walk"]

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


class Walk(data.Struct):
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


class Step:
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
        self.after = Signal(Walk, name=f"walk_{at}")
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
        _walk(m, self)
        _find_addresses(self)
        _find_protocol(m, self)
        _read_transport(m, self)
        _count_rest(m, self)

    def find(self, name, enable, value, part=slice(None)):
        """Note that ``word`` has a field of the headers, or a part of one."""
        self.finds.append((lambda fields: attrgetter(name)(fields)[part], enable, value))

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


def _walk(m, step):
    """From header to header."""
    before, after, word, size = step.before, step.after, step.word, step.word[56:60]
    place = word[:14]
    with m.If(step.starts):
        m.d.comb += [
            after.ipv4.eq(step.ipv4 & (word[60:] == 4) & (size >= 5)),
            after.ipv6.eq(step.ipv6 & (word[60:] == 6)),
            after.known.eq(0), after.words.eq(1), after.half.eq(step.ipv4 & size[0]),
            after.left.eq(Mux(step.ipv4, size - 2, 8)), after.lost.eq(0),
        ]
    with m.Elif(step.transport):
        m.d.comb += after.known.eq(1)
    with m.Elif(step.walking):
        m.d.comb += [after.words.eq(before.words + 1), after.lost.eq(before.words.all()),
                     after.left.eq(before.left - 2)]
        with m.If(step.extension):
            m.d.comb += after.left.eq(Mux(before.fragment, 0, word[48:53] << 1))
            with m.If(before.options & word[53:56].any()):
                m.d.comb += after.lost.eq(1)
    step.find("datagram", step.starts, Mux(step.ipv4, word[32:48], word[16:32]))
    step.find("fragment", step.starts, step.ipv4 & place.any())
    step.find("inner", step.starts, step.ipv4 & place[:13].any())
    step.find("detour", step.starts, 0)
    step.find("fragment", step.extension & before.fragment, 1)
    step.find("inner", step.extension & before.fragment, word[35:48].any())
    step.find("detour", step.extension & before.routing & word[32:40].any(), 1)


def _find_addresses(step):
    """IPv4 has one in each of two words, IPv6 in two words each."""
    word = step.word
    short, long = ([step.walking & version & (step.before.words == at) for at in range(5)]
                   for version in (step.before.ipv4, step.before.ipv6))
    high, middle, low = slice(64, 128), slice(32, 64), slice(32)
    step.find("flow.source", long[1], word, high)
    step.find("flow.source", long[2], word[32:], middle)
    step.find("flow.source", short[1] | long[2], word[:32], low)
    step.find("flow.destination", long[3], word, high)
    step.find("flow.destination", long[4], word[32:], middle)
    step.find("flow.destination", short[2] | long[4],
              Mux(step.before.ipv4, word[32:], word[:32]), low)


def _find_protocol(m, step):
    """What the next header is; every fragment is to say the same, so theirs is the last."""
    before, after, word = step.before, step.after, step.word
    follows = Mux(step.starts, step.ipv6,
                  Mux(before.ipv4, step.walking & (before.words == 1), step.extension))
    protocol = Mux(step.starts, word[8:16], Mux(before.ipv4, word[48:56], word[56:64]))
    more = step.ipv6 | (before.ipv6 & ~before.fragment & ~step.starts)
    with m.If(step.starts | step.extension):
        m.d.comb += [
            after.options.eq(more & protocol.matches(*OPTIONS, ROUTING)),
            after.routing.eq(more & (protocol == ROUTING)),
            after.fragment.eq(more & (protocol == FRAGMENT)),
        ]
    step.find("flow.protocol", follows, protocol)


def _read_transport(m, step):
    """The L4 header begins with ``transport``: 4 bytes here, 4 bytes there."""
    before, after, word = step.before, step.after, step.word
    even, odd = (Mux(before.half, *halves) for halves in ((word[:32], word[32:]),
                                                          (word[32:], word[:32])))
    second = Mux(step.transport, ~before.half, before.known & (before.age == 0))
    third = before.known & (before.age == 1)
    with m.If(step.transport):
        m.d.comb += after.age.eq(~before.half)
    with m.Elif(second | third):
        m.d.comb += after.age.eq(before.age + 1)
    step.find("flow.source_port", step.transport, even[16:])
    step.find("flow.destination_port", step.transport, even[:16])
    step.find("udp_length", second, odd[16:])
    step.find("no_checksum", second, odd[:16] == 0)
    step.find("offset", third, odd[28:])


def _count_rest(m, step):
    """Count down what is left of the datagram behind the word."""
    before, after = step.before, step.after
    # The length of IPv4 is with its header, that of IPv6 without: five words more.
    size = Mux(step.ipv4, step.word[32:48], step.word[16:32])
    with m.If(step.starts):
        m.d.comb += [after.rest.eq(size[3:] + Mux(step.ipv4, -1, 4)), after.tail.eq(size[:3])]
    with m.Elif(before.rest != 0):
        m.d.comb += after.rest.eq(before.rest - 1)
    with m.Else():
        m.d.comb += after.tail.eq(0)
