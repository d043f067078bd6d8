"""OldestPages against a model: the oldest of each pool, its queue and age, and nothing stale."""

from __future__ import annotations

import random

import pytest

from hdl_streams import config, simulate, with_clear
from pagering import abi
from pagering_hdl.oldest_pages import OldestPages

UNIT = 128
"""Cycles in the unit of ages, here: fewer than on a card, to see long ones."""
POOLS, QUEUES, PAGES = 3, 7, 64
ROUND = POOLS * (PAGES + 32)


@pytest.fixture(autouse=True)
def fast_time(monkeypatch):
    monkeypatch.setattr(abi, "AGE_CYCLES", UNIT)


def part():
    return OldestPages(config(pools=POOLS, queues=QUEUES, pages=PAGES, region_pages=8))


async def move(ctx, dut, page, pool, queue, out):
    ctx.set(dut.moved, {"valid": 1, "page": page, "pool": pool, "queue": queue, "out": out})
    await ctx.tick()
    ctx.set(dut.moved.valid, 0)


async def found(ctx, dut, pool):
    words = []
    for word in range(2):
        ctx.set(dut.shown.addr, 2 * pool + word)
        await ctx.tick()
        words.append(ctx.get(dut.shown.data))
    find = abi.POOL["OLDEST"].unpack(words[0])
    if not find["valid"]:
        assert words == [0, 0]
        return None
    return find["page"], find["queue"], words[1]


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
                queue = rng.randrange(QUEUES)
                await move(ctx, dut, page, page % POOLS, queue, page not in out)
                if page in out:
                    del out[page]
                else:
                    out[page] = (clock, queue)
                clock += 1
                await wait(rng.choice((0, 1, UNIT + 1)))
            await wait(2 * ROUND)
            for pool in range(POOLS):
                mine = {page: item for page, item in out.items() if page % POOLS == pool}
                got = await found(ctx, dut, pool)
                clock += 2
                if not mine:
                    assert got is None
                    continue
                page, queue, age = got
                assert queue == mine[page][1]
                oldest = min(when for when, _ in mine.values())
                # Times are rounded to a sixteenth of the age, or to a unit.
                least, most = (clock - 2 * ROUND - oldest, clock - oldest)
                assert clock - mine[page][0] >= least * 15 / 16 - UNIT, (
                    "there is an older one")
                assert least * 15 // 16 <= (age + 2) * UNIT
                assert age <= most * 17 // 16 // UNIT + 1
    simulate(dut, bench, limit=200_000)


def test_a_leak_of_any_age_is_known_to_a_sixteenth():
    """Its time is rounded again and again, while others move; none is lost or taken for young."""
    dut = part()

    async def bench(ctx):
        ctx.set(dut.valid, 0xFF)
        clock = 0
        for page in range(PAGES):
            await move(ctx, dut, page, page % POOLS, 0, 0)
        for page in (7, 10):
            await move(ctx, dut, page, 1, 5, 1)
            await ctx.tick().repeat(200 * UNIT)
            clock += 200 * UNIT
        for _ in range(6):
            for _ in range(100):
                # Others come and go, so that the walk has to wait for its turn to write.
                for page, out in ((13, 1), (13, 0)):
                    await move(ctx, dut, page, 1, 2, out)
                await ctx.tick().repeat(70)
            clock += 72 * 100
            page, queue, age = await found(ctx, dut, 1)
            clock += 2
            assert (page, queue) == (7, 5)
            assert (clock - 2 * ROUND) / UNIT * 15 / 16 - 2 <= age <= clock / UNIT * 17 / 16 + 2
        await move(ctx, dut, 7, 1, 5, 0)
        await ctx.tick().repeat(2 * ROUND)
        clock += 2 * ROUND - 200 * UNIT
        page, queue, age = await found(ctx, dut, 1)
        assert (page, queue) == (10, 5)
        assert (clock - 2 * ROUND) / UNIT * 15 / 16 - 2 <= age <= clock / UNIT * 17 / 16 + 2
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
