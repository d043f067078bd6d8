"""CompletionLines, FlushTimer, LineAnnouncer and LineReader: what reaches the host's memory.

They run together at every bus width, against a model of the completion rings: each completion lands
at its index, with its phase, once; a write never leaves its line.
"""

from __future__ import annotations

import random

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring

from hdl_streams import config, get, mirror, put, rules, simulate
from pagering import abi
from pagering_hdl.completion_lines import CompletionLines
from pagering_hdl.flush_timer import FlushTimer
from pagering_hdl.layouts import Kind
from pagering_hdl.line_announcer import LineAnnouncer
from pagering_hdl.line_reader import LineReader

LOG2 = [6, 7, 6, 16]
BASES = [0x1_0000_0000, 0xFFFF_F000_0000, 0x2000, 0x8000_0000]


class Lines:
    """The three parts joined, and the host's memory as their writes leave it."""

    def __init__(self, bits=64, extended=0):
        self.card = config(bus_bits=bits)
        self.lines, self.reader = CompletionLines(self.card), LineReader(self.card)
        self.announcer = LineAnnouncer(self.card)
        self.idle = Signal()
        self.memory, self.jobs, self.extended, self.log2 = {}, [], extended, list(LOG2)

    def module(self):
        m = Module()
        m.submodules.lines, m.submodules.reader = lines, reader = self.lines, self.reader
        m.submodules.announcer = announcer = self.announcer
        wiring.connect(m, lines.requests, announcer.requests)
        wiring.connect(m, announcer.reads, reader.requests)
        m.d.comb += [
            lines.address.eq(reader.address), lines.read.eq(reader.read),
            reader.stored.eq(lines.stored), lines.empty.eq(1),
            self.idle.eq(lines.idle & announcer.idle & reader.idle)]
        return m

    def tables(self):
        return [mirror(self.lines.shape, lambda queue: {
                    "log2": self.log2[queue % 4], "extended": self.extended >> queue & 1}),
                mirror(self.lines.base, lambda queue: BASES[queue % 4] >> 12)]

    def stride(self, queue):
        return 16 << (self.extended >> queue & 1)

    def host(self, gaps):
        """Carry out the writes that are announced."""
        async def bench(ctx):
            while True:
                while gaps.random() < 0.4:
                    await ctx.tick()
                job = await get(ctx, self.announcer.jobs)
                self.jobs.append(job)
                if job["kind"] is Kind.SEGMENT:
                    await self.write(ctx, job)
        return bench

    async def write(self, ctx, job):
        bus = self.card.bus_bytes
        address, end = job["address"], job["address"] + job["top"]
        assert address % bus == 0
        assert address // 64 == end // 64
        for _ in range(job["top"] // bus + 1):
            beat = await get(ctx, self.reader.beats)
            for lane in range(bus):
                if beat["strobe"] >> lane & 1:
                    assert lane + address <= end
                    self.memory[address + lane] = beat["data"] >> 8 * lane & 0xFF
            address += bus

    def completion(self, queue, index):
        """Return the completion in the host's memory."""
        at = BASES[queue] + (index % (1 << self.log2[queue]) + 1) * self.stride(queue)
        return abi.COMPLETION.unpack(self.word(at - abi.COMPLETION_BYTES))

    def extension(self, queue, index):
        """Return what is before the completion."""
        at = BASES[queue] + index % (1 << self.log2[queue]) * self.stride(queue)
        return abi.EXTENSION.unpack(self.word(at))

    def word(self, at):
        return int.from_bytes(bytes(self.memory[at + n] for n in range(16)), "little")


def entry(queue, number, end=1):
    return {"kind": Kind.SEGMENT, "index": queue,
            "completion": {"token": number, "length": number % 65536, "start": 1, "end": end},
            "extension": {"time_low": number * 3, "time_high": number, "mark": number % 65536}}


@pytest.mark.parametrize("extended", [0b0000, 0b1111, 0b0101])
@pytest.mark.parametrize("bits", [64, 128, 256, 512])
def test_random_queues_and_lines(bits, extended):
    rng = random.Random(bits + extended)
    dut = Lines(bits, extended)
    produced = [[] for _ in range(4)]
    frames = [0] * 4

    async def bench(ctx):
        ctx.set(dut.lines.period, 20)
        await ctx.tick().repeat(4)
        for number in range(330):
            queue, end = rng.choice((0, 0, 1, 1, 2, 3)), rng.randrange(2)
            ctx.set(dut.lines.settled, rng.random() < 0.1)
            while rng.random() < 0.2:
                await ctx.tick()
            await put(ctx, dut.lines.entries, entry(queue, number + 1000, end))
            produced[queue].append(number + 1000)
            frames[queue] += end
        while not ctx.get(dut.idle):
            await ctx.tick()
        await ctx.tick().repeat(40)
    simulate(dut.module(), bench, background=[
        dut.host(random.Random(bits + 1)), rules(dut.reader.beats), rules(dut.announcer.jobs),
        rules(dut.lines.requests)], tables=dut.tables())
    assert max(len(p) for p in produced) > 64
    for queue, numbers in enumerate(produced):
        size = 1 << LOG2[queue]
        for index in range(max(0, len(numbers) - size), len(numbers)):
            seen = dut.completion(queue, index)
            assert seen["token"] == numbers[index]
            assert seen["phase"] == 1 - index // size % 2
            if extended >> queue & 1:
                more = dut.extension(queue, index)
                assert (more["time_low"], more["time_high"]) == (3 * numbers[index],
                                                                 numbers[index])
                assert (more["header_token"], more["tci"], more["mark"]) == (0, 0, numbers[index])
        mine = [job for job in dut.jobs if job["index"] == queue]
        assert sum(job["frames"] for job in mine) == frames[queue]
        assert mine[-1]["produced"] == len(numbers)
        steps = [job["produced"] for job in mine]
        assert steps == sorted(set(steps))


@pytest.mark.parametrize("bits", [64, 128, 256, 512])
@pytest.mark.parametrize(("extended", "first", "count"), [
    (extended, first, count) for extended in (0, 1) for first in range(4 >> extended)
    for count in range(1, (4 >> extended) + 1 - first)])
def test_every_part_of_a_line(bits, extended, first, count):
    dut = Lines(bits, extended)
    stride = dut.stride(0)

    async def bench(ctx):
        lines = dut.lines
        await ctx.tick().repeat(4)
        for part, is_first in ((first, True), (count, False)):
            for number in range(part):
                await put(ctx, lines.entries, entry(0, number + 1))
            await ctx.tick().repeat(4)
            ctx.set(lines.settled, 1)
            while not ctx.get(lines.idle & dut.reader.idle):
                await ctx.tick()
            ctx.set(lines.settled, 0)
            await ctx.tick().repeat(30)
            if is_first:
                dut.memory.clear()
                dut.jobs.clear()
    simulate(dut.module(), bench, background=[dut.host(random.Random(0))], tables=dut.tables())
    assert sorted(dut.memory) == list(range(BASES[0] + stride * first,
                                            BASES[0] + stride * (first + count)))
    job, = dut.jobs
    start = stride * first // dut.card.bus_bytes * dut.card.bus_bytes
    assert (job["address"], job["top"]) == (BASES[0] + start, stride * (first + count) - start - 1)
    assert (job["produced"], job["frames"]) == (first + count, count)


@pytest.mark.parametrize("log2", range(6, 11))
@pytest.mark.parametrize("extended", [0, 1])
def test_the_phase_turns_with_each_pass_over_the_ring(log2, extended):  # checklist 17
    """At every size that a few passes can be made over; the largest is in ``rtl/largest_ring``."""
    dut = Lines(512, extended)
    dut.log2[0] = log2
    count = (3 << log2) - 3

    async def bench(ctx):
        ctx.set(dut.lines.period, 0)
        await ctx.tick().repeat(4)
        for number in range(count):
            await put(ctx, dut.lines.entries, entry(0, number))
            if number >> log2 != number + 1 >> log2 or number == count - 1:
                ctx.set(dut.lines.settled, 1)
                while not ctx.get(dut.idle):
                    await ctx.tick()
                await ctx.tick().repeat(40)
                ctx.set(dut.lines.settled, 0)
                newest = number & (1 << log2) - 1
                for slot in range(min(number + 1, 1 << log2)):
                    turns = (number >> log2) - (slot > newest)
                    seen = dut.completion(0, slot)
                    assert (seen["token"], seen["phase"]) == (turns << log2 | slot, 1 - turns % 2)
    simulate(dut.module(), bench, background=[dut.host(random.Random(0))], tables=dut.tables())


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


@pytest.mark.parametrize("bits", [64, 128, 256, 512])
@pytest.mark.parametrize("extended", [0, 15])
@pytest.mark.parametrize("queues", [1, 4])
def test_full_lines_leave_at_the_rate_of_the_bus(bits, extended, queues):
    dut = Lines(bits, extended)
    lines, each = 24, 2 if extended else 4

    async def bench(ctx):
        ctx.set(dut.announcer.jobs.ready, 1)
        ctx.set(dut.reader.beats.ready, 1)
        await ctx.tick().repeat(4)
        ctx.set(dut.lines.entries.valid, 1)
        cycles = 0
        for number in range(lines * each):
            ctx.set(dut.lines.entries.payload, entry(number // each % queues, number))
            while not ctx.get(dut.lines.entries.ready):
                cycles += 1
                await ctx.tick()
            cycles += 1
            await ctx.tick()
        # On the bus: the line, and at least a beat of each of its frames.
        assert cycles <= lines * (512 // bits + each) + 4
    simulate(dut.module(), bench, tables=dut.tables())


@pytest.mark.parametrize("bits", [64, 128, 256, 512])
@pytest.mark.parametrize("extended", [0, 15])
def test_a_lone_completion_is_announced_at_once(bits, extended):
    dut = Lines(bits, extended)

    async def bench(ctx):
        ctx.set(dut.lines.settled, 1)
        await ctx.tick().repeat(6)
        await put(ctx, dut.lines.entries, entry(2, 1))
        cycles = 1
        while not ctx.get(dut.announcer.jobs.valid):
            await ctx.tick()
            cycles += 1
        assert cycles == 2
        # Its first beat comes two cycles later, when the bus can take it.
        while not ctx.get(dut.reader.beats.valid):
            await ctx.tick()
            cycles += 1
        assert cycles == 4
    simulate(dut.module(), bench, tables=dut.tables())


def test_the_timer_waits_one_to_two_periods():
    """A line leaves one to two periods after its first completion, wherever that falls."""
    for offset in range(1, 12):
        dut = FlushTimer(4)

        async def bench(ctx, dut=dut, offset=offset):
            ctx.set(dut.period, 10)
            await ctx.tick().repeat(offset)
            ctx.set(dut.waiting, 0b0100)
            cycles = 0
            while not ctx.get(dut.flushes.valid):
                await ctx.tick()
                cycles += 1
            assert ctx.get(dut.flushes.payload) == 2
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
            assert not ctx.get(dut.flushes.valid)
    simulate(dut, bench)


def test_quiet_flushes_at_once_the_lowest_queue_first():
    dut = FlushTimer(4)

    async def bench(ctx):
        ctx.set(dut.quiet, 1)
        ctx.set(dut.waiting, 0b1010)
        await ctx.tick()
        assert await get(ctx, dut.flushes) == 1
        ctx.set(dut.waiting, 0b1000)
        assert await get(ctx, dut.flushes) == 3
        ctx.set(dut.waiting, 0)
        for _ in range(8):
            await ctx.tick()
            assert not ctx.get(dut.flushes.valid)
    simulate(dut, bench)
