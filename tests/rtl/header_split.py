"""Header split: where it cuts, what it leaves whole, and whose memory each part is in."""

from __future__ import annotations

import random
from itertools import pairwise

import cocotb
from cocotb.handle import HierarchyObject
from scapy.layers.inet import IP, TCP, UDP, IPOption
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet, Raw

from packets import packet
from pagering import abi
from pagering.dissect import dissect

from .rig import Completion, HostQueue, Rig

HEADERS, PAYLOAD = 0, 1


async def opened(dut: HierarchyObject, threshold: int = 0, pool: int = HEADERS,
                 **options: object) -> tuple[Rig, HostQueue]:
    """Return a card with a pool for headers, one for payload, and a queue that splits."""
    rig = Rig(dut, **options)
    await rig.start()
    half = rig.config.regions // 2
    await rig.open((half, half), queues=())
    queue = await rig.add_queue(0, PAYLOAD, split={"pool": pool, "threshold": threshold})
    return rig, queue


def pool_of(rig: Rig, token: int) -> int:
    return abi.TOKEN.unpack(token)["page"] // rig.config.region_pages // (rig.config.regions // 2)


def built(*layers: Packet, size: int = 100) -> bytes:
    stack: Packet = Ether(dst="02:00:00:00:00:01", src="02:00:00:00:00:02")
    for layer in layers:
        stack = stack / layer
    return bytes(stack / Raw(bytes(n & 0xFF for n in range(size))))


async def take(rig: Rig, queue: HostQueue, *frames: bytes) -> list[list[Completion]]:
    """Send frames; return the completions of each, its memory not yet returned."""
    await rig.send(*frames)
    items = queue.poll()
    starts = [at for at, item in enumerate(items) if item.start]
    return [items[at:end] for at, end in pairwise([*starts, len(items)])]


@cocotb.test()
async def the_cut_is_at_the_end_of_l4(dut: HierarchyObject) -> None:  # checklist 8
    rig, queue = await opened(dut)
    ip, tcp, udp = IP(src="1.2.3.4", dst="5.6.7.8"), TCP(sport=1, dport=2), UDP(sport=1, dport=2)
    options = TCP(sport=1, dport=2, options=[("MSS", 1460), ("NOP", None), ("WScale", 7)])
    frames = {
        built(ip, tcp): 54, built(ip, options): 62, built(ip, udp): 42,
        built(Dot1Q(vlan=5), ip, tcp): 58,
        built(IP(src="1.2.3.4", dst="5.6.7.8", options=[IPOption(b"\x94\x04\0\0")]), udp): 46,
        built(IPv6(), tcp): 74, built(IPv6(), udp): 62,
        built(IPv6(), IPv6ExtHdrHopByHop(), IPv6ExtHdrDestOpt(), options): 98,
        built(ip, tcp, size=1): 54, built(ip, tcp, size=9000): 54,
    }
    for parts, (frame, header) in zip(await take(rig, queue, *frames), frames.items(),
                                      strict=True):
        first = parts[0]
        assert queue.facts.pop(0)["header"] == header
        token = first.extension["header_token"]
        assert bytes(rig.memory_of(token)[:header]) == frame[:header]
        assert pool_of(rig, token) == HEADERS
        assert {pool_of(rig, part.token) for part in parts} == {PAYLOAD}
        assert sum(part.length for part in parts) == len(frame) - header
        assert not any(part.extension.get("header_token") for part in parts[1:])
    assert queue.frames == list(frames)
    await queue.take()
    await rig.check()


