"""PacketFifo and PacketReader: commit and rollback, parts and skips, no bubble, exact room."""

from __future__ import annotations

import random

import pytest

from hdl_streams import drain, get, put, rules, simulate
from pagering_hdl.packet_fifo import PacketFifo

BYTES = 8


def command(length, *, skip=False, end=True):
    """Return the command that reads, or skips, so many bytes."""
    return {"last": (length - 1) // BYTES, "tail": (length - 1) % BYTES, "skip": skip, "end": end}


async def write(ctx, dut, frame, *, commit=True):
    """Write a frame, beat by beat as there is room; commit it or roll it back."""
    pieces = [frame[at:at + BYTES] for at in range(0, len(frame), BYTES)]
    for number, piece in enumerate(pieces):
        while not ctx.get(dut.room):
            await ctx.tick()
        last = number == len(pieces) - 1
        ctx.set(dut.write, 1)
        ctx.set(dut.beat, int.from_bytes(piece, "little"))
        ctx.set(dut.commit, last and commit)
        ctx.set(dut.rollback, last and not commit)
        await ctx.tick()
        for signal in (dut.write, dut.commit, dut.rollback):
            ctx.set(signal, 0)


@pytest.mark.parametrize("seed", range(3))
def test_random_frames_against_a_list(seed):
    """Frames of all lengths, a third rolled back, a third skipped, some cut where cards cut."""
    rng = random.Random(seed)
    dut = PacketFifo(64, 32)
    frames = [(rng.randbytes(rng.randrange(1, 200)), rng.random() > 0.3) for _ in range(60)]
    kept = [frame for frame, commit in frames if commit]
    skips = [rng.random() < 0.3 for _ in kept]
    reads, ends, committed = [], [], []

    async def writer(ctx):
        for frame, commit in frames:
            await write(ctx, dut, frame, commit=commit)
            committed.extend([frame] * commit)
            await ctx.tick().repeat(rng.randrange(1, 4))

    async def commander(ctx):
        for frame, skip in zip(kept, skips, strict=True):
            while not committed:
                await ctx.tick()
            committed.pop()
            headers = rng.choice([0, *range(14, len(frame), 4)])
            cuts = [] if skip or not headers else [headers, *range(headers + 64, len(frame), 64)]
            parts = [frame[at:end] for at, end in zip([0, *cuts], [*cuts, len(frame)],
                                                      strict=True)]
            if not skip:
                reads.extend(parts)
            for number, part in enumerate(parts):
                await put(ctx, dut.commands, command(len(part), skip=skip,
                                                     end=number == len(parts) - 1))
            ends.append(frame)

    async def reader(ctx):
        done = 0
        while done < len(reads) or len(ends) < len(kept):
            if len(reads) == done:
                await ctx.tick()
                continue
            part = reads[done]
            words = await drain(ctx, dut.beats, -(-len(part) // BYTES), random.Random(done), 0.8)
            assert b"".join(word.to_bytes(BYTES, "little") for word in words)[:len(part)] == part
            done += 1
        assert len(reads) == done
        await ctx.tick().repeat(2)
        while not ctx.get(dut.empty):
            await ctx.tick()
    simulate(dut, writer, commander, reader, background=[rules(dut.beats)])


def test_no_bubble_between_commands():
    dut = PacketFifo(64, 64)

    async def bench(ctx):
        for number in range(4):
            await write(ctx, dut, bytes([number] * 40))
        ctx.set(dut.beats.ready, 1)
        ctx.set(dut.commands.valid, 1)
        ctx.set(dut.commands.payload, command(40))
        got = []
        await ctx.tick().repeat(3)
        for cycle in range(20):
            assert ctx.get(dut.beats.valid)
            got.append(ctx.get(dut.beats.payload) & 0xFF)
            if cycle == 14:
                ctx.set(dut.commands.valid, 0)
            await ctx.tick()
        assert got == sorted([0, 1, 2, 3] * 5)
    simulate(dut, bench)


def test_a_skip_takes_one_cycle_however_long_it_is():
    dut = PacketFifo(64, 64)

    async def bench(ctx):
        for number in range(3):
            await write(ctx, dut, bytes([number] * 160))
        ctx.set(dut.commands.payload, command(160, skip=True))
        ctx.set(dut.commands.valid, 1)
        for _ in range(2):
            assert ctx.get(dut.commands.ready)
            await ctx.tick()
        ctx.set(dut.commands.valid, 0)
        await put(ctx, dut.commands, command(8))
        assert await get(ctx, dut.beats) == int.from_bytes([2] * 8, "little")
    simulate(dut, bench)


def test_a_skip_does_not_disturb_a_beat_that_waits():
    dut = PacketFifo(64, 64)

    async def bench(ctx):
        for number in range(3):
            await write(ctx, dut, bytes([number + 1] * 8))
        await put(ctx, dut.commands, command(8))
        await put(ctx, dut.commands, command(8, skip=True))
        await ctx.tick().repeat(3)
        assert await get(ctx, dut.beats) == int.from_bytes([1] * 8, "little")
        await put(ctx, dut.commands, command(8))
        assert await get(ctx, dut.beats) == int.from_bytes([3] * 8, "little")
    simulate(dut, bench, background=[rules(dut.beats)])


def test_room_is_exact_and_comes_back():
    dut = PacketFifo(64, 16)

    async def bench(ctx):
        # A frame that fills the storage to the last beat, three times around.
        for number in range(3):
            frame = bytes([number] * 128)
            await write(ctx, dut, frame)
            assert not ctx.get(dut.room)
            ctx.set(dut.beats.ready, 1)
            await put(ctx, dut.commands, command(128))
            await ctx.tick().repeat(2)
            assert ctx.get(dut.room)
            await ctx.tick().repeat(17)
            assert ctx.get(dut.empty)
    simulate(dut, bench)


def test_a_rollback_gives_all_its_room_back():
    dut = PacketFifo(64, 16)

    async def bench(ctx):
        await write(ctx, dut, bytes([1] * 24))
        for _ in range(5):
            await write(ctx, dut, bytes([2] * 104), commit=False)
            assert ctx.get(dut.room)
        await write(ctx, dut, bytes([3] * 104))
        assert not ctx.get(dut.room)
    simulate(dut, bench)


def test_a_rollback_without_a_write():
    """A frame that was doomed before its first beat was written."""
    dut = PacketFifo(64, 16)

    async def bench(ctx):
        await write(ctx, dut, bytes([1] * 24))
        ctx.set(dut.rollback, 1)
        await ctx.tick()
        ctx.set(dut.rollback, 0)
        await write(ctx, dut, bytes([2] * 104))
        assert not ctx.get(dut.room)
    simulate(dut, bench)


def test_nothing_is_seen_before_it_is_committed():
    dut = PacketFifo(64, 16)

    async def bench(ctx):
        ctx.set(dut.write, 1)
        await ctx.tick().repeat(8)
        ctx.set(dut.write, 0)
        await ctx.tick().repeat(5)
        assert ctx.get(dut.empty)
    simulate(dut, bench)
