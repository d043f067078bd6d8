"""ResponseTracker: order, errors, and marks that pass when all before them is answered."""

from __future__ import annotations

import random

import pytest

from hdl_streams import collect, config, put, rules, simulate, sink
from pagering_hdl.axi import Response
from pagering_hdl.layouts import Kind
from pagering_hdl.response_tracker import ResponseTracker

CARD = config(in_flight=16, chunk_bytes=64)
BAD = (Response.SLVERR, Response.DECERR)


def respond(dut, answers, gaps):
    """Answer bursts in order, and never before their ticket could have been sent."""
    async def bench(ctx):
        for answer in answers:
            while gaps.random() < 0.4:
                await ctx.tick()
            ctx.set(dut.bvalid, 1)
            ctx.set(dut.bresp, answer)
            await ctx.tick().until(dut.bready)
            ctx.set(dut.bvalid, 0)
    return bench


@pytest.mark.parametrize("seed", range(3))
def test_random_bursts_and_marks(seed):
    rng = random.Random(seed)
    dut = ResponseTracker(CARD)
    tickets, pending, answers, written, visible, errors = [], [], [], [], [], [0, 0, 0]

    def answer():
        answers.append(rng.choices((Response.OKAY, Response.EXOKAY, *BAD), (20, 1, 4, 4))[0])
        return answers[-1] in BAD

    def line():
        kind = rng.choice((Kind.SEGMENT, Kind.SEGMENT, Kind.START_QUEUE, Kind.FENCE_QUEUE))
        facts = {"kind": kind, "index": rng.randrange(64), "produced": rng.getrandbits(17),
                 "frames": rng.randrange(5)}
        mirror = kind is Kind.SEGMENT and rng.random() < 0.4
        tickets.append({**facts, "line": 1, "mirror": int(mirror), "ends": 1})
        error = kind is Kind.SEGMENT and answer()
        errors[1 + mirror] += error
        if not mirror:
            visible.append({**facts, "valid": 1})

    def segment(kind):
        number = len(pending)
        item = {"kind": kind, "index": rng.randrange(64), "length": number, "apart": number & 1,
                "start": rng.getrandbits(1), "end": rng.getrandbits(1),
                "last_of_page": rng.getrandbits(1),
                "token": {"page": number, "first": 1, "last": 2, "generation": 3}}
        pending.append({**item, "error": 0})
        return item

    # A segment has one burst or several; a burst may end several, and begin one that goes on.
    going, failed = None, False
    while len(pending) < 120 or going:
        if rng.random() < 0.5:
            line()
        if going is None and rng.random() < 0.3:
            kind = rng.choice((Kind.CLOSE, Kind.FENCE_POOL))
            written.append({**segment(kind), "error": 0})
            tickets.append({"kind": kind, "index": written[-1]["index"], "ends": 1})
            continue
        inside = [going or segment(Kind.SEGMENT)]
        inside += [segment(Kind.SEGMENT) for _ in range(rng.choice((0, 0, 0, 1, 3)))]
        goes_on = rng.random() < 0.3
        error = answer()
        errors[0] += error
        for number, item in enumerate(inside[:-1] if goes_on else inside):
            written.append({**item, "error": int(error or (number == 0 and failed))})
        failed = goes_on and (error or (failed and len(inside) == 1))
        going = inside[-1] if goes_on else None
        tickets.append({"kind": Kind.SEGMENT, "index": inside[0]["index"],
                        "ends": len(inside) - goes_on, "goes_on": int(goes_on)})
    got, seen, events = [], [], [0, 0, 0]

    async def count_errors(ctx):
        async for _, _, *now in ctx.tick().sample(dut.data_error, dut.line_error,
                                                       dut.mirror_error):
            events[:] = [total + event for total, event in zip(events, now, strict=True)]

    async def end(ctx):
        while len(got) < len(written) or not ctx.get(dut.idle):
            await ctx.tick()

    async def feed(ctx):
        """Send each ticket when its segments have their places, as the card does."""
        placed = 0
        for ticket in tickets:
            due = ended(ticket)
            for item in pending[placed:due]:
                await put(ctx, dut.pending, item)
            placed = max(placed, due)
            while rng.random() < 0.3:
                await ctx.tick()
            await put(ctx, dut.tickets, ticket)
    ends = [0]

    def ended(ticket):
        ends[0] += 0 if ticket.get("line") else ticket["ends"]
        return ends[0] + ticket.get("goes_on", 0)
    simulate(dut, feed,
             respond(dut, answers, random.Random(seed + 1)),
             sink(dut.written, got, len(written), random.Random(seed + 2)), end,
             background=[collect(dut.visible, seen), count_errors, rules(dut.written)])
    assert got == written
    assert seen == visible
    assert events == errors
    assert min(errors) > 0


def test_a_mark_waits_for_every_answer_before_it():
    dut = ResponseTracker(CARD)
    seen = []

    async def bench(ctx):
        ctx.set(dut.tickets.valid, 1)
        for kind in (Kind.SEGMENT, Kind.SEGMENT, Kind.FENCE_QUEUE):
            ctx.set(dut.tickets.payload, {"kind": kind, "line": 1, "ends": 1})
            await ctx.tick()
        ctx.set(dut.tickets.valid, 0)
        for answered in range(2):
            await ctx.tick().repeat(5)
            assert len(seen) == answered
            assert not ctx.get(dut.idle)
            ctx.set(dut.bvalid, 1)
            await ctx.tick()
            ctx.set(dut.bvalid, 0)
        await ctx.tick().repeat(2)
        assert [event["kind"] for event in seen] == [Kind.SEGMENT, Kind.SEGMENT, Kind.FENCE_QUEUE]
        assert ctx.get(dut.idle)
    simulate(dut, bench, background=[collect(dut.visible, seen)])


def test_never_holds_the_bus():
    """However long nobody takes the segments: a response has its place."""
    dut = ResponseTracker(CARD)

    async def bench(ctx):
        for stream in (dut.tickets, dut.pending):
            ctx.set(stream.valid, 1)
        ctx.set(dut.tickets.p.ends, 1)
        count = 0
        while ctx.get(dut.pending.ready):
            await ctx.tick()
            count += 1
        assert count == CARD.in_flight
        for stream in (dut.tickets, dut.pending):
            ctx.set(stream.valid, 0)
        ctx.set(dut.bvalid, 1)
        for _ in range(count):
            assert ctx.get(dut.bready)
            await ctx.tick()
        assert not ctx.get(dut.bready)
        assert not ctx.get(dut.settled)
        ctx.set(dut.bvalid, 0)
        ctx.set(dut.written.ready, 1)
        for _ in range(count):
            assert ctx.get(dut.written.valid)
            await ctx.tick()
        assert ctx.get(dut.settled)
    simulate(dut, bench)
