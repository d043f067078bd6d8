"""Frames to take apart, drawn from a seed and built by scapy: every protocol that the card knows,
with options, extension headers, tags, fragments, dirty padding; and the same with damage.
"""

from __future__ import annotations

import random

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    PadN,
)
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether
from scapy.layers.sctp import SCTP
from scapy.packet import Packet, Raw

__all__ = ["damaged", "packet"]

SHORTEST = 60
"""Bytes of the shortest frame on a wire, without FCS."""


def packet(rng: random.Random, longest: int = 1514, payload: int | None = None) -> bytes:
    """Return a frame whose lengths and checksums are right; ``payload`` is drawn if left out."""
    headers = _tags(rng) / rng.choices((_arp, _ipv4, _ipv6, _unknown), (1, 8, 8, 1))[0](rng)
    room = max(0, longest - len(headers))
    if not headers.haslayer(ARP):
        headers = headers / Raw(_payload(rng, room, payload))
    frame = bytes(headers)
    return frame + rng.randbytes(max(0, SHORTEST - len(frame))) if rng.random() < 0.7 else frame


def damaged(rng: random.Random, frame: bytes) -> bytes:
    """Return the frame with bits that flipped, an end that is missing, or strange lengths."""
    spoilt = bytearray(frame)
    kind = rng.randrange(4)
    if kind == 0:
        del spoilt[rng.randint(1, len(spoilt)):]
    elif kind == 1:
        del spoilt[rng.randint(1, min(100, len(spoilt))):]
    else:
        for _ in range(rng.choice((1, 1, 2, 5))):
            reach = len(spoilt) if rng.random() < 0.3 else min(len(spoilt), 80)
            at = rng.randrange(reach)
            spoilt[at] = rng.choice((0, 0xFF, spoilt[at] ^ 1 << rng.randrange(8)))
    return bytes(spoilt)


def _tags(rng: random.Random) -> Packet:
    ether = Ether(dst=rng.randbytes(6), src=rng.randbytes(6))
    outer = rng.choice((0, 0, 0x8100, 0x88A8, 0x9100))
    if not outer:
        return ether
    tag = Dot1AD if outer == 0x88A8 else Dot1Q
    ether = ether / tag(vlan=rng.randrange(4096), prio=rng.randrange(8))
    if outer == 0x9100:
        ether.type = outer
    return ether / Dot1Q(vlan=rng.randrange(4096)) if rng.random() < 0.5 else ether


def _arp(rng: random.Random) -> Packet:
    return ARP(op=rng.choice((1, 2)), psrc=_address(rng), pdst=_address(rng))


def _unknown(rng: random.Random) -> Packet:
    return Raw(rng.randbytes(rng.randrange(64)))


def _address(rng: random.Random) -> str:
    return ".".join(str(byte) for byte in rng.randbytes(4))


def _address6(rng: random.Random) -> str:
    return ":".join(f"{rng.getrandbits(16):x}" for _ in range(8))


def _ipv4(rng: random.Random) -> Packet:
    ip = IP(src=_address(rng), dst=_address(rng), id=rng.getrandbits(16), tos=rng.getrandbits(8),
            flags=rng.choice(("", "DF")))
    if rng.random() < 0.4:
        # No-operations and an end: scapy pads them to a multiple of 4.
        ip.options = [("NOP" if rng.random() < 0.9 else "EOL")
                      for _ in range(rng.randrange(1, 41))]
    kind = rng.choice(("", "", "", "first", "inner", "last"))
    if kind in ("first", "inner"):
        ip.flags = "MF"
    if kind in ("inner", "last"):
        ip.frag = rng.randrange(1, 8192)
        ip.proto = rng.choice((1, 6, 17, 132))
        return ip
    return ip / _transport(rng, ICMP(id=rng.getrandbits(16)))


def _ipv6(rng: random.Random) -> Packet:
    ip = IPv6(src=_address6(rng), dst=_address6(rng), fl=rng.getrandbits(20))
    for _ in range(rng.choice((0, 0, 1, 2))):
        ip = ip / rng.choice((
            IPv6ExtHdrHopByHop(options=[PadN(optdata=bytes(rng.randrange(60)))]),
            IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(rng.randrange(60)))]),
            IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(200))] * rng.randint(1, 2)),
            IPv6ExtHdrRouting(addresses=[_address6(rng)] * rng.randint(1, 3),
                              segleft=rng.choice((0, 0, 1)))))
    kind = rng.choice(("", "", "", "first", "inner"))
    if kind == "first":
        ip = ip / IPv6ExtHdrFragment(m=1, id=rng.getrandbits(32))
    if kind == "inner":
        return ip / IPv6ExtHdrFragment(offset=rng.randrange(1, 8192), m=rng.randrange(2),
                                       nh=rng.choice((6, 17, 58, 60)), id=rng.getrandbits(32))
    return ip / _transport(rng, ICMPv6EchoRequest(id=rng.getrandbits(16)))


def _transport(rng: random.Random, icmp: Packet) -> Packet:
    ports = {"sport": rng.getrandbits(16), "dport": rng.getrandbits(16)}
    kind = rng.choice(("TCP", "TCP", "UDP", "UDP", "SCTP", "ICMP", "other"))
    if kind == "TCP":
        options = [("NOP", None)] * rng.choice((0, 0, 4, 12, 40))
        return TCP(**ports, seq=rng.getrandbits(32), flags=rng.getrandbits(8), options=options)
    if kind == "UDP":
        return UDP(**ports, **({"chksum": 0} if rng.random() < 0.2 else {}))
    if kind == "SCTP":
        return SCTP(**ports)
    return icmp if kind == "ICMP" else Raw(rng.randbytes(8))


def _payload(rng: random.Random, room: int, size: int | None) -> bytes:
    if size is None:
        size = rng.choice((0, 1, rng.randrange(64), rng.randrange(1500)))
    size = min(room, size)
    return rng.choice((bytes(size), b"\xff" * size, rng.randbytes(size)))
