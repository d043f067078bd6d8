"""BurstMerger: what may share a burst does when the bus is busy, and nothing else ever does."""

from __future__ import annotations

import random

import pytest

from hdl_streams import config, get, rules, simulate, source
from pagering_hdl.burst_merger import BurstMerger
from pagering_hdl.layouts import Kind

MARKS = (Kind.CLOSE, Kind.FENCE_QUEUE, Kind.START_POOL)


def random_parts(rng, card, count):
    """Return parts as the splitter makes them, some of which follow the one before."""
    bus, window = card.bus_bytes, card.burst_bytes
    parts, at = [], None
    while len(parts) < count:
        choice = rng.random()
        if choice < 0.1:
            parts.append({"kind": rng.choice(MARKS), "index": rng.randrange(64), "end": 1,
                          "line": rng.randrange(2)})
            at = None
            continue
        line = choice < 0.25
        follows = at is not None and not line and rng.random() < 0.8
        address = at if follows else rng.getrandbits(50) << 12 | rng.randrange(0, 4096, 64)
        if line:
            address, beats = address // 64 * 64, 64 // bus
        else:
            beats = rng.randint(1, (window - address % window) // bus)
        goes_on = not line and rng.random() < 0.1
        parts.append({"kind": Kind.SEGMENT, "index": rng.randrange(64), "line": int(line),
                      "mirror": int(line and rng.random() < 0.3), "address": address,
                      "last": beats - 1, "tail": rng.randrange(bus),
                      "joins": int(follows and address % window != 0), "end": int(not goes_on),
                      "produced": rng.getrandbits(17), "frames": rng.randrange(4)})
        at = None if line or goes_on else address + beats * bus
    return parts


def run(card, parts, hungry, seed, starving=0.0):
    """Return addresses, bursts, contents and tickets."""
    dut = BurstMerger(card)
    out = {name: [] for name in ("addresses", "bursts", "contents", "tickets")}
    writes = sum(part["kind"] is Kind.SEGMENT for part in parts)
    rng = random.Random(seed)
    done = [0]

    async def appetite(ctx):
        async for _ in ctx.tick():
            starves = rng.random() < starving
            ctx.set(dut.starving, starves)
            ctx.set(dut.hungry, starves or hungry(rng) or done[0])

    async def end(ctx):
        while len(out["contents"]) < writes:
            await ctx.tick()
        done[0] = 1
        await ctx.tick().repeat(3)
        while not ctx.get(dut.idle):
            await ctx.tick()
        await ctx.tick().repeat(3)

    def taker(name, gaps):
        async def bench(ctx):
            while True:
                while gaps.random() < 0.3:
                    await ctx.tick()
                out[name].append(await get(ctx, getattr(dut, name)))
        return bench
    takers = [taker(name, random.Random(seed + n)) for n, name in enumerate(out)]
    simulate(dut, source(dut.parts, parts, rng, 0.8), end,
             background=[*takers, appetite, rules(dut.contents)])
    return out


@pytest.mark.parametrize("card", [config(), config(bus_bits=512, burst_bytes=4096)],
                         ids=["64/256", "512/4096"])
@pytest.mark.parametrize(("appetite", "starving"), [(0.0, 0.0), (0.3, 0.0), (1.0, 0.0),
                                                    (0.3, 0.2), (1.0, 1.0)])
@pytest.mark.parametrize("seed", range(2))
def test_bursts_are_made_of_parts_in_order(card, appetite, starving, seed):
    rng = random.Random(seed)
    parts = random_parts(rng, card, 150)
    out = run(card, parts, lambda r: r.random() < appetite, seed, starving)
    writes = [part for part in parts if part["kind"] is Kind.SEGMENT]
    assert out["contents"] == [{name: part[name] for name in ("line", "mirror", "last", "tail")}
                               for part in writes]
    waiting, joined = list(parts), 0
    bursts = iter(zip(out["addresses"], out["bursts"], strict=True))
    for ticket in out["tickets"]:
        group = [waiting.pop(0)]
        if ticket["kind"] is Kind.SEGMENT:
            address, beats = next(bursts)
            assert address == {"address": group[0]["address"], "last": beats}
            while sum(part["last"] + 1 for part in group) < beats + 1:
                group.append(waiting.pop(0))
                assert group[-1]["joins"]
                joined += 1
            assert sum(part["last"] + 1 for part in group) == beats + 1
            first, end = address["address"], address["address"] + (beats + 1) * card.bus_bytes
            assert first // card.burst_bytes == (end - 1) // card.burst_bytes
        last = group[-1]
        assert ticket["ends"] == sum(part["end"] for part in group)
        assert ticket["goes_on"] == 1 - last["end"]
        for name in ("kind", "index", "line"):
            assert ticket[name] == last[name]
        assert ticket["mirror"] == last.get("mirror", 0)
        if last["kind"] is Kind.SEGMENT and last["line"]:
            assert (ticket["produced"], ticket["frames"]) == (last["produced"], last["frames"])
    assert not waiting
    assert next(bursts, None) is None
    if appetite == 0:
        assert joined == sum(part.get("joins", 0) for part in parts)


@pytest.mark.parametrize(("bits", "starving", "cycles"), [
    (64, 0, 1), (64, 1, 0), (512, 0, 1), (512, 1, 1)])
def test_an_idle_bus_waits_a_cycle_and_a_narrow_one_that_starves_none(bits, starving, cycles):
    dut = BurstMerger(config(bus_bits=bits))

    async def bench(ctx):
        for stream in (dut.addresses, dut.bursts, dut.contents, dut.tickets):
            ctx.set(stream.ready, 1)
        ctx.set(dut.hungry, 1)
        ctx.set(dut.starving, starving)
        ctx.set(dut.parts.payload, {"kind": Kind.SEGMENT, "address": 64, "last": 7, "end": 1})
        ctx.set(dut.parts.valid, 1)
        if cycles:
            await ctx.tick()
            ctx.set(dut.parts.valid, 0)
        assert ctx.get(dut.addresses.valid & dut.bursts.valid & dut.tickets.valid)
        assert ctx.get(dut.addresses.p.address) == 64
        await ctx.tick()
        ctx.set(dut.parts.valid, 0)
        assert ctx.get(dut.idle)
        assert not ctx.get(dut.addresses.valid)
    simulate(dut, bench)


@pytest.mark.parametrize("blocked", ["addresses", "bursts", "tickets"])
def test_a_burst_goes_to_all_three_or_to_none(blocked):
    dut = BurstMerger(config())

    async def bench(ctx):
        streams = {name: getattr(dut, name) for name in ("addresses", "bursts", "tickets")}
        for name, stream in streams.items():
            ctx.set(stream.ready, name != blocked)
        ctx.set(dut.contents.ready, 1)
        ctx.set(dut.hungry, 1)
        for kind in (Kind.SEGMENT, Kind.CLOSE):
            ctx.set(dut.parts.payload, {"kind": kind, "end": 1})
            ctx.set(dut.parts.valid, 1)
            await ctx.tick().until(dut.parts.ready)
            ctx.set(dut.parts.valid, 0)
            takes = kind is Kind.CLOSE and blocked != "tickets"
            assert ctx.get(dut.tickets.valid & dut.tickets.ready) == takes
            if kind is Kind.SEGMENT:
                for stream in streams.values():
                    assert not ctx.get(stream.valid & stream.ready)
                ctx.set(streams[blocked].ready, 1)
                await ctx.tick()
                ctx.set(streams[blocked].ready, 0)
    simulate(dut, bench)
