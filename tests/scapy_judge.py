"""What scapy finds in a frame, in the card's words: a parser and a checksum that are not ours.

Scapy reads the layers and computes every checksum. Added here is what the card promises on top:
what must be whole to be believed, where it stops, and that all fragments look alike.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from scapy.layers.inet import IP, TCP, UDP, in4_chksum
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, _IPv6ExtHdr, in6_chksum
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether
from scapy.layers.sctp import SCTP
from scapy.packet import Packet, Raw, bind_layers
from scapy.utils import checksum

from pagering.abi import L3, L4

__all__ = ["judge"]

for below in (Ether, Dot1Q, Dot1AD):
    bind_layers(below, Dot1Q, type=0x9100)

NOTHING = {
    "l3": L3.OTHER, "l4": L4.OTHER, "fragment": False, "l3_checked": False, "l3_ok": False,
    "l4_checked": False, "l4_ok": False, "vlan": False, "tci": 0, "header": 0, "source": 0,
    "destination": 0, "source_port": 0, "destination_port": 0, "protocol": 0,
}


def judge(frame: bytes) -> dict[str, Any]:
    """Return what the card should say of a frame: the fields of its facts and its flow key."""
    found = {**NOTHING, "checksum": 0xFFFF ^ checksum(frame[14:])}
    if len(frame) < 14:
        return found
    layer, at, tags = Ether(frame).payload, 14, 0
    while isinstance(layer, Dot1Q | Dot1AD) and tags < 2:
        if tags == 0:
            found.update(vlan=True, tci=int.from_bytes(bytes(layer.original)[:2], "big"))
        layer, at, tags = layer.payload, at + 4, tags + 1
    if isinstance(layer, Raw) and frame[at - 2:at] == b"\x86\xdd" and len(frame) >= at + 40:
        # Scapy gives up an IPv6 header whose extension header is cut; alone it reads it.
        layer = IPv6(frame[at:at + 40])
    if isinstance(layer, ARP) or frame[at - 2:at] == b"\x08\x06":
        found["l3"] = L3.ARP
    elif isinstance(layer, IP):
        _ipv4(found, frame, layer, at)
    elif isinstance(layer, IPv6):
        _ipv6(found, frame, layer, at)
    return found


def _ipv4(found: dict[str, Any], frame: bytes, ip: IP, at: int) -> None:
    end, size = at + ip.len, 4 * ip.ihl
    if ip.version != 4 or size < 20 or at + size > min(end, len(frame)):
        return
    found.update(
        l3=L3.IPV4, l3_checked=True, l3_ok=checksum(frame[at:at + size]) == 0,
        source=int(ip_address(ip.src)), destination=int(ip_address(ip.dst)), protocol=ip.proto,
        fragment=bool(ip.frag or ip.flags.MF))
    if not ip.frag:
        _transport(found, frame, ip.payload, at + size, end, icmp=1)
    if found["l4_checked"]:
        found["l4_ok"] = found["l4_ok"] or in4_chksum(
            ip.proto, IP(src=ip.src, dst=ip.dst), frame[at + size:end]) == 0


def _ipv6(found: dict[str, Any], frame: bytes, ip: IPv6, at: int) -> None:
    if ip.version != 6 or at + 40 > len(frame):
        return
    found.update(l3=L3.IPV6, source=int(ip_address(ip.src)), destination=int(ip_address(ip.dst)))
    end, at, protocol, layer = at + 40 + ip.plen, at + 40, ip.nh, ip.payload
    limit, detour, fragment = min(end, len(frame)), False, None
    while protocol in (0, 43, 44, 60) and fragment is None:
        if not isinstance(layer, _IPv6ExtHdr):
            return
        if isinstance(layer, IPv6ExtHdrFragment):
            fragment, size = layer, 8
        else:
            size = 8 * (layer.len + 1)
        detour = detour or bool(getattr(layer, "segleft", 0))
        at, protocol, layer = at + size, layer.nh, layer.payload
        if at > min(limit, 254):
            return
    found.update(protocol=protocol, fragment=fragment is not None)
    if fragment is None or not fragment.offset:
        _transport(found, frame, layer, at, end, icmp=58)
    if detour:
        found.update(l4_checked=False, l4_ok=False)
    elif found["l4_checked"]:
        empty = found["l4"] is L4.UDP and layer.chksum == 0
        found["l4_ok"] = not empty and in6_chksum(
            protocol, IPv6(src=ip.src, dst=ip.dst), frame[at:end]) == 0


def _transport(found: dict[str, Any], frame: bytes, layer: Packet, at: int, end: int, *,
               icmp: int) -> None:
    limit, size = min(end, len(frame)), 0
    if isinstance(layer, TCP):
        found["l4"], size = L4.TCP, 4 * layer.dataofs
    elif isinstance(layer, UDP):
        found["l4"], size = L4.UDP, 8
    elif isinstance(layer, SCTP):
        found["l4"], size = L4.SCTP, 12
    elif found["protocol"] == icmp and at + 8 <= limit:
        found["l4"], size = L4.ICMP, 8
    if found["fragment"] or found["l4"] is L4.OTHER:
        return
    if found["l4"] is not L4.ICMP:
        found.update(source_port=layer.sport, destination_port=layer.dport)
    if at + size <= min(limit, 254) and (found["l4"] is not L4.TCP or size >= 20):
        found["header"] = at + size
    whole = end <= len(frame) and (found["l4"] is not L4.UDP or layer.len == end - at)
    found["l4_checked"] = found["l4"] in (L4.TCP, L4.UDP) and whole
    # The card's word for a UDP without a checksum; over IPv6 that is not allowed.
    found["l4_ok"] = found["l4_checked"] and found["l4"] is L4.UDP and layer.chksum == 0
