"""The filters alone: one frame after the other, as close as they may come."""

from __future__ import annotations

import gc
import random

import pytest

from hdl_steering import MACS, dissection
from hdl_streams import simulate
from pagering import abi
from pagering.fake_steering import FakeSteering
from pagering_hdl.frame_filter import AddressFilter, VlanFilter


async def post(ctx, table, row, value):
    ctx.set(table.row, row)
    ctx.set(table.value, value)
    ctx.set(table.write, 1)
    await ctx.tick().until(table.free)
    ctx.set(table.write, 0)
    ctx.set(table.value, 0)


def answers(dut, heads, every, latency, prepare):
    """Return what a filter says of frames that come every so many cycles."""
    found = []

    async def bench(ctx):
        await ctx.tick().repeat(abi.VLAN_ROWS + 2)
        await prepare(ctx)
        for cycle in range(every * len(heads) + latency):
            number, rest = divmod(cycle, every)
            here = rest == 0 and number < len(heads)
            ctx.set(dut.head, {"valid": here, **(heads[number] if here else {})})
            # The last moment at which the answer must still be there.
            due = cycle - latency - every + 1
            if due >= 0 and due % every == 0 and due // every < len(heads):
                found.append(ctx.get(dut.passes))
            await ctx.tick()
        for _ in range(every):
            if len(found) < len(heads):
                found.append(ctx.get(dut.passes))
            await ctx.tick()
    simulate(dut, bench)
    return found


@pytest.mark.parametrize("banks", [1, 2, 4, 8])
@pytest.mark.parametrize("settings", [
    {}, {"broadcast": 1}, {"all_multicast": 1}, {"all_multicast": 1, "broadcast": 1},
    {"promiscuous": 1}], ids=str)
def test_addresses(banks, settings):
    dut, rng, twin = AddressFilter(banks), random.Random(banks), FakeSteering(4)
    twin.write("FILTER", {**dict.fromkeys(("promiscuous", "all_multicast", "broadcast", "vlan",
                                           "untagged"), 0), **settings})
    twin.write("MULTICAST_0", {"hashes": rng.getrandbits(32)})
    twin.write("MULTICAST_1", {"hashes": rng.getrandbits(32)})
    known = [rng.getrandbits(48) & ~(1 << 40) for _ in range(8)]
    for row, address in enumerate(known):
        twin.write("ROW", {"row": row, "word": 0})
        twin.write("ADDRESS_LOW", {"address": address & 0xFFFFFFFF})
        twin.write("ADDRESS_HIGH", {"address": address >> 32, "valid": row != 3})
    frames = [rng.choice((*known, *MACS, known[5] ^ 1 << rng.randrange(48), rng.getrandbits(48)))
              for _ in range(80)]

    async def prepare(ctx):
        ctx.set(dut.settings, twin.read("FILTER"))
        ctx.set(dut.multicast, twin.read("MULTICAST_1")["hashes"] << 32
                | twin.read("MULTICAST_0")["hashes"])
        for row, address in enumerate(known):
            await post(ctx, dut.low, row, address & 0xFFFFFFFF)
            await post(ctx, dut.high, row, address >> 32 | (row != 3) << 16)
    rows = abi.ADDRESSES // banks
    assert answers(dut, [{"destination": address} for address in frames], rows, rows + 4,
                   prepare) == [twin._takes_address(address) for address in frames]


@pytest.mark.parametrize("untagged", [0, 1])
def test_vlans(untagged):
    dut, rng, twin = VlanFilter(), random.Random(4), FakeSteering(4)
    settings = {"promiscuous": 1, "all_multicast": 0, "broadcast": 0, "vlan": 1,
                "untagged": untagged}
    twin.write("FILTER", settings)
    words = [rng.getrandbits(32) for _ in range(abi.VLAN_ROWS)]
    for row, word in enumerate(words):
        twin.write("ROW", {"row": row, "word": 0})
        twin.write("VLANS", {"vlans": word})
    frames = [(rng.random() < 0.8, rng.randrange(4096)) for _ in range(300)]

    async def prepare(ctx):
        ctx.set(dut.settings, settings)
        for row, word in enumerate(words):
            await post(ctx, dut.vlans, row, word)
    assert answers(dut, [{"tagged": tagged, "vlan": vlan} for tagged, vlan in frames], 1, 5,
                   prepare) == [twin._takes_vlan(dissection(vlan=tagged, tci=vlan))
                                for tagged, vlan in frames]


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
def test_banks_are_checked():
    with pytest.raises(ValueError, match="addresses are compared 1, 2, 4 or 8 at a time, not 3"):
        AddressFilter(3)
    gc.collect()
