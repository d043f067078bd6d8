"""Switchboard, Lifecycle and ResetControl: no fence is lost, drained is true, resets in order."""

from __future__ import annotations

import random
from collections import deque

import pytest

from hdl_streams import config, get, pulse, rules, simulate
from pagering_hdl.layouts import Kind
from pagering_hdl.lifecycle import Lifecycle, Switchboard
from pagering_hdl.reset_control import ResetControl


def switchboard(count=4):
    return Switchboard(count, start=Kind.START_QUEUE, fence=Kind.FENCE_QUEUE)


async def write(ctx, dut, index, enable, allowed=1):
    """Write an enable bit; return whether it was refused."""
    for signal, value in ((dut.index, index), (dut.enable, enable), (dut.allowed, allowed)):
        ctx.set(signal, value)
    ctx.set(dut.set, 1)
    refused = ctx.get(dut.refused)
    await ctx.tick()
    ctx.set(dut.set, 0)
    return refused


def test_is_drained_from_the_start():
    dut = switchboard(5)

    async def bench(ctx):
        assert ctx.get(dut.drained) == 0b11111
        assert ctx.get(dut.enabled) == 0
    simulate(dut, bench)


def test_a_life():
    dut = switchboard()

    async def bench(ctx):
        assert not await write(ctx, dut, 2, 1)
        assert (ctx.get(dut.enabled), ctx.get(dut.drained)) == (0b0100, 0b1011)
        assert await get(ctx, dut.marks) == {"kind": Kind.START_QUEUE, "index": 2}
        assert not await write(ctx, dut, 2, 0)
        assert (ctx.get(dut.enabled), ctx.get(dut.drained)) == (0, 0b1011)
        assert await write(ctx, dut, 2, 1), "enabled before it was drained"
        assert ctx.get(dut.enabled) == 0
        assert await get(ctx, dut.marks) == {"kind": Kind.FENCE_QUEUE, "index": 2}
        assert await write(ctx, dut, 2, 1), "enabled before its fence came out"
        ctx.set(dut.fenced_index, 2)
        await pulse(ctx, dut.fenced)
        assert ctx.get(dut.drained) == 0b1111
        assert not await write(ctx, dut, 2, 1)
    simulate(dut, bench)


def test_is_refused_what_is_not_allowed():
    dut = switchboard()

    async def bench(ctx):
        assert await write(ctx, dut, 0, 1, allowed=0)
        assert ctx.get(dut.enabled) == 0
        assert not await write(ctx, dut, 0, 1)
        # Writing what is there already is no request.
        assert not await write(ctx, dut, 0, 1, allowed=0)
        assert not await write(ctx, dut, 0, 0, allowed=0)
        assert not await write(ctx, dut, 1, 0, allowed=0)
    simulate(dut, bench)


@pytest.mark.parametrize("gap", range(6))
@pytest.mark.parametrize("wait", range(4))
def test_a_quick_toggle_loses_no_fence(gap, wait):
    """Disabled again before its start has left, or while it waits: a fence follows all the same."""
    dut = switchboard()
    marks = []

    async def bench(ctx):
        await write(ctx, dut, 1, 1)
        for _ in range(gap):
            await ctx.tick()
        await write(ctx, dut, 1, 0)

    async def pipeline(ctx):
        for _ in range(wait):
            await ctx.tick()
        while not marks or marks[-1]["kind"] is not Kind.FENCE_QUEUE:
            marks.append(await get(ctx, dut.marks))
        await ctx.tick().repeat(10)
        assert not ctx.get(dut.marks.valid)
        assert ctx.get(dut.drained) == 0b1101
    simulate(dut, bench, pipeline, background=[rules(dut.marks)])
    assert [mark["kind"] for mark in marks] in (
        [Kind.FENCE_QUEUE], [Kind.START_QUEUE, Kind.FENCE_QUEUE])


