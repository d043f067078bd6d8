"""CountMirror: writes what changed, where it belongs, not too often, and never when disabled."""

from __future__ import annotations

import random

import pytest

from hdl_streams import config, get, put, rules, simulate
from pagering import abi
from pagering_hdl.config import BUS_WIDTHS
from pagering_hdl.count_mirror import MIRROR_PERIOD_MIN, CountMirror
from pagering_hdl.layouts import Kind

POOLS = 4


def part(bits=64):
    return CountMirror(config(bus_bits=bits, pools=POOLS))


class Host:
    """Settings and counts of the pools, and what was written."""

    def __init__(self, dut):
        self.dut = dut
        self.words = dict.fromkeys(range(POOLS), (0, 0))
        self.counts = dict.fromkeys(range(POOLS), (0, 0))
        self.written = []

    def place(self, pool, address, enable=1):
        self.words[pool] = (abi.POOL["MIRROR_LOW"].pack(
            enable=enable, address=address >> 3 & 0x1FFF_FFFF), address >> 32)

    async def settings(self, ctx):
        """Answer a cycle after the question."""
        async for _, _, addr in ctx.tick().sample(self.dut.settings.addr):
            ctx.set(self.dut.settings.data.word, self.words[addr >> 1][addr & 1])

    async def view(self, ctx):
        pool = 0
        while True:
            free, outstanding = self.counts[pool]
            ctx.set(self.dut.view, {"pool": pool, "free": free, "outstanding": outstanding})
            await ctx.tick()
            pool = (pool + 1) % POOLS

    async def bus(self, ctx):
        cycle = 0
        ctx.set(self.dut.jobs.ready, 1)
        ctx.set(self.dut.beats.ready, 1)
        jobs = []
        dut, lanes = self.dut, self.dut.config.bus_bytes
        async for _, _, job, valid, beat, came in ctx.tick().sample(
                dut.jobs.payload, dut.jobs.valid, dut.beats.payload, dut.beats.valid):
            cycle += 1
            if valid:
                assert (job.kind, job.mirror) == (Kind.SEGMENT, 1)
                assert job.top == lanes - 1
                assert job.address % lanes == 0
                jobs.append((cycle, job.address))
            if came:
                assert beat.last
                lane = (beat.strobe & -beat.strobe).bit_length() - 1
                assert beat.strobe == 0xFF << lane
                fields = abi.MIRROR.unpack(beat.data >> 8 * lane & (1 << 64) - 1)
                when, address = jobs.pop(0)
                self.written.append((when, address + lane, fields["free"], fields["outstanding"]))


def run(dut, body):
    host = Host(dut)

    async def bench(ctx):
        await ctx.tick().repeat(8)
        await body(ctx, host)
    simulate(dut, bench, background=[host.settings, host.view, host.bus, rules(dut.jobs)])
    return host.written


@pytest.mark.parametrize("bits", BUS_WIDTHS)
def test_writes_the_counts_of_each_pool_to_its_place_once(bits):
    dut, rng = part(bits), random.Random(bits)
    places = [rng.getrandbits(61) << 3 for _ in range(POOLS)]
    counts = [(rng.randrange(1 << 17), rng.randrange(1 << 17)) for _ in range(POOLS)]

    async def body(ctx, host):
        for pool in range(POOLS):
            host.place(pool, places[pool])
            host.counts[pool] = counts[pool]
        ctx.set(dut.pools, 0b1111)
        await ctx.tick().repeat(600)
    written = run(dut, body)
    assert sorted(item[1:] for item in written) == sorted(
        (place, *pair) for place, pair in zip(places, counts, strict=True))


def test_writes_again_when_a_count_changes_and_when_the_pool_is_enabled_again():
    dut = part()

    async def body(ctx, host):
        host.place(2, 0x1000)
        ctx.set(dut.pools, 0b0100)
        for counts in ((5, 0), (4, 0), (4, 1), (4, 1), (5, 0)):
            host.counts[2] = counts
            await ctx.tick().repeat(200)
        ctx.set(dut.pools, 0)
        host.place(2, 0x2000)
        await ctx.tick().repeat(200)
        ctx.set(dut.pools, 0b0100)
        await ctx.tick().repeat(200)
    assert [item[1:] for item in run(dut, body)] == [
        (0x1000, 5, 0), (0x1000, 4, 0), (0x1000, 4, 1), (0x1000, 5, 0), (0x2000, 5, 0)]


