"""CounterSweep and tallies: every event counts once, at any rate, whoever reads meanwhile."""

from __future__ import annotations

import random

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hdl_streams import simulate, with_clear
from pagering_hdl.counter_sweep import ASK_CYCLES, CounterSweep, lap, tally_bits
from pagering_hdl.tallies import Tallies, Tally, TallyTable

LATENCY = 12
"""Cycles from a question to its answer, with room."""


class Counted(wiring.Component):
    """A sweep over ``rows`` counters with a tally in flip-flops each."""

    def __init__(self, rows, per_cycle=3):
        self.rows = rows
        self.width = tally_bits(rows, per_cycle)
        self.sweep = CounterSweep(rows, self.width)
        super().__init__({"amounts": In(2).array(rows), "ask": In(1), "ask_row": In(range(rows)),
                          "answered": Out(1), "value": Out(64)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.sweep = sweep = self.sweep
        m.submodules.tallies = tallies = Tallies(
            {f"t{n}": Tally(n, self.width, 2) for n in range(self.rows)},
            bits=len(sweep.row))
        m.d.comb += [
            *(tallies.amounts[f"t{n}"].eq(amount) for n, amount in enumerate(self.amounts)),
            tallies.number.eq(sweep.row), sweep.ask.eq(self.ask), sweep.ask_row.eq(self.ask_row),
            self.answered.eq(sweep.answered), self.value.eq(sweep.value),
            sweep.tally.eq(tallies.tally), sweep.mask.eq(tallies.mask),
        ]
        return m


async def read(ctx, dut, row):
    ctx.set(dut.ask_row, row)
    ctx.set(dut.ask, 1)
    await ctx.tick()
    ctx.set(dut.ask, 0)
    for _ in range(LATENCY):
        if ctx.get(dut.answered):
            return ctx.get(dut.value)
        await ctx.tick()
    raise AssertionError("no answer")


@pytest.mark.parametrize("rows", [16, 21, 64])
def test_counts_at_the_highest_rate_are_exact(rows):
    """All tallies move by the most in each cycle, for many laps, while the host asks."""
    dut, rng = Counted(rows), random.Random(rows)

    async def bench(ctx):
        cycles = 0
        for _ in range(20 * rows):
            for amount in dut.amounts:
                ctx.set(amount, 3)
            await ctx.tick()
            cycles += 1
        for amount in dut.amounts:
            ctx.set(amount, 0)
        for row in rng.sample(range(rows), rows):
            assert await read(ctx, dut, row) == 3 * cycles
    simulate(dut, bench, limit=50000)


def test_random_events_and_a_host_that_never_stops_asking():
    rows = 17
    dut, rng = Counted(rows), random.Random(1)
    model = [0] * rows

    async def bench(ctx):
        for step in range(3000):
            for row, amount in enumerate(dut.amounts):
                happens = rng.choice((0, 0, 1, 3))
                ctx.set(amount, happens)
                model[row] += happens
            ctx.set(dut.ask, step % ASK_CYCLES == 0)
            ctx.set(dut.ask_row, rng.randrange(rows))
            await ctx.tick()
        ctx.set(dut.ask, 0)
        for amount in dut.amounts:
            ctx.set(amount, 0)
        await ctx.tick().repeat(LATENCY)
        for row in range(rows):
            assert await read(ctx, dut, row) == model[row]
    simulate(dut, bench)


def test_an_answer_is_the_count_of_that_moment():
    """No time to settle is needed: what happened before the question is in the answer."""
    rows = 64
    dut = Counted(rows)

    async def bench(ctx):
        await ctx.tick().repeat(rows + 8)
        for count in range(1, 20):
            ctx.set(dut.amounts[17], 1)
            await ctx.tick()
            ctx.set(dut.amounts[17], 0)
            assert await read(ctx, dut, 17) == count
    simulate(dut, bench)


def test_a_counter_that_is_looked_at_in_a_row_is_written_in_the_end():
    """Asked for just before and just behind its turn, at each distance."""
    rows = 16
    dut = Counted(rows)

    async def bench(ctx):
        count = 0
        for before in range(2 * rows):
            for behind in range(ASK_CYCLES, 20):
                for cycle in range(60):
                    ctx.set(dut.amounts[3], 1)
                    ctx.set(dut.ask_row, 3)
                    ctx.set(dut.ask, cycle in (before, before + behind))
                    await ctx.tick()
                    count += 1
        ctx.set(dut.amounts[3], 0)
        assert await read(ctx, dut, 3) == count
    simulate(dut, bench, limit=60000)


def test_a_sweep_of_few_counters_is_refused():
    with pytest.raises(ValueError, match="^a sweep goes around 16 counters or more, not 15$"):
        CounterSweep(15, 8)


def test_a_reset_clears_a_memory_that_has_none():
    rows = 16
    part = Counted(rows)
    dut, clear = with_clear(part)

    async def bench(ctx):
        for round_ in range(3):
            for amount in part.amounts:
                ctx.set(amount, 1)
            await ctx.tick().repeat(100)
            for amount in part.amounts:
                ctx.set(amount, 0)
            for row in range(rows):
                assert await read(ctx, part, row) == 100, round_
            ctx.set(clear, 1)
            await ctx.tick()
            ctx.set(clear, 0)
            await ctx.tick().repeat(rows)
            for row in range(rows):
                assert await read(ctx, part, row) == 0
            ctx.set(clear, 1)
            await ctx.tick()
            ctx.set(clear, 0)
    simulate(dut, bench)


@pytest.mark.parametrize("start", [(1 << 32) - 2, (1 << 64) - 2])
def test_a_carry_goes_through_all_bits(start):
    """The tally of the first look stands for all that happened before it."""
    dut = CounterSweep(16, 64)
    tally = Signal(64)

    async def bench(ctx):
        ctx.set(dut.mask, (1 << 64) - 1)
        ctx.set(dut.tally, start)
        await ctx.tick().repeat(24)
        assert await read(ctx, dut, 1) == start
        ctx.set(dut.mask, 0b11)
        ctx.set(dut.tally, start + 3 & 3)
        assert await read(ctx, dut, 1) == start + 3 & (1 << 64) - 1
    m = Module()
    m.submodules.dut = dut
    m.d.sync += tally.eq(1)
    simulate(m, bench)


def test_tallies_are_wide_enough_and_no_wider():
    """A tally that came around between two looks would lose; one bit less would."""
    for rows in (64, 128, 1088):
        for rate in (1, 4, 64):
            bits = tally_bits(rows, rate)
            assert rate * lap(rows) < 1 << bits <= 2 * rate * lap(rows)
    assert tally_bits(128, 8, 1 << 15) == 16


def test_a_table_counts_one_of_many_in_each_cycle():
    dut, rng = TallyTable(6, depth=5, amount=3), random.Random(4)
    model = [0] * 5

    async def bench(ctx):
        ctx.set(dut.fresh, 1)
        for number in range(5):
            ctx.set(dut.number, number)
            await ctx.tick()
        ctx.set(dut.fresh, 0)
        await ctx.tick()
        for _ in range(300):
            which, valid, amount = rng.randrange(5), rng.getrandbits(1), rng.randrange(8)
            ctx.set(dut.which, which)
            ctx.set(dut.valid, valid)
            ctx.set(dut.amount, amount)
            model[which] = model[which] + valid * amount & 63
            await ctx.tick()
        ctx.set(dut.valid, 0)
        for chosen in (1, 0):
            for number, count in enumerate(model):
                ctx.set(dut.number, number)
                ctx.set(dut.chosen, chosen)
                await ctx.tick().repeat(2)
                assert ctx.get(dut.tally) == count * chosen
                assert ctx.get(dut.mask) == 63 * chosen
    simulate(dut, bench)
