"""PlacementFork: both takers get their share in order; no write before its place is taken."""

from __future__ import annotations

import random

import pytest

from hdl_streams import rules, simulate, sink, source
from pagering_hdl.layouts import Kind
from pagering_hdl.placement_fork import PlacementFork

MARKS = (Kind.CLOSE, Kind.START_QUEUE, Kind.FENCE_POOL)


def placement(rng, kind):
    return {"kind": kind, "index": rng.randrange(64),
            "top": rng.randrange(4096), "address": rng.getrandbits(64),
            "start": rng.getrandbits(1), "end": rng.getrandbits(1),
            "last_of_page": rng.getrandbits(1), "apart": rng.getrandbits(1),
            "token": {"page": rng.getrandbits(16), "first": rng.getrandbits(6),
                      "last": rng.getrandbits(6), "generation": rng.getrandbits(4)}}


@pytest.mark.parametrize("seed", range(4))
def test_random_takers(seed):
    rng = random.Random(seed)
    dut = PlacementFork()
    sent = [placement(rng, rng.choice((Kind.SEGMENT, Kind.SEGMENT, *MARKS))) for _ in range(150)]
    jobs, pending = [], []
    simulate(dut, source(dut.placements, sent, rng, 0.9),
             sink(dut.jobs, jobs, len(sent), random.Random(seed + 2), 0.5),
             sink(dut.pending, pending, len(sent), random.Random(seed + 3), 0.5),
             background=[rules(stream) for stream in (dut.jobs, dut.pending)])
    for name in ("kind", "index", "address", "top"):
        assert [job[name] for job in jobs] == [p[name] for p in sent]
    assert [item["length"] for item in pending] == [p["top"] + 1 for p in sent]
    for name in ("kind", "index", "apart", "token", "start", "end", "last_of_page"):
        assert [item[name] for item in pending] == [p[name] for p in sent]
    assert not any(item["error"] for item in pending)


@pytest.mark.parametrize("jobs", [0, 1])
@pytest.mark.parametrize("pending", [0, 1])
def test_a_write_waits_for_its_place_and_not_the_other_way_round(jobs, pending):
    dut = PlacementFork()

    async def bench(ctx):
        ctx.set(dut.placements.payload, {"kind": Kind.SEGMENT, "top": 59})
        ctx.set(dut.placements.valid, 1)
        ctx.set(dut.jobs.ready, jobs)
        ctx.set(dut.pending.ready, pending)
        assert ctx.get(dut.pending.valid)
        assert ctx.get(dut.jobs.valid) == pending
        assert ctx.get(dut.placements.ready) == (jobs & pending)
        if not jobs & pending:
            await ctx.tick()
            ctx.set(dut.jobs.ready, 1)
            ctx.set(dut.pending.ready, 1)
            # Its place is not taken twice.
            assert ctx.get(dut.pending.valid) == 1 - pending
            assert ctx.get(dut.jobs.valid)
            assert ctx.get(dut.placements.ready)
    simulate(dut, bench)
