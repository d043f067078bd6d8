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


CARDS = {
    "64/256": config(), "128/64": config(bus_bits=128, burst_bytes=64),
    "512/4096 shared": config(bus_bits=512, burst_bytes=4096),
    "64/2048 shared": config(burst_bytes=2048), "64/256 shared": config(chunk_bytes=64),
    "64/2048": config(burst_bytes=2048, chunk_bytes=4096),
}


@pytest.mark.parametrize("card", CARDS.values(), ids=CARDS)
@pytest.mark.parametrize("seed", range(2))
def test_random_writes_against_split(card, seed):
    rng = random.Random(seed)
    dut = BurstSplitter(card)
    bus = card.bus_bytes
    step = bus if card.shares_bursts else card.burst_bytes
    segments, lines = [], []
    expected = {0: [], 1: []}
    for _ in range(50):
        kind = rng.choice((Kind.SEGMENT, Kind.SEGMENT, Kind.SEGMENT, Kind.CLOSE, Kind.FENCE_QUEUE))
        start = rng.randrange(4096) // step * step
        address = rng.getrandbits(64 - 12) << 12 | start
        length = min(4096 - start, rng.choice((rng.randrange(1, 4097), card.burst_bytes, bus, 1)))
        follows = rng.randrange(2)
        segments.append({"kind": kind, "index": rng.randrange(64), "address": address,
                         "top": length - 1, "follows": follows})
        cut = list(split(address, length, card.burst_bytes)) if kind is Kind.SEGMENT else [None]
        joins = follows and address % card.burst_bytes != 0
        expected[0] += [(piece, kind, segments[-1]["index"], piece is cut[-1],
                         int(joins and piece is cut[0])) for piece in cut]
    for _ in range(30):
        kind = rng.choice((Kind.SEGMENT, Kind.SEGMENT, Kind.START_QUEUE))
        start = rng.randrange(4) * 16 // bus * bus
        job = {"kind": kind, "index": rng.randrange(64), "top": 63 - start,
               "address": rng.getrandbits(40) * 64 + start, "produced": rng.getrandbits(17),
               "frames": rng.randrange(5), "mirror": rng.randrange(2)}
        lines.append(job)
        burst = (job["address"], job["top"] + 1) if kind is Kind.SEGMENT else None
        expected[1].append((burst, kind, job["index"], True, 0))
    count = len(expected[0]) + len(expected[1])
    parts = []
    simulate(dut, source(dut.segments, segments, rng, 0.9),
             source(dut.lines, lines, random.Random(seed + 1), 0.3),
             sink(dut.parts, parts, count, random.Random(seed + 2), 0.8))
    waiting = {line: iter(part) for line, part in expected.items()}
    produced = iter(lines)
    for part in parts:
        piece, kind, index, last, joins = next(waiting[part["line"]])
        assert (part["kind"], part["index"]) == (kind, index)
        assert part["end"] == last
        mirror = 0
        if part["line"]:
            job = next(produced)
            mirror = job["mirror"]
            assert (part["produced"], part["frames"]) == (job["produced"], job["frames"])
        assert part["mirror"] == mirror
        if piece is not None:
            assert part["address"] == piece[0]
            assert part["last"] == beats(piece[1], bus) - 1
            assert part["tail"] == (piece[1] - 1) % bus
            assert part["joins"] == joins


def test_a_part_a_cycle_and_lines_go_first():
    dut = BurstSplitter(config())

    async def bench(ctx):
        ctx.set(dut.parts.ready, 1)
        ctx.set(dut.segments.payload, {"address": 0x10000, "top": 999})
        ctx.set(dut.segments.valid, 1)
        ctx.set(dut.lines.payload, {"address": 0x40, "top": 63})
        seen = []
        for cycle in range(6):
            ctx.set(dut.lines.valid, cycle in (0, 2))
            assert ctx.get(dut.parts.valid)
            seen.append(ctx.get(dut.parts.p.address))
            await ctx.tick()
        assert seen == [0x40, 0x10000, 0x40, 0x10100, 0x10200, 0x10300]
    simulate(dut, bench)
