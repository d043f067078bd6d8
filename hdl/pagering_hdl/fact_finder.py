"""Puts together what the parsers and the checksummer found in a frame, as far as it is whole."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .checksummer import FRAME_SUM, HEADER_SUM, LANE_BITS, Carried
from .frame_words import Ending
from .header_bounds import HeaderBounds
from .header_parser import Headers
from .layouts import L3, L4, Dissection
from .link_parser import Link
from .preview import Preview, PreviewedPlace

__all__ = ["FactFinder"]

ADDRESS_BITS = 32
"""Of IPv4; the rest of an address is of IPv6 alone."""


class FactFinder(wiring.Component):
    """Makes a dissection of each frame; four cycles of latency.

    What a frame is steered by is shown before it ends, as if all its headers were whole. Only then
    it is known whether they are.

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
    reached : :py:`In(1)`
        The flow of the frame under way is in ``headers``.
    coming : :py:`Out(1)`
        A dissection comes in the next cycle, as it was shown if it was.
    dissections : :py:`Out(stream.Signature(Dissection))`
        Of each frame that is to be kept.
    preview : :py:`Out(Preview())`
        Of ``dissections``; nothing is shown without ``holds``.
    """

    def __init__(self, *, holds):
        self.holds = holds
        super().__init__({
            "headers": In(Headers), "link": In(Link), "final": In(1), "ending": In(Ending),
            "complete": In(FRAME_SUM), "header": In(HEADER_SUM), "segment": In(FRAME_SUM),
            "reached": In(1), "coming": Out(1),
            "dissections": Out(stream.Signature(Dissection)), "preview": Out(Preview()),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.bounds = bounds = HeaderBounds()
        m.submodules.place = self._place = place = PreviewedPlace()
        wiring.connect(m, place.preview, wiring.flipped(self.preview))
        found = self.dissections
        m.d.comb += [
            bounds.headers.eq(self.headers), bounds.link.eq(self.link),
            bounds.length.eq(self.ending.length), place.reached.eq(self.reached & self.holds),
            place.final.eq(self.final), place.keep.eq(self.ending.keep),
            place.ready.eq(found.ready), found.valid.eq(place.valid),
            self.coming.eq(place.comes & (place.right | ~self.preview.shown)),
        ]
        self._bring(m, found.p.length, self.ending.length, shown=False)
        self._bring(m, found.p.facts.timestamp, self.ending.timestamp, shown=False)
        self._bring(m, found.p.destination, self.link.destination)
        self._bring(m, found.p.facts.tci, self.link.tci, bounds.bounds.vlan)
        seen = self._seen(bounds)
        self._flow(m, found.p.flow, bounds.bounds, seen)
        known, checks = self._known(m, bounds.bounds), self._checks(m, bounds)
        with m.If(place.comes | (not self.holds)):
            m.d.sync += [found.p.facts[name].eq(value)
                         for name, value in (known | checks).items()]
        with m.Elif(place.begins):
            m.d.sync += [found.p.facts[name].eq(value) for name, value in seen.items()]
        m.d.comb += place.right.eq(bounds.bounds.known & Cat(
            found.p.facts[name] == known[name] for name in seen).all())
        return m

    def _bring(self, m, found, value, keep=None, seen=None, *, shown=True):
        """Bring what is known at a frame's end to its dissection, or zero in its place.

        What can be shown is brought when the flow is. What ``seen`` says of it may be wrong, what
        ``keep`` says then is right.
        """
        place = self._place
        if not self.holds:
            value = _later(m, value, 3)
            m.d.sync += found.eq(value if keep is None else Mux(keep, value, 0))
            return
        with m.If((place.begins | place.fills) if shown else (place.final & place.keep)):
            m.d.sync += found.eq(value)
        if keep is not None:
            with m.If((place.comes & ~keep) | (0 if seen is None else place.begins & ~seen)):
                m.d.sync += found.eq(0)

    def _flow(self, m, flow, bounds, seen):
        """What a frame does not have is zero."""
        theirs = self.headers.fields
        for name in ("source", "destination"):
            address, port = getattr(flow, name), f"{name}_port"
            value = getattr(theirs.flow, name)
            self._bring(m, address[:ADDRESS_BITS], value[:ADDRESS_BITS], _is_ip(bounds))
            self._bring(m, address[ADDRESS_BITS:], value[ADDRESS_BITS:], bounds.l3 == L3.IPV6,
                        seen["l3"] == L3.IPV6)
            self._bring(m, getattr(flow, port), getattr(theirs.flow, port),
                        _has_ports(bounds.l4) & ~_later(m, theirs.fragment, 3),
                        _has_ports(seen["l4"]) & ~theirs.fragment)
        self._bring(m, flow.protocol, theirs.flow.protocol, bounds.known)

    def _seen(self, bounds):
        """Return the facts that a frame is steered by, as if all its headers were whole."""
        fields = self.headers.fields
        return {"l3": Mux(self.headers.ipv6, L3.IPV6, L3.IPV4),
                "l4": Mux(fields.inner, L4.OTHER, bounds.l4),
                "fragment": fields.fragment, "vlan": self.link.tags != 0}

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


def _is_ip(bounds):
    return (bounds.l3 == L3.IPV4) | (bounds.l3 == L3.IPV6)


def _has_ports(l4):
    """Return whether a header of that kind begins with ports."""
    return (l4 == L4.TCP) | (l4 == L4.UDP) | (l4 == L4.SCTP)


def _fold(total):
    """Return a sum with its carries added to its lower 16 bits."""
    return total[:LANE_BITS] + total[LANE_BITS:]


def _later(m, value, cycles):
    """Return a value as it was so many cycles ago."""
    for _ in range(cycles):
        before, value = value, Signal.like(value)
        m.d.sync += value.eq(before)
    return value
