"""CompletionLines, FlushTimer and LineReader: what reaches the host's memory, write by write.

The lines and their reader run together at every bus width, against a model of the completion
rings: each completion lands at its index, with its phase, once; a write never leaves its line.
"""

from __future__ import annotations

import random

import pytest
from amaranth.hdl import Module

from hdl_streams import config, get, mirror, put, rules, simulate
from pagering import abi
from pagering_hdl.completion_lines import CompletionLines, FlushTimer
from pagering_hdl.layouts import Kind
from pagering_hdl.line_reader import LineReader

LOG2 = [6, 7, 6, 16]
BASES = [0x1_0000_0000, 0xFFFF_F000_0000, 0x2000, 0x8000_0000]


class Lines:
    """The two parts joined, and the host's memory as their writes leave it."""

    def __init__(self, bits=64):
        self.card = config(bus_bits=bits)
        self.lines, self.reader = CompletionLines(self.card), LineReader(self.card)
        self.memory, self.jobs, self.log2 = {}, [], list(LOG2)

    def module(self):
        m = Module()
        m.submodules.lines, m.submodules.reader = lines, reader = self.lines, self.reader
        m.d.comb += [
            reader.requests.valid.eq(lines.requests.valid),
            reader.requests.payload.eq(lines.requests.payload),
            lines.requests.ready.eq(reader.requests.ready),
            lines.slot.eq(reader.slot), reader.stored.eq(lines.stored)]
        return m

    def tables(self):
        return [mirror(self.lines.ring_log2, lambda queue: self.log2[queue % 4]),
                mirror(self.reader.ring, lambda queue: {"log2": self.log2[queue % 4],
                                                        "base": BASES[queue % 4] >> 12})]

    def host(self, gaps):
        """Carry out the writes that are announced."""
        async def bench(ctx):
            while True:
                while gaps.random() < 0.4:
                    await ctx.tick()
                job = await get(ctx, self.reader.jobs)
                self.jobs.append(job)
                if job["kind"] is Kind.SEGMENT:
                    await self.write(ctx, job)
        return bench

    async def write(self, ctx, job):
        bus = self.card.bus_bytes
        address, count = job["address"], -(-job["length"] // bus)
        assert address % bus == 0
        assert address // 64 == (address + job["length"] - 1) // 64
        for _ in range(count):
            # Announced means that its beats are there.
            assert ctx.get(self.reader.beats.valid)
            beat = await get(ctx, self.reader.beats)
            for lane in range(bus):
                if beat["strobe"] >> lane & 1:
                    assert lane + address < job["address"] + job["length"]
                    self.memory[address + lane] = beat["data"] >> 8 * lane & 0xFF
            address += bus

    def completion(self, queue, index):
        """Return the completion in the host's memory."""
        at = BASES[queue] + index % (1 << self.log2[queue]) * abi.COMPLETION_BYTES
        data = bytes(self.memory[at + n] for n in range(abi.COMPLETION_BYTES))
        return abi.COMPLETION.unpack(int.from_bytes(data, "little"))


def entry(queue, number, end=1):
    return {"kind": Kind.SEGMENT, "index": queue,
            "completion": {"token": number, "length": number % 65536, "start": 1, "end": end}}


@pytest.mark.parametrize("bits", [64, 128, 256, 512])
def test_random_queues_and_lines(bits):
    rng = random.Random(bits)
    dut = Lines(bits)
    produced = [[] for _ in range(4)]
    frames = [0] * 4

    async def bench(ctx):
        ctx.set(dut.lines.period, 20)
        await ctx.tick().repeat(4)
        for number in range(330):
            queue, end = rng.choice((0, 0, 1, 1, 2, 3)), rng.randrange(2)
            ctx.set(dut.lines.quiet, rng.random() < 0.1)
            while rng.random() < 0.2:
                await ctx.tick()
            await put(ctx, dut.lines.entries, entry(queue, number + 1000, end))
            produced[queue].append(number + 1000)
            frames[queue] += end
        while not ctx.get(dut.lines.idle & dut.reader.idle):
            await ctx.tick()
        await ctx.tick().repeat(40)
    simulate(dut.module(), bench, background=[
        dut.host(random.Random(bits + 1)), rules(dut.reader.beats), rules(dut.reader.jobs),
        rules(dut.lines.requests)], tables=dut.tables())
    assert max(len(p) for p in produced) > 64
    for queue, numbers in enumerate(produced):
        size = 1 << LOG2[queue]
        for index in range(max(0, len(numbers) - size), len(numbers)):
            seen = dut.completion(queue, index)
            assert seen["token"] == numbers[index]
            assert seen["phase"] == 1 - index // size % 2
        mine = [job for job in dut.jobs if job["index"] == queue]
        assert sum(job["frames"] for job in mine) == frames[queue]
        assert mine[-1]["produced"] == len(numbers)
        steps = [job["produced"] for job in mine]
        assert steps == sorted(set(steps))


@pytest.mark.parametrize("bits", [64, 128, 256, 512])
@pytest.mark.parametrize(("first", "count"), [
    (first, count) for first in range(4) for count in range(1, 5 - first)])
def test_every_part_of_a_line(bits, first, count):
    dut = Lines(bits)

    async def bench(ctx):
        lines = dut.lines
        await ctx.tick().repeat(4)
        for part, is_first in ((first, True), (count, False)):
            for number in range(part):
                await put(ctx, lines.entries, entry(0, number + 1))
            ctx.set(lines.quiet, 1)
            while not ctx.get(lines.idle & dut.reader.idle):
                await ctx.tick()
            ctx.set(lines.quiet, 0)
            await ctx.tick().repeat(30)
            if is_first:
                dut.memory.clear()
                dut.jobs.clear()
    simulate(dut.module(), bench, background=[dut.host(random.Random(0))], tables=dut.tables())
    assert sorted(dut.memory) == list(range(BASES[0] + 16 * first,
                                            BASES[0] + 16 * (first + count)))
    job, = dut.jobs
    start = 16 * first // dut.card.bus_bytes * dut.card.bus_bytes
    assert (job["address"], job["length"]) == (BASES[0] + start, 16 * (first + count) - start)
    assert (job["produced"], job["frames"]) == (first + count, count)


def test_a_fence_writes_the_line_first_and_a_start_begins_again():
    dut = Lines()

    async def bench(ctx):
        ctx.set(dut.lines.period, 0)
        await ctx.tick().repeat(4)
        for payload in (entry(1, 1), {"kind": Kind.FENCE_QUEUE, "index": 1},
                        {"kind": Kind.START_QUEUE, "index": 1}, entry(1, 2),
                        {"kind": Kind.FENCE_POOL, "index": 1}, {"kind": Kind.START_POOL},
                        {"kind": Kind.FENCE_QUEUE, "index": 1}):
            await put(ctx, dut.lines.entries, payload)
        await ctx.tick().repeat(40)
    simulate(dut.module(), bench, background=[dut.host(random.Random(0))], tables=dut.tables())
    assert [job["kind"] for job in dut.jobs] == [
        Kind.SEGMENT, Kind.FENCE_QUEUE, Kind.START_QUEUE, Kind.FENCE_POOL, Kind.START_POOL,
        Kind.SEGMENT, Kind.FENCE_QUEUE]
    assert [job["produced"] for job in dut.jobs if job["kind"] is Kind.SEGMENT] == [1, 1]
    assert dut.completion(1, 0)["token"] == 2
    assert dut.completion(1, 0)["phase"] == 1


def test_a_completion_a_cycle():
    """Lines that leave while others fill cost the stream nothing at 512 bits."""
    dut = Lines(512)
    stalls = []

    async def bench(ctx):
        ctx.set(dut.reader.jobs.ready, 1)
        ctx.set(dut.reader.beats.ready, 1)
        await ctx.tick().repeat(4)
        ctx.set(dut.lines.entries.valid, 1)
        for number in range(64):
            ctx.set(dut.lines.entries.payload, entry(number // 8 % 4, number))
            stalls.append(0)
            while not ctx.get(dut.lines.entries.ready):
                stalls[-1] += 1
                await ctx.tick()
            await ctx.tick()
    simulate(dut.module(), bench, tables=dut.tables())
    # Six cycles to read and announce a line against four to fill one.
    assert sum(stalls) <= 2 * 16


def test_the_timer_waits_one_to_two_periods():
    """A line leaves one to two periods after its first completion, wherever that falls."""
    for offset in range(1, 12):
        dut = FlushTimer(4)

        async def bench(ctx, dut=dut, offset=offset):
            ctx.set(dut.period, 10)
            await ctx.tick().repeat(offset)
            ctx.set(dut.waiting, 0b0100)
            cycles = 0
            while not ctx.get(dut.flush):
                await ctx.tick()
                cycles += 1
            assert ctx.get(dut.queue) == 2
            assert 10 <= cycles <= 22
        simulate(dut, bench)


def test_the_timer_forgets_a_line_that_left():
    dut = FlushTimer(2)

    async def bench(ctx):
        ctx.set(dut.period, 10)
        for _ in range(8):
            ctx.set(dut.waiting, 1)
            await ctx.tick().repeat(9)
            ctx.set(dut.waiting, 0)
            await ctx.tick()
            assert not ctx.get(dut.flush)
    simulate(dut, bench)


def test_quiet_flushes_at_once_the_lowest_queue_first():
    dut = FlushTimer(4)

    async def bench(ctx):
        ctx.set(dut.quiet, 1)
        ctx.set(dut.waiting, 0b1010)
        await ctx.tick()
        assert ctx.get(dut.flush)
        assert ctx.get(dut.queue) == 1
        ctx.set(dut.waiting, 0b1000)
        await ctx.tick()
        assert ctx.get(dut.queue) == 3
        ctx.set(dut.waiting, 0)
        await ctx.tick()
        assert not ctx.get(dut.flush)
    simulate(dut, bench)