@pytest.mark.parametrize("seed", range(3))
def test_random_toggles(seed):
    """Never drained while enabled or with a mark under way; in the end, all marks have passed."""
    rng = random.Random(seed)
    dut = switchboard()
    under_way = deque()
    last = [Kind.FENCE_QUEUE] * 4

    async def host(ctx):
        for step in range(400):
            index = rng.randrange(4)
            await write(ctx, dut, index, int(step < 380 and rng.random() < 0.5), rng.random() < 0.9)
            drained, enabled = ctx.get(dut.drained), ctx.get(dut.enabled)
            assert not drained & enabled
            for mark in under_way:
                assert not drained >> mark["index"] & 1
            if rng.random() < 0.5:
                await ctx.tick()
        for index in range(4):
            await write(ctx, dut, index, 0)
        while ctx.get(dut.drained) != 0b1111:
            await ctx.tick()
        assert not under_way
        assert last == [Kind.FENCE_QUEUE] * 4

    async def pipeline(ctx):
        coin = random.Random(seed + 4)
        ticks = ctx.tick().sample(dut.marks.valid & dut.marks.ready, dut.marks.p.kind,
                                  dut.marks.p.index)
        async for _, _, taken, kind, index in ticks:
            ctx.set(dut.fenced, 0)
            if taken:
                under_way.append({"kind": kind, "index": index})
            if under_way and coin.random() < 0.2:
                mark = under_way.popleft()
                last[mark["index"]] = mark["kind"]
                ctx.set(dut.fenced, mark["kind"] is Kind.FENCE_QUEUE)
                ctx.set(dut.fenced_index, mark["index"])
            ctx.set(dut.marks.ready, coin.random() < 0.4)
    simulate(dut, host, background=[pipeline, rules(dut.marks)])


@pytest.mark.parametrize("wait", range(1, 5))
def test_a_mark_that_waits_is_not_replaced(wait):
    """Whichever was offered first, and however late the other comes."""
    for first, other in (("pools", "queues"), ("queues", "pools")):
        dut = Lifecycle(config())

        async def bench(ctx, dut=dut, first=first, other=other):
            await write(ctx, getattr(dut, first), 1, 1)
            await ctx.tick().repeat(wait)
            await write(ctx, getattr(dut, other), 2, 1)
            await ctx.tick().repeat(4)
            marks = [await get(ctx, dut.marks) for _ in range(2)]
            assert {mark["index"] for mark in marks} == {1, 2}
        simulate(dut, bench, background=[rules(dut.marks)])


def test_lifecycle_merges_queues_and_pools():
    dut = Lifecycle(config(queues=3, pools=2))

    async def bench(ctx):
        await write(ctx, dut.pools, 1, 1)
        await write(ctx, dut.queues, 2, 1)
        marks = [await get(ctx, dut.marks) for _ in range(2)]
        assert {(mark["kind"], mark["index"]) for mark in marks} == {
            (Kind.START_POOL, 1), (Kind.START_QUEUE, 2)}
        await ctx.tick().repeat(3)
        assert not ctx.get(dut.marks.valid)
    simulate(dut, bench)


@pytest.mark.parametrize("rows", [2, 64, 256])
def test_after_power_on_waits_for_the_tables(rows):
    dut = ResetControl(rows)

    async def bench(ctx):
        cycles = 0
        while ctx.get(dut.resetting):
            assert not ctx.get(dut.clear)
            await ctx.tick()
            cycles += 1
        assert rows <= cycles <= rows + 2
    simulate(dut, bench)


def test_reset_waits_for_idle_clears_once_and_waits_for_the_tables():
    dut = ResetControl(8)

    async def bench(ctx):
        await ctx.tick().until(~dut.resetting)
        for _ in range(2):
            await pulse(ctx, dut.request)
            for _ in range(20):
                assert ctx.get(dut.resetting)
                assert not ctx.get(dut.clear)
                await ctx.tick()
            ctx.set(dut.idle, 1)
            seen = []
            while ctx.get(dut.resetting):
                seen.append(ctx.get(dut.clear))
                await ctx.tick()
            ctx.set(dut.idle, 0)
            assert sum(seen) == 1
            assert len(seen) - seen.index(1) > 8
    simulate(dut, bench)
