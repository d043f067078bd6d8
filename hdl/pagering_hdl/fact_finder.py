"""Puts together what the parsers and the checksummer found in a frame, as far as it is whole."""

from amaranth.hdl import Assert, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .checksummer import FRAME_SUM, HEADER_SUM, LANE_BITS, Carried
from .frame_words import Ending
from .header_bounds import HeaderBounds
from .header_parser import Headers
from .layouts import L3, L4, Dissection
from .link_parser import Link

__all__ = ["FactFinder"]

ADDRESS_BITS = 32
"""Of IPv4; the rest of an address is of IPv6 alone."""


class FactFinder(wiring.Component):
    """Makes a dissection of each frame; four cycles of latency.

    The last one waits until it is taken. No more than that one may be under way then.

    Members
    -------
    headers : :py:`In(Headers)`, link : :py:`In(Link)`
    final : :py:`In(1)`, ending : :py:`In(Ending)`
        A frame has ended, and these are of it.
    complete, header, segment : :py:`In`
        Of the same frame, from :class:`Checksummer`, two cycles later.
    dissections : :py:`Out(stream.Signature(Dissection))`
        Of each frame that is to be kept.
    """

    headers: In(Headers)
    link: In(Link)
    final: In(1)
    ending: In(Ending)
    complete: In(FRAME_SUM)
    header: In(HEADER_SUM)
    segment: In(FRAME_SUM)
    dissections: Out(stream.Signature(Dissection))

    def elaborate(self, platform):
        m = Module()
        m.submodules.bounds = bounds = HeaderBounds()
        m.d.comb += [bounds.headers.eq(self.headers), bounds.link.eq(self.link),
                     bounds.length.eq(self.ending.length)]
        headers = _later(m, self.headers, 3)
        link, ending = _later(m, self.link, 3), _later(m, self.ending, 3)
        dissection, found = Signal(Dissection), _later(m, self.final & self.ending.keep, 3)
        m.d.comb += [dissection.length.eq(ending.length),
                     dissection.destination.eq(link.destination)]
        self._flow(m, dissection.flow, headers.fields, bounds.bounds)
        self._facts(m, dissection.facts, headers, bounds.bounds, ending, link)
        self._checks(m, dissection.facts, headers, bounds)
        with m.If(~self.dissections.valid | self.dissections.ready):
            m.d.sync += [self.dissections.valid.eq(found), self.dissections.p.eq(dissection)]
        m.d.sync += Assert(~found | ~self.dissections.valid | self.dissections.ready)
        return m

    @staticmethod
    def _flow(m, flow, fields, bounds):
        """What a frame does not have is zero."""
        found = fields.flow
        is_ip = (bounds.l3 == L3.IPV4) | (bounds.l3 == L3.IPV6)
        has_ports = bounds.l4.matches(L4.TCP, L4.UDP, L4.SCTP) & ~fields.fragment
        for name in ("source", "destination"):
            ours, theirs = getattr(flow, name), getattr(found, name)
            ports, port = getattr(flow, f"{name}_port"), getattr(found, f"{name}_port")
            m.d.comb += [
                ours[:ADDRESS_BITS].eq(Mux(is_ip, theirs[:ADDRESS_BITS], 0)),
                ours[ADDRESS_BITS:].eq(Mux(bounds.l3 == L3.IPV6, theirs[ADDRESS_BITS:], 0)),
                ports.eq(Mux(has_ports, port, 0)),
            ]
        m.d.comb += flow.protocol.eq(Mux(bounds.known, found.protocol, 0))

    @staticmethod
    def _facts(m, facts, headers, bounds, ending, link):
        m.d.comb += [
            facts.l3.eq(bounds.l3), facts.l4.eq(bounds.l4), facts.header.eq(bounds.header),
            facts.fragment.eq(bounds.known & headers.fields.fragment),
            facts.vlan.eq(bounds.vlan), facts.tci.eq(Mux(bounds.vlan, link.tci, 0)),
            facts.timestamp.eq(ending.timestamp),
        ]

    def _checks(self, m, facts, headers, bounds):
        """Fold the sums, those to be checked just as far as that takes."""
        complete, header, segment = Signal(Carried), Signal(Carried), Signal(Carried)
        pseudo = bounds.l4_length + _later(m, self.headers.fields.flow.protocol, 2)
        m.d.sync += [
            Value.cast(complete).eq(_fold(self.complete)),
            Value.cast(header).eq(_fold(self.header)),
            Value.cast(segment).eq(_fold(self.segment) + pseudo),
        ]
        found = bounds.bounds
        is_ipv4 = found.l3 == L3.IPV4
        checked = (found.l4.matches(L4.TCP, L4.UDP) & found.whole
                   & ~headers.fields.fragment & ~headers.fields.detour)
        left_out = (found.l4 == L4.UDP) & headers.fields.no_checksum
        m.d.comb += [
            facts.checksum.eq(complete.folded()),
            facts.l3_checked.eq(is_ipv4), facts.l3_ok.eq(is_ipv4 & header.is_right()),
            facts.l4_checked.eq(checked),
            facts.l4_ok.eq(checked & Mux(left_out, is_ipv4, segment.is_right())),
        ]


def _fold(total):
    """Return a sum with its carries added to its lower 16 bits."""
    return total[:LANE_BITS] + total[LANE_BITS:]


def _later(m, value, cycles):
    """Return a value as it was so many cycles ago."""
    for _ in range(cycles):
        before, value = value, Signal.like(value)
        m.d.sync += value.eq(before)
    return value
