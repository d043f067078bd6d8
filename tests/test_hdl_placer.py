"""Placer: token, address and order of every segment, for several queues, and its cycles."""

from __future__ import annotations

import random
from collections import deque

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring

from hdl_streams import config, feed, get, late_mirror, put, rules, simulate, sink
from pagering_hdl.layouts import Kind, Side
from pagering_hdl.page_opener import PageOpener
from pagering_hdl.placer import Placer
from pagering_hdl.segment_fork import SegmentFork


def base(page):
    return 0xABC_0000_0000 + (page << 12)


class Memory:
    """A placer with its page opener, and what gives them their segments."""

    def __init__(self, card):
        self.opener, self.placer = PageOpener(), Placer(card)
        self.fork = SegmentFork(card)

    def module(self):
        m = Module()
        m.submodules.opener, m.submodules.placer = self.opener, self.placer
        m.submodules.fork = self.fork
        m.d.comb += self.fork.commands.ready.eq(1)
        wiring.connect(m, self.fork.orders, self.opener.orders)
        wiring.connect(m, self.fork.placed, self.placer.segments)
        wiring.connect(m, self.opener.fresh, self.placer.fresh)
        return m


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
    dut = Memory(card)
    placer, opener = dut.placer, dut.opener
    order = rng.sample(range(card.pages), card.pages)
    pages = deque(order)
    open_page, sent, expected = {}, [], []
    opens, takes = [], []
    for _ in range(80):
        queue, pool, side = rng.randrange(4), rng.randrange(4), rng.choice(list(Side))
        kind = rng.choice((Kind.SEGMENT, Kind.SEGMENT, Kind.SEGMENT, Kind.SKIP, Kind.CLOSE,
                           Kind.FENCE_QUEUE))
        first = rng.randrange(16)
        last = rng.randrange(first, 16)
        segment = {"kind": kind, "index": queue, "pool": pool, "side": side,
                   "apart": rng.getrandbits(1), "top": rng.randrange(4096), "opens": 0,
                   "first": first, "last": last, "start": rng.getrandbits(1),
                   "end": rng.getrandbits(1), "last_of_page": rng.getrandbits(1)}
        new = (queue, side) not in open_page
        if kind is Kind.SEGMENT and pages and (new or rng.random() < 0.4):
            open_page[queue, side] = pages.popleft()
            segment.update(opens=1, first=0)
            opens.append((open_page[queue, side], queue))
            takes.append(pool)
        elif new:
            segment["kind"] = kind = Kind.START_QUEUE
        page = open_page.get((queue, side), 0)
        sent.append(segment)
        expected.append({
            "kind": kind, "index": queue, "top": segment["top"], "apart": segment["apart"],
            "address": base(page) + segment["first"] * 256, "start": segment["start"],
            "end": segment["end"], "last_of_page": segment["last_of_page"],
            "token": {"page": page, "first": segment["first"], "last": last,
                      "generation": page % 16}})
    places = [place for place in expected if place["kind"] is not Kind.SKIP]
    got, opened, taken = [], [], []

    async def ring_bench(ctx):
        await ring(ctx, opener, order, taken)

    async def table_bench(ctx):
        await table(ctx, opener, opened, random.Random(seed + 1))

    async def segments(ctx):
        await ctx.tick().repeat(4)
        await feed(ctx, dut.fork.segments, sent, rng)
    simulate(dut.module(), segments,
             sink(placer.placements, got, len(places), random.Random(seed + 2)),
             background=[ring_bench, table_bench, rules(placer.placements), rules(opener.opens),
                         rules(opener.takes)],
             tables=[late_mirror(placer.address, base)])
    for placed, wanted in zip(got, places, strict=True):
        names = {Kind.SEGMENT: set(wanted), Kind.CLOSE: set(wanted) - {"address"}}.get(
            wanted["kind"], {"kind", "index", "top"})
        assert {name: placed[name] for name in names} == {name: wanted[name] for name in names}
    assert opened == opens
    assert taken == takes


@pytest.mark.parametrize(("bits", "opens", "cycles"), [
    (64, 0, 2), (64, 1, 3), (512, 0, 1), (512, 1, 2)])
def test_how_often_a_segment_is_placed(bits, opens, cycles):
    """In an open page, and in new ones as fast as ring and page table give them."""
    dut = Memory(config(bus_bits=bits))
    opener, placer = dut.opener, dut.placer

    async def bench(ctx):
        ready = (opener.takes.ready, opener.pages.valid, opener.opens.ready,
                 placer.placements.ready, dut.fork.segments.valid)
        for signal in ready:
            ctx.set(signal, 1)
        # Pages come, and generations, a cycle each after they are asked for.
        ctx.set(opener.pages.valid, 0)
        ctx.set(dut.fork.segments.payload, {"kind": Kind.SEGMENT, "opens": opens})
        taken = asked = placed = 0
        for _ in range(60):
            taken, ask = ctx.get(opener.takes.valid), taken
            ctx.set(opener.pages.valid, ask)
            ctx.set(opener.opened, asked)
            asked = ask
            placed += ctx.get(placer.placements.valid)
            await ctx.tick()
        assert placed > (60 - 12) // cycles
    simulate(dut.module(), bench)
