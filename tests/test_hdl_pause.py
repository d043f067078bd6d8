"""Pause: each reason alone, hysteresis of the FIFO, the highest level so far."""

from __future__ import annotations

import random

import pytest

from hdl_streams import collect, config, simulate
from pagering_hdl.pause import Pause

LATENCY = 4


@pytest.mark.parametrize("bits", [64, 512])
def test_the_fifo_pauses_with_hysteresis(bits):
    card = config(bus_bits=bits, fifo_bytes=4096)
    dut, rng, events = Pause(card), random.Random(bits), []
    per_unit = 64 // card.bus_bytes
    begun = []

    async def bench(ctx):
        ctx.set(dut.enable, {"fifo": 1})
        ctx.set(dut.levels, {"xoff": 40, "xon": 20})
        full, most = False, 0
        walk = [0, 39, 40, 39, 30, 21, 20, 39, 64, 40, 21, 20, 0, 40, 20]
        for units in walk + [rng.randrange(65) for _ in range(100)]:
            level = min(units * per_unit + rng.randrange(per_unit), card.fifo_beats)
            ctx.set(dut.level, level)
            await ctx.tick().repeat(LATENCY)
            was, full = full, units >= 40 or (full and units > 20)
            most = max(most, level)
            begun.extend([1] if full and not was else [])
            assert ctx.get(dut.status.pause) == ctx.get(dut.status.fifo) == full
            assert ctx.get(dut.peak) == most * card.bus_bytes
    simulate(dut, bench, background=[collect(dut.begins, events, when=dut.begins)])
    assert len(events) == len(begun) > 5


@pytest.mark.parametrize("reason", ["fifo", "pools", "held"])
def test_each_reason_counts_only_if_it_is_enabled(reason):
    dut = Pause(config())

    async def bench(ctx):
        ctx.set(dut.levels, {"xoff": 1, "xon": 0})
        for enabled in (0, 1):
            ctx.set(dut.enable, {reason: enabled})
            for given in (1, 0):
                ctx.set(dut.level, 64 * given if reason == "fifo" else 0)
                ctx.set(dut.low, given if reason == "pools" else 0)
                ctx.set(dut.held, given if reason == "held" else 0)
                await ctx.tick().repeat(LATENCY)
                status = ctx.get(dut.status)
                assert status[reason] == given
                assert status.pause == enabled * given
                assert status.fifo + status.pools + status.held == given
    simulate(dut, bench)
