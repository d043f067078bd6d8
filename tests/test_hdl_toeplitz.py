"""The hash in hardware: the published vectors at every width, and a key that is rewritten."""

from __future__ import annotations

import ipaddress
from itertools import pairwise

import pytest

from hdl_streams import simulate, with_clear
from pagering import abi
from pagering.abi import HashType, Transform
from pagering.toeplitz import MICROSOFT_KEY, hash_input, toeplitz
from pagering_hdl.flow_steps import LANES, PORTS, REST, steps
from pagering_hdl.toeplitz import Toeplitz
from test_sw_steering import VECTORS

FLOWS = [(ipaddress.ip_address(source), ipaddress.ip_address(destination), sport, dport)
         for source, sport, destination, dport, *_ in VECTORS]


def words_of(flow):
    """Return what each word of a flow is: of source and destination, or the ports both ways."""
    source, destination, sport, dport = flow
    pairs = [(int(source) >> 32 * n & 0xFFFFFFFF, int(destination) >> 32 * n & 0xFFFFFFFF)
             for n in range(4)]
    return [*pairs, *pairs, (sport << 16 | dport, dport << 16 | sport), (0xFFFFFFFF,) * 2]


async def write_key(ctx, dut, key):
    for row in range(abi.KEY_WORDS):
        ctx.set(dut.key.row, row)
        ctx.set(dut.key.value, int.from_bytes(key[4 * row:4 * row + 4], "big"))
        ctx.set(dut.key.write, 1)
        await ctx.tick().until(dut.key.free)
        ctx.set(dut.key.write, 0)


def steps_of(lanes, flow, kind):
    """Return each step of a flow."""
    plan, words = steps(lanes), words_of(flow)
    return [{
        "mark": {"valid": 1, "first": number == 0, "last": number == len(plan) - 1, "at": number,
                 "v6": flow[0].version == 6, "hash_addresses": kind is not HashType.NONE,
                 "hash_ports": kind is HashType.L4},
        "words": [{"a": words[word][0], "b": words[word][1]} for word in plan[number]]
        + [{"a": 0, "b": 0}] * (lanes - len(plan[number]))} for number in range(len(plan))]


@pytest.mark.parametrize("lanes", [
    pytest.param(lanes, marks=[pytest.mark.slow] if lanes == max(LANES.values()) else [])
    for lanes in LANES.values()])
@pytest.mark.parametrize("transform", Transform)
def test_hashes_flow_after_flow(lanes, transform):
    """Back to back, each one LATENCY cycles after its last step; with ports, without, and none."""
    dut, seen = Toeplitz(lanes), []
    kinds = [kind for _ in FLOWS for kind in (HashType.L4, HashType.L3, HashType.NONE)]
    flows = [flow for flow in FLOWS for _ in range(3)]

    async def bench(ctx):
        await ctx.tick().repeat(600)
        await write_key(ctx, dut, MICROSOFT_KEY)
        ctx.set(dut.transform, transform)
        due = [step for flow, kind in zip(flows, kinds, strict=True)
               for step in steps_of(lanes, flow, kind)]
        for now, ahead in pairwise([None, *due, None]):
            ctx.set(dut.ahead, ahead["mark"] if ahead else {})
            ctx.set(dut.step, now or {"mark": {"valid": 0}})
            await ctx.tick()
        ctx.set(dut.step.mark.valid, 0)
        await ctx.tick().repeat(20)

    async def watch(ctx):
        due = []
        ticks = ctx.tick().sample(dut.hash, dut.step.mark.valid & dut.step.mark.last)
        async for _, _, value, last in ticks:
            due.append(last)
            if len(due) > Toeplitz.LATENCY and due[-1 - Toeplitz.LATENCY]:
                seen.append(value)
    simulate(dut, bench, background=[watch], limit=40000)
    assert seen == [toeplitz(MICROSOFT_KEY, hash_input(
        kind, flow[0].packed, flow[1].packed, flow[2], flow[3], transform))
        for flow, kind in zip(flows, kinds, strict=True)]
    if transform is Transform.NONE:
        assert seen[0::3] == [vector[5] for vector in VECTORS]
        assert seen[1::3] == [vector[4] for vector in VECTORS]


def test_a_key_is_changed_between_steps():
    """The host waits for a cycle without a step, and gets the tables of its key all the same."""
    dut, flow = Toeplitz(1), FLOWS[-1]
    steps_due = steps_of(1, flow, HashType.L4)

    async def bench(ctx):
        await ctx.tick().repeat(600)
        ctx.set(dut.key.write, 1)
        ctx.set(dut.key.value, 5)
        ctx.set(dut.step.mark.valid, 1)
        for _ in range(40):
            await ctx.tick()
            assert ctx.get(dut.busy)
            assert not ctx.get(dut.key.free)
        ctx.set(dut.step.mark.valid, 0)
        await ctx.tick().until(dut.key.free)
        await write_key(ctx, dut, MICROSOFT_KEY)
        for now, ahead in pairwise([None, *steps_due, None]):
            ctx.set(dut.ahead, ahead["mark"] if ahead else {})
            ctx.set(dut.step, now or {"mark": {"valid": 0}})
            await ctx.tick()
        ctx.set(dut.step.mark.valid, 0)
        await ctx.tick().repeat(Toeplitz.LATENCY)
        assert ctx.get(dut.hash) == VECTORS[-1][5]
        for row in range(abi.KEY_WORDS):
            ctx.set(dut.key.row, row)
            await ctx.tick().repeat(3)
            assert ctx.get(dut.key.shown) == int.from_bytes(
                MICROSOFT_KEY[4 * row:4 * row + 4], "big")
    simulate(dut, bench, limit=40000)


def test_after_a_reset_the_key_is_zero():
    dut = Toeplitz(1)
    part, clear = with_clear(dut)

    async def hashed(ctx):
        for now, ahead in pairwise([None, *steps_of(1, FLOWS[0], HashType.L4), None]):
            ctx.set(dut.ahead, ahead["mark"] if ahead else {})
            ctx.set(dut.step, now or {"mark": {"valid": 0}})
            await ctx.tick()
        ctx.set(dut.step.mark.valid, 0)
        await ctx.tick().repeat(Toeplitz.LATENCY)
        return ctx.get(dut.hash)

    async def bench(ctx):
        await ctx.tick().repeat(600)
        await write_key(ctx, dut, MICROSOFT_KEY)
        assert await hashed(ctx) != 0
        ctx.set(clear, 1)
        ctx.set(dut.key.value, 0)
        await ctx.tick()
        ctx.set(clear, 0)
        await ctx.tick().until(~dut.busy)
        assert await hashed(ctx) == 0
    simulate(part, bench, limit=40000)


def test_the_order_of_words():
    assert [words[0] for words in steps(1)] == [3, 2, 1, 0, 7, 6, 5, 4, PORTS, REST]
    assert sum(map(len, steps(3))) == sum(map(len, steps(5))) == 10
    assert steps(10) == [(3, 2, 1, 0, 7, 6, 5, 4, PORTS, REST)]
