"""Where frames wait for admission: in order, each with its own decision, however late that is."""

from __future__ import annotations

import gc
import random
from collections import deque

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
    undecided, inside = deque(), []

    async def source(ctx):
        entered = 0
        while entered < count or undecided:
            enter = entered < count and entered - len(inside) < 8 and rng.random() < 0.7
            decide = bool(undecided) and rng.random() < 0.6
            ctx.set(dut.enters, enter)
            ctx.set(dut.decided, decide)
            if decide:
                ctx.set(dut.decision, said[undecided.popleft()])
            if enter:
                ctx.set(dut.waiting, frames[entered])
                undecided.append(entered)
                entered += 1
            await ctx.tick()
        ctx.set(dut.enters, 0)
        ctx.set(dut.decided, 0)

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


def test_a_decision_is_there_after_two_cycles():
    dut = ArrivalQueue(2)

    async def bench(ctx):
        ctx.set(dut.enters, 1)
        await ctx.tick()
        ctx.set(dut.enters, 0)
        ctx.set(dut.decided, 1)
        await ctx.tick()
        ctx.set(dut.decided, 0)
        assert not ctx.get(dut.arrivals.valid)
        await ctx.tick()
        assert ctx.get(dut.arrivals.valid)
    simulate(dut, bench)


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize("depth", [1, 12])
def test_the_depth_is_checked(depth):
    with pytest.raises(ValueError, match=f"in a power of two of places, not in {depth}"):
        ArrivalQueue(depth)
    gc.collect()
