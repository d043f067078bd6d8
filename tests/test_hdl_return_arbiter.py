"""ReturnArbiter: nothing is lost or out of order, and neither way waits for the other's end."""

from __future__ import annotations

import random

import pytest

from hdl_streams import rules, simulate, sink, source
from pagering_hdl.return_arbiter import ReturnArbiter


def returns(queue, count):
    return [{"queue": queue, "token": {"page": n, "first": 0, "last": 0, "generation": 0}}
            for n in range(count)]


@pytest.mark.parametrize("seed", range(3))
def test_keeps_the_order_of_each_way(seed):
    dut, rng, got = ReturnArbiter(), random.Random(seed), []
    simulate(dut, source(dut.pushed, returns(1, 60), rng), source(dut.pulled, returns(2, 90), rng),
             sink(dut.returns, got, 150, random.Random(seed + 9)), background=[rules(dut.returns)])
    for queue, count in ((1, 60), (2, 90)):
        assert [item for item in got if item["queue"] == queue] == returns(queue, count)


@pytest.mark.parametrize("slow", [None, random.Random(4)])
def test_each_way_gets_every_other_place_while_both_wait(slow):
    dut, got = ReturnArbiter(), []
    simulate(dut, source(dut.pushed, returns(1, 40)), source(dut.pulled, returns(2, 200)),
             sink(dut.returns, got, 240, slow))
    both = [item["queue"] for item in got[:80]]
    assert both in ([1, 2] * 40, [2, 1] * 40)


def test_one_way_alone_has_every_cycle():
    for name in ("pushed", "pulled"):
        dut, got = ReturnArbiter(), []

        async def all_in_time(ctx, dut=dut, got=got, name=name):
            stream = getattr(dut, name)
            ctx.set(stream.valid, 1)
            ctx.set(dut.returns.ready, 1)
            taken = 0
            for _ in range(50):
                taken += ctx.get(stream.ready)
                await ctx.tick()
            assert taken == 50
        simulate(dut, all_in_time)
