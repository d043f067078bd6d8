"""Steering: a fixed queue, or each in turn; the turn moves on with every frame."""

from __future__ import annotations

import random

import pytest

from hdl_streams import drain, get, rules, simulate, source
from pagering.abi import SteeringMode
from pagering_hdl.steering import Steering


def steer(lengths, control, gaps=None):
    dut = Steering()
    got = []

    async def bench(ctx):
        ctx.set(dut.control, control)
        got.extend(await drain(ctx, dut.arrivals, len(lengths)))
    frames = [{"length": length} for length in lengths]
    simulate(dut, source(dut.dissections, frames, gaps), bench, background=[rules(dut.arrivals)])
    assert [arrival["length"] for arrival in got] == lengths
    return [arrival["queue"] for arrival in got]


def test_fixed_names_the_queue():
    assert steer([60, 61, 62], {"mode": SteeringMode.FIXED, "queue": 37, "last": 3}) == [37] * 3


@pytest.mark.parametrize("last", [0, 1, 2, 63])
def test_round_robin_takes_each_in_turn(last):
    count = 2 * last + 5
    control = {"mode": SteeringMode.ROUND_ROBIN, "queue": 9, "last": last}
    assert steer(list(range(60, 60 + count)), control, random.Random(last)) == [
        number % (last + 1) for number in range(count)]


def test_the_turn_follows_a_smaller_last():
    dut = Steering()

    async def bench(ctx):
        ctx.set(dut.dissections.valid, 1)
        ctx.set(dut.control, {"mode": SteeringMode.ROUND_ROBIN, "last": 9})
        turns = [(await get(ctx, dut.arrivals))["queue"] for _ in range(6)]
        ctx.set(dut.control.last, 2)
        turns += [(await get(ctx, dut.arrivals))["queue"] for _ in range(4)]
        assert turns == [0, 1, 2, 3, 4, 5, 6, 0, 1, 2]
    simulate(dut, bench)


def test_a_frame_that_waits_keeps_its_queue():
    dut = Steering()

    async def bench(ctx):
        ctx.set(dut.dissections.valid, 1)
        ctx.set(dut.control, {"mode": SteeringMode.FIXED, "queue": 3})
        await ctx.tick()
        ctx.set(dut.control.queue, 5)
        await ctx.tick().repeat(3)
        assert [(await get(ctx, dut.arrivals))["queue"] for _ in range(2)] == [3, 5]
    simulate(dut, bench, background=[rules(dut.arrivals)])
