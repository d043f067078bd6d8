"""Dissector and steering together, as in the card: a frame is steered while it comes in, and what
arrives is what the twins say of it, however it ends; how soon, and how often.
"""

from __future__ import annotations

import random

import pytest
from amaranth.hdl import Elaboratable, Module
from amaranth.lib import wiring
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw

from hdl_steering import QUEUES, Steered, expected, mode, seen
from hdl_streams import collect, drain, plain, rules, simulate
from packets import damaged, packet
from pagering import abi
from pagering.abi import L3, SteeringMode
from pagering.dissect import dissect
from pagering.toeplitz import MICROSOFT_KEY
from pagering_hdl.dissector import Dissector


class Ingress(Elaboratable):
    """Both parts, as the engine wires them."""

    def __init__(self, depth=512):
        self.dissector, self.steered = Dissector(64), Steered(64, depth)

    def elaborate(self, platform):
        m = Module()
        m.submodules.dissector, m.submodules.steered = self.dissector, self.steered
        wiring.connect(m, self.dissector.dissections, self.steered.card.dissections)
        wiring.connect(m, self.dissector.preview, self.steered.card.preview)
        return m

    async def send(self, ctx, frame, *, commit=True, rng=None):
        """Write a frame as the gate does, maybe with gaps; it ends when there is room for it."""
        dut = self.dissector
        pieces = [frame[at:at + 8] for at in range(0, len(frame), 8)]
        for number, piece in enumerate(pieces):
            ends = number == len(pieces) - 1
            while (ends and commit and not ctx.get(dut.room)) or (rng and rng.random() < 0.2):
                await ctx.tick()
            for name, value in (("write", 1), ("beat", int.from_bytes(piece, "little")),
                                ("length", len(frame)), ("commit", ends and commit),
                                ("rollback", ends and not commit)):
                ctx.set(getattr(dut, name), value)
            await ctx.tick()
            for name in ("write", "commit", "rollback"):
                ctx.set(getattr(dut, name), 0)


def frames_of_all_kinds(rng, count):
    """Return frames, some of them damaged, and whether each is committed."""
    frames = [packet(rng, longest=rng.choice((64, 64, 90, 300))) for _ in range(count)]
    frames = [damaged(rng, frame) if rng.random() < 0.4 else frame for frame in frames]
    commits = [rng.random() < 0.8 for _ in frames]
    # As of a frame that is doomed from some beat on.
    return [(frame if commit else frame[:rng.randint(1, len(frame))], commit)
            for frame, commit in zip(frames, commits, strict=True)]


@pytest.mark.parametrize("by", [SteeringMode.RSS, SteeringMode.ROUND_ROBIN])
@pytest.mark.parametrize("seed", range(2))
def test_every_frame_is_steered_as_if_it_had_ended_first(seed, by):
    dut, rng = Ingress(depth=16), random.Random(f"{seed} {by}")
    frames, revoked = frames_of_all_kinds(rng, 150), []
    card, gaps = dut.steered.card, rng.choice((None, rng))

    async def bench(ctx):
        await dut.steered.ready(ctx)
        mode(dut.steered, ctx, mode=by, last=2)
        await dut.steered.write(ctx, "RSS", transform=0, tcp=1, udp=1)
        await dut.steered.write(ctx, "FILTER", promiscuous=1, vlan=1, untagged=1)
        await dut.steered.key(ctx, MICROSOFT_KEY)
        for row in range(abi.INDIRECTION_ROWS):
            await dut.steered.table(ctx, "INDIRECTION", row, queue=rng.randrange(QUEUES))
        for row in range(abi.VLAN_ROWS):
            await dut.steered.table(ctx, "VLANS", row, vlans=rng.getrandbits(32))
        await dut.steered.rule(ctx, 5, l3=L3.IPV6, match_l3=1, protocol=6, match_protocol=1,
                               queue=3, mark=77)
        await dut.steered.rule(ctx, 6, l3=L3.IPV4, match_l3=1, protocol=17, match_protocol=1,
                               drop=1)
        for frame, commit in frames:
            await dut.send(ctx, frame, commit=commit, rng=gaps)

    async def reader(ctx):
        for frame, commit in frames:
            if commit:
                arrival, = await drain(ctx, card.arrivals, 1, rng, share=0.3)
                known = expected(dut.steered.twin, dissect(frame))
                assert seen(arrival, known) == known, frame.hex()
    simulate(dut, bench, reader, limit=60000, background=[
        rules(card.arrivals), collect(card.dissections.valid, revoked, card.preview.revoked)])
    assert {0, 1} <= set(revoked), "frames were rolled back, and were not what they seemed"


