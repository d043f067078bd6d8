"""Admission and its parts against models: memory needed, the order of reasons, running counts."""

from __future__ import annotations

import random

import pytest
from amaranth.hdl import Signal

from hdl_streams import clocked, collect, config, get, mirror, plain, pulse, put, rules, simulate
from pagering.abi import DropCause
from pagering_hdl.admission import Admission
from pagering_hdl.admission_need import MemoryNeed, PieceChooser, memory_need
from pagering_hdl.admission_rules import AdmissionRules
from pagering_hdl.layouts import Kind, Side

SCARCE_CAUSES = (DropCause.NO_PAGE, DropCause.POOL_LIMIT, DropCause.QUEUE_QUOTA,
                 DropCause.RING_FULL)


def cards(**changes):
    """Cards whose admission takes a cycle, a few, and many."""
    return [config(bus_bits=bits, burst_bytes=64, **changes) for bits in (64, 128, 512)]


@pytest.mark.parametrize("card", [
    *cards(), *cards(chunk_bytes=64), config(chunk_bytes=4096),
    config(page_bytes=65536, chunk_bytes=1024)])
def test_memory_need_against_the_twin(card):
    dut = MemoryNeed(card)
    rng = random.Random(card.chunks)

    async def bench(ctx):
        for _ in range(200):
            length = rng.choice((rng.randrange(1, 16384), rng.randrange(1, 2 * card.chunk_bytes),
                                 card.page_bytes * rng.randrange(1, 4))) % 16384 or 1
            is_open, at = rng.random() < 0.8, rng.randrange(card.chunks)
            ctx.set(dut.top, length - 1)
            ctx.set(dut.page, {"open": is_open, "next": at})
            await ctx.tick().repeat(2)
            pages, segments, after = memory_need(card, length, at if is_open else None)
            assert ctx.get(dut.pages) == pages
            assert ctx.get(dut.opens) == (pages > 0)
            assert ctx.get(dut.segments) == segments
            assert ctx.get(dut.after.open) == (after is not None)
            if after is not None:
                assert ctx.get(dut.after.next) == after
    simulate(clocked(dut), bench)


def split_of(settings, length, header):
    """Return whether a frame is split."""
    return bool(settings["split"] and 0 < header < length > settings["threshold"])


@pytest.mark.parametrize("card", cards())
def test_pieces_of_frames(card):
    dut = PieceChooser(card)
    rng = random.Random(3)
    seen = set()

    async def bench(ctx):
        for _ in range(200):
            length = rng.choice((rng.randrange(1, 300), rng.randrange(1, 16384)))
            header = rng.choice((0, rng.randrange(256), min(255, length)))
            settings = {"split": rng.randrange(2), "pool": 1, "header_pool": 2,
                        "threshold": rng.choice((0, 100, length - 1, length, 65535))}
            ctx.set(dut.settings, settings)
            ctx.set(dut.length, length)
            ctx.set(dut.header, header)
            split = split_of(settings, length, header)
            for second in range(1 + split):
                ctx.set(dut.second, second)
                await ctx.tick().repeat(4)
                piece = plain(ctx.get(dut.piece))
                of_headers = settings["split"] and not second
                size = length if not split else length - header if second else header
                assert ctx.get(dut.split) == split
                assert piece == {"pool": 2 if of_headers else 1, "top": size - 1,
                                 "side": Side.HEADERS if of_headers else Side.PAYLOAD}
            seen.add((settings["split"], split))
    simulate(clocked(dut), bench)
    assert len(seen) == 3


def refusal(facts):
    """Return the first reason not to admit a piece."""
    pages, extra = facts["pages"], facts["before"]
    reasons = {
        DropCause.RULE: facts["drop"],
        DropCause.QUEUE_DISABLED: not facts["queue_runs"],
        DropCause.POOL_DISABLED: not facts["pool_runs"],
        DropCause.NO_PAGE: pages and pages + facts["before_here"] > facts["free"],
        DropCause.POOL_LIMIT: pages and facts["held"] + pages + facts["before_here"]
        > facts["limit"],
        DropCause.QUEUE_QUOTA: pages and facts["queue_held"] + pages + extra > facts["quota"],
        DropCause.RING_FULL: facts["queued"] + facts["segments"] > 1 << facts["ring_log2"],
    }
    return next((cause for cause, applies in reasons.items() if applies), None)


