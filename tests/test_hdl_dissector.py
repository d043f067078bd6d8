"""Dissector: one dissection for each committed frame, room for no more than can be kept."""

from __future__ import annotations

from hdl_streams import drain, rules, simulate
from pagering_hdl.dissector import Dissector


async def send(ctx, dut, frame, *, commit=True, null_end=False, time=0):
    """Write a frame as the gate does; ``null_end``: what ends it is a beat without bytes."""
    lanes = len(dut.beat) // 8
    pieces = [frame[at:at + lanes] for at in range(0, len(frame), lanes)]
    for number, piece in enumerate([*pieces, b""] if null_end else pieces):
        ends = number == len(pieces) - 1 + null_end
        ctx.set(dut.write, bool(piece))
        ctx.set(dut.beat, int.from_bytes(piece, "little"))
        ctx.set(dut.length, len(frame))
        ctx.set(dut.time, time + number)
        ctx.set(dut.commit, ends and commit)
        ctx.set(dut.rollback, ends and not commit)
        await ctx.tick()
    for signal in (dut.write, dut.commit, dut.rollback):
        ctx.set(signal, 0)


def test_room_for_as_many_frames_as_are_kept():
    """Frames of one beat in every cycle: none is lost, and room comes back."""
    dut = Dissector(64, 64)

    async def bench(ctx):
        sent = 0
        while ctx.get(dut.room):
            sent += 1
            await send(ctx, dut, bytes([sent] * (sent % 8 + 1)))
        assert 31 <= sent < 64
        await ctx.tick().repeat(20)
        assert not ctx.get(dut.room)
        got = await drain(ctx, dut.dissections, sent)
        assert [item["length"] for item in got] == [n % 8 + 1 for n in range(1, sent + 1)]
        assert ctx.get(dut.room)
    simulate(dut, bench, background=[rules(dut.dissections)])


def test_the_time_is_that_of_the_first_beat():
    dut = Dissector(64, 1024)

    async def bench(ctx):
        times = []
        for length in (60, 1, 8, 9, 200, 3):
            times.append(length << 50 | length)
            await send(ctx, dut, bytes(length), time=times[-1])
            await send(ctx, dut, bytes(60), commit=False)
        got = await drain(ctx, dut.dissections, len(times))
        assert [item["facts"]["timestamp"] for item in got] == times
    simulate(dut, bench)
