"""RegisterMemory: what was written, without what a register does not take; and after a reset."""

from __future__ import annotations

import random

import pytest

from hdl_streams import config, pulse, simulate
from pagering import abi
from pagering_hdl.register_memory import CARD_WORDS, WORDS, RegisterMemory

CARD = config(queues=3, pools=2)
BLOCKS = {"card": (abi.CARD, 1, CARD_WORDS), "pool": (abi.POOL, 2, WORDS),
          "queue": (abi.QUEUE, 3, WORDS)}
PLACES = [(name, index, word) for name, (_, copies, words) in BLOCKS.items()
          for index in range(copies) for word in range(words)]


def place(name, index, word):
    return {"card": name == "card", "pool": name == "pool", "index": index, "word": word}


class Model:
    """The registers, by the contract."""

    def __init__(self):
        self.takes, self.reset = {}, {}
        for name, (block, *_) in BLOCKS.items():
            for register in block:
                rw = register.access is abi.Access.RW
                self.takes[name, register.offset // 4] = rw * sum(f.mask for f in register.named)
                self.reset[name, register.offset // 4] = rw * register.reset
        self.reset["card", 0] = abi.ID_VALUE
        for register, value in (
                ("VERSION", abi.CARD["VERSION"].reset),
                ("CAP_COUNTS", abi.CARD["CAP_COUNTS"].pack(queues=3, pools=2, regions=8)),
                ("CAP_SIZES", abi.CARD["CAP_SIZES"].pack(page_log2=12, chunk_log2=10,
                                                         region_pages_log2=3, bus_log2=3)),
                ("CAP_LIMITS", abi.CARD["CAP_LIMITS"].pack(frame_bytes=1000, burst_bytes=256)),
                ("CAP_FEATURES", abi.CARD["CAP_FEATURES"].pack(
                    header_split=1, pull_returns=1, pool_watch=1, parser=1, steering=1,
                    statistics=1, timestamps=1)),
                ("CAP_CLOCK", 156_250)):
            self.reset["card", abi.CARD[register].offset // 4] = value
        self.clear()

    def clear(self):
        self.values = {spot: self.reset.get((spot[0], spot[2]), 0) for spot in PLACES}

    def write(self, spot, value):
        if takes := self.takes.get((spot[0], spot[2]), 0):
            self.values[spot] = value & takes


async def read(ctx, dut, spot):
    ctx.set(dut.asked, place(*spot))
    ctx.set(dut.ask, 1)
    value, = await ctx.tick().sample(dut.value).until(dut.answered)
    ctx.set(dut.ask, 0)
    return value


async def check(ctx, dut, model):
    for spot in PLACES:
        assert await read(ctx, dut, spot) == model.values[spot], spot


def run(body):
    dut, model = RegisterMemory(CARD), Model()

    async def bench(ctx):
        await ctx.tick().until(~dut.sweeping)
        await body(ctx, dut, model)
    simulate(dut, bench, limit=40000)


async def write_all(ctx, dut, model, rng):
    """Write every register, a word a cycle, in any order."""
    for spot in rng.sample(PLACES, len(PLACES)):
        value = rng.getrandbits(32)
        if spot[0] != "card" or spot[2] in {r.offset // 4 for r in abi.CARD
                                           if r.access is not abi.Access.RO}:
            ctx.set(dut.place, place(*spot))
            ctx.set(dut.data, value)
            await pulse(ctx, dut.write)
            model.write(spot, value)


def test_holds_what_registers_take_and_nothing_else():
    async def body(ctx, dut, model):
        await check(ctx, dut, model)
        for seed in range(3):
            await write_all(ctx, dut, model, random.Random(seed))
            await check(ctx, dut, model)
    run(body)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_reset_sets_all_back_whatever_is_read_meanwhile(share):
    """What the card is can be read at any time."""
    async def body(ctx, dut, model):
        rng = random.Random(1)
        await write_all(ctx, dut, model, rng)
        await pulse(ctx, dut.clear)
        while ctx.get(dut.sweeping):
            if rng.random() < share:
                assert await read(ctx, dut, ("card", 0, 0)) == abi.ID_VALUE
            else:
                await ctx.tick()
        await ctx.tick()
        model.clear()
        await check(ctx, dut, model)
    run(body)


def test_reads_and_writes_at_the_same_time():
    """A read finds every write before it."""
    async def body(ctx, dut, model):
        rng = random.Random(2)
        spots = [("card", 0, 5), ("queue", 1, 4), ("queue", 2, 4), ("pool", 1, 3)]
        for _ in range(500):
            spot = rng.choice(spots)
            value = rng.getrandbits(32)
            ctx.set(dut.place, place(*spot))
            ctx.set(dut.data, value)
            await pulse(ctx, dut.write)
            model.write(spot, value)
            if rng.random() < 0.5:
                spot = rng.choice(spots)
                assert await read(ctx, dut, spot) == model.values[spot]
    run(body)


@pytest.mark.parametrize(("queues", "pools"), [(1, 1), (64, 1), (5, 64)])
def test_every_copy_has_a_row_of_its_own(queues, pools):
    dut = RegisterMemory(config(queues=queues, pools=pools))

    async def bench(ctx):
        await ctx.tick().until(~dut.sweeping)
        spots = [("queue", index, 4) for index in range(queues)]
        spots += [("pool", index, 3) for index in range(pools)] + [("card", 0, 5)]
        for number, spot in enumerate(spots, start=1):
            ctx.set(dut.place, place(*spot))
            ctx.set(dut.data, number)
            await pulse(ctx, dut.write)
        for number, spot in enumerate(spots, start=1):
            assert await read(ctx, dut, spot) == number
    simulate(dut, bench)
