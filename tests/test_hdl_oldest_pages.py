"""OldestPages against a model: the oldest of each pool, its queue and age, and nothing stale."""

from __future__ import annotations

import random

import pytest

from hdl_streams import config, simulate, with_clear
from pagering import abi
from pagering_hdl.oldest_pages import STEPS, OldestPages

POOLS, PAGES = 3, 64
ROUND = POOLS * (PAGES + STEPS + 3)


def part():
    return OldestPages(config(pools=POOLS, pages=PAGES, region_pages=8))


async def move(ctx, dut, page, pool, queue, out):
    ctx.set(dut.moved, {"valid": 1, "page": page, "pool": pool, "queue": queue, "out": out})
    await ctx.tick()
    ctx.set(dut.moved.valid, 0)


async def found(ctx, dut, pool):
    ctx.set(dut.shown.addr, pool)
    await ctx.tick()
    data = dut.shown.data
    if not ctx.get(data.valid):
        return None
    return ctx.get(data.page), ctx.get(data.queue), ctx.get(data.age)


@pytest.mark.parametrize("seed", range(3))
def test_random_moves(seed):
    rng, dut = random.Random(seed), part()
    clock, out = 0, {}

    async def bench(ctx):
        nonlocal clock

        async def wait(cycles):
            nonlocal clock
            if cycles:
                await ctx.tick().repeat(cycles)
                clock += cycles
        ctx.set(dut.valid, 0xFF)
        for page in range(PAGES):
            await move(ctx, dut, page, page % POOLS, 0, 0)
            clock += 1
        for _ in range(25):
            for _ in range(rng.randrange(6)):
                page = rng.randrange(PAGES)
                queue = rng.randrange(64)
                await move(ctx, dut, page, page % POOLS, queue, page not in out)
                if page in out:
                    del out[page]
                else:
                    out[page] = (clock, queue)
                clock += 1
                await wait(rng.choice((0, 1, abi.AGE_CYCLES + 1)))
            await wait(2 * ROUND)
            for pool in range(POOLS):
                mine = {page: item for page, item in out.items() if page % POOLS == pool}
                got = await found(ctx, dut, pool)
                clock += 1
                if not mine:
                    assert got is None
                    continue
                units = {page: (when + 1) // abi.AGE_CYCLES for page, (when, _) in mine.items()}
                page, queue, age = got
                assert units[page] == min(units.values()), "there is an older one"
                assert queue == mine[page][1]
                least = (clock - 2 * ROUND - mine[page][0]) // abi.AGE_CYCLES - 1
                assert least <= age <= (clock - mine[page][0]) // abi.AGE_CYCLES + 1
    simulate(dut, bench, limit=200_000)


def test_what_was_known_before_a_reset_is_not_told():
    dut = part()
    inner, clear = with_clear(dut)

    async def bench(ctx):
        ctx.set(dut.valid, 0xFF)
        await move(ctx, dut, 9, 1, 5, 1)
        await ctx.tick().repeat(2 * ROUND)
        assert (await found(ctx, dut, 1))[:2] == (9, 5)
        ctx.set(clear, 1)
        ctx.set(dut.valid, 0)
        await ctx.tick()
        ctx.set(clear, 0)
        await ctx.tick().repeat(POOLS)  # the table of finds is being cleared
        for _ in range(2 * ROUND):
            assert await found(ctx, dut, 1) is None
        # Registering renews every page of a region before it is valid.
        for page in range(8, 16):
            await move(ctx, dut, page, 1, 0, 0)
        ctx.set(dut.valid, 0b10)
        for _ in range(2 * ROUND):
            assert await found(ctx, dut, 1) is None
    simulate(inner, bench)
