"""SegmentFork: every taker gets its share in order; none waits for another."""

from __future__ import annotations

import random

import pytest

from hdl_streams import config, rules, simulate, sink, source
from pagering_hdl.layouts import Kind
from pagering_hdl.segment_fork import SegmentFork

MARKS = (Kind.CLOSE, Kind.START_QUEUE, Kind.FENCE_POOL)


def segment(rng, kind):
    return {"kind": kind, "index": rng.randrange(64), "pool": rng.randrange(64),
            "top": rng.randrange(4096), "opens": rng.getrandbits(1),
            "first": rng.getrandbits(6), "last": rng.getrandbits(6),
            "start": rng.getrandbits(1), "end": rng.getrandbits(1)}


@pytest.mark.parametrize("seed", range(4))
def test_random_takers(seed):
    rng = random.Random(seed)
    dut = SegmentFork(config())
    sent = [segment(rng, rng.choice((Kind.SEGMENT, Kind.SEGMENT, Kind.SKIP, *MARKS)))
            for _ in range(150)]
    reads = [s for s in sent if s["kind"] in (Kind.SEGMENT, Kind.SKIP)]
    opens = [s for s in sent if s["kind"] is Kind.SEGMENT and s["opens"]]
    places = [s for s in sent if s["kind"] is not Kind.SKIP]
    commands, orders, placed = [], [], []
    simulate(dut, source(dut.segments, sent, rng, 0.9),
             sink(dut.commands, commands, len(reads), random.Random(seed + 1), 0.5),
             sink(dut.orders, orders, len(opens), random.Random(seed + 2), 0.5),
             sink(dut.placed, placed, len(places), random.Random(seed + 3), 0.5),
             background=[rules(stream) for stream in (dut.commands, dut.orders, dut.placed)])
    assert commands == [{"last": s["top"] // 8, "tail": s["top"] % 8,
                         "skip": int(s["kind"] is Kind.SKIP), "end": s["end"]} for s in reads]
    assert orders == [{"pool": s["pool"], "queue": s["index"]} for s in opens]
    assert [{name: got[name] for name in places[0]} for got in placed] == places


@pytest.mark.parametrize("willing", range(8))
def test_takers_do_not_wait_for_each_other(willing):
    """Each willing taker has the segment at once, and only once."""
    dut = SegmentFork(config())
    takers = (dut.commands, dut.orders, dut.placed)

    async def bench(ctx):
        ctx.set(dut.segments.payload, {"kind": Kind.SEGMENT, "top": 59, "opens": 1})
        ctx.set(dut.segments.valid, 1)
        wills = [willing >> number & 1 for number in range(3)]
        for will, taker in zip(wills, takers, strict=True):
            ctx.set(taker.ready, will)
        assert [ctx.get(taker.valid & taker.ready) for taker in takers] == wills
        assert ctx.get(dut.segments.ready) == (willing == 7)
        if willing != 7:
            await ctx.tick()
            for taker in takers:
                ctx.set(taker.ready, 1)
            assert [ctx.get(taker.valid) for taker in takers] == [1 - will for will in wills]
            assert ctx.get(dut.segments.ready)
    simulate(dut, bench)
