"""The meters, and Statistics as a whole: every event moves its own counter and no other."""

from __future__ import annotations

import random

import pytest

from hdl_streams import collect, config, simulate
from pagering import abi
from pagering.abi import L3, DropCause, Fault
from pagering.dissect import Facts
from pagering.fake_statistics import checksum_counter, size_counter
from pagering_hdl.counter_registers import CounterReader
from pagering_hdl.layouts import Kind
from pagering_hdl.queue_meter import QueueMeter
from pagering_hdl.statistics import Statistics, counter_rows
from pagering_hdl.stream_meter import AddressMeter, SizeMeter, size_class

GATE_CAUSES = [cause for cause in DropCause if cause <= DropCause.CARD_DISABLED]
QUEUE_CAUSES = [cause for cause in DropCause if cause > DropCause.CARD_DISABLED]
BY_REFUSAL = [fault for fault in Fault
              if fault not in (Fault.DATA_WRITE, Fault.COMPLETION_WRITE)]


def edges():
    """Return every length at which a size begins or ends, and its neighbours."""
    ends = {least for least, _ in abi.SIZES} | {most for _, most in abi.SIZES if most}
    return sorted({max(0, end + step - 4) for end in ends for step in (-1, 0, 1)} | {32767})


def test_each_size_class_begins_and_ends_where_rmon_says():
    dut, found = SizeMeter(), []

    async def bench(ctx):
        for length in edges():
            ctx.set(dut.ended, 1)
            ctx.set(dut.size, length)
            await ctx.tick()
        ctx.set(dut.ended, 0)
        await ctx.tick().repeat(5)
    simulate(dut, bench, background=[collect(dut.number, found, when=dut.valid)])
    assert found == [size_class(length) for length in edges()]
    names = [counter.name for counter in abi.COUNTERS if counter.name.startswith("SIZE_")]
    assert [names[number] for number in found] == [size_counter(length) for length in edges()]


def test_one_size_is_not_another_when_no_frame_ends():
    dut, found = SizeMeter(), []

    async def bench(ctx):
        ctx.set(dut.size, 64)
        await ctx.tick().repeat(8)
    simulate(dut, bench, background=[collect(dut.number, found, when=dut.valid)])
    assert found == []


@pytest.mark.parametrize("bits", [64, 512])
def test_group_addresses(bits):
    """Frames of one beat and more, back to back; short ones; the bytes behind an address."""
    dut, rng, events = AddressMeter(bits), random.Random(bits), []
    whole = bits // 8
    expected = []

    async def bench(ctx):
        for _ in range(300):
            address = rng.choice((bytes(6), b"\x01" + bytes(5), b"\xff" * 6, b"\xff" * 5 + b"\xfe",
                                  b"\xfe" + b"\xff" * 5, rng.randbytes(6)))
            size = rng.choice((whole, whole, 6, 5))
            kept, beats = rng.getrandbits(1), rng.choice((1, 1, 2, 5))
            data = (address + rng.randbytes(whole))[:size]
            if kept and size >= 6 and address == b"\xff" * 6:
                expected.append("broadcast")
            elif kept and address[0] & 1:
                expected.append("multicast")
            for beat in range(beats):
                ctx.set(dut.first, beat == 0)
                ctx.set(dut.beat, int.from_bytes(data, "little") if beat == 0
                        else rng.getrandbits(bits))
                ctx.set(dut.bytes, size)
                ctx.set(dut.good, kept and beat == beats - 1)
                await ctx.tick()
        ctx.set(dut.good, 0)
        ctx.set(dut.first, 0)
        await ctx.tick().repeat(4)

    async def watch(ctx):
        async for _, _, many, every in ctx.tick().sample(dut.multicast, dut.broadcast):
            assert not (many and every)
            events.extend(["multicast"] * many + ["broadcast"] * every)
    simulate(dut, bench, background=[watch])
    assert events == expected


def facts(rng):
    """Return facts of a frame, not all of them possible."""
    checked = {name: rng.getrandbits(1) for name in ("l3_checked", "l3_ok", "l4_checked", "l4_ok")}
    return {**checked, "l3": rng.choice(list(L3)), "vlan": rng.getrandbits(1)}


