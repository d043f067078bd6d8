"""PlacementFork: every taker gets its share in order; none waits for another in vain."""

from __future__ import annotations

import random

import pytest

from hdl_streams import config, rules, simulate, sink, source
from pagering_hdl.layouts import Kind
from pagering_hdl.placement_fork import PlacementFork

MARKS = (Kind.CLOSE, Kind.START_QUEUE, Kind.FENCE_POOL)


def placement(rng, kind):
    return {"kind": kind, "index": rng.randrange(64), "length": rng.randrange(1, 4097),
            "address": rng.getrandbits(64), "start": rng.getrandbits(1), "end": rng.getrandbits(1),
            "last_of_page": rng.getrandbits(1), "apart": rng.getrandbits(1),
            "token": {"page": rng.getrandbits(16), "first": rng.getrandbits(6),
                      "last": rng.getrandbits(6), "generation": rng.getrandbits(4)}}


@pytest.mark.parametrize("seed", range(4))
def test_random_takers(seed):
    rng = random.Random(seed)
    dut = PlacementFork(config())
    sent = [placement(rng, rng.choice((Kind.SEGMENT, Kind.SEGMENT, Kind.SKIP, *MARKS)))
            for _ in range(150)]
    reads = [p for p in sent if p["kind"] in (Kind.SEGMENT, Kind.SKIP)]
    writes = [p for p in sent if p["kind"] is not Kind.SKIP]
    commands, jobs, pending = [], [], []
    simulate(dut, source(dut.placements, sent, rng, 0.9),
             sink(dut.commands, commands, len(reads), random.Random(seed + 1), 0.5),
             sink(dut.jobs, jobs, len(writes), random.Random(seed + 2), 0.5),
             sink(dut.pending, pending, len(writes), random.Random(seed + 3), 0.5),
             background=[rules(stream) for stream in (dut.commands, dut.jobs, dut.pending)])
    assert commands == [{"last": (p["length"] - 1) // 8, "tail": (p["length"] - 1) % 8,
                         "skip": int(p["kind"] is Kind.SKIP), "end": p["end"]} for p in reads]
    for name in ("kind", "index", "address", "length"):
        assert [job[name] for job in jobs] == [p[name] for p in writes]
    for name in ("kind", "index", "apart", "token", "length", "start", "end", "last_of_page"):
        assert [item[name] for item in pending] == [p[name] for p in writes]
    assert not any(item["error"] for item in pending)


@pytest.mark.parametrize("willing", range(8))
def test_takers_do_not_wait_for_each_other(willing):
    """Each willing taker has the placement at once; a job only with its place for the response."""
    dut = PlacementFork(config())
    takers = (dut.commands, dut.jobs, dut.pending)

    async def bench(ctx):
        ctx.set(dut.placements.payload, {"kind": Kind.SEGMENT, "length": 60})
        ctx.set(dut.placements.valid, 1)
        for number, taker in enumerate(takers):
            ctx.set(taker.ready, willing >> number & 1)
        had = [ctx.get(taker.valid & taker.ready) for taker in takers]
        place = willing >> 2 & 1
        assert had == [willing & 1, willing >> 1 & place, place]
        assert ctx.get(dut.placements.ready) == (willing == 7)
        if willing != 7:
            await ctx.tick()
            # None of them is offered the same placement again.
            assert [ctx.get(taker.valid & taker.ready) for taker in takers] == [0, 0, 0]
            for taker in takers:
                ctx.set(taker.ready, 1)
            assert [ctx.get(taker.valid) for taker in takers] == [1 - h for h in had]
            assert ctx.get(dut.placements.ready)
    simulate(dut, bench)
