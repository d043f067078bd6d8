"""Frames that nobody sent: a few flows of TCP and UDP, with all checksums right."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator

from pagering.checksum import ones_sum, pseudo_header

__all__ = ["made_up_frames", "udp_or_tcp"]

_TCP, _UDP = 6, 17
_SIZES = (60, 60, 60, 60, 60, 60, 60, 590, 590, 590, 590, 1514)
"""Seven short ones, four middle ones and one long one: the simple Internet mix, without FCS."""


def made_up_frames(seed: int = 1, flows: int = 16) -> Iterator[bytes]:
    """Yield frames of so many flows without end, the same for the same seed."""
    rng = random.Random(seed)
    known = [(rng.choice((_TCP, _UDP)), 0xC6336401 + rng.randrange(254),
              0xCB007101 + rng.randrange(254), rng.randrange(1024, 65536),
              rng.choice((53, 80, 443, 4789))) for _ in range(flows)]
    while True:
        yield udp_or_tcp(*rng.choice(known), size=rng.choice(_SIZES))


def udp_or_tcp(protocol: int, source: int, destination: int, source_port: int,
               destination_port: int, size: int) -> bytes:
    """Return an IPv4 frame of so many bytes, at least 54; addresses are numbers."""
    body = bytes(at & 0xFF for at in range(size - 14 - 20 - (20 if protocol == _TCP else 8)))
    if protocol == _TCP:
        l4 = struct.pack("!HHIIBBHHH", source_port, destination_port, 1, 1, 5 << 4, 0x10, 8192, 0,
                         0) + body
        place = 16
    else:
        l4 = struct.pack("!HHHH", source_port, destination_port, 8 + len(body), 0) + body
        place = 6
    ends = struct.pack("!I", source), struct.pack("!I", destination)
    total = ones_sum(pseudo_header(*ends, protocol, len(l4)) + l4)
    l4 = l4[:place] + struct.pack("!H", ~total & 0xFFFF or 0xFFFF) + l4[place + 2:]
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(l4), 0, 0, 64, protocol, 0) + b"".join(ends)
    ip = ip[:10] + struct.pack("!H", ~ones_sum(ip) & 0xFFFF) + ip[12:]
    return bytes.fromhex("020000000001020000000002") + b"\x08\x00" + ip + l4
