"""What completions say of frames: of drawn packets and of every capture, as scapy sees them."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable
from pathlib import Path

import cocotb
from cocotb.handle import HierarchyObject
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1AD, Dot1Q, Ether
from scapy.packet import Packet, Raw

from packets import damaged, packet
from pagering import abi
from pagering.abi import L3, L4
from pagering.capture import read_frames
from scapy_judge import judge

from .rig import Rig, config

FOLDER = Path(os.environ.get("PAGERING_PCAPS")
              or Path(__file__).resolve().parents[3] / "shared" / "pcap")
CAPTURES = sorted(FOLDER.glob("*.pcap"))
EACH = 400
"""Most frames of one capture that go through the card; the twin sees them all."""


async def received(dut: HierarchyObject, frames: list[bytes]) -> tuple[Rig, list[dict[str, int]]]:
    """Send frames; return what the card says of each, and that none was lost or changed."""
    rig = Rig(dut)
    await rig.start()
    await rig.open((rig.config.regions // 2,), log2=8)
    rig.host(0)
    await rig.pour(frames)
    await rig.stop_hosts()
    assert rig.queues[0].frames == frames
    assert await rig.drops() == {}
    await rig.check()
    return rig, rig.queues[0].facts


def compare(frames: Iterable[bytes], facts: Iterable[dict[str, int]]) -> None:
    """Hold what the card says against scapy."""
    for frame, said in zip(frames, facts, strict=True):
        wanted = judge(frame)
        assert {name: said[name] for name in wanted if name in said} == {
            name: int(value) for name, value in wanted.items() if name in said}, frame.hex()


def built(*layers: Packet, dirty: int = 0) -> bytes:
    """Return a frame that scapy built, with padding that is not zero."""
    stack = Ether(dst="02:00:00:00:00:01", src="02:00:00:00:00:02")
    for layer in layers:
        stack = stack / layer
    return bytes(stack) + b"\xa5" * dirty


@cocotb.test()
async def drawn_packets_whole_and_damaged(dut: HierarchyObject) -> None:
    rng = random.Random(7)
    frames = [packet(rng) for _ in range(150)]
    frames += [damaged(rng, frame) for frame in frames]
    compare(frames, (await received(dut, frames))[1])


@cocotb.test(skip=not CAPTURES)  # name a folder with PAGERING_PCAPS
async def every_capture(dut: HierarchyObject) -> None:
    frames: list[bytes] = []
    for path in CAPTURES:
        frames += read_frames(path, allow_cut=True).frames[:EACH]
    compare(frames, (await received(dut, frames))[1])


@cocotb.test()
async def fragments_and_tags_are_parsed(dut: HierarchyObject) -> None:  # checklist 5
    ip, tcp = IP(src="1.2.3.4", dst="5.6.7.8"), TCP(sport=1, dport=2)
    inner = IP(src="1.2.3.4", dst="5.6.7.8", frag=8, proto=17)
    frames = [
        built(ip, tcp, dirty=6), built(Dot1Q(vlan=7), ip, tcp), built(Dot1AD(vlan=8), Dot1Q(vlan=7),
                                                                      ip, tcp),
        built(IP(flags="MF"), UDP(sport=1, dport=2), Raw(bytes(40))), built(inner, Raw(bytes(40))),
        built(Dot1Q(vlan=9), inner, Raw(bytes(40))),
    ]
    _, facts = await received(dut, frames)
    compare(frames, facts)
    assert [said["vlan"] for said in facts] == [0, 1, 1, 0, 0, 1]
    assert [said["fragment"] for said in facts] == [0, 0, 0, 1, 1, 1]
    assert [said["header"] for said in facts] == [54, 58, 62, 0, 0, 0]
    assert [said["l3"] for said in facts] == [L3.IPV4] * 6
    assert [said["l4"] for said in facts] == [L4.TCP] * 3 + [L4.UDP] + [L4.OTHER] * 2
    assert [said["l4_checked"] for said in facts] == [1, 1, 1, 0, 0, 0]


@cocotb.test()
async def the_complete_sum_has_dirty_padding_in_it(dut: HierarchyObject) -> None:  # checklist 6
    ip, udp = IP(src="1.2.3.4", dst="5.6.7.8"), UDP(sport=1, dport=2)
    frames = [built(ip, udp, Raw(bytes(size)), dirty=18 - size) for size in range(18)]
    frames += [built(Dot1Q(vlan=7), ip, udp, dirty=17), built(Raw(b"\xff" * 1000)),
               built(Raw(bytes(1000))), built(ip, udp, Raw(b"\xff" * 1471)),
               built(ip, UDP(sport=1, dport=2, chksum=0), dirty=5)]
    frames.append(bytes(14) + b"\xff" * (config().max_frame - 14))
    _, facts = await received(dut, frames)
    compare(frames, facts)
    for frame, said in zip(frames, facts, strict=True):
        # By adding, as Linux would: word after word, the carry at the end.
        padded = frame[14:] + bytes(len(frame) % 2)
        total = sum(int.from_bytes(padded[at:at + 2], "big") for at in range(0, len(padded), 2))
        while total >> 16:
            total = (total & 0xFFFF) + (total >> 16)
        assert said["checksum"] == total
    assert all(said["l4_ok"] for said in facts[:19])


@cocotb.test()
async def bad_checksums_are_delivered_and_marked(dut: HierarchyObject) -> None:  # checklist 7
    """For TCP and UDP over both versions of IP: a right one, one wrong by one bit, and a wrong
    IPv4 header; as Linux' ``net/hw/csum.py`` has them.
    """
    frames, right = [], []
    for ip in (IP(src="1.2.3.4", dst="5.6.7.8"), IPv6(src="fe80::1", dst="fe80::2")):
        for transport in (TCP(sport=1, dport=2), UDP(sport=1, dport=2), ICMP()):
            good = bytearray(built(ip, transport, Raw(bytes(range(101)))))
            bad = good[:-1] + bytes([good[-1] ^ 1])
            frames += [bytes(good), bytes(bad)]
            right += [True, False] if not isinstance(transport, ICMP) else [None, None]
    header = bytearray(frames[0])
    header[22] ^= 1  # the time to live is in the sum of the header, not in that of TCP
    frames.append(bytes(header))
    rig, facts = await received(dut, frames)
    compare(frames, facts)
    assert [bool(said["l4_ok"]) if said["l4_checked"] else None for said in facts] == [*right, True]
    assert [said["l3_ok"] for said in facts] == [1] * 6 + [0] * 7
    assert await rig.get(abi.STATS, "FRAMES_DELIVERED") == len(frames)
