"""Steering as a whole: what it decides about each frame is what its twin decides."""

from __future__ import annotations

import random

import pytest

from hdl_steering import (
    QUEUES,
    Steered,
    dissection,
    expected,
    mode,
    payload,
    random_flow,
    random_rule,
    seen,
)
from hdl_streams import drain, feed, get, rules, simulate
from pagering import abi
from pagering.abi import L3, L4, DropCause, SteeringMode
from pagering.dissect import FlowKey
from pagering.toeplitz import MICROSOFT_KEY
from pagering_hdl.config import BUS_WIDTHS


async def compare(ctx, dut, flows, gaps=None):
    """Send frames through; all arrive, in order, as the twin says."""
    got = await drain(ctx, dut.card.arrivals, len(flows), gaps)
    for found, arrival in zip(flows, got, strict=True):
        known = expected(dut.twin, found)
        assert seen(arrival, known) == known, found


@pytest.mark.parametrize("bits", [
    bits if bits < 256 else pytest.param(bits, marks=pytest.mark.slow) for bits in BUS_WIDTHS])
def test_every_decision_is_the_twins(bits):
    """Random rules, filters, tables and flows, all that steering knows at once."""
    dut, rng, begun = Steered(bits), random.Random(bits), []
    rounds = [[random_flow(rng) for _ in range(60)] for _ in range(4 if bits == 64 else 2)]

    async def source(ctx):
        await dut.ready(ctx)
        for number, flows in enumerate(rounds):
            while len(begun) <= number:
                await ctx.tick()
            await feed(ctx, dut.card.dissections, map(payload, flows))

    async def bench(ctx):
        await dut.ready(ctx)
        mode(dut, ctx, mode=SteeringMode.RSS)
        await dut.key(ctx, MICROSOFT_KEY)
        for row in range(abi.INDIRECTION_ROWS):
            await dut.table(ctx, "INDIRECTION", row, queue=rng.randrange(QUEUES))
        for number, flows in enumerate(rounds):
            await dut.write(ctx, "RSS", transform=number % 3, tcp=rng.randrange(2),
                            udp=rng.randrange(2))
            await dut.write(ctx, "FILTER", promiscuous=int(number % 2 == 0),
                            all_multicast=rng.randrange(2), broadcast=rng.randrange(2),
                            vlan=int(number > 0), untagged=rng.randrange(2))
            await dut.write(ctx, "MULTICAST_0", hashes=rng.getrandbits(32))
            await dut.table(ctx, "VLANS", 0, vlans=rng.choice((2, 4, 6)))
            await dut.table(ctx, "ADDRESS_LOW", rng.randrange(8), address=1)
            await dut.table(ctx, "ADDRESS_HIGH", dut.twin._words["ROW"] & 7, address=0x0200,
                            valid=1)
            await dut.rule(ctx, rng.choice((0, 7, 8, 63)), **random_rule(rng))
            begun.append(number)
            await compare(ctx, dut, flows)
    simulate(dut, source, bench, background=[rules(dut.card.arrivals)], limit=60000)


def steer(flows, control, bits=64, gaps=None):
    """Return the queues of some frames, under a fixed control."""
    dut, queues = Steered(bits), []

    async def source(ctx):
        await dut.ready(ctx)
        await feed(ctx, dut.card.dissections, map(payload, flows), gaps)

    async def bench(ctx):
        await dut.ready(ctx)
        ctx.set(dut.card.control, control)
        got = await drain(ctx, dut.card.arrivals, len(flows), gaps)
        assert [arrival["length"] for arrival in got] == [found.length for found in flows]
        queues.extend(arrival["queue"] for arrival in got)
    simulate(dut, source, bench, background=[rules(dut.card.arrivals)])
    return queues


def lengths(first, count):
    return [dissection(length=first + number) for number in range(count)]


def test_fixed_names_the_queue():
    control = {"mode": SteeringMode.FIXED, "queue": 37, "last": 3}
    assert steer(lengths(60, 3), control) == [37] * 3


