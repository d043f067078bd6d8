"""An event that may be revoked: it comes when it should, and counts once, confirmed."""

from __future__ import annotations

import gc
import random

import pytest

from hdl_streams import simulate
from pagering_hdl.tentative import TentativeEvent


@pytest.mark.parametrize("latency", [1, 2, 7])
@pytest.mark.parametrize("seed", range(2))
def test_each_event_counts_if_it_is_confirmed(latency, seed):
    """Against a list of the events on their way, the last of which may be tentative."""
    dut, rng = TentativeEvent(latency), random.Random(seed)

    async def bench(ctx):
        under_way, seen = [], {"late": 0, "early": 0, "revoked": 0}
        for cycle in range(2000):
            waits = bool(under_way) and under_way[-1]["tentative"]
            confirm, revoke = (waits and rng.random() < 0.1 for _ in range(2))
            revoke = revoke and not confirm
            event = (not waits or confirm or revoke) and rng.random() < 0.4
            tentative = event and rng.random() < 0.5
            for name, value in (("i", event), ("tentative", tentative), ("confirm", confirm),
                                ("revoke", revoke)):
                ctx.set(getattr(dut, name), value)
            if revoke:
                seen["revoked"] += 1
                under_way.pop()
            elif confirm:
                seen["late" if cycle >= under_way[-1]["comes"] else "early"] += 1
                under_way[-1] |= {"tentative": False, "confirmed": cycle}
            assert ctx.get(dut.o) == any(e["comes"] == cycle for e in under_way)
            counts = bool(under_way) and not under_way[0]["tentative"] and (
                under_way[0]["comes"] <= cycle)
            assert ctx.get(dut.counts) == counts
            assert ctx.get(dut.sure) == (
                counts and under_way[0]["confirmed"] < under_way[0]["comes"] == cycle)
            if counts:
                under_way.pop(0)
            if event:
                under_way.append({"comes": cycle + latency, "tentative": tentative,
                                  "confirmed": cycle})
            await ctx.tick()
        assert seen["late"] > 0
        assert seen["revoked"] > 0
        assert (seen["early"] > 0) == (latency > 1)
    simulate(dut, bench)


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
def test_it_takes_a_cycle_at_least():
    with pytest.raises(ValueError, match="at least one cycle, not 0"):
        TentativeEvent(0)
    gc.collect()
