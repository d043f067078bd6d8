"""Clock: equal to its software twin in every cycle, two cycles late, whatever it is told."""

from __future__ import annotations

import random

import pytest

from hdl_streams import put, simulate
from pagering.abi import ClockCommand
from pagering.fake_clock import FakeClock
from pagering_hdl import clock as hdl
from pagering_hdl.clock import Clock

LATE = 2
"""Cycles that the sum takes, part by part."""
TAKEN = 1
"""Cycles from when an order is taken to when it counts."""


class Run:
    """A clock and its twin, side by side."""

    def __init__(self, ctx, dut):
        self.ctx, self.dut, self.twin = ctx, dut, FakeClock()
        self.past = [0] * (LATE + TAKEN)

    async def tick(self, cycles=1):
        for _ in range(cycles):
            await self.ctx.tick()
            self.twin.advance(1)
            self.past.append(self.twin.time)
            assert self.ctx.get(self.dut.time) == self.past[-1 - LATE - TAKEN]

    async def order(self, command, value=0):
        ctx, orders = self.ctx, self.dut.orders
        ctx.set(orders.payload, {"command": hdl.ClockCommand(command.value), "value": value})
        ctx.set(orders.valid, 1)
        while not ctx.get(orders.ready):
            await self.tick()
        await self.tick()
        ctx.set(orders.valid, 0)
        self.twin.order(command, value)
        self.past[-1] = self.twin.time


def run(body, limit=20000):
    dut = Clock()

    async def bench(ctx):
        await body(Run(ctx, dut))
    simulate(dut, bench, limit=limit)


def test_stands_at_zero_until_it_has_a_rate():
    async def body(clock):
        await clock.tick(20)
        assert clock.twin.time == 0
    run(body)


@pytest.mark.parametrize("rate", [0x6_6666_6666, 1, (1 << 48) - 1, 0x4_0000_0000, 0xFFFF_FFFF])
def test_the_rate_is_exact_over_a_long_run(rate):
    async def body(clock):
        await clock.order(ClockCommand.RATE, rate)
        await clock.tick(3000)
        assert clock.twin.time == 3000 * rate >> 32
    run(body)


@pytest.mark.parametrize("start", [(1 << 32) - 50, (1 << 64) - 50, (1 << 63) - 1,
                                   0xFFFF_FFFF_FFFF_FF00])
def test_carries_across_32_and_64_bits(start):
    async def body(clock):
        await clock.order(ClockCommand.RATE, 0x3_8000_0000)
        await clock.order(ClockCommand.SET, start)
        await clock.tick(200)
    run(body)


@pytest.mark.parametrize("shift", [1, -1, 1 << 32, -(1 << 32), (1 << 63) - 1, -(1 << 63),
                                   0xFFFF_FFFF, -0xFFFF_FFFF])
def test_an_adjustment_is_one_step_and_loses_no_time(shift):
    async def body(clock):
        await clock.order(ClockCommand.RATE, 0x6_6666_6666)
        await clock.order(ClockCommand.SET, (1 << 40) + (1 << 32) - 30)
        for _ in range(12):
            await clock.order(ClockCommand.ADJUST, shift & (1 << 64) - 1)
            await clock.tick(3)
    run(body)


def test_random_orders_back_to_back():
    rng = random.Random(5)

    async def body(clock):
        for _ in range(400):
            command = rng.choice(list(ClockCommand))
            value = rng.choice((rng.getrandbits(64), rng.getrandbits(40), (1 << 64) - 1))
            await clock.order(command, value)
            await clock.tick(rng.choice((0, 0, 0, 1, 5)))
    run(body)


def test_a_capture_is_whole_and_stays():
    dut = Clock()

    async def bench(ctx):
        for command, value in ((hdl.ClockCommand.SET, (7 << 32) + 0xFFFF_FF00),
                               (hdl.ClockCommand.RATE, 0x80_0000_0000)):
            await put(ctx, dut.orders, {"command": command, "value": value})
        before = 0
        for _ in range(20):
            await put(ctx, dut.orders, {"command": hdl.ClockCommand.CAPTURE})
            await ctx.tick().repeat(2)
            captured = ctx.get(dut.captured)
            assert before < captured < ctx.get(dut.time) < captured + 4 * 128
            before = captured
        assert before >> 32 == 8, "it was read on both sides of the carry"
    simulate(dut, bench)