@pytest.mark.parametrize("last", [0, 1, 2, 63])
def test_round_robin_takes_each_in_turn(last):
    count = 2 * last + 5
    control = {"mode": SteeringMode.ROUND_ROBIN, "queue": 9, "last": last}
    assert steer(lengths(60, count), control, gaps=random.Random(last)) == [
        number % (last + 1) for number in range(count)]


def test_the_turn_follows_a_smaller_last():
    dut = Steered()

    async def bench(ctx):
        await dut.ready(ctx)
        ctx.set(dut.card.control, {"mode": SteeringMode.ROUND_ROBIN, "last": 9})
        turns = []
        for number in range(10):
            if number == 6:
                ctx.set(dut.card.control.last, 2)
            ctx.set(dut.card.dissections.valid, 1)
            await ctx.tick().until(dut.card.dissections.ready)
            ctx.set(dut.card.dissections.valid, 0)
            turns.append((await get(ctx, dut.card.arrivals))["queue"])
        assert turns == [0, 1, 2, 3, 4, 5, 6, 0, 1, 2]
    simulate(dut, bench)


def pace(bits, found, count=40):
    """Return the cycles that each of many equal frames takes, with nobody in the way."""
    dut, took = Steered(bits), []

    async def source(ctx):
        await dut.ready(ctx)
        await feed(ctx, dut.card.dissections, [payload(found)] * count)

    async def bench(ctx):
        await dut.ready(ctx)
        ctx.set(dut.card.arrivals.ready, 1)
        cycle, arrived = 0, []
        async for _, _, valid in ctx.tick().sample(dut.card.arrivals.valid):
            cycle += 1
            if valid:
                arrived.append(cycle)
            if len(arrived) == count:
                break
        took.append((arrived[-1] - arrived[count // 2]) / (count - 1 - count // 2))
    simulate(dut, source, bench)
    return took[0]


@pytest.mark.parametrize(("bits", "short", "long"), [(64, 4, 10), (128, 3, 4), (256, 2, 2),
                                                     (512, 1, 1)])
def test_keeps_up_with_the_smallest_frames(bits, short, long):
    """A frame of 64 bytes and its completion take 10, 5, 2.5 and 1.25 beats of the bus."""
    four = dissection(l3=L3.IPV4, l4=L4.UDP, flow=FlowKey(1, 2, 3, 4, 17))
    six = dissection(l3=L3.IPV6, l4=L4.UDP, flow=FlowKey(1 << 127, 2, 3, 4, 17))
    assert pace(bits, four) == short
    assert pace(bits, six) == long


def test_a_filter_comes_before_a_rule():
    """MAC_FILTER, VLAN_FILTER, RULE: in this order, whatever else holds."""
    dut = Steered()
    frames = [dissection(destination=5, vlan=True, tci=7), dissection(vlan=True, tci=7),
              dissection(vlan=True, tci=9)]

    async def source(ctx):
        await dut.ready(ctx)
        await ctx.tick().until(dut.card.arrivals.ready)
        await feed(ctx, dut.card.dissections, map(payload, frames))

    async def bench(ctx):
        await dut.ready(ctx)
        await dut.write(ctx, "FILTER", promiscuous=0, vlan=1, untagged=0)
        await dut.table(ctx, "ADDRESS_LOW", 7, address=1)
        await dut.table(ctx, "ADDRESS_HIGH", 7, address=0x200, valid=1)
        await dut.table(ctx, "VLANS", 0, vlans=1 << 9)
        await dut.rule(ctx, 63, drop=1)
        got = await drain(ctx, dut.card.arrivals, 3)
        assert [DropCause(int(arrival["cause"])) for arrival in got] == [
            DropCause.MAC_FILTER, DropCause.VLAN_FILTER, DropCause.RULE]
        assert all(arrival["drop"] for arrival in got)
    simulate(dut, source, bench)
