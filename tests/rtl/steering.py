"""Where frames go: RSS, flow rules and filters, judged by scapy and a plain Toeplitz."""

from __future__ import annotations

import os
import random
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import cocotb
from cocotb.handle import HierarchyObject
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, fragment6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet, Raw

from pagering import abi
from pagering.abi import L3, HashType, SteeringMode, Transform
from pagering.capture import read_frames
from pagering.filters import multicast_hash
from pagering.toeplitz import MICROSOFT_KEY, SYMMETRIC_KEY
from rss_vectors import VECTORS

from .rig import Rig

CAPTURES = Path(os.environ.get("PAGERING_PCAPS")
                or Path(__file__).resolve().parents[3] / "shared" / "pcap")
EACH = 60
"""Most frames of one capture that go through the card."""


def plain_hash(key: bytes, data: bytes) -> int:
    """Hash by the book: a window of the key that moves on by one bit for each bit of the data."""
    bits = [byte >> 7 - at & 1 for byte in key for at in range(8)]
    result = [0] * 32
    for place, value in enumerate(byte >> 7 - at & 1 for byte in data for at in range(8)):
        if value:
            result = [one ^ other for one, other in
                      zip(result, bits[place:place + 32], strict=True)]
    return int("".join(map(str, result)), 2)


def hash_by_scapy(frame: bytes) -> int | None:
    """Return what the card must say of a frame, under the published key; None if unsure.

    scapy says what is in the frame. Of a header that is cut or lies about its length it has its
    own view: such a frame is left to the tests of the dissector.
    """
    stack = Ether(frame)
    while isinstance(stack.payload, Dot1Q) or stack.name in ("Ethernet", "802.1Q", "802.1ad"):
        stack = stack.payload
    if not isinstance(stack, IP | IPv6):
        return 0 if isinstance(stack, ARP) else None
    source, destination = (stack.get_field(name).i2m(stack, getattr(stack, name))
                           for name in ("src", "dst"))
    data = source + destination
    if isinstance(stack, IP) and (stack.flags.MF or stack.frag):
        return plain_hash(MICROSOFT_KEY, data)
    if isinstance(stack.payload, TCP | UDP):
        ports = stack.payload
        data += ports.sport.to_bytes(2, "big") + ports.dport.to_bytes(2, "big")
    elif isinstance(stack, IPv6) and stack.nh not in (6, 17, 58):
        return None
    return plain_hash(MICROSOFT_KEY, data)


def ip(source: str, destination: str) -> Packet:
    return (IPv6 if ":" in source else IP)(src=source, dst=destination)


def built(*layers: Packet, destination: str = "02:00:00:00:00:01") -> bytes:
    stack = Ether(dst=destination, src="02:00:00:00:00:02")
    for layer in layers:
        stack = stack / layer
    return bytes(stack).ljust(60, b"\0")


