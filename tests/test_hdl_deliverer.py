"""Deliverer: what each kind of segment delivers and completes, and both or neither at once."""

from __future__ import annotations

import random

import pytest

from hdl_streams import clocked, simulate, sink, source
from pagering_hdl.deliverer import Deliverer
from pagering_hdl.layouts import L4, Kind


def segment(rng, kind):
    apart = kind is Kind.SEGMENT and rng.random() < 0.2
    return {"kind": kind, "index": rng.randrange(64), "length": rng.randrange(1, 4097),
            "start": rng.getrandbits(1), "end": 0 if apart else rng.getrandbits(1),
            "error": rng.getrandbits(1), "apart": int(apart),
            "last_of_page": rng.getrandbits(1),
            "token": {"page": rng.getrandbits(16), "first": rng.getrandbits(6),
                      "last": rng.getrandbits(6), "generation": rng.getrandbits(4)}}


def token_word(token):
    return (token["page"] | token["first"] << 16 | token["last"] << 22
            | token["generation"] << 28)


def headers_of(sent):
    """Return, for each completed segment, the headers that came apart just before it."""
    before, found = None, []
    for item in sent:
        if item["kind"] is Kind.SEGMENT:
            if not item["apart"]:
                found.append(before)
            before = item if item["apart"] else None
        elif item["kind"] is not Kind.CLOSE:
            found.append(None)
    return found


@pytest.mark.parametrize("seed", range(3))
def test_random_segments(seed):
    rng = random.Random(seed)
    dut = Deliverer()
    known = [{"hash": rng.getrandbits(32), "checksum": rng.getrandbits(16),
              "l4": L4(rng.randrange(5)), "header": rng.getrandbits(8)} for _ in range(100)]
    sent = [segment(rng, rng.choice((Kind.SEGMENT, Kind.SEGMENT, Kind.CLOSE, Kind.START_QUEUE,
                                     Kind.FENCE_POOL))) for _ in range(100)]
    delivered = [s for s in sent if s["kind"] in (Kind.SEGMENT, Kind.CLOSE)]
    completed = [s for s in sent if s["kind"] is not Kind.CLOSE and not s["apart"]]
    headers = headers_of(sent)
    deliveries, entries = [], []
    simulate(clocked(dut), source(dut.written, sent, rng),
             sink(dut.deliveries, deliveries, len(delivered), random.Random(seed + 1)),
             sink(dut.entries, entries, len(completed), random.Random(seed + 2)),
             background=[source(dut.facts, known, random.Random(seed + 3))])
    for got, wanted in zip(deliveries, delivered, strict=True):
        closes = wanted["kind"] is Kind.CLOSE
        assert (got["page"], got["none"]) == (wanted["token"]["page"], closes)
        assert got["closes"] == (closes or wanted["last_of_page"])
        if not closes:
            assert (got["first"], got["last"]) == (wanted["token"]["first"],
                                                   wanted["token"]["last"])
    frames = iter(known)
    facts = next(frames)
    for got, wanted, apart in zip(entries, completed, headers, strict=True):
        assert (got["kind"], got["index"]) == (wanted["kind"], wanted["index"])
        completion = got["completion"]
        assert completion["token"] == token_word(wanted["token"])
        for name in ("length", "start", "end", "last_of_page"):
            assert completion[name] == wanted[name]
        if wanted["kind"] is Kind.SEGMENT:
            assert completion["write_error"] == (wanted["error"] | (apart or wanted)["error"])
            assert completion["split"] == (apart is not None)
            assert not apart or (
                got["extension"]["header_token"] == token_word(apart["token"]))
        assert not any(completion[name] for name in ("_reserved", "phase"))
        if wanted["kind"] is Kind.SEGMENT:
            assert completion["l4"] == facts["l4"].value
            assert all(completion[name] == facts[name] for name in ("hash", "checksum", "header"))
            if wanted["end"]:
                facts = next(frames, None)


@pytest.mark.parametrize("deliveries", [0, 1])
@pytest.mark.parametrize("entries", [0, 1])
def test_a_segment_is_delivered_and_completed_in_one_cycle_or_waits(deliveries, entries):
    dut = Deliverer()

    async def bench(ctx):
        ctx.set(dut.written.valid, 1)
        ctx.set(dut.facts.valid, 1)
        ctx.set(dut.deliveries.ready, deliveries)
        ctx.set(dut.entries.ready, entries)
        both = deliveries and entries
        assert ctx.get(dut.written.ready) == both
        for stream in (dut.deliveries, dut.entries):
            assert ctx.get(stream.valid & stream.ready) == both
    simulate(clocked(dut), bench)
