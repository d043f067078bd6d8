"""Admission and its parts against models: memory needed, the order of reasons, running counts."""

from __future__ import annotations

import random

import pytest
from amaranth.hdl import Signal

from hdl_streams import clocked, collect, config, get, mirror, put, rules, simulate
from pagering.abi import DropCause
from pagering_hdl.admission import Admission
from pagering_hdl.admission_rules import AdmissionRules, MemoryNeed, memory_need
from pagering_hdl.layouts import Kind


@pytest.mark.parametrize("card", [config(), config(chunk_bytes=64), config(chunk_bytes=4096),
                                  config(page_bytes=65536, chunk_bytes=1024)],
                         ids=["4K/1K", "4K/64", "4K/4K", "64K/1K"])
def test_memory_need_against_the_twin(card):
    dut = MemoryNeed(card)
    rng = random.Random(card.chunks)

    async def bench(ctx):
        for _ in range(300):
            length = rng.choice((rng.randrange(1, 16384), rng.randrange(1, 2 * card.chunk_bytes),
                                 card.page_bytes * rng.randrange(1, 4))) % 16384 or 1
            is_open, same = rng.random() < 0.8, rng.random() < 0.8
            at, pool = rng.randrange(1, card.chunks + 1), rng.randrange(64)
            ctx.set(dut.length, length)
            ctx.set(dut.pool, pool)
            ctx.set(dut.open_page, {"open": is_open, "next": at,
                                    "pool": pool if same else pool ^ 1})
            pages, segments, after = memory_need(card, length, at if is_open and same else None)
            assert ctx.get(dut.pages) == pages
            assert ctx.get(dut.opens) == (pages > 0)
            assert ctx.get(dut.segments) == segments
            assert ctx.get(dut.after.open) == (after is not None)
            assert ctx.get(dut.after.pool) == pool
            if after is not None:
                assert ctx.get(dut.after.next) == after
    simulate(clocked(dut), bench)


def refusal(facts):
    """Return the first reason not to admit a frame."""
    pages = facts["pages"]
    reasons = {
        DropCause.QUEUE_DISABLED: not facts["queue_runs"],
        DropCause.POOL_DISABLED: not facts["pool_runs"],
        DropCause.NO_PAGE: pages > facts["free"],
        DropCause.POOL_LIMIT: pages and facts["held"] + pages > facts["limit"],
        DropCause.QUEUE_QUOTA: pages and facts["queue_held"] + pages > facts["quota"],
        DropCause.RING_FULL: facts["queued"] + facts["segments"] > 1 << facts["ring_log2"],
    }
    return next((cause for cause, applies in reasons.items() if applies), None)


def test_rules_give_the_first_reason():
    dut = AdmissionRules()
    rng = random.Random(1)
    seen = set()

    async def bench(ctx):
        for _ in range(1500):
            pages = rng.randrange(5)
            facts = {"pages": pages, "segments": pages or 1,
                     "queue_runs": rng.random() < 0.9, "pool_runs": rng.random() < 0.9,
                     "ring_log2": rng.choice((6, 16))}
            for name, bound in (("free", 0), ("held", 0), ("limit", 1 << 16), ("queue_held", 0),
                                ("quota", 1 << 16), ("queued", (1 << facts["ring_log2"]) - 2)):
                facts[name] = rng.choice((max(0, bound - rng.randrange(5)), rng.randrange(8),
                                          rng.randrange((1 << 16) + 1)))
            for name, value in facts.items():
                ctx.set(getattr(dut, name), value)
            cause = refusal(facts)
            seen.add(cause)
            assert ctx.get(dut.refused) == (cause is not None)
            if cause is not None:
                assert ctx.get(dut.cause) == cause
    simulate(clocked(dut), bench)
    assert len(seen) == 7


class Model:
    """Counts as admission keeps them, and the tables that others keep."""

    def __init__(self, card, rng):
        self.card, self.rng = card, rng
        self.queue_runs, self.pool_runs = [False] * card.queues, [False] * card.pools
        self.open = [None] * card.queues
        self.produced, self.consumed = [0] * card.queues, [0] * card.queues
        self.granted, self.recycled = [0] * card.queues, [0] * card.queues
        self.pool_granted, self.pushed = [0] * card.pools, [12] * card.pools
        self.peak = [0] * card.pools
        self.held = {}
        self.settings = [{"pool": 0, "ring_log2": 6, "quota": 6} for _ in range(card.queues)]
        self.limit = [9] * card.pools

    def drift(self):
        """Let some time pass at the host."""
        rng = self.rng
        for held in [held for held, count in self.held.items() if count]:
            if rng.random() < 0.4:
                queue, pool = held
                self.held[held] -= 1
                self.recycled[queue] += 1
                self.pushed[pool] += 1
        for queue in range(self.card.queues):
            if rng.random() < 0.1:
                self.consumed[queue] = rng.randint(self.consumed[queue], self.produced[queue])

    def frame(self, queue, length):
        """Return the grant of a frame, and why it is dropped."""
        exists = queue < self.card.queues
        settings = self.settings[queue] if exists else self.settings[0]
        pool = settings["pool"]
        before = self.open[queue] if exists else None
        usable = before[1] if before and before[0] == pool else None
        pages, segments, after = memory_need(self.card, length, usable)
        free = self.pushed[pool] - self.pool_granted[pool]
        runs = exists and self.queue_runs[queue]
        cause = refusal({
            "queue_runs": runs, "pool_runs": self.pool_runs[pool], "pages": pages,
            "segments": segments, "free": free, "held": 12 - free, "limit": self.limit[pool],
            "queue_held": self.granted[queue] - self.recycled[queue] if runs else 0,
            "quota": settings["quota"], "ring_log2": settings["ring_log2"],
            "queued": self.produced[queue] - self.consumed[queue] if runs else 0})
        closes = bool(pages and before and runs)
        if cause is None:
            self.open[queue] = None if after is None else (pool, after)
            self.granted[queue] += pages
            self.pool_granted[pool] += pages
            self.produced[queue] += segments
            self.held[queue, pool] = self.held.get((queue, pool), 0) + pages
            self.peak[pool] = max(self.peak[pool], 12 - free + pages)
            grant = {"kind": Kind.SEGMENT, "index": queue, "length": length, "pool": pool,
                     "opens": int(pages > 0), "closes": int(closes)}
            if not pages:
                grant["first"] = usable
        else:
            if closes:
                self.open[queue] = None
            grant = {"kind": Kind.SKIP, "length": length, "closes": int(closes)}
            if closes:
                grant["index"] = queue
        return grant, cause

    def mark(self, kind, index):
        """Return the grants that a mark turns into."""
        grants = []
        closes = kind is Kind.FENCE_QUEUE and self.open[index] is not None
        if kind in (Kind.START_QUEUE, Kind.FENCE_QUEUE):
            self.queue_runs[index] = kind is Kind.START_QUEUE
            if kind is Kind.START_QUEUE:
                self.produced[index] = self.consumed[index] = 0
            else:
                self.open[index] = None
        else:
            self.pool_runs[index] = kind is Kind.START_POOL
            if kind is Kind.START_POOL:
                self.peak[index] = 12 - self.pushed[index] + self.pool_granted[index]
            else:
                for queue, page in enumerate(self.open):
                    if page and page[0] == index:
                        grants.append({"kind": Kind.CLOSE, "index": queue})
                        self.open[queue] = None
        return [*grants, {"kind": kind, "index": index, "closes": int(closes)}]


