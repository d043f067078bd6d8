"""BurstFork: a part is a burst, at once, for all who need it or for none."""

from __future__ import annotations

import random

import pytest

from hdl_streams import clocked, config, plain, simulate
from pagering_hdl.burst_fork import BurstFork
from pagering_hdl.layouts import Kind
from test_hdl_burst_merger import random_parts

TAKERS = ("addresses", "contents", "tickets")


@pytest.mark.parametrize("kind", [Kind.SEGMENT, Kind.FENCE_QUEUE])
@pytest.mark.parametrize("willing", range(8))
def test_all_takers_at_once_or_none(kind, willing):
    dut = BurstFork()

    async def bench(ctx):
        needed = TAKERS if kind is Kind.SEGMENT else ("tickets",)
        wills = {name: willing >> number & 1 for number, name in enumerate(TAKERS)}
        for name, will in wills.items():
            ctx.set(getattr(dut, name).ready, will)
        ctx.set(dut.parts.payload, {"kind": kind, "end": 1})
        goes = all(wills[name] for name in needed)
        assert ctx.get(dut.parts.ready) == goes
        for comes in (0, 1):
            ctx.set(dut.parts.valid, comes)
            for name in TAKERS:
                assert ctx.get(getattr(dut, name).valid) == (comes and goes and name in needed)
    simulate(clocked(dut), bench)


def test_what_each_taker_is_told():
    dut = BurstFork()
    parts = random_parts(random.Random(5), config(), 60)

    async def bench(ctx):
        for part in parts:
            ctx.set(dut.parts.payload, part)
            address, content, ticket = (plain(ctx.get(getattr(dut, name).payload))
                                        for name in TAKERS)
            assert ticket["ends"] == part["end"] == 1 - ticket["goes_on"]
            for told in (ticket, *([address, content] if part["kind"] is Kind.SEGMENT else [])):
                for name in {*told} - {"ends", "goes_on"}:
                    assert told[name] == part.get(name, 0)
    simulate(clocked(dut), bench)
