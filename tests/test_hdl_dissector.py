"""Dissector: what it finds in frames of all kinds, against its software twin; one dissection for
each committed frame, at full rate; room for no more than can be kept.
"""

from __future__ import annotations

import random

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from hdl_streams import drain, plain, rules, simulate
from packets import damaged, packet
from pagering.dissect import dissect
from pagering_hdl.config import BUS_WIDTHS
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


def expected(frame, twin=dissect):
    """Return the twin's dissection, as the card's shape has it."""
    found = twin(frame)
    return {"length": found.length, "destination": found.destination,
            "flow": vars(found.flow),
            "facts": {**vars(found.facts), "hash": 0, "hash_type": 0, "mark": 0, "timestamp": 0}}


def numbers(value):
    """Return a dissection with numbers in place of names."""
    if isinstance(value, dict):
        return {name: numbers(item) for name, item in value.items()}
    return getattr(value, "value", int(value))


async def aenumerate(items):
    """Number what an asynchronous iterator brings."""
    number = 0
    async for item in items:
        yield number, item
        number += 1


def check(bits, frames, rng, share=0.9):
    """Send frames, with or without gaps, and commit a ``share`` of them; compare what is found."""
    dut = Dissector(bits)
    commits = [rng.random() < share for _ in frames]

    async def bench(ctx):
        busy = rng.random() < 0.5
        for frame, commit in zip(frames, commits, strict=True):
            while not ctx.get(dut.room):
                await ctx.tick()
            if not commit:
                # As of a frame that is doomed from some beat on, or from the first.
                frame = frame[:rng.randrange(len(frame) + 1)]
            await send(ctx, dut, frame, commit=commit, null_end=not frame or rng.random() < 0.1)
            for _ in range(0 if busy else rng.choice((0, 1, 5))):
                await ctx.tick()

    async def reader(ctx):
        for frame, commit in zip(frames, commits, strict=True):
            if commit:
                found, = await drain(ctx, dut.dissections, 1)
                assert numbers(found) == numbers(expected(frame)), frame.hex()
    simulate(dut, bench, reader, limit=200_000, background=[rules(dut.dissections)])


@pytest.mark.parametrize("bits", BUS_WIDTHS)
@pytest.mark.parametrize("seed", range(2))
def test_packets_whole_and_damaged(bits, seed):
    rng = random.Random(seed * 1000 + bits)
    frames = [packet(rng, longest=400) for _ in range(60)]
    check(bits, [damaged(rng, frame) if rng.random() < 0.4 else frame for frame in frames], rng)


@pytest.mark.slow
@pytest.mark.parametrize("bits", BUS_WIDTHS)
def test_every_length_of_a_packet_that_is_cut(bits):
    """A frame of each length, so that every header ends with the frame once, in every lane."""
    rng = random.Random(bits)
    frame = b""
    while len(frame) < 90:
        frame = packet(rng, longest=100)
    check(bits, [frame[:length] for length in range(1, len(frame) + 1)], rng)


def datagram(length):
    """Return a UDP datagram over IPv4 in a frame of so many bytes, all ones, its checksum right."""
    return bytes(Ether(dst="02:00:00:00:00:01", src="02:00:00:00:00:02", type=0x0800)
                 / IP(src="255.255.255.255", dst="255.255.255.255")
                 / UDP(sport=0xFFFF, dport=0xFFFF) / Raw(b"\xff" * (length - 42)))


@pytest.mark.slow
@pytest.mark.parametrize("bits", [64, 512])
def test_the_longest_frames(bits):
    """No sum may lose a carry: the most ones that there can be, in the longest frames."""
    frames = [datagram(16383), b"\xff" * 16383, datagram(16382), bytes(16383)]
    assert [dissect(frame).facts.l4_ok for frame in frames] == [True, False, True, False]
    check(bits, frames, random.Random(3), share=1)


def test_a_frame_in_every_cycle():
    """512 bits: the shortest packets, back to back, are each found whole."""
    rng = random.Random(5)
    frames = []
    while len(frames) < 60:
        frame = packet(rng, longest=64)
        frames += [frame] * (len(frame) <= 64)
    dut, got = Dissector(512), []

    async def bench(ctx):
        for frame in frames:
            assert ctx.get(dut.room)
            await send(ctx, dut, frame)

    async def reader(ctx):
        ctx.set(dut.dissections.ready, 1)
        ticks = ctx.tick().sample(dut.dissections.valid, dut.dissections.payload)
        async for cycle, (_, _, valid, found) in aenumerate(ticks):
            if valid:
                got.append((cycle, plain(found)))
            if len(got) == len(frames):
                break
    simulate(dut, bench, reader)
    first = got[0][0]
    assert [cycle - first for cycle, _ in got] == list(range(len(frames)))
    assert [numbers(found) for _, found in got] == [numbers(expected(f)) for f in frames]


@pytest.mark.parametrize("depth", [1, 3, 32])
def test_room_for_as_many_frames_as_are_kept(depth):
    """Frames of one beat in every cycle: none is lost, and room comes back."""
    dut = Dissector(64, depth)

    async def bench(ctx):
        sent = 0
        while ctx.get(dut.room):
            sent += 1
            await send(ctx, dut, bytes([sent] * (sent % 8 + 1)))
        assert sent == depth
        await ctx.tick().repeat(20)
        assert not ctx.get(dut.room)
        got = await drain(ctx, dut.dissections, sent)
        assert [item["length"] for item in got] == [n % 8 + 1 for n in range(1, sent + 1)]
        assert ctx.get(dut.room)
    simulate(dut, bench, background=[rules(dut.dissections)])


@pytest.mark.parametrize("bits", BUS_WIDTHS)
def test_frames_of_64_bytes_are_never_held_up(bits):
    """As many of them as there can be: there is room whenever one ends."""
    dut, ends = Dissector(bits), []

    async def bench(ctx):
        ctx.set(dut.dissections.ready, 1)
        for _ in range(20):
            await send(ctx, dut, bytes(64))

    async def watch(ctx):
        async for _, _, commit, room in ctx.tick().sample(dut.commit, dut.room):
            ends.extend([room] * commit)
    simulate(dut, bench, background=[watch])
    assert ends == [1] * 20


def test_the_time_is_that_of_the_first_beat():
    dut = Dissector(64, 32)

    async def bench(ctx):
        times = []
        for length in (60, 1, 8, 9, 200, 3):
            times.append(length << 50 | length)
            await send(ctx, dut, bytes(length), time=times[-1])
            await send(ctx, dut, bytes(60), commit=False)
        got = await drain(ctx, dut.dissections, len(times))
        assert [item["facts"]["timestamp"] for item in got] == times
    simulate(dut, bench)