def test_each_frame_has_one_fate_at_its_queue():
    dut, rng, fates, expected = QueueMeter(3), random.Random(5), [], []
    numbers = {counter.name: counter.number for counter in abi.QUEUE_COUNTERS}

    async def bench(ctx):
        for _ in range(500):
            decided, queue, known = rng.getrandbits(1), rng.choice((0, 1, 2, 3, 63)), facts(rng)
            drop, cause = rng.getrandbits(1), rng.choice(QUEUE_CAUSES)
            length = rng.randrange(1, 1 << 14)
            ctx.set(dut.decided, decided)
            ctx.set(dut.frame, {"queue": queue, "length": length, "facts": known})
            ctx.set(dut.dropped, {"valid": decided & drop, "cause": cause})
            await ctx.tick()
            if decided and queue < 3:
                name = abi.QUEUE_DROPS[cause] if drop else checksum_counter(Facts(**known))
                expected.append((queue, numbers[name] % 8, 1 - drop, known["vlan"], length))
        ctx.set(dut.decided, 0)
        await ctx.tick().repeat(3)
    simulate(dut, bench, background=[collect(dut.fate, fates)])
    assert [(fate["queue"], fate["outcome"], fate["admitted"], fate["vlan"], fate["length"])
            for fate in fates] == expected
    assert {outcome for _, outcome, *_ in expected} == set(range(8))


class Model:
    """All counters, and a bench that makes random events of all kinds in every cycle."""

    def __init__(self, dut, seed):
        self.dut, self.cfg, self.rng = dut, dut.config, random.Random(seed)
        self.card = dict.fromkeys((counter.name for counter in abi.COUNTERS), 0)
        self.queues = [dict.fromkeys((counter.name for counter in abi.QUEUE_COUNTERS), 0)
                       for _ in range(self.cfg.queues)]

    def events(self, ctx):
        dut, rng, card = self.dut, self.rng, self.card
        for name, port in (("RETURNS", dut.accepted), ("RECYCLED", dut.recycled),
                           ("PAUSES", dut.pause_begins), ("PAUSE_CYCLES", dut.pause),
                           ("WRITE_BURSTS", dut.burst), ("FAULT_DATA_WRITE", dut.data_error),
                           ("FAULT_COMPLETION_WRITE", dut.line_error)):
            happens = rng.getrandbits(1)
            ctx.set(port, happens)
            card[name] += happens
        taken, strobe = rng.getrandbits(1), rng.getrandbits(self.cfg.bus_bytes)
        ctx.set(dut.beat_taken, taken)
        ctx.set(dut.strobe, strobe)
        card["WRITE_BEATS"] += taken
        card["WRITE_BYTES"] += taken * strobe.bit_count()
        for port, fault in zip(dut.refusals, rng.sample(BY_REFUSAL, len(dut.refusals)),
                               strict=True):
            valid = rng.getrandbits(1)
            ctx.set(port, {"valid": valid, "fault": fault})
            card[f"FAULT_{fault.name}"] += valid
        self.frames(ctx)

    def frames(self, ctx):
        dut, rng, card = self.dut, self.rng, self.card
        ended, taken = rng.getrandbits(1), rng.randrange(self.cfg.bus_bytes + 1)
        length, cause = rng.choice(edges()), rng.choice([None, *GATE_CAUSES])
        ctx.set(dut.ended, ended)
        ctx.set(dut.taken, taken)
        ctx.set(dut.size, length)
        ctx.set(dut.gate_drop, {"valid": ended and cause is not None, "cause": cause or 0})
        card["FRAMES_IN"] += ended
        card["BYTES_IN"] += taken
        card[size_counter(length)] += ended
        if cause is not None:
            card[f"DROP_{cause.name}"] += ended
        queue, kind, count = rng.randrange(64), rng.choice(list(Kind)), rng.randrange(5)
        queue %= self.cfg.queues
        ctx.set(dut.visible, {"valid": 1, "kind": kind, "index": queue, "frames": count})
        if kind is Kind.SEGMENT:
            card["FRAMES_DELIVERED"] += count
            self.queues[queue]["RX_PACKETS"] += count
        self.decision(ctx)

    def decision(self, ctx):
        dut, rng = self.dut, self.rng
        queue, known = rng.choice((*range(self.cfg.queues), 63)), facts(rng)
        cause, length = rng.choice([None, *QUEUE_CAUSES]), rng.randrange(1, 200)
        ctx.set(dut.decided, 1)
        ctx.set(dut.arrival, {"queue": queue, "length": length, "facts": known})
        ctx.set(dut.admission_drop, {"valid": cause is not None, "cause": cause or 0})
        if cause is not None:
            self.card[f"DROP_{cause.name}"] += 1
        else:
            self.card["VLAN"] += known["vlan"]
        if queue < self.cfg.queues:
            name = checksum_counter(Facts(**known)) if cause is None else abi.QUEUE_DROPS[cause]
            self.queues[queue][name] += 1
            self.queues[queue]["RX_BYTES"] += length if cause is None else 0

    def quiet(self, ctx):
        dut = self.dut
        for port in (dut.accepted, dut.recycled, dut.pause_begins, dut.pause, dut.burst,
                     dut.data_error, dut.line_error, dut.beat_taken, dut.ended, dut.taken,
                     dut.gate_drop.valid, dut.visible.valid, dut.decided,
                     dut.admission_drop.valid, *(port.valid for port in dut.refusals)):
            ctx.set(port, 0)

    async def look(self, ctx, row):
        lookup = self.dut.lookup
        ctx.set(lookup.row, row)
        ctx.set(lookup.ask, 1)
        await ctx.tick()
        ctx.set(lookup.ask, 0)
        while not ctx.get(lookup.answered):
            await ctx.tick()
        return ctx.get(lookup.value)

    async def check(self, ctx):
        """Compare all counters; those that the card lacks stay at zero."""
        whole = self.cfg.statistics
        for number, name, _ in abi.COUNTERS:
            count = self.card[name] if whole or name in abi.ESSENTIAL else 0
            assert await self.look(ctx, number) == count, name
        for queue, counts in enumerate(self.queues):
            first = abi.COUNTER_ROWS + queue * abi.QUEUE_COUNTER_ROWS
            for number, name, _ in abi.QUEUE_COUNTERS:
                assert await self.look(ctx, first + number) == whole * counts[name], (queue, name)