@pytest.mark.parametrize("card", cards())
def test_rules_give_the_first_reason(card):
    dut = AdmissionRules(card)
    rng = random.Random(1)
    seen = set()
    word = (1 << 17) - 1

    async def bench(ctx):
        for _ in range(800):
            pages, before = rng.randrange(5), rng.randrange(2)
            facts = {"pages": pages, "segments": pages or 1, "before": before,
                     "before_here": before and rng.randrange(2), "drop": rng.random() < 0.05,
                     "queue_runs": rng.random() < 0.9, "pool_runs": rng.random() < 0.9,
                     "ring_log2": rng.choice((6, 16))}
            for name, bound in (("free", 0), ("held", 0), ("limit", 1 << 16), ("queue_held", 0),
                                ("quota", 1 << 16), ("queued", (1 << facts["ring_log2"]) - 2)):
                facts[name] = rng.choice((max(0, bound - rng.randrange(5)), rng.randrange(8),
                                          rng.randrange(1 << 15)))
            pushed, granted, produced = (rng.getrandbits(17) for _ in range(3))
            registered, peak = facts["free"] + facts["held"], rng.randrange(1 << 16)
            for name in ("pages", "segments", "before", "before_here", "drop", "queue_runs",
                         "pool_runs", "limit"):
                ctx.set(getattr(dut, name), facts[name])
            ctx.set(dut.drop_cause, DropCause.RULE)
            ctx.set(dut.counts, {"pushed": pushed, "registered": registered})
            ctx.set(dut.granted, pushed - facts["free"] & word)
            ctx.set(dut.queue_granted, granted)
            ctx.set(dut.recycled, granted - facts["queue_held"] & word)
            ctx.set(dut.produced, produced)
            ctx.set(dut.consumed, produced - facts["queued"] & word)
            ctx.set(dut.settings, {"quota": facts["quota"], "ring_log2": facts["ring_log2"]})
            ctx.set(dut.peak, peak)
            await ctx.tick().repeat(5)
            cause = refusal(facts)
            seen.add(cause)
            assert ctx.get(dut.refused) == (cause is not None)
            assert ctx.get(dut.scarce) == (cause in SCARCE_CAUSES)
            if cause is not None:
                assert ctx.get(dut.cause) == cause
            assert ctx.get(dut.held) == facts["held"]
            off_ring = facts["held"] + pages + facts["before_here"]
            assert ctx.get(dut.off_ring) == off_ring
            assert ctx.get(dut.record) == (off_ring > peak)
            assert ctx.get(dut.queue_granted_after) == granted + pages + before & word
            assert ctx.get(dut.produced_after) == produced + facts["segments"] & word
    simulate(clocked(dut), bench)
    assert len(seen) == 8


def settings(rng):
    """Return a queue's settings."""
    return {"pool": rng.randrange(2), "ring_log2": 6, "quota": rng.randrange(12),
            "split": rng.randrange(2), "header_pool": rng.randrange(2),
            "threshold": rng.choice((0, 100)), "hold": 0}


