"""Stream vocabulary: offers stand, nothing is lost or reordered, full throughput, exact levels."""

from __future__ import annotations

import gc
import random

import pytest
from amaranth.hdl import Module, Signal

from hdl_streams import plain, rules, simulate, sink, source
from pagering_hdl.page_table import Open
from pagering_hdl.streams import (
    TAPS,
    StreamBuffer,
    StreamQueue,
    StreamRelay,
    StreamSkid,
    following,
)

STAGES = {
    "buffer": (lambda shape: StreamBuffer(shape), 1),
    "relay": (lambda shape: StreamRelay(shape), 1),
    "skid": (lambda shape: StreamSkid(shape), 1),
    "queue": (lambda shape: StreamQueue(shape, depth=4), 1),
    "queue of 2": (lambda shape: StreamQueue(shape, depth=2), 1),
    "block queue": (lambda shape: StreamQueue(shape, depth=5, block=True), 2),
}
stages = pytest.mark.parametrize("kind", STAGES)


@stages
@pytest.mark.parametrize("seed", range(2))
def test_keeps_the_rules_and_loses_nothing(kind, seed):
    rng = random.Random(seed)
    dut = STAGES[kind][0](Open)
    sent = [{"queue": rng.getrandbits(6), "page": rng.getrandbits(16)} for _ in range(150)]
    got = []
    simulate(dut, source(dut.i, sent, random.Random(seed + 10), 0.3 + 0.5 * seed),
             sink(dut.o, got, len(sent), random.Random(seed + 20), 0.7 - 0.3 * seed),
             background=[rules(dut.o)])
    assert got == sent


@pytest.mark.parametrize("kind", [kind for kind in STAGES if kind != "relay"])
def test_takes_one_a_cycle(kind):
    make, latency = STAGES[kind]
    dut = make(16)
    times = []

    async def bench(ctx):
        ctx.set(dut.o.ready, 1)
        for number in range(20):
            ctx.set(dut.i.valid, 1)
            ctx.set(dut.i.payload, number)
            assert ctx.get(dut.i.ready)
            if ctx.get(dut.o.valid):
                times.append((number, ctx.get(dut.o.payload)))
            await ctx.tick()
    simulate(dut, bench)
    assert times == [(number, number - latency) for number in range(latency, 20)]


def test_a_relay_takes_one_in_two_cycles_and_says_so_without_looking_ahead():
    dut = StreamRelay(16)
    taken = []

    async def bench(ctx):
        ctx.set(dut.i.valid, 1)
        for cycle in range(20):
            ready = ctx.get(dut.i.ready)
            for other in (1, 0, 1):
                ctx.set(dut.o.ready, other)
                assert ctx.get(dut.i.ready) == ready
            ctx.set(dut.i.payload, cycle)
            taken.append(ready)
            assert ctx.get(dut.o.valid) == (not ready)
            await ctx.tick()
    simulate(dut, bench)
    assert taken == [1, 0] * 10


@pytest.mark.parametrize("kind", ["skid", "queue", "queue of 2", "block queue"])
def test_ready_and_valid_do_not_look_ahead(kind):
    dut = STAGES[kind][0](8)
    rng = random.Random(7)

    async def bench(ctx):
        for _ in range(100):
            told = set()
            for wants in range(4):
                ctx.set(dut.i.valid, wants & 1)
                ctx.set(dut.o.ready, wants >> 1)
                told.add((ctx.get(dut.i.ready), ctx.get(dut.o.valid)))
            assert len(told) == 1
            ctx.set(dut.i.valid, rng.getrandbits(1))
            ctx.set(dut.o.ready, rng.getrandbits(1))
            await ctx.tick()
    simulate(dut, bench)


@pytest.mark.parametrize("block", [False, True])
def test_level_counts_what_is_inside(block):
    dut = StreamQueue(8, depth=4, block=block)
    rng = random.Random(3)

    async def bench(ctx):
        inside = 0
        for _ in range(200):
            ctx.set(dut.i.valid, rng.getrandbits(1))
            ctx.set(dut.o.ready, rng.getrandbits(1))
            assert ctx.get(dut.level) == inside <= 4
            assert ctx.get(dut.empty) == (inside == 0)
            inside += (ctx.get(dut.i.valid & dut.i.ready)
                       - ctx.get(dut.o.valid & dut.o.ready))
            await ctx.tick()
    simulate(dut, bench)


def test_a_full_queue_holds_its_depth():
    dut = StreamQueue(8, depth=4)

    async def bench(ctx):
        ctx.set(dut.i.valid, 1)
        await ctx.tick().repeat(9)
        assert ctx.get(dut.level) == 4
        assert not ctx.get(dut.i.ready)
    simulate(dut, bench)


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize("depth", [1, 16385])
def test_init_wrong_depth(depth):
    with pytest.raises(ValueError, match=rf"^queue depth must be 2 to 16384, not {depth}$"):
        StreamQueue(8, depth=depth)
    gc.collect()


@pytest.mark.parametrize("bits", [1, *TAPS])
def test_a_queue_goes_through_all_rows_of_its_memory(bits):
    m, row, seen = Module(), Signal(bits), set()
    m.d.sync += row.eq(following(row))

    async def bench(ctx):
        for _ in range(1 << bits):
            seen.add(ctx.get(row))
            await ctx.tick()
        assert ctx.get(row) == 0
    simulate(m, bench)
    assert len(seen) == 1 << bits


def test_the_rule_checker_sees_a_broken_stream():
    dut = StreamBuffer(8)

    async def fickle(ctx):
        ctx.set(dut.i.valid, 1)
        ctx.set(dut.i.payload, 1)
        ctx.set(dut.o.ready, 1)
        await ctx.tick()
        ctx.set(dut.i.payload, 2)
        await ctx.tick()
        # An offer on the input that changes while it waits.
        ctx.set(dut.o.ready, 0)
        await ctx.tick()
        ctx.set(dut.i.payload, 3)
        await ctx.tick().repeat(2)
    with pytest.raises(AssertionError, match="changed 2 to 3"):
        simulate(dut, fickle, background=[rules(dut.i)])


def test_plain_makes_dicts():
    assert plain(Open.const({"queue": 3, "page": 60})) == {"queue": 3, "page": 60}
