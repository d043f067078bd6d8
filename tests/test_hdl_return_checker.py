"""ReturnChecker: tokens of no page or no chunk are refused in their place, the rest pass."""

from __future__ import annotations

import random

import pytest

from hdl_streams import collect, config, rules, simulate, sink, source
from pagering.abi import Fault
from pagering_hdl.return_checker import ReturnChecker


@pytest.mark.parametrize("card", [config(), config(chunk_bytes=4096), config(chunk_bytes=64)],
                         ids=["4", "1", "64"])
@pytest.mark.parametrize("seed", range(2))
def test_random_tokens(card, seed):
    rng = random.Random(seed)
    dut = ReturnChecker(card)
    valid = rng.getrandbits(card.regions) & ~1 | 2
    sent, passed, refused = [], [], []
    for _ in range(200):
        page = rng.choice((rng.randrange(card.pages), rng.randrange(1 << 16)))
        first, last = rng.randrange(card.chunks), rng.randrange(card.chunks)
        if rng.random() < 0.7:
            first, last = min(first, last), max(first, last)
        if rng.random() < 0.2:
            last = rng.randrange(64)
        item = {"queue": rng.randrange(64), "token": {
            "page": page, "first": first, "last": last, "generation": rng.randrange(16)}}
        sent.append(item)
        slot = page // card.region_pages
        if slot >= card.regions or not valid >> slot & 1:
            refused.append(Fault.RETURN_PAGE)
        elif first > last or last >= card.chunks:
            refused.append(Fault.RETURN_CHUNK)
        else:
            passed.append(item)
    got, events = [], []

    async def regions(ctx):
        ctx.set(dut.valid, valid)

    async def end(ctx):
        await ctx.tick().repeat(800)
        assert ctx.get(dut.idle)
    simulate(dut, regions, source(dut.returns, sent, rng), end,
             sink(dut.checked, got, len(passed), random.Random(seed + 5)),
             background=[collect(dut.refusal, events), rules(dut.checked)])
    assert got == passed
    assert [event["fault"] for event in events] == refused


def test_is_not_idle_while_a_token_waits():
    dut = ReturnChecker(config())

    async def bench(ctx):
        ctx.set(dut.valid, 0xFF)
        assert ctx.get(dut.idle)
        ctx.set(dut.returns.valid, 1)
        await ctx.tick()
        ctx.set(dut.returns.valid, 0)
        for _ in range(4):
            assert not ctx.get(dut.idle)
            await ctx.tick()
        ctx.set(dut.checked.ready, 1)
        await ctx.tick()
        assert ctx.get(dut.idle)
    simulate(dut, bench)