class Model:
    """Counts as admission keeps them, and the tables that others keep."""

    def __init__(self, card, rng):
        self.card, self.rng = card, rng
        self.queue_runs, self.pool_runs = [False] * card.queues, [False] * card.pools
        self.open = [{Side.PAYLOAD: None, Side.HEADERS: None} for _ in range(card.queues)]
        self.produced, self.consumed = [0] * card.queues, [0] * card.queues
        self.granted, self.recycled = [0] * card.queues, [0] * card.queues
        self.pool_granted, self.pushed = [0] * card.pools, [12] * card.pools
        self.peak = [0] * card.pools
        self.held = {}
        self.settings = [settings(rng) for _ in range(card.queues)]
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

    def pieces(self, queue, length, header):
        """Return side, pool and bytes of each piece."""
        mine = self.settings[queue]
        if not split_of(mine, length, header):
            return [(Side.HEADERS if mine["split"] else Side.PAYLOAD,
                     mine["header_pool"] if mine["split"] else mine["pool"], length)]
        return [(Side.HEADERS, mine["header_pool"], header),
                (Side.PAYLOAD, mine["pool"], length - header)]

    def weigh(self, queue, pieces):
        """Return the shares of the pieces, which pages are closed, and what stands against it."""
        mine, opened, runs = self.settings[queue], self.open[queue], self.queue_runs[queue]
        shares, closes, cause = [], set(), None
        for number, (side, pool, size) in enumerate(pieces):
            last = number == len(pieces) - 1
            pages, segments, after = memory_need(self.card, size, opened[side])
            before = sum(share["pages"] for share in shares)
            free = self.pushed[pool] - self.pool_granted[pool]
            cause = refusal({
                "drop": 0, "queue_runs": runs, "pool_runs": self.pool_runs[pool], "pages": pages,
                "segments": segments if last else 0, "before": before,
                "before_here": sum(s["pages"] for s in shares if s["pool"] == pool),
                "free": free, "held": 12 - free, "limit": self.limit[pool],
                "queue_held": self.granted[queue] - self.recycled[queue], "quota": mine["quota"],
                "queued": self.produced[queue] - self.consumed[queue],
                "ring_log2": mine["ring_log2"]})
            if pages and runs:
                closes |= {side} | ({Side.PAYLOAD} if cause and not last else set())
            if cause is not None:
                break
            shares.append({"side": side, "pool": pool, "top": size - 1, "pages": pages,
                           "segments": segments if last else 0, "first": opened[side],
                           "after": after})
        return shares, {side for side in closes if opened[side] is not None}, cause

    def frame(self, queue, length, header):
        """Return the grant of a frame, and why it is dropped."""
        if queue >= self.card.queues:
            return {"kind": Kind.SKIP, "index": queue}, DropCause.QUEUE_DISABLED
        shares, closes, cause = self.weigh(queue, self.pieces(queue, length, header))
        for side in closes:
            self.open[queue][side] = None
        grant = {"kind": Kind.SEGMENT if cause is None else Kind.SKIP, "index": queue,
                 "close_headers": int(Side.HEADERS in closes),
                 "close_payload": int(Side.PAYLOAD in closes)}
        if cause is not None:
            return {**grant, "split": 0, "frame.top": length - 1}, cause
        for name, share in zip(("headers", "frame")[-len(shares):], shares, strict=True):
            self.admit(queue, share)
            grant |= {f"{name}.{field}": share[field] for field in ("pool", "top")}
            grant[f"{name}.opens"] = int(share["pages"] > 0)
            if not share["pages"]:
                grant[f"{name}.first"] = share["first"]
        return {**grant, "split": len(shares) - 1, "side": shares[-1]["side"]}, None

    def admit(self, queue, share):
        pool, pages = share["pool"], share["pages"]
        self.open[queue][share["side"]] = share["after"]
        self.granted[queue] += pages
        self.pool_granted[pool] += pages
        self.produced[queue] += share["segments"]
        self.held[queue, pool] = self.held.get((queue, pool), 0) + pages
        off_ring = 12 - self.pushed[pool] + self.pool_granted[pool]
        self.peak[pool] = max(self.peak[pool], off_ring)

    def mark(self, kind, index):
        """Return the grants that a mark turns into."""
        if kind in (Kind.START_POOL, Kind.FENCE_POOL):
            return self.mark_pool(kind, index)
        opened = self.open[index]
        grant = {"kind": kind, "index": index, "close_headers": 0, "close_payload": 0}
        self.queue_runs[index] = kind is Kind.START_QUEUE
        if kind is Kind.START_QUEUE:
            self.produced[index] = self.consumed[index] = 0
        else:
            grant |= {"close_headers": int(opened[Side.HEADERS] is not None),
                      "close_payload": int(opened[Side.PAYLOAD] is not None)}
            self.open[index] = dict.fromkeys(opened)
        return [grant]

    def mark_pool(self, kind, index):
        grants = []
        self.pool_runs[index] = kind is Kind.START_POOL
        if kind is Kind.START_POOL:
            self.peak[index] = 12 - self.pushed[index] + self.pool_granted[index]
        else:
            for queue, opened in enumerate(self.open):
                mine = {Side.HEADERS: self.settings[queue]["header_pool"],
                        Side.PAYLOAD: self.settings[queue]["pool"]}
                ours = [side for side in opened
                        if opened[side] is not None and mine[side] == index]
                if ours:
                    grants.append({"kind": Kind.CLOSE, "index": queue,
                                   "close_headers": int(Side.HEADERS in ours),
                                   "close_payload": int(Side.PAYLOAD in ours)})
                    opened |= dict.fromkeys(ours)
        return [*grants, {"kind": kind, "index": index, "close_headers": 0, "close_payload": 0}]


async def check_counts(ctx, dut, model):
    for asked, table in ((dut.queue_granted, model.granted), (dut.pool_peak, model.peak),
                         (dut.pool_granted, model.pool_granted)):
        for index, value in enumerate(table):
            ctx.set(asked.addr, index)
            assert ctx.get(asked.data) == value
    assert ctx.get(dut.pool_runs) == sum(on << n for n, on in enumerate(model.pool_runs))


