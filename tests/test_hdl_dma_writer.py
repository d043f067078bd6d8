"""DmaWriter: beats, strobes and lasts of every burst, no cycle lost between two."""

from __future__ import annotations

import random

import pytest

from hdl_streams import config, simulate, source
from pagering_hdl.dma_writer import DmaWriter


def random_bursts(rng, card, count):
    """Return bursts and their parts, the beats that feed them, and those expected on the bus."""
    bus = card.bus_bytes
    bursts, contents, frames, lines, mirrors, expected = [], [], [], [], [], []
    for _ in range(count):
        line, total = rng.random() < 0.4, 0
        mirror = line and rng.random() < 0.4
        parts = 1 if line or not card.shares_bursts else rng.choice((1, 1, 2, 4))
        for number in range(parts):
            last = 0 if mirror else rng.randrange(min(64 // bus, 4) if line else 8)
            tail = rng.randrange(bus)
            contents.append({"line": line, "mirror": mirror, "last": last, "tail": tail})
            total += last + 1
            for beat in range(last + 1):
                data, final = rng.getrandbits(card.bus_bits), beat == last
                if line:
                    strobe = rng.getrandbits(bus)
                    (mirrors if mirror else lines).append(
                        {"data": data, "strobe": strobe, "last": 0})
                else:
                    strobe = (1 << (tail + 1 if final else bus)) - 1
                    frames.append(data)
                expected.append((data, strobe, int(final and number == parts - 1)))
        bursts.append(total - 1)
    return bursts, contents, frames, lines, mirrors, expected


def bus_beats(dut, into, ready):
    """Take write data; a beat that waits must not change."""
    async def bench(ctx):
        bus, offered = dut.bus, None
        ctx.set(bus.wready, 1)
        ticks = ctx.tick().sample(bus.wvalid, bus.wready, bus.wdata, bus.wstrb, bus.wlast)
        async for _, _, valid, taken, *beat in ticks:
            assert offered is None or (valid and offered == beat)
            offered = beat if valid and not taken else None
            if valid and taken:
                into.append(tuple(beat))
            ctx.set(bus.wready, ready())
    return bench


def sources(dut, card, bursts, contents, gaps):
    """Return the benches that tell the writer of its bursts."""
    told = [source(dut.contents, contents, random.Random(4) if gaps else None)]
    if card.shares_bursts:
        told.append(source(dut.bursts, bursts, random.Random(1) if gaps else None))
    return told


@pytest.mark.parametrize("chunk", [1024, 4096])
@pytest.mark.parametrize("bits", [64, 128, 256, 512])
def test_random_bursts(bits, chunk):
    rng = random.Random(bits)
    card = config(bus_bits=bits, burst_bytes=2048, chunk_bytes=chunk)
    dut = DmaWriter(card)
    bursts, contents, frames, lines, mirrors, expected = random_bursts(rng, card, 60)
    got = []

    async def wait(ctx):
        while len(got) < len(expected):
            await ctx.tick()
    simulate(dut, *sources(dut, card, bursts, contents, gaps=True),
             source(dut.frame_beats, frames, random.Random(2), 0.8),
             source(dut.line_beats, lines, random.Random(3), 0.8),
             source(dut.mirror_beats, mirrors, random.Random(5), 0.8), wait,
             background=[bus_beats(dut, got, lambda: rng.random() < 0.7)])
    assert got == expected


@pytest.mark.parametrize(("bits", "chunk"), [(64, 64), (64, 1024), (128, 1024)])
def test_no_cycle_is_lost_between_bursts(bits, chunk):
    card = config(bus_bits=bits, chunk_bytes=chunk)
    dut = DmaWriter(card)
    bursts, contents, frames, lines, mirrors, expected = random_bursts(random.Random(9), card, 30)
    busy = []

    async def bench(ctx):
        ctx.set(dut.bus.wready, 1)
        await ctx.tick().until(dut.bus.wvalid)
        for _ in expected[2:]:
            busy.append(ctx.get(dut.bus.wvalid))
            await ctx.tick()
    simulate(dut, *sources(dut, card, bursts, contents, gaps=False),
             source(dut.frame_beats, frames), source(dut.line_beats, lines),
             source(dut.mirror_beats, mirrors), bench)
    assert all(busy)


def test_addresses_pass_in_order_with_the_constant_fields():
    card = config(bus_bits=256)
    dut = DmaWriter(card)
    rng = random.Random(4)
    sent = [{"address": rng.getrandbits(64), "last": rng.getrandbits(8)} for _ in range(30)]
    got = []

    async def bench(ctx):
        bus = dut.bus
        while len(got) < len(sent):
            ctx.set(bus.awready, rng.random() < 0.5)
            if ctx.get(bus.awvalid & bus.awready):
                got.append({"address": ctx.get(bus.awaddr), "last": ctx.get(bus.awlen)})
                # INCR, 32 bytes a beat, normal non-cacheable bufferable, unprivileged non-secure.
                assert [ctx.get(signal) for signal in (
                    bus.awburst, bus.awsize, bus.awcache, bus.awprot, bus.awid, bus.awlock)] == [
                        1, 5, 3, 2, 0, 0]
            await ctx.tick()
    simulate(dut, source(dut.addresses, sent, random.Random(5)), bench)
    assert got == sent
