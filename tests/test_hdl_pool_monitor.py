"""PoolMonitor: hysteresis and one event for each fall."""

from __future__ import annotations

import random

import pytest
from amaranth.hdl import Signal

from hdl_streams import collect, mirror, simulate
from pagering_hdl.pool_monitor import PoolMonitor

WRAP = 1 << 17


class Pools:
    """The tables that the monitor reads."""

    def __init__(self, free, enter, leave):
        self.free, self.enter, self.leave = list(free), list(enter), list(leave)
        self.news = Signal(16)

    def tables(self, dut):
        def row(table, n):
            return table[n] if n < len(table) else 0
        return [mirror(dut.counts, lambda n: {"pushed": (row(self.free, n) + WRAP - 5) % WRAP},
                       self.news),
                mirror(dut.granted, lambda n: WRAP - 5, self.news),
                mirror(dut.thresholds, lambda n: {"enter": row(self.enter, n),
                                                  "exit": row(self.leave, n)}, self.news)]


@pytest.mark.parametrize(("enter", "leave"), [(3, 6), (0, 0), (3, 2), (3, 3), (0, 9)])
def test_hysteresis_of_one_pool(enter, leave):
    """Low at or below ``enter``; not low again before ``exit``, and never at or below ``enter``."""
    dut, pools = PoolMonitor(1), Pools([10], [enter], [leave])
    events, falls = [], []

    async def bench(ctx):
        await ctx.tick().repeat(3)
        ctx.set(dut.runs, 1)
        low = False
        walk = [*range(10, -1, -1), *range(11), 4, 3, 2, 3, 4, 5, 6, 7, 3, 6, 3, 0, 10]
        for step, free in enumerate(walk):
            pools.free[0] = free
            ctx.set(pools.news, step)
            await ctx.tick().repeat(4)
            before, low = low, free <= enter or (low and free < leave)
            falls.extend([1] if low and not before else [])
            assert ctx.get(dut.low) == low
    simulate(dut, bench, background=[collect(dut.fell, events, when=dut.fell)],
             tables=pools.tables(dut))
    assert len(events) == len(falls) > 1


def test_a_pool_that_does_not_run_is_not_low():
    dut, pools = PoolMonitor(2), Pools([0, 0], [5, 5], [8, 8])

    async def bench(ctx):
        await ctx.tick().repeat(10)
        assert ctx.get(dut.low) == 0
        ctx.set(dut.runs, 0b10)
        await ctx.tick().repeat(6)
        assert ctx.get(dut.low) == 0b10
        ctx.set(dut.runs, 0)
        await ctx.tick().repeat(6)
        assert ctx.get(dut.low) == 0
    simulate(dut, bench, tables=pools.tables(dut))


@pytest.mark.parametrize("count", [1, 3, 64])
def test_looks_at_every_pool(count):
    rng = random.Random(count)
    dut = PoolMonitor(count)
    pools = Pools([rng.randrange(10) for _ in range(count)], [4] * count, [4] * count)

    async def bench(ctx):
        ctx.set(dut.runs, (1 << count) - 1)
        for step in range(4):
            await ctx.tick().repeat(count + 3)
            assert ctx.get(dut.low) == sum((f <= 4) << n for n, f in enumerate(pools.free))
            pools.free[:] = [rng.randrange(10) for _ in range(count)]
            ctx.set(pools.news, step + 1)
    simulate(dut, bench, tables=pools.tables(dut))