def test_what_is_shown_stays_until_it_is_valid_or_revoked():
    dut, rng, shown = Dissector(64), random.Random(4), []
    ingress = Ingress()
    ingress.dissector = dut

    async def bench(ctx):
        for frame, commit in frames_of_all_kinds(rng, 150):
            await ingress.send(ctx, frame, commit=commit, rng=rng)

    async def watch(ctx):
        """What is asked for: the flow, and what the frame is steered by besides."""
        before = None
        ticks = ctx.tick().sample(dut.preview.shown, dut.preview.revoked, dut.dissections.valid,
                                  dut.dissections.payload)
        async for _, _, offers, revoked, valid, found in ticks:
            found = plain(found)
            now = (found["destination"], found["flow"],
                   *(found["facts"][name] for name in ("l3", "l4", "fragment", "vlan")),
                   found["facts"]["tci"] if found["facts"]["vlan"] else 0)
            assert not (offers and (valid or revoked))
            if before is not None and not revoked:
                assert offers or valid, "taken back without a word"
                assert now == before
                shown.append(valid)
            before = now if offers else None

    async def reader(ctx):
        while True:
            await drain(ctx, dut.dissections, 1, rng)
    simulate(dut, bench, background=[watch, reader], limit=60000)
    assert sum(shown) > 30


SMALLEST = {
    "udp4": (Ether() / IP() / UDP() / Raw(bytes(22)), 12, 8),
    "tcp4": (Ether() / IP() / TCP() / Raw(bytes(10)), 12, 8),
    "tagged": (Ether() / Dot1Q(vlan=5) / IP() / UDP() / Raw(bytes(18)), 13, 8),
    "udp6": (Ether() / IPv6() / UDP() / Raw(bytes(2)), 21, 10),
    "arp": (Ether() / ARP() / Raw(bytes(22)), 19, 10),
}
"""Frames of 64 bytes, cycles from the commit of one that comes alone until it has arrived, and
cycles that each takes of many."""


@pytest.mark.parametrize("kind", SMALLEST)
def test_how_soon_a_frame_arrives_and_how_many_do(kind):
    """A frame of 64 bytes and its completion take 10 beats of the bus."""
    packet_, soon, pace = SMALLEST[kind]
    frame, dut, count = bytes(packet_), Ingress(), 12
    ends, arrived = [], []
    assert len(frame) == 64

    async def bench(ctx):
        await dut.steered.ready(ctx)
        ctx.set(dut.steered.card.arrivals.ready, 1)
        await dut.send(ctx, frame)
        await ctx.tick().repeat(40)
        for _ in range(count):
            await dut.send(ctx, frame)
        await ctx.tick().repeat(40)

    async def watch(ctx):
        cycle = 0
        async for _, _, commit, valid in ctx.tick().sample(
                dut.dissector.commit, dut.steered.card.arrivals.valid):
            cycle += 1
            ends.extend([cycle] * commit)
            arrived.extend([cycle] * valid)
    simulate(dut, bench, background=[watch])
    assert arrived[0] - ends[0] == soon
    assert (len(ends), len(arrived)) == (count + 1, count + 1)
    assert (ends[-1] - ends[3]) / (count - 3) == pace