async def check_counts(ctx, dut, model):
    for asked, table in ((dut.queue_granted, model.granted), (dut.pool_peak, model.peak),
                         (dut.pool_granted[0], model.pool_granted),
                         (dut.pool_granted[1], model.pool_granted)):
        for index, value in enumerate(table):
            ctx.set(asked.addr, index)
            assert ctx.get(asked.data) == value
    assert ctx.get(dut.pool_runs) == sum(on << n for n, on in enumerate(model.pool_runs))


@pytest.mark.parametrize("seed", range(3))
def test_random_frames_and_marks_against_the_model(seed):
    rng = random.Random(seed)
    card = config(queues=3, pools=2, chunk_bytes=1024)
    dut, model, news = Admission(card), Model(card, rng), Signal(16)
    drops, expected = [], []
    marks = [Kind.START_QUEUE, Kind.FENCE_QUEUE, Kind.START_POOL, Kind.FENCE_POOL]

    async def expect(ctx, grants):
        for wanted in grants:
            got = await get(ctx, dut.grants)
            assert {name: got[name] for name in wanted} == wanted

    async def bench(ctx):
        ctx.set(dut.facts.ready, 1)
        await ctx.tick().repeat(4)
        for step in range(250):
            model.drift()
            if step < 5 or rng.random() < 0.1:
                kind = marks[0 if step < 3 else 2] if step < 5 else rng.choice(marks)
                index = (step if step < 3 else step - 3) if step < 5 else rng.randrange(
                    3 if kind in marks[:2] else 2)
                if kind is Kind.START_QUEUE:
                    model.settings[index] = {"pool": rng.randrange(2), "quota": rng.randrange(12),
                                             "ring_log2": 6}
                ctx.set(news, step)
                grants = model.mark(kind, index)
                await put(ctx, dut.marks, {"kind": kind, "index": index})
                await expect(ctx, grants)
            else:
                queue = rng.choice((0, 1, 2, rng.choice((0, 1, 2, 3, 63))))
                length = rng.choice((60, 900, 1500, 3000, rng.randrange(1, 16384)))
                ctx.set(news, step)
                grant, cause = model.frame(queue, length)
                if cause is not None:
                    expected.append((cause, queue))
                await put(ctx, dut.arrivals, {"queue": queue, "length": length})
                await expect(ctx, [grant])
            await ctx.tick()
            await check_counts(ctx, dut, model)

    async def note(ctx):
        ticks = ctx.tick().sample(dut.dropped, dut.dropped_queue)
        async for _, _, dropped, queue in ticks:
            if dropped.valid:
                drops.append((DropCause(dropped.cause), queue))

    def row(table):
        return lambda index: table[index] if index < len(table) else table[0]
    simulate(dut, bench, background=[note, rules(dut.grants)], tables=[
        mirror(dut.settings, row(model.settings), news),
        mirror(dut.consumed, row(model.consumed), news),
        mirror(dut.recycled, row(model.recycled), news), mirror(dut.limit, row(model.limit), news),
        mirror(dut.counts, lambda index: {"pushed": row(model.pushed)(index), "registered": 12},
               news)])
    assert drops == expected
    assert {cause for cause, _ in drops} >= {DropCause.QUEUE_DISABLED, DropCause.QUEUE_QUOTA}


def test_four_cycles_a_frame():
    card = config(chunk_bytes=64)
    dut = Admission(card)
    drops = []

    async def bench(ctx):
        ctx.set(dut.grants.ready, 1)
        ctx.set(dut.facts.ready, 1)
        ctx.set(dut.arrivals.valid, 1)
        ctx.set(dut.arrivals.payload, {"queue": 0, "length": 60})
        await ctx.tick().repeat(13)
        assert len(drops) == 3
    simulate(dut, bench, background=[collect(dut.dropped, drops)])
