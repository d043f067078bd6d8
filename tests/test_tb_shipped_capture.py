"""The shipped capture is what its recorder promises: real, whole and varied traffic.

Scapy parses it and computes every checksum anew: neither our reader nor the kernel that recorded
it judges itself.
"""

from __future__ import annotations

from collections import Counter

import pytest
from scapy.layers.inet import IP, defragment, in4_chksum
from scapy.layers.inet6 import (
    IPv6,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    defragment6,
    in6_chksum,
)
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet
from scapy.utils import RawPcapReader, checksum

from pagering.capture import Capture, read_frames
from pagering_tb.shipped import SHIPPED


@pytest.fixture(scope="module")
def capture() -> Capture:
    return read_frames(SHIPPED)


@pytest.fixture(scope="module")
def packets(capture: Capture) -> list[Packet]:
    return [Ether(frame) for frame in capture.frames]


def test_is_large_enough_and_small_enough(capture: Capture) -> None:
    assert len(capture.frames) >= 2000
    assert SHIPPED.stat().st_size <= 1_200_000


def test_scapy_reads_the_same_frames(capture: Capture) -> None:
    with RawPcapReader(str(SHIPPED)) as reader:
        records = list(reader)
    assert [data for data, _ in records] == capture.frames
    assert [info.sec * 10**9 + info.usec for _, info in records] == capture.timestamps_ns


def test_dates_never_run_backwards(capture: Capture) -> None:
    assert capture.timestamps_ns == sorted(capture.timestamps_ns)


def test_frames_are_as_long_as_on_a_wire(packets: list[Packet]) -> None:
    """Full frames are there, tagged ones are 4 bytes longer, and no offload made longer ones."""
    lengths = Counter((Dot1Q in packet, len(packet)) for packet in packets)
    assert max(length for tagged, length in lengths if not tagged) == 1514
    assert max(length for tagged, length in lengths if tagged) == 1518
    assert lengths[False, 1514] >= 100


def test_holds_every_kind_of_traffic(packets: list[Packet]) -> None:
    kinds = Counter(_kind(packet) for packet in packets)
    for kind in ("IPv4 TCP", "IPv6 TCP", "IPv4 UDP", "IPv6 UDP"):
        assert kinds[kind] >= 100, kind
        assert kinds[f"VLAN {kind}"] >= 10, kind
    for kind in ("ARP", "IPv4 ICMP", "IPv6 ICMP", "IPv4 fragment", "IPv6 fragment", "VLAN ARP",
                 "VLAN IPv4 ICMP", "VLAN IPv6 ICMP", "VLAN IPv4 fragment", "VLAN IPv6 fragment"):
        assert kinds[kind] >= 4, kind
    assert not kinds["other"]


def test_names_no_host_outside_its_own_network(packets: list[Packet]) -> None:
    for packet in packets:
        assert packet[Ether].src.startswith("02:00:00:00:0"), packet.summary()
        if IP in packet:
            for address in (packet[IP].src, packet[IP].dst):
                assert address.startswith("192.0.2."), packet.summary()
        elif IPv6 in packet:
            for address in (packet[IPv6].src, packet[IPv6].dst):
                assert address.startswith(("2001:db8::", "2001:db8:0:1::", "fe80::", "ff02::")) \
                    or address == "::", packet.summary()


def test_every_checksum_is_right(packets: list[Packet]) -> None:
    # Fragments carry no checksum of their own: their datagram's is judged once it is whole again.
    four = defragment([packet[IP] for packet in packets if IP in packet])
    six = _whole6([packet[IPv6] for packet in packets if IPv6 in packet])
    assert len(four) < sum(IP in packet for packet in packets)
    assert len(six) < sum(IPv6 in packet for packet in packets)
    for packet in packets:
        if IP in packet:
            assert checksum(bytes(packet[IP])[:4 * packet[IP].ihl]) == 0, packet.summary()
    for packet in four:
        data = bytes(packet.payload)
        total = checksum(data) if packet.proto == 1 else in4_chksum(packet.proto, packet, data)
        assert total == 0, packet.summary()
    for packet in six:
        header = packet
        while isinstance(header.payload, IPv6ExtHdrHopByHop):
            header = header.payload
        assert in6_chksum(header.nh, packet, bytes(header.payload)) == 0, packet.summary()


def _whole6(packets: list[Packet]) -> list[Packet]:
    """Put the fragments of each IPv6 datagram together; scapy does so for one at a time."""
    whole = [packet for packet in packets if IPv6ExtHdrFragment not in packet]
    fragments: dict[tuple[str, str, int], list[Packet]] = {}
    for packet in packets:
        if IPv6ExtHdrFragment in packet:
            key = (packet.src, packet.dst, packet[IPv6ExtHdrFragment].id)
            fragments.setdefault(key, []).append(packet)
    return [*whole, *map(defragment6, fragments.values())]


def _kind(packet: Packet) -> str:
    prefix = "VLAN " if Dot1Q in packet else ""
    if ARP in packet:
        return prefix + "ARP"
    if IPv6 in packet:
        name = "fragment" if IPv6ExtHdrFragment in packet else {6: "TCP", 17: "UDP"}.get(
            packet[IPv6].nh, "ICMP")
        return f"{prefix}IPv6 {name}"
    if IP in packet:
        fragment = packet[IP].flags.MF or packet[IP].frag
        name = "fragment" if fragment else {1: "ICMP", 6: "TCP", 17: "UDP"}[packet[IP].proto]
        return f"{prefix}IPv4 {name}"
    return "other"
