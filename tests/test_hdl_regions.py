"""RegionTable and RegionLoader: addresses, registration in two passes, retirement."""

from __future__ import annotations

import random

import pytest

from hdl_streams import config, mirror, put, simulate, with_clear
from pagering_hdl.region_loader import RegionLoader
from pagering_hdl.region_table import RegionTable


@pytest.mark.parametrize("card", [
    config(), config(pages=4, region_pages=1), config(pages=4, region_pages=4),
    config(page_bytes=65536, chunk_bytes=4096, pages=1 << 16, region_pages=256)],
    ids=["8 of 8", "4 of 1", "1 of 4", "256 of 256"])
def test_looks_up_every_page(card):
    dut = RegionTable(card)
    rng = random.Random(card.regions)
    slots = rng.sample(range(card.regions), min(card.regions, 8))
    region_bytes = card.region_pages * card.page_bytes

    async def bench(ctx):
        rows = {}
        for slot in slots:
            base = rng.getrandbits(64) // region_bytes * region_bytes
            pool = rng.randrange(card.pools)
            rows[slot] = base, pool
            ctx.set(dut.write_slot, slot)
            ctx.set(dut.write, {"base": base >> 12, "pool": pool})
            ctx.set(dut.write_en, 1)
            await ctx.tick()
            ctx.set(dut.write_en, 0)
        assert ctx.get(dut.valid) == 0
        for slot, (base, pool) in rows.items():
            ctx.set(dut.slot.addr, slot)
            assert ctx.get(dut.slot.data) == pool
            ctx.set(dut.row.addr, slot)
            await ctx.tick()
            assert ctx.get(dut.row.data.base) == base >> 12 & 0xFFFFF
            assert ctx.get(dut.row.data.pool) == pool
            for place in {0, card.region_pages - 1, rng.randrange(card.region_pages)}:
                page = slot * card.region_pages + place
                ctx.set(dut.owner.addr, page)
                ctx.set(dut.address.addr, page)
                ctx.set(dut.address.en, 1)
                await ctx.tick()
                ctx.set(dut.address.en, 0)
                # The answer stands, whatever is not asked.
                ctx.set(dut.address.addr, page ^ 1)
                await ctx.tick()
                assert ctx.get(dut.address.data) == base + place * card.page_bytes
                assert ctx.get(dut.owner.data) == pool
    simulate(dut, bench)


def test_valid_bits_are_set_and_cleared_one_by_one():
    dut = RegionTable(config())

    async def bench(ctx):
        valid = 0
        for slot, value in ((3, 1), (0, 1), (7, 1), (3, 0), (1, 0), (7, 0)):
            ctx.set(dut.write_slot, slot)
            event = dut.set_valid if value else dut.clear_valid
            ctx.set(event, 1)
            await ctx.tick()
            ctx.set(event, 0)
            valid = valid & ~(1 << slot) | value << slot
            assert ctx.get(dut.valid) == valid
    simulate(dut, bench)


class Surroundings:
    """The table, page table and ring around a loader: notes what it does, in order."""

    def __init__(self, dut, card, seed=0, regions=None):
        self.dut, self.rng = dut, random.Random(seed)
        self.regions = dict(regions or {})
        self.log = []

    async def watch(self, ctx):
        dut, rng = self.dut, self.rng
        for signal in (dut.loads.ready, dut.enrolments.ready, dut.retire.ready):
            ctx.set(signal, 1)
        self.tell(ctx)
        streams = (dut.loads, dut.enrolments, dut.retire)
        ticks = ctx.tick().sample(
            dut.write_en, dut.set_valid, dut.clear_valid, dut.write_slot, dut.write,
            *(s.valid & s.ready for s in streams), *(s.payload for s in streams))
        async for (_, _, write_en, set_valid, clear_valid, slot, row, loads, enrols, retires, load,
                   enrolment, pool) in ticks:
            assert loads + enrols + retires + write_en + set_valid + clear_valid <= 1
            if write_en:
                self.log.append(("write", slot, row.base, row.pool))
            if set_valid:
                self.log.append(("valid", slot))
            if clear_valid:
                self.log.append(("invalid", slot))
            if loads:
                self.log.append(("retire page" if load.retire else "renew", load.page))
            if enrols:
                assert enrolment.new
                self.log.append(("enrol", enrolment.page, enrolment.pool))
            if retires:
                self.log.append(("empty", pool))
            for stream in streams:
                ctx.set(stream.ready, rng.random() < 0.7)

    def tell(self, ctx):
        ctx.set(self.dut.valid, sum(1 << slot for slot in self.regions))


CARD = config(pages=16, region_pages=4)


@pytest.mark.parametrize("card", [CARD, config(pages=4, region_pages=1)], ids=["4", "1"])
def test_registers_in_two_passes(card):
    """All pages are renewed, then the region becomes valid, then its pages go on the ring."""
    dut = RegionLoader(card)
    around = Surroundings(dut, card)

    async def bench(ctx):
        assert ctx.get(dut.idle)
        for slot, pool in ((2, 3), (0, 1)):
            await put(ctx, dut.commands, {
                "slot": slot, "region": {"base": 0x77700 + slot, "pool": pool}})
        assert ctx.get(dut.idle)
        assert not ctx.get(dut.loading)
    simulate(dut, bench, background=[around.watch])
    expected = []
    for slot, pool in ((2, 3), (0, 1)):
        pages = range(slot * card.region_pages, (slot + 1) * card.region_pages)
        expected += [("write", slot, 0x77700 + slot, pool), *(("renew", page) for page in pages),
                     ("valid", slot), *(("enrol", page, pool) for page in pages)]
    assert around.log == expected


def test_says_which_slot_is_loading():
    dut = RegionLoader(CARD)

    async def bench(ctx):
        ctx.set(dut.commands.payload, {"slot": 3})
        ctx.set(dut.commands.valid, 1)
        await ctx.tick()
        assert ctx.get(dut.loading)
        assert ctx.get(dut.loading_slot) == 3
        assert not ctx.get(dut.idle)
    simulate(dut, bench)


def test_retires_all_regions_of_the_pool_and_no_other():
    dut = RegionLoader(CARD)
    pools = {0: 1, 1: 2, 3: 1}
    around = Surroundings(dut, CARD, 5, pools)

    async def bench(ctx):
        await put(ctx, dut.commands, {"retire": 1, "slot": 2, "region": {"pool": 1}})
    simulate(dut, bench, background=[around.watch],
             tables=[mirror(dut.slot, lambda slot: pools.get(slot, 1))])
    assert around.log == [
        ("invalid", 0), *(("retire page", page) for page in range(4)),
        ("invalid", 3), *(("retire page", page) for page in range(12, 16)), ("empty", 1)]


def test_regions_are_invalid_after_a_reset_in_mid_life():
    dut = RegionTable(CARD)
    part, clear = with_clear(dut)

    async def bench(ctx):
        ctx.set(dut.set_valid, 1)
        await ctx.tick()
        ctx.set(dut.set_valid, 0)
        assert ctx.get(dut.valid) == 1
        ctx.set(clear, 1)
        await ctx.tick()
        assert ctx.get(dut.valid) == 0
    simulate(part, bench)
