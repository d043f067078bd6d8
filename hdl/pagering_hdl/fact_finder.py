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

    Parameters
    ----------
    holds : :class:`bool`
        Whether what is found stays until it is taken, which must be before the next frame to be
        kept ends: nothing is passed from register to register then. Else it is taken at once.

    Members
    -------
    headers : :py:`In(Headers)`, link : :py:`In(Link)`
    final : :py:`In(1)`, ending : :py:`In(Ending)`
        A frame has ended, and these are of it.
    complete, header, segment : :py:`In`
        Of the same frame, from :class:`Checksummer`, two cycles later.
    coming : :py:`Out(1)`
        A dissection comes in the next cycle.
    dissections : :py:`Out(stream.Signature(Dissection))`
        Of each frame that is to be kept.
    """

    def __init__(self, *, holds):
        self.holds = holds
        super().__init__({
            "headers": In(Headers), "link": In(Link), "final": In(1), "ending": In(Ending),
            "complete": In(FRAME_SUM), "header": In(HEADER_SUM), "segment": In(FRAME_SUM),
            "coming": Out(1), "dissections": Out(stream.Signature(Dissection)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.bounds = bounds = HeaderBounds()
        found, stays = self.dissections, self.dissections.valid & ~self.dissections.ready
        m.d.comb += [bounds.headers.eq(self.headers), bounds.link.eq(self.link),
                     bounds.length.eq(self.ending.length),
                     self.coming.eq(_later(m, self.final & self.ending.keep, 3))]
        m.d.sync += [found.valid.eq(self.coming | stays), Assert(~(self.coming & stays))]
        self._bring(m, found.p.length, self.ending.length)
        self._bring(m, found.p.facts.timestamp, self.ending.timestamp)
        self._bring(m, found.p.destination, self.link.destination)
        self._bring(m, found.p.facts.tci, self.link.tci, bounds.bounds.vlan)
        self._flow(m, found.p.flow, bounds.bounds)
        facts = {**self._known(m, bounds.bounds), **self._checks(m, bounds)}
        with m.If(self.coming | (not self.holds)):
            m.d.sync += [found.p.facts[name].eq(value) for name, value in facts.items()]
        return m

    def _bring(self, m, place, value, keep=None):
        """Bring what is known at a frame's end to its dissection, or zero in its place."""
        if self.holds:
            with m.If(self.final & self.ending.keep):
                m.d.sync += place.eq(value)
            if keep is not None:
                with m.If(self.coming & ~keep):
                    m.d.sync += place.eq(0)
        else:
            value = _later(m, value, 3)
            m.d.sync += place.eq(value if keep is None else Mux(keep, value, 0))

    def _flow(self, m, flow, bounds):
        """What a frame does not have is zero."""
        found = self.headers.fields.flow
        is_ip = (bounds.l3 == L3.IPV4) | (bounds.l3 == L3.IPV6)
        has_ports = (bounds.l4.matches(L4.TCP, L4.UDP, L4.SCTP)
                     & ~_later(m, self.headers.fields.fragment, 3))
        for name in ("source", "destination"):
            ours, theirs = getattr(flow, name), getattr(found, name)
            self._bring(m, ours[:ADDRESS_BITS], theirs[:ADDRESS_BITS], is_ip)
            self._bring(m, ours[ADDRESS_BITS:], theirs[ADDRESS_BITS:], bounds.l3 == L3.IPV6)
            self._bring(m, getattr(flow, f"{name}_port"), getattr(found, f"{name}_port"),
                        has_ports)
        self._bring(m, flow.protocol, found.protocol, bounds.known)

    def _known(self, m, bounds):
        """Return the facts that are known when the bounds are."""
        fragment = bounds.known & _later(m, self.headers.fields.fragment, 3)
        return {"l3": bounds.l3, "l4": bounds.l4, "header": bounds.header, "fragment": fragment,
                "vlan": bounds.vlan}

    def _checks(self, m, bounds):
        """Return the facts about checksums. Sums to be checked are folded just as far as needed."""
        complete, header, segment = Signal(Carried), Signal(Carried), Signal(Carried)
        fields, found = self.headers.fields, bounds.bounds
        pseudo = bounds.l4_length + _later(m, fields.flow.protocol, 2)
        m.d.sync += [
            Value.cast(complete).eq(_fold(self.complete)),
            Value.cast(header).eq(_fold(self.header)),
            Value.cast(segment).eq(_fold(self.segment) + pseudo),
        ]
        fragment, detour, no_checksum = (_later(m, field, 3) for field in (
            fields.fragment, fields.detour, fields.no_checksum))
        is_ipv4 = found.l3 == L3.IPV4
        checked = found.l4.matches(L4.TCP, L4.UDP) & found.whole & ~fragment & ~detour
        left_out = (found.l4 == L4.UDP) & no_checksum
        return {
            "checksum": complete.folded(),
            "l3_checked": is_ipv4, "l3_ok": is_ipv4 & header.is_right(), "l4_checked": checked,
            "l4_ok": checked & Mux(left_out, is_ipv4, segment.is_right()),
        }


def _fold(total):
    """Return a sum with its carries added to its lower 16 bits."""
    return total[:LANE_BITS] + total[LANE_BITS:]


def _later(m, value, cycles):
    """Return a value as it was so many cycles ago."""
    for _ in range(cycles):
        before, value = value, Signal.like(value)
        m.d.sync += value.eq(before)
    return value
