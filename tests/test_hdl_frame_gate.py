"""FrameGate: every cause, their order, exact bytes, backpressure, and frames that a reset cuts.

BeatCounter: every ``tkeep`` that has no hole, and many that have.
"""

from __future__ import annotations

import random

import pytest

from hdl_streams import plain, pulse, simulate, with_clear
from pagering.abi import DropCause
from pagering_hdl import layouts
from pagering_hdl.frame_gate import BeatCounter, FrameGate

BYTES = 8


def beats(frame, *, bad=False, bus=BYTES):
    """Return the beats of a frame."""
    cut = [frame[at:at + bus] for at in range(0, len(frame), bus)] or [b""]
    return [{"tdata": int.from_bytes(piece, "little"), "tkeep": (1 << len(piece)) - 1,
             "tlast": int(piece is cut[-1]), "tuser": int(bad and piece is cut[-1])}
            for piece in cut]


async def send(ctx, stream, frame_beats, gaps=None):
    for beat in frame_beats:
        while gaps is not None and gaps.random() < 0.3:
            await ctx.tick()
        for name, value in beat.items():
            ctx.set(getattr(stream, name), value)
        ctx.set(stream.tvalid, 1)
        await ctx.tick().until(stream.tready)
        ctx.set(stream.tvalid, 0)