@pytest.mark.parametrize("changes", [{}, {"queues": 1, "bus_bits": 128}, {"queues": 5},
                                     {"statistics": False}])
def test_every_event_moves_its_own_counter_and_no_other(changes):
    dut = Statistics(config(**changes))
    model = Model(dut, 7)

    async def bench(ctx):
        await ctx.tick().repeat(counter_rows(dut.config) + 4)
        for _ in range(2):
            for _ in range(600):
                model.events(ctx)
                await ctx.tick()
            model.quiet(ctx)
            await ctx.tick().repeat(4)
            await model.check(ctx)
    simulate(dut, bench)
    assert all(count for name, count in model.card.items()
               if name not in ("MULTICAST", "BROADCAST"))


@pytest.mark.parametrize("source", ["data_error", "line_error", 0, 3])
def test_a_fault_is_an_event(source):
    dut, events = Statistics(config()), []

    async def bench(ctx):
        port = getattr(dut, source) if isinstance(source, str) else dut.refusals[source].valid
        ctx.set(port, 1)
        await ctx.tick()
        ctx.set(port, 0)
        await ctx.tick().repeat(5)
    simulate(dut, bench, background=[collect(dut.fault, events, when=dut.fault)])
    assert events == [1]


def test_a_reader_asks_once_and_keeps_the_half_that_was_read():
    dut, asks = CounterReader(config()), []

    async def bench(ctx):
        for upper, half in ((0, 0x89ABCDEF), (1, 0x01234567)):
            ctx.set(dut.upper, upper)
            ctx.set(dut.read, 1)
            await ctx.tick().repeat(5)
            ctx.set(dut.lookup.value, 0x0123456789ABCDEF)
            ctx.set(dut.lookup.answered, 1)
            await ctx.tick()
            ctx.set(dut.lookup.answered, 0)
            ctx.set(dut.lookup.value, 0)
            assert ctx.get(dut.answered)
            await ctx.tick()
            ctx.set(dut.read, 0)
            assert not ctx.get(dut.answered)
            await ctx.tick().repeat(3)
            assert ctx.get(dut.value) == half
    simulate(dut, bench, background=[collect(dut.lookup.row, asks, when=dut.lookup.ask)])
    assert len(asks) == 2
