"""A table that lookups and the host share: lookups go first, and a row is old or new."""

from __future__ import annotations

import random

from hdl_streams import simulate, with_clear
from pagering_hdl.shared_table import SharedTable


async def write(ctx, dut, row, value):
    ctx.set(dut.host.row, row)
    ctx.set(dut.host.value, value)
    ctx.set(dut.host.write, 1)
    await ctx.tick().until(dut.host.free)
    ctx.set(dut.host.write, 0)
    ctx.set(dut.host.value, 0)


def test_lookups_and_the_host_see_the_same_rows():
    dut, rng, rows, copy = SharedTable(16, depth=20), random.Random(1), [0] * 20, {}

    async def copies(ctx):
        async for _, _, sets, row, value in ctx.tick().sample(dut.set, dut.set_row,
                                                              dut.host.value):
            if sets:
                copy.update({row: value})

    async def bench(ctx):
        await ctx.tick().repeat(22)
        for _ in range(200):
            row = rng.randrange(20)
            if rng.random() < 0.5:
                rows[row] = rng.getrandbits(16)
                await write(ctx, dut, row, rows[row])
            ctx.set(dut.host.row, rng.randrange(20))
            ctx.set(dut.look_row, row)
            ctx.set(dut.look, 1)
            await ctx.tick()
            assert ctx.get(dut.data) == rows[row]
            ctx.set(dut.look, 0)
            await ctx.tick().repeat(2)
            assert ctx.get(dut.host.shown) == rows[ctx.get(dut.host.row)]
    simulate(dut, bench, background=[copies])
    assert [copy[row] for row in range(20)] == rows


def test_the_host_waits_for_lookups_and_they_never_for_it():
    dut = SharedTable(8, depth=4)

    async def bench(ctx):
        await ctx.tick().repeat(6)
        ctx.set(dut.host.value, 7)
        ctx.set(dut.host.write, 1)
        ctx.set(dut.look, 1)
        for _ in range(5):
            assert not ctx.get(dut.host.free)
            await ctx.tick()
            assert ctx.get(dut.data) == 0
        ctx.set(dut.look, 0)
        assert ctx.get(dut.host.free)
        await ctx.tick()
        ctx.set(dut.host.write, 0)
        ctx.set(dut.look, 1)
        await ctx.tick()
        assert ctx.get(dut.data) == 7
    simulate(dut, bench)


def test_a_reset_clears_every_row():
    dut = SharedTable(8, depth=5)
    part, clear = with_clear(dut)

    async def bench(ctx):
        await ctx.tick().repeat(7)
        for row in range(5):
            await write(ctx, dut, row, row + 1)
        ctx.set(clear, 1)
        await ctx.tick()
        ctx.set(clear, 0)
        assert not ctx.get(dut.host.free)
        await ctx.tick().repeat(6)
        for row in range(5):
            ctx.set(dut.host.row, row)
            await ctx.tick().repeat(3)
            assert ctx.get(dut.host.shown) == 0
    simulate(part, bench)
