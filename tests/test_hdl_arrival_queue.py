"""Where frames wait for admission: in order, each with its own decision, however late that is."""

from __future__ import annotations

import gc
import random

import pytest

from hdl_streams import drain, rules, simulate
from pagering_hdl.arrival_queue import ArrivalQueue


@pytest.mark.parametrize("seed", range(4))
def test_each_frame_leaves_with_its_own_decision(seed):
    dut, rng, count = ArrivalQueue(8), random.Random(seed), 120
    frames = [{"length": n + 1, "facts": {"timestamp": rng.getrandbits(64),
                                          "tci": rng.getrandbits(16)}} for n in range(count)]
    said = [{"queue": n % 64, "drop": n % 3 == 0, "cause": n % 8, "hash": rng.getrandbits(32),
             "hash_type": n % 3, "mark": rng.getrandbits(16)} for n in range(count)]
    inside = []

    async def source(ctx):
        """Decide before a frame enters, or after; once more, while it does not count yet."""
        entered = counted = 0
        right = False
        while counted < count:
            enters = entered < count and entered - len(inside) < 8 and rng.random() < 0.7
            decides = rng.random() < 0.5
            ctx.set(dut.enters, enters)
            ctx.set(dut.decided, decides)
            if enters:
                ctx.set(dut.waiting, frames[entered])
                entered += 1
            if decides:
                right = rng.random() < 0.8
                ctx.set(dut.decision, said[counted if right else rng.randrange(count)])
            counts = right and entered > counted and rng.random() < 0.6
            ctx.set(dut.counts, counts)
            ctx.set(dut.sure, counts and decides and rng.random() < 0.7)
            if counts:
                counted, right = counted + 1, False
            await ctx.tick()
        for signal in (dut.enters, dut.decided, dut.counts, dut.sure):
            ctx.set(signal, 0)

    async def bench(ctx):
        for number in range(count):
            item, = await drain(ctx, dut.arrivals, 1, rng)
            inside.append(number)
            known = {**frames[number], **said[number]}
            assert [item["length"], item["queue"], item["drop"], int(item["cause"])] == [
                known[name] for name in ("length", "queue", "drop", "cause")]
            facts = {**known["facts"],
                     **{name: known[name] for name in ("hash", "hash_type", "mark")}}
            assert {name: int(item["facts"][name]) for name in facts} == facts
    simulate(dut, source, bench, background=[rules(dut.arrivals)])


@pytest.mark.parametrize(("decided", "counts", "soon"), [(3, 3, 4), (1, 1, 4), (-2, 3, 6)])
def test_a_decision_that_is_sure_goes_past_the_memory(decided, counts, soon):
    """Cycles from the frame's entering until it is made, until it counts, until it arrives."""
    dut, arrived = ArrivalQueue(2), []

    async def bench(ctx):
        for cycle in range(-3, 10):
            ctx.set(dut.enters, cycle == 0)
            ctx.set(dut.decided, cycle == decided)
            ctx.set(dut.counts, cycle == counts)
            ctx.set(dut.sure, cycle == counts == decided)
            arrived.extend([cycle] * ctx.get(dut.arrivals.valid))
            await ctx.tick()
    simulate(dut, bench)
    assert arrived[0] == soon


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize("depth", [1, 12])
def test_the_depth_is_checked(depth):
    with pytest.raises(ValueError, match=f"in a power of two of places, not in {depth}"):
        ArrivalQueue(depth)
    gc.collect()