def flat(grant):
    """Return a grant's fields and those of its shares in one dict."""
    return {**grant, **{f"{name}.{field}": value for name in ("headers", "frame")
                        for field, value in grant[name].items()}}


def tables_of(dut, model, news):
    """Answer what admission asks of others' tables."""
    def row(table):
        return lambda index: table[index] if index < len(table) else table[0]
    return [
        mirror(dut.settings, row(model.settings), news),
        mirror(dut.consumed, row(model.consumed), news),
        mirror(dut.recycled, row(model.recycled), news), mirror(dut.limit, row(model.limit), news),
        mirror(dut.counts, lambda index: {"pushed": row(model.pushed)(index), "registered": 12},
               news)]


@pytest.mark.parametrize("bits", [64, 128, 512])
@pytest.mark.parametrize("seed", [0, 1, 3])
def test_random_frames_and_marks_against_the_model(seed, bits):
    rng = random.Random(seed)
    card = config(queues=3, pools=2, chunk_bytes=1024, bus_bits=bits, burst_bytes=64,
                  max_frame=16383, fifo_bytes=16384)
    dut, model, news, pauses = Admission(card), Model(card, rng), Signal(16), random.Random(seed)
    drops, expected, splits, promised = [], [], [], []
    marks = [Kind.START_QUEUE, Kind.FENCE_QUEUE, Kind.START_POOL, Kind.FENCE_POOL]

    async def expect(ctx, grants):
        for wanted in grants:
            got = flat(await get(ctx, dut.grants))
            assert {name: got[name] for name in wanted} == wanted

    async def bench(ctx):
        ctx.set(dut.facts.ready, 1)
        await ctx.tick().repeat(4)
        for step in range(300):
            model.drift()
            if step < 5 or rng.random() < 0.1:
                kind = marks[0 if step < 3 else 2] if step < 5 else rng.choices(
                    marks, (3, 1, 3, 1))[0]
                index = (step if step < 3 else step - 3) if step < 5 else rng.randrange(
                    3 if kind in marks[:2] else 2)
                if kind is Kind.START_QUEUE and not model.queue_runs[index]:
                    model.settings[index] = settings(rng)
                ctx.set(news, step)
                grants = model.mark(kind, index)
                await put(ctx, dut.marks, {"kind": kind, "index": index})
                await expect(ctx, grants)
            else:
                queue = rng.choice((0, 1, 2, rng.choice((0, 1, 2, 3, 63))))
                length = rng.choice((60, 900, 1500, 3000, rng.randrange(1, 16384)))
                header = rng.choice((0, 42, 54, 200))
                ctx.set(news, step)
                grant, cause = model.frame(queue, length, header)
                splits.append(grant.get("split"))
                if cause is not None:
                    expected.append((cause, queue))
                ctx.set(dut.arrivals.payload, {"queue": queue, "length": length,
                                               "facts": {"header": header}})
                ctx.set(dut.arrivals.valid, 1)
                await expect(ctx, [grant])
                promised.append(ctx.get(dut.sent))
                while ctx.get(dut.sent):
                    await ctx.tick()
                ctx.set(dut.arrivals.valid, 0)
            # A grant that was promised is counted when a decision would have come.
            await ctx.tick().repeat(pauses.choice((10, 10, 10, 40)))
            await check_counts(ctx, dut, model)

    async def note(ctx):
        ticks = ctx.tick().sample(dut.dropped, dut.dropped_queue)
        async for _, _, dropped, queue in ticks:
            if dropped.valid:
                drops.append((DropCause(dropped.cause), queue))
    simulate(dut, bench, background=[note, rules(dut.grants)],
             tables=tables_of(dut, model, news))
    assert drops == expected
    assert DropCause.QUEUE_DISABLED in {cause for cause, _ in drops}
    assert {cause for cause, _ in drops} & set(SCARCE_CAUSES)
    assert splits.count(1) > 4
    assert (sum(promised) > 4) == card.short_cuts


@pytest.mark.parametrize(("bits", "cycles"), [(64, 9), (128, 5), (256, 1), (512, 1)])
def test_cycles_a_frame(bits, cycles):
    """Never more than a frame of 64 bytes with its completion takes on the bus."""
    dut = Admission(config(chunk_bytes=64, bus_bits=bits, burst_bytes=64))
    drops = []

    async def bench(ctx):
        ctx.set(dut.grants.ready, 1)
        ctx.set(dut.facts.ready, 1)
        ctx.set(dut.arrivals.valid, 1)
        ctx.set(dut.arrivals.payload, {"queue": 0, "length": 60})
        await ctx.tick().repeat(3 * cycles + 1)
        assert len(drops) == 3
    simulate(dut, bench, background=[collect(dut.dropped, drops)])


