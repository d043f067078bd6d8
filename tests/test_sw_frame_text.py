"""Frames in a line: addresses, ports and lengths as scapy builds them."""

from __future__ import annotations

import random
import time

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet

from packets import damaged, packet
from pagering.checksum import ones_sum
from pagering.frame_text import date_text, frame_text
from pagering.traffic import made_up_frames, udp_or_tcp

ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")


@pytest.mark.parametrize(("frame", "text"), [
    (ETHER / IP(src="192.0.2.1", dst="192.0.2.2") / UDP(sport=53, dport=1234) / bytes(20),
     "IP 192.0.2.1.53 > 192.0.2.2.1234: udp, length 62"),
    (ETHER / Dot1Q(vlan=7) / IPv6(src="2001:db8::1", dst="2001:db8::2") / TCP(sport=1, dport=80),
     "vlan 7, IP6 2001:db8::1.1 > 2001:db8::2.80: tcp, length 78"),
    (ETHER / IP(src="192.0.2.1", dst="192.0.2.2") / ICMP(),
     "IP 192.0.2.1 > 192.0.2.2: icmp, length 42"),
    (ETHER / IP(src="192.0.2.1", dst="192.0.2.2", proto=47) / bytes(8),
     "IP 192.0.2.1 > 192.0.2.2: protocol 47, length 42"),
    (ETHER / IP(src="192.0.2.1", dst="192.0.2.2", frag=9) / UDP() / bytes(8),
     "IP 192.0.2.1 > 192.0.2.2: udp, fragment, length 50"),
    (ETHER / IP(src="192.0.2.1", dst="192.0.2.2", chksum=1) / UDP(sport=1, dport=2, chksum=1),
     "IP 192.0.2.1.1 > 192.0.2.2.2: udp, bad header checksum, bad checksum, length 42"),
    (ETHER / ARP(), "ARP 02:00:00:00:00:01 > 02:00:00:00:00:02, length 42"),
    (Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02", type=0x88B5) / bytes(46),
     "ethertype 0x88b5 02:00:00:00:00:01 > 02:00:00:00:00:02, length 60"),
])
def test_a_line(frame: Packet, text: str) -> None:
    assert frame_text(bytes(frame)) == text


@pytest.mark.parametrize(("frame", "text"), [
    (b"", "ethertype missing cut > cut, length 0"),
    (b"\x01" * 8, "ethertype missing cut > 01:01:01:01:01:01, length 8"),
    (bytes(12) + b"\x81\x00", "ethertype missing 00:00:00:00:00:00 > 00:00:00:00:00:00, length 14"),
])
def test_a_frame_that_is_cut(frame: bytes, text: str) -> None:
    assert frame_text(frame) == text


def test_whatever_comes_is_one_line() -> None:
    rng = random.Random(1)
    for _ in range(300):
        text = frame_text(damaged(rng, packet(rng)))
        assert text.isprintable()
        assert ", length " in text


def test_the_time_of_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    assert date_text(86_399 * 10**9 + 1_999) == "23:59:59.000001"
    monkeypatch.undo()
    time.tzset()


def test_made_up_frames_are_right() -> None:
    frames = made_up_frames()
    kinds = set()
    for _ in range(200):
        data = next(frames)
        frame = Ether(data)
        for layer in (IP, TCP, UDP):
            if layer in frame:
                kinds.add(layer)
        fresh = frame.copy()
        for layer in (IP, TCP, UDP):
            if layer in fresh:
                del fresh[layer].chksum
        assert bytes(fresh) == data, "scapy's checksums are ours"
        assert ones_sum(data[14:34]) == 0xFFFF
    assert kinds == {IP, TCP, UDP}
    assert [next(made_up_frames(5)) for _ in range(3)] == [next(made_up_frames(5))] * 3
    assert len(udp_or_tcp(6, 1, 2, 3, 4, 54)) == 54
