"""Segmenter against its twin; marks and skipped frames pass; a CLOSE comes before what closes."""

from __future__ import annotations

import random

import pytest

from hdl_streams import config, rules, simulate, sink, source
from pagering_hdl.layouts import Kind, Side
from pagering_hdl.segmenter import Segmenter, segments

MARKS = (Kind.CLOSE, Kind.START_QUEUE, Kind.FENCE_QUEUE, Kind.START_POOL, Kind.FENCE_POOL)


def run(card, grants, count, seed=0):
    dut = Segmenter(card)
    got = []
    rng = random.Random(seed) if seed else None
    simulate(dut, source(dut.grants, grants, rng), sink(dut.segments, got, count, rng),
             background=[rules(dut.segments)])
    return [{**segment, "length": segment["top"] + 1} for segment in got]


def share(rng, card, length):
    """Return random memory for so many bytes."""
    chunks = -(-length // card.chunk_bytes)
    opens = rng.randrange(2) or chunks > card.chunks
    first = None if opens else rng.randrange(card.chunks - chunks + 1)
    return first, {"pool": rng.randrange(64), "top": length - 1, "opens": int(opens),
                   "first": first or 0}


@pytest.mark.parametrize("card", [
    config(), config(chunk_bytes=64), config(chunk_bytes=4096),
    config(page_bytes=8192, chunk_bytes=2048), config(page_bytes=65536, chunk_bytes=1024)],
    ids=["4K/1K", "4K/64", "4K/4K", "8K/2K", "64K/1K"])
@pytest.mark.parametrize("seed", range(2))
def test_random_grants_against_the_twin(card, seed):
    rng = random.Random(seed)
    grants, expected = [], []
    for _ in range(80):
        kind = rng.choice((Kind.SEGMENT, Kind.SEGMENT, Kind.SKIP, rng.choice(MARKS)))
        queue = rng.randrange(card.queues)
        close_headers, close_payload = rng.randrange(2), rng.randrange(2)
        if kind is Kind.CLOSE:
            close_headers |= 1 - close_payload
        length = rng.choice((rng.randrange(1, 16384), card.page_bytes, card.page_bytes + 1,
                             2 * card.page_bytes)) % 16384 or 1
        split = kind is Kind.SEGMENT and rng.random() < 0.4
        side = Side.PAYLOAD if split else rng.choice(list(Side))
        (h_first, headers), (first, frame) = share(rng, card, h := rng.randrange(1, 256)), share(
            rng, card, length)
        grants.append({"kind": kind, "index": queue, "close_headers": close_headers,
                       "close_payload": close_payload, "split": int(split), "side": side,
                       "headers": headers, "frame": frame})
        if close_headers:
            expected.append({"kind": Kind.CLOSE, "index": queue, "side": Side.HEADERS})
        if split:
            (segment,) = segments(card, h, h_first)
            expected.append({"kind": kind, "index": queue, "side": Side.HEADERS, "apart": 1,
                             "pool": headers["pool"], **segment, "end": 0})
        if close_payload:
            expected.append({"kind": Kind.CLOSE, "index": queue, "side": Side.PAYLOAD})
        if kind is Kind.SEGMENT:
            expected += [{"kind": kind, "index": queue, "pool": frame["pool"], "side": side,
                          "apart": 0, **segment} for segment in segments(card, length, first)]
        elif kind is Kind.SKIP:
            expected.append({"kind": kind, "index": queue, "length": length})
        elif kind is not Kind.CLOSE:
            expected.append({"kind": kind, "index": queue})
    got = run(card, grants, len(expected), seed)
    assert [{name: segment[name] for name in wanted}
            for segment, wanted in zip(got, expected, strict=True)] == expected


def test_segments_cover_the_frame():
    card = config(chunk_bytes=64)
    for length in (1, 64, 4095, 4096, 4097, 9600, 16383):
        cut = list(segments(card, length, None))
        assert sum(segment["length"] for segment in cut) == length
        assert [s["start"] for s in cut] == [1] + [0] * (len(cut) - 1)
        assert [s["end"] for s in cut] == [0] * (len(cut) - 1) + [1]
        assert all(s["last_of_page"] for s in cut[:-1])


def test_a_segment_a_cycle():
    dut = Segmenter(config())

    async def bench(ctx):
        ctx.set(dut.segments.ready, 1)
        ctx.set(dut.grants.valid, 1)
        ctx.set(dut.grants.payload, {"kind": Kind.SEGMENT, "close_payload": 1,
                                     "frame": {"top": 9999, "opens": 1}})
        seen = []
        for _ in range(8):
            assert ctx.get(dut.segments.valid)
            segment = ctx.get(dut.segments.payload)
            seen.append((segment.kind, segment.top + 1 if segment.kind == Kind.SEGMENT else 0))
            await ctx.tick()
        frame = [(Kind.CLOSE, 0), (Kind.SEGMENT, 4096), (Kind.SEGMENT, 4096),
                 (Kind.SEGMENT, 1808)]
        assert seen == frame * 2
    simulate(dut, bench)