async def count_to_grant(ctx, dut):
    """Offer a frame; return in which cycle its grant comes, and wait until it is counted."""
    ctx.set(dut.arrivals.payload, {"queue": 0, "length": 60})
    ctx.set(dut.arrivals.valid, 1)
    cycles = 0
    while not ctx.get(dut.grants.valid):
        await ctx.tick()
        cycles += 1
    assert ctx.get(dut.grants.p.kind) is Kind.SEGMENT
    while not ctx.get(dut.arrivals.ready):
        await ctx.tick()
    await ctx.tick()
    ctx.set(dut.arrivals.valid, 0)
    return cycles


@pytest.mark.parametrize(("ahead", "room", "since_change", "cycles"), [
    (0, 9, 0, 8), (40, 9, 0, 2), (40, 3, 0, 2), (40, 2, 0, 8),
    # The host sets something: all queues are tried once more.
    (40, 9, 1, 8), (40, 9, 8, 8), (40, 9, 30, 2)])
def test_a_frame_that_comes_alone_is_promised_its_memory(ahead, room, since_change, cycles):
    """As long as the longest frame there is would get it too; the next one has no promise."""
    card = config(queues=3, pools=2, chunk_bytes=4096, bus_bits=64, max_frame=9600,
                  fifo_bytes=16384)
    dut, model, news = Admission(card), Model(card, random.Random(1)), Signal(16)
    model.settings = [{**model.settings[0], "pool": 0, "quota": 12, "split": 0}] * 3
    model.pushed[0], model.limit[0] = room, 12

    async def bench(ctx):
        ctx.set(dut.facts.ready, 1)
        ctx.set(dut.grants.ready, 1)
        await ctx.tick().repeat(4)
        for mark in ((Kind.START_QUEUE, 0), (Kind.START_POOL, 0)):
            await put(ctx, dut.marks, {"kind": mark[0], "index": mark[1]})
        # A pool that starts is looked at first.
        await ctx.tick().repeat(2 + len(card.admission_cuts) + ahead)
        if since_change:
            await pulse(ctx, dut.changed)
            await ctx.tick().repeat(since_change)
        assert await count_to_grant(ctx, dut) == cycles
        assert await count_to_grant(ctx, dut) == 8
    simulate(dut, bench, tables=tables_of(dut, model, news))


@pytest.mark.parametrize("bits", [64, 512])
@pytest.mark.parametrize("end", ["page", "fence", "reset"])
def test_a_held_frame_waits_for_what_is_scarce(bits, end):
    """Until a page comes back; or its queue is fenced, or a reset is near: then it is dropped."""
    card = config(queues=2, pools=2, chunk_bytes=4096, bus_bits=bits, burst_bytes=64)
    dut, model, news = Admission(card), Model(card, random.Random(1)), Signal(16)
    model.settings = [{**settings(random.Random(1)), "pool": 0, "quota": 1, "split": 0, "hold": 1}
                      for _ in range(2)]
    drops = []

    async def bench(ctx):
        ctx.set(dut.facts.ready, 1)
        ctx.set(dut.grants.ready, 1)
        await ctx.tick().repeat(4)
        for mark in ((Kind.START_QUEUE, 0), (Kind.START_POOL, 0)):
            await put(ctx, dut.marks, {"kind": mark[0], "index": mark[1]})
            await ctx.tick().repeat(4)
        await put(ctx, dut.arrivals, {"queue": 0, "length": 60})
        assert not ctx.get(dut.waits)
        ctx.set(dut.arrivals.valid, 1)
        for _ in range(60):
            assert not ctx.get(dut.arrivals.ready)
            await ctx.tick()
        assert ctx.get(dut.waits)
        if end == "page":
            model.recycled[0] = 1
            ctx.set(news, 1)
        elif end == "fence":
            await put(ctx, dut.marks, {"kind": Kind.FENCE_QUEUE, "index": 0})
        else:
            ctx.set(dut.closed, 1)
        await ctx.tick().until(dut.arrivals.ready)
        ctx.set(dut.arrivals.valid, 0)
        await ctx.tick().repeat(2)
        assert not ctx.get(dut.waits)
    simulate(dut, bench, background=[collect(dut.dropped, drops)],
             tables=tables_of(dut, model, news))
    assert [drop["cause"] for drop in drops] == {
        "page": [], "fence": [DropCause.QUEUE_DISABLED],
        "reset": [DropCause.QUEUE_QUOTA]}[end]