@pytest.mark.parametrize("period", [0, 16, 50, 300])
def test_lets_so_many_cycles_pass_between_two_writes(period):
    dut = part()

    async def body(ctx, host):
        ctx.set(dut.period, period)
        ctx.set(dut.pools, 0b1111)
        for pool in range(POOLS):
            host.place(pool, 0x1000 * pool)
        for number in range(1500):
            host.counts[number % POOLS] = (number, 0)
            await ctx.tick()
    cycles = [item[0] for item in run(dut, body)]
    gaps = [late - early for early, late in zip(cycles, cycles[1:], strict=False)]
    assert len(gaps) >= 1500 // (max(period, MIRROR_PERIOD_MIN) + 20) - 1
    assert min(gaps) >= max(period, MIRROR_PERIOD_MIN)


def test_writes_nothing_for_what_is_off_or_when_a_reset_is_near():
    dut = part()

    async def body(ctx, host):
        host.place(0, 0x1000, enable=0)
        host.place(1, 0x2000)
        host.place(2, 0x3000)
        host.counts = dict.fromkeys(range(POOLS), (7, 7))
        ctx.set(dut.pools, 0b0101)
        await ctx.tick().repeat(300)
        ctx.set(dut.closed, 1)
        host.counts[2] = (8, 8)
        ctx.set(dut.queues, 0b0001)
        await put(ctx, dut.indices, {"queue": 0, "address": 0x4000, "index": 1})
        await ctx.tick().repeat(300)
    assert [item[1:] for item in run(dut, body)] == [(0x3000, 7, 7)]


def test_writes_consumer_indices_of_enabled_queues_in_turn_with_pools():
    dut = part()

    async def body(ctx, host):
        ctx.set(dut.period, 16)
        ctx.set(dut.pools, 0b0001)
        ctx.set(dut.queues, 0b0100)
        host.place(0, 0x1000)
        for number in range(8):
            host.counts[0] = (number, 0)
            await put(ctx, dut.indices, {"queue": 2, "address": 0x2008, "index": number})
            await put(ctx, dut.indices, {"queue": 3, "address": 0x3000, "index": number})
        await ctx.tick().repeat(100)
    written = [item[1:] for item in run(dut, body)]
    assert [item for item in written if item[0] == 0x2008] == [
        (0x2008, number, 0) for number in range(8)]
    assert not any(item[0] == 0x3000 for item in written), "queue 3 is disabled"
    assert any(item[0] == 0x1000 for item in written)


def test_index_of_a_queue_that_is_disabled_is_forgotten_at_once():
    """Though it is not time for a write: when it is, the queue may be enabled, its ring gone."""
    dut = part()

    async def body(ctx, host):
        ctx.set(dut.period, 1000)
        ctx.set(dut.queues, 0b0100)
        await put(ctx, dut.indices, {"queue": 2, "address": 0x2008, "index": 1})
        await ctx.tick().repeat(20)
        ctx.set(dut.indices.p.address, 0x4008)
        ctx.set(dut.indices.valid, 1)
        await ctx.tick().repeat(20)
        assert not ctx.get(dut.indices.ready)
        ctx.set(dut.queues, 0)
        await ctx.tick()
        assert ctx.get(dut.indices.ready)
        ctx.set(dut.indices.valid, 0)
        ctx.set(dut.queues, 0b0100)
        await ctx.tick().repeat(1200)
    assert [item[1] for item in run(dut, body)] == [0x2008]


def test_address_that_was_read_before_a_pool_was_enabled_is_not_used():
    """The host may have moved the mirror since."""
    dut = part()
    addresses = []

    async def bench(ctx):
        ctx.set(dut.jobs.ready, 1)
        ctx.set(dut.settings.data.word, 0x1001)
        ctx.set(dut.view.pool, 1)
        await ctx.tick().repeat(60)
        ctx.set(dut.settings.data.word, 0x2001)
        ctx.set(dut.pools, 1)
        for number in range(200):
            ctx.set(dut.view.pool, number % POOLS)
            await ctx.tick()
            if ctx.get(dut.jobs.valid):
                addresses.append(ctx.get(dut.jobs.p.address))
    simulate(dut, bench)
    assert set(addresses) == {0x2001_0000_2000}


def test_an_offer_made_stands_though_its_pool_is_disabled_meanwhile():
    """Its fence is behind it: see the module's text."""
    dut = part()

    async def bench(ctx):
        ctx.set(dut.settings.data.word, 1)
        ctx.set(dut.view.pool, 0)
        ctx.set(dut.pools, 1)
        await ctx.tick().until(dut.jobs.valid)
        ctx.set(dut.pools, 0)
        await ctx.tick().repeat(50)
        assert (await get(ctx, dut.jobs))["mirror"]
        ctx.set(dut.jobs.ready, 1)
        for _ in range(200):
            await ctx.tick()
            assert not ctx.get(dut.jobs.valid)
    simulate(dut, bench, background=[rules(dut.jobs)])
