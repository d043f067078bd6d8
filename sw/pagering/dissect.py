"""What the card finds in a frame: its software twin, and the names of all it can say.

The card believes what is whole. An IPv4 header, a chain of IPv6 extension headers or an L4 header
that reaches past the end of the frame, or of the datagram as its IP header gives it, is as good as
none. It follows IPv6 extension headers up to byte 254 of the frame and not past a fragment header.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pagering.abi import L3, L4
from pagering.checksum import ones_sum, pseudo_header

__all__ = ["Dissection", "Facts", "FlowKey", "dissect", "unseen"]

_TAGS = (0x8100, 0x88A8, 0x9100)
_ETHERTYPES = {0x0800: L3.IPV4, 0x86DD: L3.IPV6, 0x0806: L3.ARP}
_PROTOCOLS = {(L3.IPV4, 6): L4.TCP, (L3.IPV6, 6): L4.TCP, (L3.IPV4, 17): L4.UDP,
              (L3.IPV6, 17): L4.UDP, (L3.IPV4, 132): L4.SCTP, (L3.IPV6, 132): L4.SCTP,
              (L3.IPV4, 1): L4.ICMP, (L3.IPV6, 58): L4.ICMP}
_HEADER_BYTES = {L4.TCP: 20, L4.UDP: 8, L4.SCTP: 12, L4.ICMP: 8}
"""Of each L4 header without its options."""
_WITH_PORTS = (L4.TCP, L4.UDP, L4.SCTP)
_OPTIONS = (0, 60)
"""IPv6: hop-by-hop and destination options."""
_ROUTING = 43
_FRAGMENT = 44
_REACH = 254
"""Where the last L4 header that the card finds can start, and the last that it can give end."""


@dataclass(frozen=True)
class FlowKey:
    """What names a flow. What a frame does not have is zero."""

    source: int = 0
    """An IP address as a number."""
    destination: int = 0
    source_port: int = 0
    """Of TCP, UDP and SCTP, but not of a fragment: all of a datagram look alike."""
    destination_port: int = 0
    protocol: int = 0
    """IP protocol number behind options and extension headers; of fragments, as all of them
    have it."""


@dataclass(frozen=True)
class Facts:
    """What a completion and its extension say of a frame."""

    l3: L3 = L3.OTHER
    l4: L4 = L4.OTHER
    fragment: bool = False
    l3_checked: bool = False
    l3_ok: bool = False
    l4_checked: bool = False
    l4_ok: bool = False
    vlan: bool = False
    header: int = 0
    checksum: int = 0
    tci: int = 0


@dataclass(frozen=True)
class Dissection:
    """All that the card finds in a frame."""

    length: int
    destination: int
    """MAC address as a number."""
    flow: FlowKey
    facts: Facts


@dataclass(frozen=True)
class _Datagram:
    """What follows an IP header and its options or extension headers."""

    flow: FlowKey
    l3: L3
    at: int = 0
    """Where it starts."""
    end: int = 0
    """Where it should end, by the IP header."""
    known: bool = False
    """``at`` and ``flow.protocol`` are."""
    fragment: bool = False
    inner: bool = False
    """A fragment, but not the first."""
    detour: bool = False
    """A routing header names another destination than that of the pseudo header."""
    l3_ok: bool = False


def dissect(frame: bytes) -> Dissection:
    """Take a frame apart; it starts at its destination MAC address and has no FCS."""
    vlan, tci, l3, at = _ethernet(frame)
    flow, facts = FlowKey(), Facts(vlan=vlan, tci=tci, checksum=ones_sum(frame[14:]))
    datagram = None
    if l3 is L3.ARP:
        facts = replace(facts, l3=l3)
    elif l3 is L3.IPV4:
        datagram = _ipv4(frame, at)
    elif l3 is L3.IPV6:
        datagram = _ipv6(frame, at)
    if datagram is not None:
        facts = replace(facts, l3=l3, fragment=datagram.fragment, l3_checked=l3 is L3.IPV4,
                        l3_ok=datagram.l3_ok)
        flow, facts = _transport(frame, datagram, facts)
    return Dissection(len(frame), int.from_bytes(frame[:6].ljust(6, b"\0"), "big"), flow, facts)


def unseen(frame: bytes) -> Dissection:
    """Return what a card without a parser knows of a frame."""
    return Dissection(len(frame), 0, FlowKey(), Facts())


def _number(frame: bytes, at: int, size: int = 2) -> int:
    return int.from_bytes(frame[at:at + size], "big")


def _ethernet(frame: bytes) -> tuple[bool, int, L3, int]:
    """Return whether there is a tag, its TCI, what follows up to two tags, and where."""
    at, tags = 14, 0
    while tags < 2 and at + 4 <= len(frame) and _number(frame, at - 2) in _TAGS:
        at, tags = at + 4, tags + 1
    whole = at <= len(frame)
    l3 = _ETHERTYPES.get(_number(frame, at - 2), L3.OTHER) if whole else L3.OTHER
    return tags > 0, _number(frame, 14) if tags else 0, l3, at


def _ipv4(frame: bytes, at: int) -> _Datagram | None:
    """Read an IPv4 header; None if it is not one, or not whole."""
    size, end = 4 * (frame[at] & 15 if at < len(frame) else 0), at + _number(frame, at + 2)
    if size < 20 or frame[at] >> 4 != 4 or at + size > min(len(frame), end):
        return None
    place = _number(frame, at + 6)
    return _Datagram(
        FlowKey(_number(frame, at + 12, 4), _number(frame, at + 16, 4), protocol=frame[at + 9]),
        L3.IPV4, at + size, end, known=True, fragment=place & 0x3FFF != 0,
        inner=place & 0x1FFF != 0, l3_ok=ones_sum(frame[at:at + size]) == 0xFFFF)


def _ipv6(frame: bytes, at: int) -> _Datagram | None:
    """Read an IPv6 header and its extension headers; None if it is not one, or not whole."""
    if at + 40 > len(frame) or frame[at] >> 4 != 6:
        return None
    source, destination = _number(frame, at + 8, 16), _number(frame, at + 24, 16)
    end, protocol = at + 40 + _number(frame, at + 4), frame[at + 6]
    limit = min(len(frame), end)
    at, detour, fragment, inner = at + 40, False, False, False
    while not fragment and protocol in (*_OPTIONS, _ROUTING, _FRAGMENT):
        if at + 8 > limit:
            return _Datagram(FlowKey(source, destination), L3.IPV6)
        fragment = protocol == _FRAGMENT
        inner = fragment and _number(frame, at + 2) & 0xFFF8 != 0
        detour = detour or (protocol == _ROUTING and frame[at + 3] != 0)
        protocol, at = frame[at], at + (8 if fragment else 8 * (frame[at + 1] + 1))
        if at > min(limit, _REACH):
            return _Datagram(FlowKey(source, destination), L3.IPV6)
    return _Datagram(FlowKey(source, destination, protocol=protocol), L3.IPV6, at, end, known=True,
                     fragment=fragment, inner=inner, detour=detour)


def _transport(frame: bytes, datagram: _Datagram, facts: Facts) -> tuple[FlowKey, Facts]:
    """Read the L4 header of a datagram."""
    flow, at, limit = datagram.flow, datagram.at, min(len(frame), datagram.end)
    l4 = _PROTOCOLS.get((datagram.l3, flow.protocol), L4.OTHER)
    fixed = _HEADER_BYTES.get(l4, 0)
    if not datagram.known or datagram.inner or not fixed or at + fixed > limit:
        return flow, facts
    if datagram.fragment:
        return flow, replace(facts, l4=l4)
    if l4 in _WITH_PORTS:
        flow = replace(flow, source_port=_number(frame, at),
                       destination_port=_number(frame, at + 2))
    size = 4 * (frame[at + 12] >> 4) if l4 is L4.TCP else fixed
    found = size >= fixed and at + size <= min(limit, _REACH)
    checked, ok = _check(frame, datagram, l4)
    return flow, replace(facts, l4=l4, l4_checked=checked, l4_ok=ok,
                         header=at + size if found else 0)


def _check(frame: bytes, datagram: _Datagram, l4: L4) -> tuple[bool, bool]:
    """Return whether the L4 checksum can be checked, and whether it is right."""
    at, end, flow = datagram.at, datagram.end, datagram.flow
    size = 4 if datagram.l3 is L3.IPV4 else 16
    if (l4 not in (L4.TCP, L4.UDP) or end > len(frame) or datagram.detour
            or (l4 is L4.UDP and _number(frame, at + 4) != end - at)):
        return False, False
    if l4 is L4.UDP and _number(frame, at + 6) == 0:
        return True, datagram.l3 is L3.IPV4
    pseudo = pseudo_header(flow.source.to_bytes(size, "big"),
                           flow.destination.to_bytes(size, "big"), flow.protocol, end - at)
    return True, ones_sum(pseudo + frame[at:end]) == 0xFFFF
