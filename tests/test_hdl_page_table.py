"""PageTable against a model: every operation back to back, faults, counts, what is recycled when.

Invariants 1 and 4 of the architecture: a page is in one place; a refused return changes nothing.
"""

from __future__ import annotations

import random

import pytest

from hdl_page_model import PAGES, POOLS, QUEUES, Model
from hdl_streams import clocked, config, mirror, rules, simulate, with_clear
from pagering_hdl.page_entry import NamedChunks
from pagering_hdl.page_table import STEPS, PageTable


def card(chunks):
    return config(queues=QUEUES, pools=POOLS, pages=PAGES, region_pages=8,
                  chunk_bytes=4096 // chunks)


async def answers(ctx, dut, told):
    """Note every answer of the table, in order."""
    ticks = ctx.tick().sample(dut.opened, dut.generation, dut.refusal, dut.accepted)
    async for _, _, opened, generation, refusal, accepted in ticks:
        if opened:
            told["opens"].append(generation)
        assert not (accepted and refusal.valid)
        if accepted:
            told["returns"].append(None)
        if refusal.valid:
            told["returns"].append(refusal.fault)


async def check_counts(ctx, dut, model):
    await ctx.tick().repeat(STEPS)
    for queue, count in enumerate(model.left):
        for port in dut.queue_recycled:
            ctx.set(port.addr, queue)
            assert ctx.get(port.data) == count
    for pool, count in enumerate(model.out):
        ctx.set(dut.outstanding.addr, pool)
        assert ctx.get(dut.outstanding.data) == count


@pytest.mark.parametrize("chunks", [1, 16, 64])
@pytest.mark.parametrize("seed", range(2))
def test_random_operations_back_to_back(chunks, seed):
    rng = random.Random(seed)
    dut = PageTable(card(chunks))
    model, recycled = Model(chunks, rng), []
    told, expected = ({"opens": [], "returns": []} for _ in range(2))

    async def bench(ctx):
        await ctx.tick().repeat(4)
        for number in range(700):
            stream, payload, answer = model.step()
            port = getattr(dut, stream)
            ctx.set(port.payload, payload)
            ctx.set(port.valid, 1)
            await ctx.tick().until(port.ready)
            ctx.set(port.valid, 0)
            if stream in expected:
                expected[stream].append(answer)
            if number % 50 == 0:
                await check_counts(ctx, dut, model)
        ctx.set(dut.recycled.ready, 1)
        await ctx.tick().repeat(8)
        await check_counts(ctx, dut, model)
        assert ctx.get(dut.idle)

    async def ring(ctx):
        coin = random.Random(seed + 7)
        ticks = ctx.tick().sample(dut.recycled.valid & dut.recycled.ready, dut.recycled.payload)
        async for _, _, taken, item in ticks:
            if taken:
                assert item.pool == item.page % POOLS
                assert not item.new
                recycled.append(item.page)
            ctx.set(dut.recycled.ready, coin.random() < 0.7)

    async def listen(ctx):
        await answers(ctx, dut, told)
    simulate(dut, bench, background=[ring, listen, rules(dut.recycled)],
             tables=[mirror(dut.owner, lambda page: page % POOLS)])
    assert told == expected
    assert recycled == model.recycled
    assert len(recycled) > 10


def test_an_operation_a_cycle():
    dut = PageTable(card(16))

    async def bench(ctx):
        await ctx.tick().repeat(4)
        ctx.set(dut.recycled.ready, 1)
        ctx.set(dut.loads.valid, 1)
        for page in range(PAGES):
            ctx.set(dut.loads.payload, {"page": page})
            assert ctx.get(dut.loads.ready)
            await ctx.tick()
        ctx.set(dut.loads.valid, 0)
        # One page through its whole life, each operation in the cycle after the one before.
        token = {"page": 3, "first": 0, "last": 15, "generation": 2}
        for stream, payload in (
                ("opens", {"page": 3, "queue": 2}),
                ("deliveries", {"page": 3, "first": 0, "last": 7}),
                ("deliveries", {"page": 3, "first": 8, "last": 15, "closes": 1}),
                ("returns", {"queue": 2, "token": token})):
            port = getattr(dut, stream)
            ctx.set(port.payload, payload)
            ctx.set(port.valid, 1)
            assert ctx.get(port.ready)
            await ctx.tick()
            ctx.set(port.valid, 0)
        await ctx.tick().repeat(2)
        assert ctx.get(dut.accepted)
        await ctx.tick().until(dut.recycled.valid)
        assert ctx.get(dut.queue_recycled[0].data) == 0
    simulate(dut, bench, tables=[mirror(dut.owner, lambda page: page % POOLS)])


def test_the_cards_own_work_goes_first():
    dut = PageTable(card(16))

    async def bench(ctx):
        await ctx.tick().repeat(4)
        ctx.set(dut.loads.valid, 1)
        await ctx.tick()
        ctx.set(dut.loads.valid, 0)
        ctx.set(dut.opens.valid, 1)
        await ctx.tick()
        streams = (dut.deliveries, dut.opens, dut.loads, dut.returns)
        ctx.set(dut.opens.p.page, 1)
        ctx.set(dut.deliveries.p.closes, 1)
        for port in streams:
            ctx.set(port.valid, 1)
        for port in streams:
            assert [ctx.get(p.ready & p.valid) for p in streams] == [
                int(p is port) for p in streams]
            await ctx.tick()
            ctx.set(port.valid, 0)
    simulate(dut, bench)


def test_waits_while_recycled_pages_have_nowhere_to_go():
    """No page is lost when the ring does not take any: the table stops in time."""
    dut = PageTable(config(queues=QUEUES, pools=POOLS, pages=32, region_pages=8))

    async def bench(ctx):
        await ctx.tick().repeat(4)
        done = 0
        for page in range(32):
            for stream, payload in (("opens", {"page": page}),
                                    ("deliveries", {"page": page, "none": 1, "closes": 1})):
                port = getattr(dut, stream)
                ctx.set(port.payload, payload)
                ctx.set(port.valid, 1)
                for _ in range(3):
                    if ctx.get(port.ready):
                        await ctx.tick()
                        done += 1
                        break
                    await ctx.tick()
                else:
                    ctx.set(dut.recycled.ready, 1)
                    await ctx.tick().until(port.ready)
                ctx.set(port.valid, 0)
        assert done >= 4
    simulate(dut, bench, background=[rules(dut.recycled)])


@pytest.mark.parametrize("chunks", [1, 16, 64])
def test_named_chunks(chunks):
    dut = NamedChunks(card(chunks))

    async def bench(ctx):
        for first in range(chunks):
            for last in range(first, chunks):
                ctx.set(dut.request.first, first)
                ctx.set(dut.request.last, last)
                assert ctx.get(dut.named) == (2 << last) - (1 << first)
        ctx.set(dut.request.none, 1)
        assert ctx.get(dut.named) == 0
    simulate(clocked(dut), bench)


def test_counts_are_zero_after_a_reset_in_mid_life():
    dut = PageTable(card(1))
    part, clear = with_clear(dut)

    async def bench(ctx):
        await ctx.tick().repeat(4)
        for stream, payload in (("opens", {"page": 1}),
                                ("deliveries", {"page": 1, "closes": 1})):
            port = getattr(dut, stream)
            ctx.set(port.payload, payload)
            ctx.set(port.valid, 1)
            await ctx.tick()
            ctx.set(port.valid, 0)
        await ctx.tick().repeat(STEPS)
        ctx.set(dut.outstanding.addr, 0)
        assert ctx.get(dut.outstanding.data) == 1
        ctx.set(clear, 1)
        await ctx.tick()
        ctx.set(clear, 0)
        await ctx.tick().repeat(4)
        assert ctx.get(dut.outstanding.data) == 0
        # The page's past is forgotten by its next registration, and counted nowhere.
        ctx.set(dut.loads.p.page, 1)
        ctx.set(dut.loads.valid, 1)
        await ctx.tick().repeat(STEPS)
        assert ctx.get(dut.outstanding.data) == 0
        assert not ctx.get(dut.recycled.valid)
    simulate(part, bench)
