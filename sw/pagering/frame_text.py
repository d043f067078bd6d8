"""A frame in one line, as tcpdump would print it; only Ethernet, IP and ports."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable

from pagering.abi import L3, L4
from pagering.dissect import Dissection, dissect

__all__ = ["date_text", "frame_text"]

_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp6", 132: "sctp"}
_WITH_PORTS = (L4.TCP, L4.UDP, L4.SCTP)
_TAGS = (0x8100, 0x88A8, 0x9100)


def date_text(nanoseconds: int) -> str:
    """Return the time of day, local, to the microsecond."""
    seconds, rest = divmod(nanoseconds, 10**9)
    return f"{time.strftime('%H:%M:%S', time.localtime(seconds))}.{rest // 1000:06}"


def frame_text(frame: bytes) -> str:
    """Return what kind of frame it is, between whom, and its length."""
    found = dissect(frame)
    tag = f"vlan {found.facts.tci & 0xFFF}, " if found.facts.vlan else ""
    if found.facts.l3 in (L3.IPV4, L3.IPV6):
        return f"{tag}{_ip(found)}{_bad(found)}, length {len(frame)}"
    ends = f"{_mac(frame[6:12])} > {_mac(frame[:6])}"
    name = "ARP" if found.facts.l3 is L3.ARP else f"ethertype {_ethertype(frame)}"
    return f"{tag}{name} {ends}, length {len(frame)}"


def _ip(found: Dissection) -> str:
    four = found.facts.l3 is L3.IPV4
    address: Callable[[int], object] = ipaddress.IPv4Address if four else ipaddress.IPv6Address
    flow = found.flow
    source, destination = str(address(flow.source)), str(address(flow.destination))
    if found.facts.l4 in _WITH_PORTS and not found.facts.fragment:
        source = f"{source}.{flow.source_port}"
        destination = f"{destination}.{flow.destination_port}"
    protocol = _PROTOCOLS.get(flow.protocol, f"protocol {flow.protocol}")
    fragment = ", fragment" if found.facts.fragment else ""
    return f"{'IP' if four else 'IP6'} {source} > {destination}: {protocol}{fragment}"


def _bad(found: Dissection) -> str:
    facts = found.facts
    wrong = [name for name, checked, ok in (
        ("header", facts.l3_checked, facts.l3_ok), ("", facts.l4_checked, facts.l4_ok))
        if checked and not ok]
    return "".join(f", bad {name + ' ' if name else ''}checksum" for name in wrong)


def _ethertype(frame: bytes) -> str:
    at = 12
    while len(frame) >= at + 2 and int.from_bytes(frame[at:at + 2], "big") in _TAGS:
        at += 4
    return f"0x{frame[at:at + 2].hex()}" if len(frame) >= at + 2 else "missing"


def _mac(octets: bytes) -> str:
    return octets.hex(":") if len(octets) == 6 else "cut"
