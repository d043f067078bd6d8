"""What stands in for parser and steering on a card without them, beside the twin."""

from __future__ import annotations

import random

import pytest

from hdl_streams import drain, feed, plain, rules, simulate
from pagering.abi import SteeringMode
from pagering.dissect import unseen
from pagering.fake_steering import FakeSteering
from pagering_hdl.config import BUS_WIDTHS
from pagering_hdl.default_queue import DefaultQueue
from pagering_hdl.plain_dissector import PlainDissector
from test_hdl_dissector import expected, numbers, send


@pytest.mark.parametrize("bits", BUS_WIDTHS)
def test_nothing_is_known_of_a_frame_but_its_length_and_time(bits):
    dut, rng = PlainDissector(bits, 128), random.Random(bits)
    frames = [(rng.randbytes(rng.randint(1, 200)), rng.random() < 0.8, rng.getrandbits(60))
              for _ in range(60)]

    async def bench(ctx):
        for frame, commit, time in frames:
            await send(ctx, dut, frame, commit=commit, null_end=rng.random() < 0.2, time=time)
            if rng.random() < 0.3:
                await ctx.tick().repeat(3)

    async def reader(ctx):
        kept = [(frame, time) for frame, commit, time in frames if commit]
        got = await drain(ctx, dut.dissections, len(kept), random.Random(1))
        for (frame, time), item in zip(kept, got, strict=True):
            known = expected(frame, unseen)
            known["facts"]["timestamp"] = time
            assert numbers(item) == numbers(known)
    simulate(dut, bench, reader, background=[rules(dut.dissections)])


def test_no_more_frames_are_kept_than_there_is_room_for():
    dut = PlainDissector(64, 64)

    async def bench(ctx):
        sent = 0
        while ctx.get(dut.room):
            sent += 1
            await send(ctx, dut, bytes(sent % 8 + 1))
        await ctx.tick().repeat(4)
        assert not ctx.get(dut.room)
        got = await drain(ctx, dut.dissections, sent)
        assert [item["length"] for item in got] == [n % 8 + 1 for n in range(1, sent + 1)]
        assert ctx.get(dut.room)
    simulate(dut, bench)


@pytest.mark.parametrize("control", [
    {"mode": SteeringMode.FIXED, "queue": 37, "last": 3},
    {"mode": SteeringMode.ROUND_ROBIN, "queue": 9, "last": 2},
    {"mode": SteeringMode.ROUND_ROBIN, "last": 0}, {"mode": SteeringMode.ROUND_ROBIN, "last": 63},
], ids=str)
def test_a_frame_goes_where_the_twin_sends_it(control):
    dut, twin = DefaultQueue(), FakeSteering(64, hashes=False)
    twin.mode, twin.last = control["mode"], control["last"]
    twin.queue = control.get("queue", 0)
    frames = [bytes(length) for length in range(60, 60 + 2 * twin.last + 5)]

    async def source(ctx):
        ctx.set(dut.control, control)
        await feed(ctx, dut.dissections, (expected(frame, unseen) for frame in frames),
                   random.Random(2))

    async def bench(ctx):
        got = await drain(ctx, dut.arrivals, len(frames), random.Random(3))
        for frame, arrival in zip(frames, map(plain, got), strict=True):
            assert (arrival["queue"], arrival["length"], arrival["drop"]) == (
                twin.steer(unseen(frame)).queue, len(frame), 0)
            assert numbers(arrival["facts"]) == numbers(expected(frame, unseen)["facts"])
    simulate(dut, source, bench, background=[rules(dut.arrivals)])
