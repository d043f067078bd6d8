"""Registers of block STEER, as the twin has them: rows, refusals, rules that come and go."""

from __future__ import annotations

import random

from hdl_steering import QUEUES, Steered, random_rule
from hdl_streams import simulate
from pagering import abi

TABLES = {"KEY": (abi.KEY_WORDS, "key", 32), "INDIRECTION": (abi.INDIRECTION_ROWS, "queue", 2),
          "VLANS": (abi.VLAN_ROWS, "vlans", 32), "ADDRESS_LOW": (abi.ADDRESSES, "address", 32),
          "ADDRESS_HIGH": (abi.ADDRESSES, "address", 16)}


def run(body, limit=60000):
    dut = Steered()

    async def bench(ctx):
        await dut.ready(ctx)
        await body(ctx, dut)
    simulate(dut, bench, limit=limit)


def test_each_row_keeps_its_own_value():
    async def body(ctx, dut):
        rng = random.Random(5)
        for name, (rows, field, bits) in TABLES.items():
            for row in range(rows):
                assert await dut.table(ctx, name, row, **{field: rng.getrandbits(bits)})
        for name, (rows, *_) in TABLES.items():
            for row in {0, 1, rows // 2, rows - 1, *(rng.randrange(rows) for _ in range(8))}:
                await dut.row(ctx, row)
                await dut.read(ctx, name)
    run(body)


def test_a_row_that_is_not_there_is_refused_and_reads_zero():
    async def body(ctx, dut):
        for name, (rows, *_) in TABLES.items():
            for row in range(rows, min(128, rows + 20)):
                assert not await dut.table(ctx, name, row)
                assert set((await dut.read(ctx, name)).values()) == {0}
        for row in (64, 65, 127):
            await dut.row(ctx, row)
            assert not await dut.write(ctx, "RULE", enable=1)
            assert not await dut.write(ctx, "RULE_WORD", value=1)
            assert await dut.read(ctx, "RULE") == {"enable": 0, "busy": 0}
        for word in range(abi.RULE_WORDS, 16):
            await dut.row(ctx, 0, word)
            assert not await dut.write(ctx, "RULE_WORD", value=1)
            assert await dut.read(ctx, "RULE_WORD") == {"value": 0}
    run(body)


def test_values_out_of_range_are_refused():
    async def body(ctx, dut):
        assert not await dut.write(ctx, "RSS", transform=3)
        assert await dut.read(ctx, "RSS") == {"transform": 0, "tcp": 1, "udp": 1}
        for queue in range(64):
            assert await dut.table(ctx, "INDIRECTION", 9, queue=queue) == (queue < QUEUES)
        await dut.row(ctx, 3, abi.RULE_WORDS - 1)
        for l3 in range(4):
            for fields in ({}, {"match_l3": 1}, {"match_source": 1}, {"match_destination": 1},
                           {"match_l3": 1, "match_source": 1}, {"queue": QUEUES},
                           {"queue": 63, "drop": 1}, {"match_l3": 1, "match_destination": 1}):
                word = abi.RULE.pack(l3=l3, **fields) >> 32 * (abi.RULE_WORDS - 1)
                await dut.write(ctx, "RULE_WORD", value=word)
                await dut.read(ctx, "RULE_WORD")
    run(body)


def test_a_rule_is_locked_while_it_counts_and_the_card_while_it_is_busy():
    async def body(ctx, dut):
        port, rng = dut.registers.port, random.Random(2)
        await dut.rule(ctx, 5, **random_rule(rng))
        for word in range(abi.RULE_WORDS):
            await dut.row(ctx, 5, word)
            await dut.read(ctx, "RULE_WORD")
            assert not await dut.write(ctx, "RULE_WORD", value=0)
        await dut.row(ctx, 6)
        assert await dut.write(ctx, "RULE_WORD", value=7)
        assert await dut.write(ctx, "RULE", enable=1)
        ctx.set(port.read_offset, abi.STEER["RULE"].offset)
        await ctx.tick()
        busy = abi.STEER["RULE"].pack(busy=1)
        assert ctx.get(port.value) == busy, "not yet enabled"
        # The twin is never busy, so it is not asked here.
        for name, value in (("RULE", 0), ("RULE", 1), ("RULE_WORD", 1)):
            ctx.set(port.write_offset, abi.STEER[name].offset)
            ctx.set(port.data, value)
            ctx.set(port.write, 1)
            refused, = await ctx.tick().sample(dut.registers.refusal.valid).until(port.ready)
            ctx.set(port.write, 0)
            assert refused, name
        await ctx.tick().until(port.value == abi.STEER["RULE"].pack(enable=1))
        assert await dut.write(ctx, "RULE", enable=0)
        assert await dut.read(ctx, "RULE") == {"enable": 0, "busy": 0}
        await dut.read(ctx, "RULE_WORD")
    run(body)
