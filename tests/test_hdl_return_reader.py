"""ReturnReader: the right tokens of every line, whatever the bus answers and however slowly."""

from __future__ import annotations

import random

import pytest

from hdl_streams import collect, config, drain, rules, simulate, sink, source
from pagering.abi import Fault
from pagering_hdl.axi import Response
from pagering_hdl.config import BUS_WIDTHS
from pagering_hdl.return_reader import READS_MAX, ReturnReader

OKAY, EXOKAY, SLVERR, DECERR = range(4)


def line_read(rng, number):
    skip = rng.choice((0, 0, rng.randrange(16)))
    return {"queue": rng.randrange(64), "address": 64 * number, "skip": skip,
            "count": rng.choice((16 - skip, rng.randint(1, 16 - skip)))}


def unpacked(token):
    return {"page": token & 0xFFFF, "first": token >> 16 & 63, "last": token >> 22 & 63,
            "generation": token >> 28}


async def answer(ctx, dut, words, responses, gaps):
    """Play the host: answer every address in order, each beat with its response."""
    lanes = dut.config.bus_bits // 32
    queue = []

    async def beat(data, response):
        while gaps is not None and gaps.random() < 0.4:
            await step()
        ctx.set(dut.bus.rdata, data)
        ctx.set(dut.bus.rresp, response)
        ctx.set(dut.bus.rvalid, 1)
        while not await step():
            pass
        ctx.set(dut.bus.rvalid, 0)

    async def step():
        """Pass a cycle; return whether a beat was taken in it, and note an address if one was."""
        bus = dut.bus
        ctx.set(bus.arready, int(gaps is None or gaps.random() < 0.6))
        shape = (ctx.get(bus.arlen), ctx.get(bus.arsize), ctx.get(bus.arburst))
        assert shape == (64 // dut.config.bus_bytes - 1, dut.config.bus_log2, 1)
        _, _, taken, asked, address = await ctx.tick().sample(
            bus.rvalid & bus.rready, bus.arvalid & bus.arready, bus.araddr)
        if asked:
            queue.append(address)
        return taken

    for number in range(len(words)):
        while not queue:
            await step()
        assert queue.pop(0) == 64 * number
        for start in range(0, 16, lanes):
            data = sum(word << 32 * n for n, word in enumerate(words[number][start:start + lanes]))
            await beat(data, responses[number][start // lanes])


@pytest.mark.parametrize("bits", BUS_WIDTHS)
@pytest.mark.parametrize("slow", [False, True])
def test_random_lines(bits, slow):
    rng = random.Random(bits + slow)
    dut, lanes = ReturnReader(config(bus_bits=bits)), bits // 32
    reads = [line_read(rng, n) for n in range(40)]
    words = [[rng.getrandbits(32) for _ in range(16)] for _ in reads]
    responses = [[rng.choice((OKAY,) * 8 + (EXOKAY, SLVERR, DECERR))
                  for _ in range(16 // lanes)] for _ in reads]
    bad = [[code in (SLVERR, DECERR) for code in codes] for codes in responses]
    tokens = [{"queue": read["queue"], "token": unpacked(words[n][at])}
              for n, read in enumerate(reads)
              for at in range(read["skip"], read["skip"] + read["count"])
              if not bad[n][at // lanes]]
    got, ended, failed = [], [], []

    async def host(ctx):
        await answer(ctx, dut, words, [[Response(code) for code in codes] for codes in responses],
                     random.Random(5) if slow else None)

    async def finish(ctx):
        ended.extend(await drain(ctx, dut.finished, len(reads), random.Random(7) if slow else None))
    simulate(dut, source(dut.reads, reads, rng if slow else None), host, finish,
             sink(dut.tokens, got, len(tokens), random.Random(8) if slow else None),
             background=[collect(dut.failed, failed), rules(dut.tokens), rules(dut.finished)])
    assert got == tokens
    assert ended == [{"queue": read["queue"], "count": read["count"]} for read in reads]
    assert [event["fault"] for event in failed] == [Fault.RETURN_READ] * sum(map(any, bad))


@pytest.mark.parametrize("bits", BUS_WIDTHS)
def test_full_lines_bring_a_token_a_cycle_with_many_reads_under_way(bits):
    dut = ReturnReader(config(bus_bits=bits))
    lanes, most = bits // 32, 0

    async def bench(ctx):
        nonlocal most
        for signal in (dut.bus.arready, dut.tokens.ready, dut.finished.ready, dut.reads.valid):
            ctx.set(signal, 1)
        ctx.set(dut.reads.p.count, 16)
        asked = answered = beats = 0
        while ctx.get(dut.reads.ready):
            await ctx.tick()
            asked += 1
        most = asked
        ctx.set(dut.bus.rvalid, 1)
        tokens = 0
        for _ in range(400):
            tokens += ctx.get(dut.tokens.valid)
            beats += ctx.get(dut.bus.rready)
            await ctx.tick()
        answered = beats * lanes / 16
        assert tokens >= 398
        assert answered >= 400 / 16 - 1
    simulate(dut, bench)
    assert most >= READS_MAX
