"""Placer: token, address and order of every segment, for several queues, and its cycles."""

from __future__ import annotations

import random
from collections import deque

import pytest

from hdl_streams import config, feed, get, mirror, put, rules, simulate, sink
from pagering_hdl.layouts import Kind
from pagering_hdl.placer import Placer


def base(page):
    return 0xABC_0000_0000 + (page << 12)


async def ring(ctx, dut, pages, taken):
    """Answer takes with the pages of a list, some cycles later."""
    while True:
        pool = await get(ctx, dut.takes)
        taken.append(pool)
        await put(ctx, dut.pages, pages[len(taken) - 1])


async def table(ctx, dut, opened, gaps):
    """Open pages; their generation is their number."""
    while True:
        while gaps.random() < 0.3:
            await ctx.tick()
        request = await get(ctx, dut.opens)
        opened.append((request["page"], request["queue"]))
        ctx.set(dut.opened, 1)
        ctx.set(dut.generation, request["page"] % 16)
        await ctx.tick()
        ctx.set(dut.opened, 0)
        ctx.set(dut.generation, 0)


@pytest.mark.parametrize("seed", range(3))
def test_random_segments(seed):
    rng = random.Random(seed)
    card = config(chunk_bytes=256)
    dut = Placer(card)
    order = rng.sample(range(card.pages), card.pages)
    pages = deque(order)
    open_page, sent, expected = {}, [], []
    opens, takes = [], []
    for _ in range(80):
        queue, pool = rng.randrange(4), rng.randrange(4)
        kind = rng.choice((Kind.SEGMENT, Kind.SEGMENT, Kind.SEGMENT, Kind.SKIP, Kind.CLOSE,
                           Kind.FENCE_QUEUE))
        first = rng.randrange(16)
        last = rng.randrange(first, 16)
        segment = {"kind": kind, "index": queue, "pool": pool, "length": rng.randrange(1, 4097),
                   "opens": 0, "first": first, "last": last, "start": rng.getrandbits(1),
                   "end": rng.getrandbits(1), "last_of_page": rng.getrandbits(1)}
        if kind is Kind.SEGMENT and pages and (queue not in open_page or rng.random() < 0.4):
            open_page[queue] = pages.popleft()
            segment.update(opens=1, first=0)
            opens.append((open_page[queue], queue))
            takes.append(pool)
        elif queue not in open_page:
            segment["kind"] = kind = Kind.START_QUEUE
        page = open_page.get(queue, 0)
        sent.append(segment)
        expected.append({
            "kind": kind, "index": queue, "length": segment["length"],
            "address": base(page) + segment["first"] * 256, "start": segment["start"],
            "end": segment["end"], "last_of_page": segment["last_of_page"],
            "token": {"page": page, "first": segment["first"], "last": last,
                      "generation": page % 16}})
    got, opened, taken = [], [], []

    async def ring_bench(ctx):
        await ring(ctx, dut, order, taken)

    async def table_bench(ctx):
        await table(ctx, dut, opened, random.Random(seed + 1))

    async def segments(ctx):
        await ctx.tick().repeat(4)
        await feed(ctx, dut.segments, sent, rng)
    simulate(dut, segments,
             sink(dut.placements, got, len(sent), random.Random(seed + 2)),
             background=[ring_bench, table_bench, rules(dut.placements), rules(dut.opens),
                         rules(dut.takes)],
             tables=[mirror(dut.address, base)])
    for placed, wanted in zip(got, expected, strict=True):
        carries = wanted["kind"] in (Kind.SEGMENT, Kind.CLOSE)
        names = wanted if carries else ("kind", "index", "length")
        assert {name: placed[name] for name in names} == {name: wanted[name] for name in names}
    assert opened == opens
    assert taken == takes


def test_cycles():
    """One for a segment in an open page, four for one that opens a page."""
    dut = Placer(config())

    async def bench(ctx):
        # A ring and a page table that answer as fast as they can.
        for signal, value in ((dut.takes.ready, 1), (dut.pages.valid, 1), (dut.opens.ready, 1),
                              (dut.opened, 1), (dut.placements.ready, 1), (dut.segments.valid, 1)):
            ctx.set(signal, value)
        for opens, cycles in ((1, 4), (0, 1), (0, 1), (1, 4), (1, 4)):
            ctx.set(dut.segments.payload, {"kind": Kind.SEGMENT, "opens": opens})
            for cycle in range(cycles):
                assert ctx.get(dut.segments.ready) == (cycle == cycles - 1)
                await ctx.tick()
    simulate(dut, bench)
