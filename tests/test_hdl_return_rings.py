"""ReturnRings against a model: indices, doorbells true and false, and no read out of its ring."""

from __future__ import annotations

import random
from collections import deque

import pytest

from hdl_streams import collect, config, get, pulse, put, rules, simulate
from pagering.abi import Fault
from pagering_hdl.return_rings import ReturnRings
from pagering_hdl.ring_words import Word

MASK = (1 << 17) - 1
QUEUES = 4
CLEARED = 8 * QUEUES


async def setting(ctx, dut, queue, word, value):
    ctx.set(dut.setting.queue, queue)
    ctx.set(dut.setting.word, word)
    ctx.set(dut.setting.data, value)
    await pulse(ctx, dut.setting.en)


async def opened(ctx, dut, queue, base, log2, mirror=0, start=0):
    """Describe the ring of a queue, as if it had run to ``start``, and enable it."""
    await setting(ctx, dut, queue, Word.LOW, base & 0xFFFFF000)
    await setting(ctx, dut, queue, Word.HIGH, base >> 32)
    await setting(ctx, dut, queue, Word.SIZE, log2 | mirror << 8)
    for word in (Word.CONSUMED, Word.PRODUCED, Word.FETCHED):
        await setting(ctx, dut, queue, word, start)
    ctx.set(dut.enabled, ctx.get(dut.enabled) | 1 << queue)


async def word_of(ctx, dut, queue, word):
    ctx.set(dut.shown.addr, queue * 8 + word.value)
    await ctx.tick()
    return ctx.get(dut.shown.data)


class Ring:
    """What a queue's ring should be."""

    def __init__(self, base, log2, start):
        self.base, self.log2 = base, log2
        self.consumed = self.fetched = self.produced = start

    def ring(self, index):
        ahead, before = index - self.consumed & MASK, self.produced - self.consumed & MASK
        if not before <= ahead <= 1 << self.log2:
            return False
        self.produced = index
        return True

    def read(self, item):
        """Check a read and note it."""
        left = self.produced - self.fetched & MASK
        assert item["skip"] == self.fetched % 16
        assert item["count"] == min(left, 16 - item["skip"]) > 0
        assert item["address"] == self.base + (self.fetched % (1 << self.log2)) // 16 * 64
        self.fetched = self.fetched + item["count"] & MASK


@pytest.mark.parametrize("seed", range(4))
def test_random_doorbells(seed):
    rng = random.Random(seed)
    dut = ReturnRings(config(queues=QUEUES))
    rings = [Ring(rng.getrandbits(52) << 12, log2, rng.getrandbits(17))
             for log2 in (4, 5, 9, 16)]
    reads, refused, refusals = deque(), 0, []
    over = False

    async def host(ctx):
        nonlocal refused, over
        await ctx.tick().repeat(CLEARED)
        for queue, ring in enumerate(rings):
            await opened(ctx, dut, queue, ring.base, ring.log2, start=ring.produced)
        for _ in range(150):
            queue = rng.randrange(QUEUES)
            ring = rings[queue]
            room = (1 << ring.log2) - (ring.produced - ring.consumed & MASK)
            index = rng.choice((
                ring.produced + rng.randint(0, min(room, 60)), ring.produced + room,
                ring.produced + room + 1, ring.produced - 1, rng.getrandbits(17))) & MASK
            if (index - ring.produced & MASK) > 200:
                index = ring.produced - 1 & MASK
            await put(ctx, dut.doorbells, {"queue": queue, "index": index})
            # Done when the part is back at its start: nothing else is asked for meanwhile.
            await ctx.tick().repeat(12)
            refused += not ring.ring(index)
            await settle(ctx)
            if rng.random() < 0.7:
                await finish(ctx, rng.randrange(len(reads) + 1))
                await settle(ctx)
            unfinished = sum((ring.consumed != ring.produced) << n for n, ring in enumerate(rings))
            assert ctx.get(dut.unfinished) == unfinished
        over = True

    async def settle(ctx):
        """Let every fetch that is due be asked for."""
        while any(ring.fetched != ring.produced for ring in rings):
            await ctx.tick()
        await ctx.tick().repeat(30)

    async def finish(ctx, count):
        for _ in range(count):
            item = reads.popleft()
            ring = rings[item["queue"]]
            ring.consumed = ring.consumed + item["count"] & MASK
            await put(ctx, dut.finished, {"queue": item["queue"], "count": item["count"]})
        await ctx.tick().repeat(12)
        for queue, ring in enumerate(rings):
            assert await word_of(ctx, dut, queue, Word.CONSUMED) == ring.consumed

    async def bus(ctx):
        while not over:
            item = await get(ctx, dut.reads)
            rings[item["queue"]].read(item)
            reads.append(item)
    simulate(dut, host, background=[bus, rules(dut.reads), collect(dut.refusal, refusals)],
             limit=120_000)
    assert refused > 10
    assert [event["fault"] for event in refusals] == [Fault.REGISTER_VALUE] * refused