class Steer:
    """A card with its queues open, and the registers of steering."""

    def __init__(self, dut: HierarchyObject) -> None:
        self.rig = Rig(dut)
        self.queues = self.rig.config.queues

    async def start(self, key: bytes = MICROSOFT_KEY) -> Rig:
        """Open everything; spread over all queues, row after row."""
        rig = self.rig
        await rig.start()
        await rig.open((rig.config.regions // 2,), extended=True)
        await rig.write(abi.CARD, "STEERING", mode=SteeringMode.RSS)
        for row in range(abi.KEY_WORDS):
            await self.row("KEY", row, key=int.from_bytes(key[4 * row:4 * row + 4], "big"))
        await self.spread(range(self.queues))
        return rig

    async def write(self, name: str, **fields: int) -> None:
        await self.rig.write(abi.STEER, name, **fields)

    async def row(self, name: str, row: int, **fields: int) -> None:
        """Write a row of a table."""
        await self.write("ROW", row=row)
        await self.write(name, **fields)
        if name == "KEY":  # the next write waits until the key is in its place
            await self.write("ROW", row=row)

    async def spread(self, queues: Any) -> None:
        """Fill the indirection table with these queues in turn."""
        for row in range(abi.INDIRECTION_ROWS):
            await self.row("INDIRECTION", row, queue=queues[row % len(queues)])

    async def rule(self, number: int, **fields: int) -> None:
        """Take a rule off, write it, put it in place."""
        words = abi.RULE.pack(**fields)
        await self.row("RULE", number, enable=0)
        for word in range(abi.RULE_WORDS):
            await self.write("ROW", row=number, word=word)
            await self.write("RULE_WORD", value=words >> 32 * word & 0xFFFFFFFF)
        await self.write("RULE", enable=1)
        while await self.rig.get(abi.STEER, "RULE") != 1:
            pass

    async def facts(self, *frames: bytes) -> list[dict[str, int]]:
        """Send frames one after the other; return what the card says of each, and its queue."""
        said = []
        await self.rig.flush()  # a frame that is under way may meet old settings and new ones
        for frame in frames:
            await self.rig.send(frame)
            for index, queue in self.rig.queues.items():
                await queue.take()
                if queue.frames:
                    assert queue.frames == [frame]
                    said.append({**queue.facts[-1], **queue.extensions[-1], "queue": index})
                    queue.frames.clear()
        return said


@cocotb.test()
async def the_published_vectors_are_met(dut: HierarchyObject) -> None:  # checklist 1
    """Over IPv4 and IPv6, with TCP, UDP and neither; behind a VLAN tag; with UDP switched off."""
    steer = Steer(dut)
    await steer.start()
    for source, sport, destination, dport, addresses, whole in VECTORS:
        frames = [built(*tag, ip(source, destination), *layer)
                  for tag in ((), (Dot1Q(vlan=5),))
                  for layer in ((TCP(sport=sport, dport=dport),), (UDP(sport=sport, dport=dport),),
                                (Raw(bytes(40)),))]
        said = await steer.facts(*frames)
        assert [one["hash"] for one in said] == [whole, whole, addresses] * 2, source
        assert [one["hash_type"] for one in said] == [HashType.L4, HashType.L4, HashType.L3] * 2
        assert [one["queue"] for one in said] == [value % 128 % steer.queues
                                                  for value in (whole, whole, addresses) * 2]
    await steer.write("RSS", tcp=1, udp=0)
    source, sport, destination, dport, addresses, whole = VECTORS[0]
    said = await steer.facts(*(built(ip(source, destination), layer(sport=sport, dport=dport))
                               for layer in (TCP, UDP)))
    assert [one["hash"] for one in said] == [whole, addresses]
    assert (await steer.facts(built(ARP())))[0]["hash_type"] == HashType.NONE


@cocotb.test()
async def both_directions_of_a_flow_hash_alike(dut: HierarchyObject) -> None:  # checklist 2
    steer = Steer(dut)
    await steer.start(SYMMETRIC_KEY)
    for transform, first in ((Transform.NONE, (0x9FCC9FCC, 0x0A590A59)),
                             (Transform.XOR, (0xAC2B58CA, 0x887BD7BC)),
                             (Transform.OR_XOR, (0xA65524FA, 0x277806FE))):
        await steer.write("RSS", transform=transform)
        if transform is Transform.XOR:
            for row in range(abi.KEY_WORDS):
                await steer.row("KEY", row, key=int.from_bytes(
                    MICROSOFT_KEY[4 * row:4 * row + 4], "big"))
        for number, (source, sport, destination, dport, _, _) in enumerate(VECTORS):
            there, back, addresses, other = await steer.facts(
                built(ip(source, destination), TCP(sport=sport, dport=dport)),
                built(ip(destination, source), TCP(sport=dport, dport=sport)),
                built(ip(source, destination), Raw(bytes(40))),
                built(ip(destination, source), Raw(bytes(40))))
            assert there["hash"] == back["hash"] != 0, source
            assert there["queue"] == back["queue"]
            assert addresses["hash"] == other["hash"]
            if number == 0:
                assert (there["hash"], addresses["hash"]) == first


@cocotb.test()
async def a_live_rewrite_sends_no_frame_astray(dut: HierarchyObject) -> None:  # checklist 3
    """Key and table change under traffic: only queues of the old or the new table get frames."""
    steer = Steer(dut)
    rig, rng = await steer.start(), random.Random(3)
    await steer.spread((0, 1))
    rig.host()

    async def rewrite() -> None:
        for row in range(abi.KEY_WORDS):
            await steer.row("KEY", row, key=rng.getrandbits(32))
        await steer.spread((1, 2))
        for row in range(abi.KEY_WORDS):
            await steer.row("KEY", row, key=rng.getrandbits(32))

    def flows(count: int) -> list[bytes]:
        return [built(IP(src=str(IPv4Address(rng.getrandbits(32))),
                         dst=str(IPv4Address(rng.getrandbits(32)))),
                      UDP(sport=rng.getrandbits(16), dport=rng.getrandbits(16)))
                for _ in range(count)]
    rewriting = cocotb.start_soon(rewrite())
    frames = flows(40)
    await rig.pour(frames)
    while not rewriting.done():
        more = flows(40)
        await rig.pour(more)
        frames += more
    while rig.received() < len(frames):
        await rig.bench.cycles(64)
    got = [list(queue.frames) for queue in rig.queues.values()]
    await rig.pour(flows(60))
    await rig.stop_hosts()
    assert sorted(frame for part in got for frame in part) == sorted(frames)
    assert not any(got[3:]), "a queue of neither table has got frames"
    assert len(rig.queues[0].frames) == len(got[0]), "a queue of the old table still gets frames"
    assert all(len(rig.queues[number].frames) > len(got[number]) for number in (1, 2))
    await rig.check()


@cocotb.test()
async def a_rule_wins_over_the_hash(dut: HierarchyObject) -> None:  # checklist 4
    """To a queue with a mark, or dropped; the lowest that is met wins; off again at once."""
    steer = Steer(dut)
    rig = await steer.start()
    await steer.spread((0,))
    ours = {"l3": L3.IPV4, "match_l3": 1, "destination": 0x05060708, "match_destination": 1}
    web = built(IP(src="1.2.3.4", dst="5.6.7.8"), TCP(sport=1, dport=80))
    dns = built(IP(src="1.2.3.4", dst="5.6.7.8"), UDP(sport=1, dport=53))
    others = built(IP(src="1.2.3.4", dst="5.6.7.9"), TCP(sport=1, dport=80))
    six = built(IPv6(src="::1", dst="::506:708"), TCP(sport=1, dport=80))
    await steer.rule(9, **ours, queue=1, mark=0xBEEF)
    await steer.rule(63, queue=3, mark=7)
    said = await steer.facts(web, dns, others, six)
    assert [(one["queue"], one["mark"]) for one in said] == [
        (1, 0xBEEF), (1, 0xBEEF), (3, 7), (3, 7)]
    await steer.rule(2, destination_port=80, match_destination_port=1, protocol=6,
                     match_protocol=1, **ours, queue=2)
    await steer.rule(5, destination_port=53, match_destination_port=1, drop=1)
    assert [one["queue"] for one in await steer.facts(web, dns, others)] == [2, 3]
    assert await rig.drops() == {"RULE": 1}
    for number in (2, 5, 9, 63):
        await steer.row("RULE", number, enable=0)
    assert [one["queue"] for one in await steer.facts(web, dns, others)] == [0, 0, 0]
    await rig.flush()
    await rig.check()


@cocotb.test()
async def a_rule_comes_whole_under_traffic(dut: HierarchyObject) -> None:
    """While rules are written, a frame goes where the hash or a whole rule sends it."""
    steer = Steer(dut)
    rig = await steer.start()
    await steer.spread((0,))
    rig.host()
    frame = built(IP(src="1.2.3.4", dst="5.6.7.8"), UDP(sport=1, dport=53), Raw(bytes(100)))
    done = False

    async def rewrite() -> None:
        nonlocal done
        for queue in (1, 2, 1):
            # Half of it would be met by every frame and send it to queue 3.
            await steer.rule(4, queue=3, drop=0, protocol=99, match_protocol=1)
            await steer.rule(4, queue=queue, destination_port=53, match_destination_port=1)
            await rig.bench.cycles(1000)
        done = True
    rewriting = cocotb.start_soon(rewrite())
    count = 0
    while not done:
        await rig.pour([frame] * 30)
        count += 30
    await rewriting
    await rig.pour([frame])
    await rig.stop_hosts()
    assert not rig.queues[3].frames
    assert all(rig.queues[number].frames for number in range(3))
    assert rig.received() == count + 1
    await rig.check()


@cocotb.test()
async def fragments_of_a_datagram_stay_together(dut: HierarchyObject) -> None:  # checklist 5
    """All go by the hash of their addresses, and no rule on ports takes the first one away."""
    steer = Steer(dut)
    rig = await steer.start()
    await steer.rule(0, destination_port=53, match_destination_port=1, drop=1)
    for number in range(6):
        parts = fragment(IP(src=f"10.0.0.{number}", dst="10.1.1.1", id=number)
                         / UDP(sport=9, dport=53) / Raw(bytes(1200)), 400)
        parts6 = fragment6(IPv6(src=f"fe80::{number:x}", dst="fe80::ff")
                           / IPv6ExtHdrFragment(id=number)
                           / UDP(sport=9, dport=53) / Raw(bytes(1200)), 500)
        for datagram in (parts, parts6):
            said = await steer.facts(*map(built, datagram))
            assert len(said) == len(datagram) >= 3
            assert len({one["queue"] for one in said}) == 1
            assert {one["hash_type"] for one in said} == {HashType.L3}
    await rig.check()


@cocotb.test()
async def filters_take_what_they_are_told(dut: HierarchyObject) -> None:
    steer = Steer(dut)
    rig = await steer.start()
    flow = (IP(src="1.2.3.4", dst="5.6.7.8"), ICMP())
    mine, other, everybody, group = "02:00:00:00:00:01", "02:00:00:00:00:09", "ff:" * 5 + "ff", \
        "01:00:5e:00:00:fb"
    await steer.row("ADDRESS_LOW", 5, address=1)
    await steer.row("ADDRESS_HIGH", 5, address=0x0200, valid=1)
    await steer.write("FILTER", promiscuous=0, broadcast=0)

    async def taken(*settings: Any) -> list[bool]:
        return [bool(await steer.facts(built(*flow, destination=address)))
                for address in (mine, other, everybody, group)]
    assert await taken() == [True, False, False, False]
    bit = multicast_hash(int(group.replace(":", ""), 16))
    await steer.write(f"MULTICAST_{bit // 32}", hashes=1 << bit % 32)
    await steer.write("FILTER", promiscuous=0, broadcast=1)
    assert await taken() == [True, False, True, True]
    await steer.write("FILTER", promiscuous=1, broadcast=0)
    assert await taken() == [True] * 4
    await steer.row("VLANS", 3, vlans=1 << 4)
    await steer.write("FILTER", vlan=1, untagged=0)
    assert [bool(await steer.facts(built(*tag, *flow))) for tag in (
        (), (Dot1Q(vlan=100),), (Dot1Q(vlan=101),), (Dot1Q(vlan=100, prio=7), Dot1Q(vlan=3)))] == [
        False, True, False, True]
    assert await rig.drops() == {"MAC_FILTER": 4, "VLAN_FILTER": 2}
    await rig.flush()
    await rig.check()


@cocotb.test()
async def every_capture_is_spread_by_its_hash(dut: HierarchyObject) -> None:
    """Each frame on the queue that a plain Toeplitz over scapy's addresses and ports names."""
    frames: list[bytes] = []
    for path in sorted(CAPTURES.glob("*.pcap")):
        frames += read_frames(path, allow_cut=True).frames[:EACH]
    if not frames:
        dut._log.warning("there are no captures in %s; name a folder with PAGERING_PCAPS", CAPTURES)
    steer = Steer(dut)
    rig = await steer.start()
    rig.host()
    await rig.pour(frames)
    await rig.stop_hosts()
    judged = 0
    for index, queue in rig.queues.items():
        for frame, said in zip(queue.frames, queue.facts, strict=True):
            wanted = hash_by_scapy(frame)
            if wanted is not None:
                judged += 1
                assert said["hash"] == wanted, frame.hex()
            assert said["hash"] % abi.INDIRECTION_ROWS % steer.queues == index
    assert rig.received() == len(frames)
    assert judged >= 0.8 * len(frames)
    await rig.check()
