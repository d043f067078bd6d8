"""Which of the headers that were read are whole: inside the frame, and inside the datagram.

A header is believed only if it ends where both still go on. Headers end 2 bytes behind a multiple
of 4, so their ends are numbers of words of 4 bytes: ``4 * end + 2 <= length`` is
``end < (length + 2) // 4``.
"""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .header_parser import Headers
from .layouts import L3, L4, Length
from .link_parser import Link

__all__ = ["Bounds", "HeaderBounds"]

PROTOCOLS = {6: L4.TCP, 17: L4.UDP, 132: L4.SCTP}
ICMP, ICMPV6 = 1, 58
HEADER_WORDS = {L4.TCP: 5, L4.UDP: 2, L4.SCTP: 3, L4.ICMP: 2}
"""Of 4 bytes; without options."""
LAST = 63
"""The last header that the card finds starts behind so many words, or it ends behind them."""


class Bounds(data.Struct):
    """What is there, and whole."""

    vlan: unsigned(1)
    l3: L3
    known: unsigned(1)
    """All headers up to L4 are whole."""
    l4: L4
    """Its header is whole, but for its options, and the frame is not a later fragment."""
    header: unsigned(8)
    """Bytes up to the end of the L4 header; 0 if it is not whole or too long."""
    whole: unsigned(1)
    """So is the datagram, and if it is UDP its length is that of what IP carries."""


class _Ends(data.Struct):
    """Where parts of a frame end, in words of 4 bytes and 2 bytes more."""

    l3: unsigned(4)
    """IP without options, or just Ethernet."""
    chain: unsigned(7)
    """All up to L4."""
    transport: unsigned(8)
    """The L4 header without options."""
    header: unsigned(8)
    """With options."""
    datagram: unsigned(17)
    """In bytes, and 2 more."""
    frame: unsigned(15)
    """In bytes, and 2 more."""


class HeaderBounds(wiring.Component):
    """Compares where headers end with where frame and datagram do.

    Members
    -------
    headers : :py:`In(Headers)`, link : :py:`In(Link)`, length : :py:`In(14)`
    l4 : :py:`Out(L4)`
        What follows IP by its protocol, whole or not; in the same cycle.
    l4_length : :py:`Out(16)`
        Bytes of the datagram from its L4 header on; two cycles later.
    bounds : :py:`Out(Bounds)`
        Three cycles later.
    """

    headers: In(Headers)
    link: In(Link)
    length: In(Length)
    l4: Out(L4)
    l4_length: Out(16)
    bounds: Out(Bounds)

    def elaborate(self, platform):
        m = Module()
        # What each of the first two steps makes of a frame, and what it takes along.
        context = data.StructLayout({"headers": Headers, "link": Link, "l4": L4, "ends": _Ends})
        given, found, known = Signal(context), Signal(context), Signal(context)
        m.d.comb += [given.headers.eq(self.headers), given.link.eq(self.link)]
        m.d.sync += [found.eq(given), known.eq(found)]
        self._find_ends(m, given, found)
        reach, whole = self._measure(m, found, known)
        self._compare(m, known, reach, whole)
        return m

    def _find_ends(self, m, given, found):
        """First step: where IP, the chain and the datagram end; what L4 is."""
        headers, ends = given.headers, found.ends
        base = given.link.tags + 3
        m.d.sync += [
            ends.l3.eq(base + Mux(headers.ipv6, 10, 0)),
            ends.chain.eq(base + (headers.words << 1) + headers.half),
            ends.datagram.eq(headers.fields.datagram + ((base + Mux(headers.ipv6, 11, 1)) << 2)),
            ends.frame.eq(self.length + 2),
        ]
        m.d.comb += self.l4.eq(L4.OTHER)
        m.d.sync += found.l4.eq(self.l4)
        with m.Switch(headers.fields.flow.protocol):
            for number, l4 in PROTOCOLS.items():
                with m.Case(number):
                    m.d.comb += self.l4.eq(l4)
            with m.Case(ICMP):
                m.d.comb += self.l4.eq(Mux(headers.ipv4, L4.ICMP, L4.OTHER))
            with m.Case(ICMPV6):
                m.d.comb += self.l4.eq(Mux(headers.ipv6, L4.ICMP, L4.OTHER))

    def _measure(self, m, found, known):
        """Second step: where L4 ends; how far headers may reach in the frame and the datagram."""
        ends, size, offset = found.ends, Signal(3), found.headers.fields.offset
        with m.Switch(found.l4):
            for l4, words in HEADER_WORDS.items():
                with m.Case(l4):
                    m.d.comb += size.eq(words)
        reach = {name: Signal(7, name=f"reach_of_{name}") for name in ("frame", "datagram")}
        whole = Signal()
        m.d.sync += [
            known.ends.transport.eq(ends.chain + size),
            known.ends.header.eq(ends.chain + Mux(found.l4 == L4.TCP, offset, size)),
            self.l4_length.eq(ends.datagram - ((ends.chain + 1) << 2)),
            whole.eq(ends.datagram <= ends.frame),
        ]
        m.d.sync += [signal.eq(Mux(ends[name][9:].any(), 127, ends[name][2:9]))
                     for name, signal in reach.items()]
        return reach, whole

    def _compare(self, m, known, reach, whole):
        """Third step: what ends in time."""
        headers, ends, bounds = known.headers, known.ends, self.bounds
        is_ip, limit = headers.ipv4 | headers.ipv6, Signal(7)
        m.d.comb += limit.eq(Mux(is_ip & whole, reach["datagram"], reach["frame"]))
        chain = headers.known & (ends.chain < limit) & (ends.chain <= LAST)
        transport = chain & (ends.transport < limit) & ~headers.fields.inner
        options = (known.l4 != L4.TCP) | (headers.fields.offset >= HEADER_WORDS[L4.TCP])
        header = (transport & options & (ends.header < limit) & (ends.header <= LAST)
                  & ~headers.fields.fragment & (known.l4 != L4.OTHER))
        m.d.sync += [
            bounds.vlan.eq((known.link.tags != 0) & (reach["frame"] > 4)),
            bounds.known.eq(chain & is_ip),
            bounds.l4.eq(Mux(transport & is_ip, known.l4, L4.OTHER)),
            bounds.header.eq(Mux(header & is_ip, (ends.header << 2) + 2, 0)),
            bounds.whole.eq(whole & ((known.l4 != L4.UDP)
                                     | (headers.fields.udp_length == self.l4_length))),
            bounds.l3.eq(L3.OTHER),
        ]
        with m.If(headers.ipv4 & chain):
            m.d.sync += bounds.l3.eq(L3.IPV4)
        with m.Elif(ends.l3 < limit):
            with m.If(headers.ipv6):
                m.d.sync += bounds.l3.eq(L3.IPV6)
            with m.Elif(known.link.l3 == L3.ARP):
                m.d.sync += bounds.l3.eq(L3.ARP)