def test_doorbells_of_disabled_queues_and_of_queues_without_a_ring_are_refused():
    dut, refusals = ReturnRings(config(queues=QUEUES)), []

    async def bench(ctx):
        await ctx.tick().repeat(CLEARED)
        ctx.set(dut.enabled, 0b0100)
        for queue in (2, 3):  # 2 has no ring, 3 is disabled
            if queue == 3:
                await setting(ctx, dut, 3, Word.SIZE, 4)
            await put(ctx, dut.doorbells, {"queue": queue, "index": 1})
        await ctx.tick().repeat(40)
        assert not ctx.get(dut.reads.valid)
        assert not ctx.get(dut.unfinished)
    simulate(dut, bench, background=[collect(dut.refusal, refusals)])
    assert len(refusals) == 2


def test_the_consumer_index_is_offered_right_behind_the_ring_only_if_wanted():
    dut = ReturnRings(config(queues=QUEUES))

    async def bench(ctx):
        await ctx.tick().repeat(CLEARED)
        for queue, mirror in ((1, 1), (2, 0)):
            await opened(ctx, dut, queue, 0x1_2345_F000, 11, mirror)
            await put(ctx, dut.doorbells, {"queue": queue, "index": 5})
            assert (await get(ctx, dut.reads))["count"] == 5
            await put(ctx, dut.finished, {"queue": queue, "count": 5})
        assert await get(ctx, dut.mirrors) == {
            "queue": 1, "address": 0x1_2345_F000 + (4 << 11), "index": 5}
        await ctx.tick().repeat(60)
        assert not ctx.get(dut.mirrors.valid)
    simulate(dut, bench, background=[rules(dut.mirrors)])


def test_a_disabled_queue_has_no_consumer_index_to_mirror_when_it_is_enabled_again():
    dut = ReturnRings(config(queues=QUEUES))

    async def bench(ctx):
        await ctx.tick().repeat(CLEARED)
        for queue in (1, 2):
            await opened(ctx, dut, queue, 0x1_2345_F000, 4, mirror=1)
            await put(ctx, dut.doorbells, {"queue": queue, "index": 5})
            assert (await get(ctx, dut.reads))["count"] == 5
            await put(ctx, dut.finished, {"queue": queue, "count": 5})
        await ctx.tick().until(dut.mirrors.valid)
        first = ctx.get(dut.mirrors.p.queue)
        other = 3 - first
        ctx.set(dut.enabled, 1 << first)
        await ctx.tick()
        await opened(ctx, dut, other, 0x7_0000_0000, 4, mirror=1, start=5)
        assert (await get(ctx, dut.mirrors))["queue"] == first
        await ctx.tick().repeat(60)
        assert not ctx.get(dut.mirrors.valid)
    simulate(dut, bench, background=[rules(dut.mirrors)])


def test_a_queue_that_rings_all_the_time_does_not_keep_another_from_its_tokens():
    dut = ReturnRings(config(queues=QUEUES))

    async def bench(ctx):
        await ctx.tick().repeat(CLEARED)
        await opened(ctx, dut, 0, 0x1000, 4)
        await opened(ctx, dut, 3, 0x2000, 12)
        await put(ctx, dut.doorbells, {"queue": 3, "index": 1024})
        ctx.set(dut.doorbells.payload, {"queue": 0, "index": 0x1FFFF})
        ctx.set(dut.doorbells.valid, 1)
        ctx.set(dut.reads.ready, 1)
        tokens = cycles = 0
        while tokens < 1024:
            if ctx.get(dut.reads.valid):
                assert ctx.get(dut.reads.p.queue) == 3
                tokens += ctx.get(dut.reads.p.count)
            await ctx.tick()
            cycles += 1
        assert cycles <= 1024
    simulate(dut, bench)
