"""BlockTable: as StateTable, a cycle later."""

from __future__ import annotations

import random

import pytest

from hdl_streams import pulse, simulate, with_clear
from pagering_hdl.block_table import BlockTable


async def rows(ctx, dut, port=0):
    values = []
    for addr in range(dut.depth):
        ctx.set(dut.read[port].addr, addr)
        await ctx.tick()
        values.append(ctx.get(dut.read[port].data))
    return values


@pytest.mark.parametrize("depth", [1, 2, 5, 64])
def test_is_cleared_depth_cycles_after_a_reset_in_mid_life(depth):
    dut = BlockTable(8, depth=depth)
    part, clear = with_clear(dut)

    async def bench(ctx):
        await ctx.tick().repeat(dut.depth)
        assert await rows(ctx, dut) == [0] * dut.depth
        for addr in range(dut.depth):
            ctx.set(dut.write.addr, addr)
            ctx.set(dut.write.data, addr + 100)
            await pulse(ctx, dut.write.en)
        assert await rows(ctx, dut) == [addr + 100 for addr in range(dut.depth)]
        await pulse(ctx, clear)
        await ctx.tick().repeat(dut.depth)
        assert await rows(ctx, dut) == [0] * dut.depth
    simulate(part, bench)


def test_every_port_reads_what_was_there_before_the_write_of_that_cycle():
    dut, rng = BlockTable(8, depth=8, reads=2), random.Random(1)
    model = [0] * 8

    async def bench(ctx):
        await ctx.tick().repeat(8)
        for _ in range(300):
            asked = [rng.randrange(8) for _ in dut.read]
            addr, value, writes = rng.randrange(8), rng.randrange(256), rng.randrange(2)
            for port, place in zip(dut.read, asked, strict=True):
                ctx.set(port.addr, place)
            ctx.set(dut.write.addr, addr)
            ctx.set(dut.write.data, value)
            ctx.set(dut.write.en, writes)
            expected = [model[place] for place in asked]
            if writes:
                model[addr] = value
            await ctx.tick()
            assert [ctx.get(port.data) for port in dut.read] == expected
    simulate(dut, bench)
