"""StateTable: cleared by reset row after row, even in mid-life; reads see the value before."""

from __future__ import annotations

import random

import pytest

from hdl_streams import pulse, simulate, with_clear
from pagering_hdl.state_table import StateTable


async def write(ctx, dut, addr, value):
    ctx.set(dut.write.addr, addr)
    ctx.set(dut.write.data, value)
    await pulse(ctx, dut.write.en)


async def rows(ctx, dut, port=0):
    values = []
    for addr in range(dut.depth):
        ctx.set(dut.read[port].addr, addr)
        values.append(ctx.get(dut.read[port].data))
    return values


@pytest.mark.parametrize(("depth", "init"), [(1, 0), (2, 3), (5, 7), (64, 9)])
def test_is_cleared_depth_cycles_after_a_reset_in_mid_life(depth, init):
    dut = StateTable(8, depth=depth, init=init)
    part, clear = with_clear(dut)

    async def bench(ctx):
        assert await rows(ctx, dut) == [init] * dut.depth
        await ctx.tick().repeat(dut.depth)
        for addr in range(dut.depth):
            await write(ctx, dut, addr, addr + 100)
        assert await rows(ctx, dut) == [addr + 100 for addr in range(dut.depth)]
        await pulse(ctx, clear)
        await ctx.tick().repeat(dut.depth)
        assert await rows(ctx, dut) == [init] * dut.depth
        await write(ctx, dut, 0, 55)
        assert (await rows(ctx, dut))[0] == 55
    simulate(part, bench)


def test_a_table_that_is_not_cleared_keeps_its_rows_and_loses_no_write():
    dut = StateTable(8, depth=4, cleared=False)
    part, clear = with_clear(dut)

    async def bench(ctx):
        for addr in range(4):
            await write(ctx, dut, addr, addr + 7)
        await pulse(ctx, clear)
        await write(ctx, dut, 1, 99)
        assert await rows(ctx, dut) == [7, 99, 9, 10]
    simulate(part, bench)


def test_writes_while_it_clears_are_lost():
    dut = StateTable(8, depth=5)

    async def bench(ctx):
        await write(ctx, dut, 0, 1)
        await ctx.tick().repeat(5)
        assert await rows(ctx, dut) == [0] * 5
    simulate(dut, bench)


def test_a_single_row_loses_no_write():
    dut = StateTable(8, depth=1, init=9)

    async def bench(ctx):
        assert await rows(ctx, dut) == [9]
        await write(ctx, dut, 0, 1)
        assert await rows(ctx, dut) == [1]
    simulate(dut, bench)


@pytest.mark.parametrize(("depth", "reads"), [(8, 3), (1, 2), (3, 1)])
def test_every_port_reads_the_value_before_the_write(depth, reads):
    dut = StateTable(8, depth=depth, reads=reads, index=3)
    rng = random.Random(1)
    model = [0] * depth

    async def bench(ctx):
        await ctx.tick().repeat(8)
        for _ in range(200):
            addr, value = rng.randrange(depth), rng.randrange(256)
            ctx.set(dut.write.addr, addr)
            ctx.set(dut.write.data, value)
            ctx.set(dut.write.en, 1)
            for port in dut.read:
                asked = rng.choice((addr, rng.randrange(depth)))
                ctx.set(port.addr, asked)
                assert ctx.get(port.data) == model[asked]
            await ctx.tick()
            model[addr] = value
    simulate(dut, bench)