@cocotb.test()
async def what_cannot_be_split_is_whole_and_flagged(dut: HierarchyObject) -> None:  # checklist 8
    rig, queue = await opened(dut)
    ip = IP(src="1.2.3.4", dst="5.6.7.8")
    long = Raw(bytes([17, 31, 1, 252]) + bytes(252))  # destination options of 256 bytes
    frames = [
        bytes(Ether() / ARP()), built(ip, TCP(), size=0), built(IP(flags="MF"), UDP()),
        built(IPv6(nh=60), long, UDP()),  # the headers end past what the card can name
        built(size=2000), built(ip, TCP())[:40],
    ]
    for parts in await take(rig, queue, *frames):
        for part in parts:
            assert pool_of(rig, part.token) == HEADERS
            assert part.extension["header_token"] == 0
    assert [said["split"] for said in queue.facts] == [0] * len(frames)
    assert queue.frames == frames
    await queue.take()
    await rig.check()


@cocotb.test()
@cocotb.parametrize(threshold=(0, 1500, 9000, 65535))
async def only_frames_past_the_threshold_are_split(  # checklist 8
        dut: HierarchyObject, threshold: int) -> None:
    rig, queue = await opened(dut, threshold)
    udp = (IP(src="1.2.3.4", dst="5.6.7.8"), UDP())
    sizes = (43, 1499, 1500, 1501, 8999, 9000, 9001)
    frames = [built(*udp, size=size - 42) for size in sizes]
    await take(rig, queue, *frames)
    assert [said["split"] for said in queue.facts] == [size > threshold for size in sizes]
    assert queue.frames == frames
    await queue.take()
    await rig.check()


@cocotb.test()
@cocotb.parametrize(pool=(HEADERS, PAYLOAD))
async def drawn_packets_at_full_load(dut: HierarchyObject, pool: int) -> None:
    """Returned in any order, also with headers and payload from one pool."""
    rig, queue = await opened(dut, pool=pool, seed=5)
    rng = random.Random(5)
    frames = [packet(rng) for _ in range(300)]
    rig.host(0, shuffle=True)
    await rig.pour(frames)
    await rig.stop_hosts()
    assert queue.frames == frames
    assert [said["split"] for said in queue.facts] == [
        0 < dissect(frame).facts.header < len(frame) for frame in frames]
    assert await rig.drops() == {}
    await rig.check()


@cocotb.test()
async def headers_without_memory_take_their_payload_with_them(dut: HierarchyObject) -> None:
    """A frame is admitted in both parts or not at all."""
    rig, queue = await opened(dut)
    frame = built(IP(), UDP(), size=1000)
    await rig.write(abi.POOL, "LIMIT", HEADERS, pages=0)
    await rig.send(frame)
    assert await rig.drops() == {"POOL_LIMIT": 1}
    await rig.write(abi.POOL, "LIMIT", HEADERS, pages=65536)
    await rig.write(abi.POOL, "LIMIT", PAYLOAD, pages=0)
    await rig.send(frame)
    assert await rig.drops() == {"POOL_LIMIT": 2}
    for which in (HEADERS, PAYLOAD):
        assert await rig.get(abi.POOL, "FREE", which) == await rig.get(
            abi.POOL, "REGISTERED", which)
    await rig.write(abi.POOL, "LIMIT", PAYLOAD, pages=65536)
    await rig.send(frame)
    assert (await queue.take())[0].data == frame
    await rig.check()


@cocotb.test()
async def a_queue_that_splits_needs_extended_completions(dut: HierarchyObject) -> None:
    rig, queue = await opened(dut)
    await rig.write(abi.QUEUE, "CONTROL", 0, enable=0)
    await rig.flush()
    await rig.write(abi.QUEUE, "FORMAT", 0, extended=0)
    await rig.write(abi.QUEUE, "CONTROL", 0, enable=1)
    assert not await rig.get(abi.QUEUE, "CONTROL")
    await rig.write(abi.QUEUE, "FORMAT", 0, extended=1)
    await rig.write(abi.QUEUE, "HEADER_SPLIT", 0, enable=1, pool=63)
    await rig.write(abi.QUEUE, "CONTROL", 0, enable=1)
    assert not await rig.get(abi.QUEUE, "CONTROL")
    assert await rig.faults() == {"REGISTER_VALUE": 2}
    assert not queue.frames