def gate(max_frame=1000, **settings):
    """Return a gate, the frames that it lets through or drops, and benches that play the rest."""
    dut = FrameGate(8 * BYTES, max_frame)
    defaults = {"receive": 1, "drop_when_full": 0, "minimum": 1, "maximum": 0xFFFF, "room": 1,
                "place": 1}
    values = {**defaults, **settings}
    seen = []

    async def prepare(ctx):
        ctx.set(dut.control, {n: values[n] for n in ("receive", "drop_when_full")})
        ctx.set(dut.limits, {n: values[n] for n in ("minimum", "maximum")})
        ctx.set(dut.room, values["room"])
        ctx.set(dut.place, values["place"])
        await ctx.tick().repeat(2)  # Limits are looked at before the frame.

    async def storage(ctx):
        stored = b""
        ticks = ctx.tick().sample(dut.write, dut.beat, dut.commit, dut.rollback, dut.length,
                                  dut.ended, dut.dropped, dut.room, dut.place, dut.closed)
        async for (_, _, write, beat, commit, rollback, length, ended, dropped, room, place,
                   closed) in ticks:
            assert room or not write
            assert place or not commit
            assert ended == commit + rollback == commit + dropped.valid
            if write:
                stored += beat.to_bytes(BYTES, "little")
            if commit:
                assert len(stored) == -(-length // BYTES) * BYTES
                seen.append(stored[:length])
            if rollback:
                seen.append(DropCause(plain(dropped)["cause"]))
            if ended or closed:
                stored = b""
    return dut, seen, prepare, storage


def judge(frame_beats, **settings):
    """Return what the gate makes of one frame."""
    dut, seen, prepare, storage = gate(**settings)

    async def bench(ctx):
        await prepare(ctx)
        await send(ctx, dut.frames, frame_beats)
        await ctx.tick().repeat(3)
    simulate(dut, bench, background=[storage])
    verdict, = seen
    return verdict


@pytest.mark.parametrize("holes", [False, True])
def test_counts_every_keep(holes):
    dut = BeatCounter(64)
    rng = random.Random(4)
    runs = {(1 << count) - 1: count for count in range(9)}
    keeps = ([keep for keep in range(256) if keep not in runs] if holes
             else [*runs, *rng.choices(list(runs), k=30)])

    async def bench(ctx):
        ctx.set(dut.o.ready, 1)
        ctx.set(dut.frames.tvalid, 1)
        for keep in keeps:
            ctx.set(dut.frames.tkeep, keep)
            data = rng.randbytes(8)
            ctx.set(dut.frames.tdata, int.from_bytes(data, "little"))
            await ctx.tick()
            beat = ctx.get(dut.o.payload)
            assert beat.data.to_bytes(8, "little") == bytes(
                byte if keep >> lane & 1 else 0 for lane, byte in enumerate(data))
            assert beat.bytes == keep.bit_count()
            assert beat.hole == holes
            assert beat.full == (keep == 255)
    simulate(dut, bench)


@pytest.mark.parametrize("length", [1, 7, 8, 9, 63, 64, 65, 1000])
def test_keeps_a_good_frame(length):
    frame = random.Random(length).randbytes(length)
    assert judge(beats(frame)) == frame


HOLE = [{"tdata": 0, "tkeep": 0xFD, "tlast": 1, "tuser": 0}]
EARLY = [{"tdata": 0, "tkeep": 0x7F, "tlast": 0, "tuser": 0}]


@pytest.mark.parametrize(("cause", "sent", "settings"), [
    ("BAD_FRAME", beats(bytes(64), bad=True), {}),
    ("RUNT", beats(bytes(59)), {"minimum": 60}),
    ("RUNT", beats(b""), {"minimum": 0}),
    ("OVERSIZE", beats(bytes(101)), {"maximum": 100}),
    ("OVERSIZE", beats(bytes(1001)), {}),
    ("OVERSIZE", beats(bytes(4000)), {}),
    ("MALFORMED", HOLE, {}),
    ("MALFORMED", EARLY + beats(bytes(64)), {}),
    ("MALFORMED", beats(bytes(64))[:-1] + HOLE, {}),
    ("OVERFLOW", beats(bytes(64)), {"room": 0, "drop_when_full": 1}),
    ("OVERFLOW", beats(bytes(64)), {"place": 0, "drop_when_full": 1}),
    ("CARD_DISABLED", beats(bytes(64)), {"receive": 0}),
])
def test_drops(cause, sent, settings):
    assert judge(sent, **settings) is DropCause[cause]


@pytest.mark.parametrize(("length", "limits"), [(60, {"minimum": 60}), (100, {"maximum": 100})])
def test_limits_are_inclusive(length, limits):
    assert judge(beats(bytes(length)), **limits) == bytes(length)


def test_every_size_against_every_limit():
    """Some in the first beat, at the end of a beat and in the middle of one."""
    dut, seen, prepare, storage = gate()
    expected = []

    async def bench(ctx):
        await prepare(ctx)
        for limit in range(26):
            ctx.set(dut.limits, {"minimum": limit, "maximum": limit})
            await ctx.tick().repeat(2)
            for size in range(27):
                await send(ctx, dut.frames, beats(bytes(size)))
                expected.append(DropCause.OVERSIZE if size > limit else
                                DropCause.RUNT if size < max(1, limit) else bytes(size))
            await ctx.tick().repeat(2)
    simulate(dut, bench, background=[storage])
    assert seen == expected


@pytest.mark.parametrize("beat", range(1, 9))
def test_a_limit_that_is_changed_holds_for_the_next_frame(beat):
    """Also one between two frames without a gap."""
    dut, seen, prepare, storage = gate(maximum=64)

    async def bench(ctx):
        await prepare(ctx)
        frame = beats(bytes(64))
        await send(ctx, dut.frames, frame[:beat])
        ctx.set(dut.limits, {"minimum": 72, "maximum": 72})
        await send(ctx, dut.frames, frame[beat:] + beats(bytes(72)) + beats(bytes(73)))
        await ctx.tick().repeat(2)
    simulate(dut, bench, background=[storage])
    # Two cycles pass from a limit to the frames that it holds for.
    assert seen == [bytes(64), bytes(72) if beat < 8 else DropCause.OVERSIZE, DropCause.OVERSIZE]


def test_the_first_cause_counts():
    """Each frame is also wrong in all the ways that come after."""
    short = {"minimum": 2000, "maximum": 50, "room": 0, "drop_when_full": 1}
    malformed = EARLY + beats(bytes(64), bad=True)
    assert judge(malformed, receive=0, **short) is DropCause.CARD_DISABLED
    assert judge(malformed, **short) is DropCause.BAD_FRAME
    assert judge(EARLY + beats(bytes(64)), **short) is DropCause.MALFORMED
    assert judge(beats(bytes(64)), **{**short, "room": 1}) is DropCause.OVERSIZE
    assert judge(beats(bytes(40)), **short) is DropCause.OVERFLOW
    assert judge(beats(bytes(40)), **{**short, "room": 1}) is DropCause.RUNT


@pytest.mark.parametrize("seed", range(3))
def test_random_frames_with_backpressure(seed):
    rng = random.Random(seed)
    dut, seen, prepare, storage = gate(max_frame=200, minimum=20)
    sent, expected = [], []
    for _ in range(60):
        frame = rng.randbytes(rng.choice((rng.randrange(1, 250), rng.randrange(190, 210))))
        bad = rng.random() < 0.1
        sent += beats(frame, bad=bad)
        expected.append(DropCause.BAD_FRAME if bad else DropCause.OVERSIZE if len(frame) > 200
                        else DropCause.RUNT if len(frame) < 20 else frame)

    async def bench(ctx):
        await prepare(ctx)
        await send(ctx, dut.frames, sent, rng)
        await ctx.tick().repeat(30)

    async def room(ctx):
        coin = random.Random(seed + 50)
        async for _ in ctx.tick():
            ctx.set(dut.room, coin.random() < 0.7)
            ctx.set(dut.place, coin.random() < 0.5)
    simulate(dut, bench, background=[storage, room])
    assert seen == expected


def test_a_place_is_only_asked_for_when_a_frame_ends():
    dut, seen, prepare, storage = gate(place=0)

    async def bench(ctx):
        await prepare(ctx)
        await send(ctx, dut.frames, beats(bytes(64)))
        for _ in range(5):
            assert not ctx.get(dut.frames.tready)
            await ctx.tick()
        assert not seen
        ctx.set(dut.place, 1)
        await ctx.tick().repeat(2)
    simulate(dut, bench, background=[storage])
    assert seen == [bytes(64)]


def test_takes_a_beat_a_cycle():
    dut, seen, prepare, storage = gate()

    async def bench(ctx):
        await prepare(ctx)
        for _ in range(4):
            for beat in beats(bytes(60)):
                assert ctx.get(dut.frames.tready)
                await send(ctx, dut.frames, [beat])
        await ctx.tick().repeat(2)
    simulate(dut, bench, background=[storage])
    assert seen == [bytes(60)] * 4


def test_receive_counts_at_the_first_beat():
    dut, seen, prepare, storage = gate()

    async def bench(ctx):
        await prepare(ctx)
        first, second = beats(bytes(64)), beats(bytes(range(64)))
        await send(ctx, dut.frames, first[:4])
        await ctx.tick()
        ctx.set(dut.control.receive, 0)
        await send(ctx, dut.frames, first[4:] + second[:4])
        await ctx.tick()
        ctx.set(dut.control.receive, 1)
        await send(ctx, dut.frames, second[4:] + second)
        await ctx.tick().repeat(2)
    simulate(dut, bench, background=[storage])
    assert seen == [bytes(64), DropCause.CARD_DISABLED, bytes(range(64))]


def test_closed_dooms_the_frame_under_way_and_holds_the_next():
    dut, seen, prepare, storage = gate()

    async def bench(ctx):
        await prepare(ctx)
        first, second = beats(bytes(64)), beats(bytes(range(64)))
        await send(ctx, dut.frames, first[:4])
        await ctx.tick()
        ctx.set(dut.closed, 1)
        await send(ctx, dut.frames, first[4:])
        await send(ctx, dut.frames, second[:1])
        for name, value in second[1].items():
            ctx.set(getattr(dut.frames, name), value)
        ctx.set(dut.frames.tvalid, 1)
        await ctx.tick().repeat(20)
        assert seen == [DropCause.CARD_DISABLED]
        assert not ctx.get(dut.frames.tready)
        ctx.set(dut.closed, 0)
        await send(ctx, dut.frames, second[1:])
        await ctx.tick().repeat(2)
    simulate(dut, bench, background=[storage])
    assert seen == [DropCause.CARD_DISABLED, bytes(range(64))]


def test_no_frame_ends_while_the_tables_that_count_it_are_cleared():
    dut, seen, prepare, storage = gate()

    async def bench(ctx):
        await prepare(ctx)
        frame = beats(bytes(64))
        await send(ctx, dut.frames, frame[:6])
        ctx.set(dut.closed, 1)
        await ctx.tick()
        ctx.set(dut.clearing, 1)
        await send(ctx, dut.frames, frame[6:7])
        for name, value in frame[7].items():
            ctx.set(getattr(dut.frames, name), value)
        ctx.set(dut.frames.tvalid, 1)
        await ctx.tick().repeat(20)
        assert not seen
        assert not ctx.get(dut.frames.tready)
        ctx.set(dut.clearing, 0)
        await send(ctx, dut.frames, frame[7:])
        await ctx.tick().repeat(2)
    simulate(dut, bench, background=[storage])
    assert seen == [DropCause.CARD_DISABLED]


@pytest.mark.parametrize("before", range(1, 9))
@pytest.mark.parametrize("pause", [1, 6, 12])
def test_a_frame_that_a_reset_cuts_is_swallowed_whole(before, pause):
    """Wherever the reset falls and however long the sender pauses, the next frame is the next."""
    dut, seen, prepare, storage = gate()
    part, clear = with_clear(dut)

    async def reset(ctx):
        await ctx.tick().repeat(before)
        ctx.set(dut.closed, 1)
        await ctx.tick().repeat(3)
        await pulse(ctx, clear)
        await ctx.tick().repeat(3)
        ctx.set(dut.closed, 0)

    async def bench(ctx):
        await prepare(ctx)
        frame = beats(bytes(range(48)))
        await send(ctx, dut.frames, frame[:4])
        await ctx.tick().repeat(pause)
        await send(ctx, dut.frames, frame[4:])
        for _ in range(2):
            await send(ctx, dut.frames, beats(bytes(range(100, 164))))
        await ctx.tick().repeat(30)
    simulate(part, bench, reset, background=[storage])
    assert len(seen) == 3
    assert seen[1:] == [bytes(range(100, 164))] * 2
    assert seen[0] in (DropCause.CARD_DISABLED, bytes(range(48)))


@pytest.mark.parametrize("offset", range(8))
def test_no_beat_is_lost_in_a_reset(offset):
    """Frames that begin while the card is closed come out whole, or not at all."""
    dut, seen, prepare, storage = gate()
    part, clear = with_clear(dut)

    async def reset(ctx):
        ctx.set(dut.closed, 1)
        await ctx.tick().repeat(4)
        await pulse(ctx, clear)
        await ctx.tick().repeat(3)
        ctx.set(dut.closed, 0)

    async def bench(ctx):
        await prepare(ctx)
        await ctx.tick().repeat(offset + 1)
        for number in range(3):
            await send(ctx, dut.frames, beats(bytes([number] * 40)))
        await ctx.tick().repeat(3)
    simulate(part, bench, reset, background=[storage])
    assert seen == [bytes([number] * 40) for number in range(3)]


def test_length_fits_the_longest_frame():
    assert layouts.Length.width == 14
    frame = bytes(16383)
    assert judge(beats(frame), max_frame=16383) == frame
