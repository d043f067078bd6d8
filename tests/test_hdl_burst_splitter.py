"""BurstSplitter against ``split``: cover, 4 KiB boundaries, lines first, marks in place."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hdl_streams import config, simulate, sink, source
from pagering_hdl.burst_splitter import BurstSplitter, split
from pagering_hdl.layouts import Kind


@given(st.integers(0, 1 << 63), st.integers(1, 1 << 14), st.sampled_from([64, 256, 4096]))
def test_split_covers_exactly(address, length, burst_bytes):
    at = address
    for start, size in split(address, length, burst_bytes):
        assert start == at
        assert 0 < size <= burst_bytes
        assert start // 4096 == (start + size - 1) // 4096
        at += size
    assert at == address + length


def beats(size, bus_bytes):
    return -(-size // bus_bytes)


CARDS = [config(), config(bus_bits=128, burst_bytes=64), config(bus_bits=512, burst_bytes=4096),
         config(bus_bits=64, burst_bytes=2048)]


@pytest.mark.parametrize("card", CARDS, ids=["64/256", "128/64", "512/4096", "64/2048"])
@pytest.mark.parametrize("seed", range(2))
def test_random_writes_against_split(card, seed):
    rng = random.Random(seed)
    dut = BurstSplitter(card)
    bus = card.bus_bytes
    segments, lines = [], []
    expected = {0: [], 1: []}
    for _ in range(50):
        kind = rng.choice((Kind.SEGMENT, Kind.SEGMENT, Kind.SEGMENT, Kind.CLOSE, Kind.FENCE_QUEUE))
        address = rng.getrandbits(64 - 13) // bus * bus
        length = rng.choice((rng.randrange(1, 4097), card.burst_bytes, bus, 1))
        segments.append({"kind": kind, "index": rng.randrange(64), "address": address,
                         "length": length})
        cut = list(split(address, length, card.burst_bytes)) if kind is Kind.SEGMENT else [None]
        expected[0] += [(burst, kind, segments[-1]["index"], burst is cut[-1]) for burst in cut]
    for _ in range(30):
        kind = rng.choice((Kind.SEGMENT, Kind.SEGMENT, Kind.START_QUEUE))
        start = rng.randrange(4) * 16 // bus * bus
        job = {"kind": kind, "index": rng.randrange(64), "length": 64 - start,
               "address": rng.getrandbits(40) * 64 + start, "produced": rng.getrandbits(17),
               "frames": rng.randrange(5)}
        lines.append(job)
        burst = (job["address"], job["length"]) if kind is Kind.SEGMENT else None
        expected[1].append((burst, kind, job["index"], True))
    count = len(expected[0]) + len(expected[1])
    writes = sum(item[0] is not None for part in expected.values() for item in part)
    addresses, bursts, tickets = [], [], []
    simulate(dut, source(dut.segments, segments, rng, 0.9),
             source(dut.lines, lines, random.Random(seed + 1), 0.3),
             sink(dut.addresses, addresses, writes, random.Random(seed + 2), 0.8),
             sink(dut.bursts, bursts, writes, random.Random(seed + 3), 0.8),
             sink(dut.tickets, tickets, count, random.Random(seed + 4), 0.8))
    bus_order = iter(zip(addresses, bursts, strict=True))
    waiting = {line: iter(part) for line, part in expected.items()}
    produced = iter(lines)
    for ticket in tickets:
        burst, kind, index, last = next(waiting[ticket["line"]])
        assert (ticket["kind"], ticket["index"]) == (kind, index)
        assert ticket["last"] == last
        if ticket["line"]:
            job = next(produced)
            assert (ticket["produced"], ticket["frames"]) == (job["produced"], job["frames"])
        if burst is not None:
            address, where = next(bus_order)
            assert address == {"address": burst[0], "last": beats(burst[1], bus) - 1}
            assert where == {"line": ticket["line"], "last": beats(burst[1], bus) - 1,
                             "tail": (burst[1] - 1) % bus + 1}
    assert next(bus_order, None) is None


def test_a_burst_a_cycle_and_lines_go_first():
    dut = BurstSplitter(config())

    async def bench(ctx):
        for stream in (dut.addresses, dut.bursts, dut.tickets):
            ctx.set(stream.ready, 1)
        ctx.set(dut.segments.payload, {"address": 0x10000, "length": 1000})
        ctx.set(dut.segments.valid, 1)
        ctx.set(dut.lines.payload, {"address": 0x40, "length": 64})
        seen = []
        for cycle in range(6):
            ctx.set(dut.lines.valid, cycle in (0, 2))
            assert ctx.get(dut.tickets.valid)
            seen.append(ctx.get(dut.addresses.p.address))
            await ctx.tick()
        assert seen == [0x40, 0x10000, 0x40, 0x10100, 0x10200, 0x10300]
    simulate(dut, bench)


@pytest.mark.parametrize("blocked", ["addresses", "bursts", "tickets"])
def test_a_burst_goes_to_all_three_or_to_none(blocked):
    dut = BurstSplitter(config())

    async def bench(ctx):
        streams = {name: getattr(dut, name) for name in ("addresses", "bursts", "tickets")}
        for name, stream in streams.items():
            ctx.set(stream.ready, name != blocked)
        ctx.set(dut.segments.payload, {"length": 64})
        ctx.set(dut.segments.valid, 1)
        for stream in streams.values():
            assert not ctx.get(stream.valid & stream.ready)
        ctx.set(dut.segments.payload, {"kind": Kind.CLOSE})
        assert ctx.get(dut.tickets.valid & dut.tickets.ready) == (blocked != "tickets")
        assert not ctx.get(dut.addresses.valid | dut.bursts.valid)
    simulate(dut, bench)
