"""RecycleRing against a deque for each pool: order, counts, policy changes, retirement, speed."""

from __future__ import annotations

import random

import pytest

from hdl_streams import config, put, simulate, with_clear
from pagering_hdl.recycle_ring import RecycleRing, RingModel

CARD = config(pools=3, pages=32, region_pages=4)


async def take(ctx, dut, pool):
    ctx.set(dut.pages.ready, 1)
    await put(ctx, dut.takes, pool)
    await ctx.tick().until(dut.pages.valid)
    page = ctx.get(dut.pages.payload)
    await ctx.tick()
    return page


async def enrol(ctx, dut, pool, page, new=0):
    await put(ctx, dut.enrolments, {"page": page, "pool": pool, "new": new})


async def check_counts(ctx, dut, model):
    await ctx.tick().repeat(2)  # that far behind they are
    for port in dut.counts:
        for pool, ring in enumerate(model.rings):
            ctx.set(port.addr, pool)
            counts = ctx.get(port.data)
            assert (counts.pushed - counts.popped) % (1 << 17) == len(ring)
            assert counts.registered == model.registered[pool]


@pytest.mark.parametrize("seed", range(3))
def test_random_against_the_model(seed):
    """Pages wander between three pools whose policies change all the time."""
    rng = random.Random(seed)
    dut = RecycleRing(CARD)
    model = RingModel(CARD.pools)
    outside = list(range(CARD.pages))

    async def bench(ctx):
        await ctx.tick().repeat(4)
        lifo = 0
        for step in range(500):
            lifo = rng.getrandbits(CARD.pools) if rng.random() < 0.1 else lifo
            ctx.set(dut.lifo, lifo)
            pool, what = rng.randrange(CARD.pools), rng.random()
            if what < 0.02:
                outside.extend(model.rings[pool])
                model.retire(pool)
                await put(ctx, dut.retire, pool)
            elif outside and (what < 0.5 or step < 10):
                page = outside.pop(rng.randrange(len(outside)))
                new = rng.randrange(2)
                model.put(pool, page, lifo=bool(lifo >> pool & 1), new=bool(new))
                await enrol(ctx, dut, pool, page, new)
            elif model.rings[pool]:
                page = model.take(pool)
                assert await take(ctx, dut, pool) == page
                outside.append(page)
            await check_counts(ctx, dut, model)
        # All that is left comes out in order.
        for pool, ring in enumerate(model.rings):
            while ring:
                assert await take(ctx, dut, pool) == model.take(pool)
    simulate(dut, bench)


@pytest.mark.parametrize(("lifo", "order"), [(0, [0, 1, 2, 3, 4]), (1, [4, 3, 2, 1, 0])])
def test_policy_is_the_order(lifo, order):
    dut = RecycleRing(CARD)

    async def bench(ctx):
        await ctx.tick().repeat(4)
        ctx.set(dut.lifo, lifo)
        for page in range(5):
            await enrol(ctx, dut, 0, page)
        assert [await take(ctx, dut, 0) for _ in range(5)] == order
    simulate(dut, bench)


def test_a_put_takes_one_cycle_and_a_take_three():
    dut = RecycleRing(CARD)

    async def bench(ctx):
        await ctx.tick().repeat(4)
        ctx.set(dut.enrolments.valid, 1)
        for page in range(16):
            ctx.set(dut.enrolments.payload, {"page": page, "pool": 1})
            assert ctx.get(dut.enrolments.ready)
            await ctx.tick()
        ctx.set(dut.enrolments.valid, 0)
        ctx.set(dut.takes.valid, 1)
        ctx.set(dut.takes.payload, 1)
        ctx.set(dut.pages.ready, 1)
        got, at, asked = [], [], 0
        for cycle in range(60):
            if ctx.get(dut.pages.valid):
                got.append(ctx.get(dut.pages.payload))
                at.append(cycle)
            asked += ctx.get(dut.takes.valid & dut.takes.ready)
            await ctx.tick()
            ctx.set(dut.takes.valid, asked < 16)
        assert got == list(range(16))
        assert at == list(range(at[0], at[0] + 3 * 16, 3))
    simulate(dut, bench)


def test_puts_in_the_middle_of_takes():
    """An enrolment may come in any cycle of a take."""
    dut = RecycleRing(CARD)
    model = RingModel(CARD.pools)

    async def putter(ctx):
        await ctx.tick().repeat(4)
        for page in range(24):
            await enrol(ctx, dut, 0, page)
            await ctx.tick().repeat(page % 3 + 1)

    async def taker(ctx):
        await ctx.tick().repeat(12)
        for page in range(24):
            model.put(0, page)
        for _ in range(24):
            ctx.set(dut.counts[0].addr, 0)
            while ctx.get(dut.counts[0].data.pushed == dut.counts[0].data.popped):
                await ctx.tick()
            assert await take(ctx, dut, 0) == model.take(0)
    simulate(dut, putter, taker)


def test_a_page_waits_for_its_taker():
    dut = RecycleRing(CARD)

    async def bench(ctx):
        await ctx.tick().repeat(4)
        for page in (7, 9):
            await enrol(ctx, dut, 2, page)
        await put(ctx, dut.takes, 2)
        await ctx.tick()
        ctx.set(dut.takes.valid, 1)
        for _ in range(5):
            await ctx.tick()
            assert ctx.get(dut.pages.valid)
            assert ctx.get(dut.pages.payload) == 7
            assert not ctx.get(dut.takes.ready)
        # It holds up nobody else: the page table may need these puts before it takes the page.
        for page in (1, 2, 3):
            await enrol(ctx, dut, 2, page)
        ctx.set(dut.takes.valid, 0)
        ctx.set(dut.pages.ready, 1)
        await ctx.tick()
        assert not ctx.get(dut.pages.valid)
        assert [await take(ctx, dut, 2) for _ in range(4)] == [9, 1, 2, 3]
    simulate(dut, bench)


def test_is_empty_after_a_reset_in_mid_life():
    dut = RecycleRing(CARD)
    part, clear = with_clear(dut)
    model = RingModel(CARD.pools)

    async def bench(ctx):
        await ctx.tick().repeat(4)
        for page in range(9):
            await enrol(ctx, dut, page % 3, page, 1)
        await take(ctx, dut, 1)
        ctx.set(clear, 1)
        await ctx.tick()
        ctx.set(clear, 0)
        await ctx.tick().repeat(4)
        await check_counts(ctx, dut, model)
        await enrol(ctx, dut, 1, 30, 1)
        model.put(1, 30, new=True)
        await check_counts(ctx, dut, model)
        assert await take(ctx, dut, 1) == model.take(1)
    simulate(part, bench)
