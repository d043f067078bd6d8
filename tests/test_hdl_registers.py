"""Every register of the contract through the whole card: reset values, access, refusals."""

from __future__ import annotations

import dataclasses
import random
from functools import cache

import pytest

from hdl_axi_lite import Manager
from hdl_streams import config, simulate
from pagering import abi
from pagering.abi import Access
from pagering_hdl.address_decoder import BLOCKS
from pagering_hdl.pool_registers import PoolRegisters
from pagering_hdl.top import Top

pytestmark = pytest.mark.slow  # each test simulates a whole card

CARD = config(queues=2, pools=2, pages=16, region_pages=4, chunk_bytes=1024, in_flight=4)
COUNTS = {"": 1, "regions": 4, "pools": 2, "queues": 2}
OKAY, SLVERR = 0, 2
CONSTANTS = {
    "CAP_CLOCK": CARD.clock_khz,
    "CAP_COUNTS": abi.CARD["CAP_COUNTS"].pack(queues=2, pools=2, regions=4),
    "CAP_SIZES": abi.CARD["CAP_SIZES"].pack(page_log2=12, chunk_log2=10, region_pages_log2=2,
                                            bus_log2=3),
    "CAP_LIMITS": abi.CARD["CAP_LIMITS"].pack(frame_bytes=1000, burst_bytes=256),
    "CAP_FEATURES": abi.CARD["CAP_FEATURES"].pack(header_split=1, pull_returns=1,
                                                     pool_watch=1, parser=1, steering=1,
                                                     statistics=1, timestamps=1),
    "STATUS of CARD": abi.CARD["STATUS"].pack(idle=1),
}


def copies():
    for block in BLOCKS.values():
        for index in range(COUNTS[block.count]):
            for register in block:
                yield block, index, register


def mask(register):
    return sum(field.mask for field in register.named)


class Card:
    """A card whose registers are written and read by name."""

    def __init__(self, ctx, bus):
        self.ctx, self.bus = ctx, bus

    async def read(self, block, name, index=0):
        value, response = await self.bus.read(self.ctx, block.address(name, index))
        assert response == OKAY
        return value

    async def write(self, block, name, value, index=0):
        assert await self.bus.write(self.ctx, block.address(name, index), value) == OKAY

    async def refused(self):
        return await self.read(abi.STATS, "FAULT_REGISTER_VALUE")

    async def until(self, block, name, field, index=0, value=1):
        while block[name].unpack(await self.read(block, name, index))[field] != value:
            await self.ctx.tick()


def run(body, **changes):
    top = Top(dataclasses.replace(CARD, **changes))

    async def bench(ctx):
        card = Card(ctx, Manager(top.ports))
        await card.until(abi.CARD, "STATUS", "resetting", value=0)
        await body(card)
    simulate(top, bench)


def test_reset_values():
    """After power-on, and again after a reset of a card whose every register was changed."""
    async def check(card):
        for block, index, register in copies():
            expected = CONSTANTS.get(
                register.name, CONSTANTS.get(f"{register.name} of {block.name}", register.reset))
            assert await card.read(block, register.name, index) == expected, register.name

    async def body(card):
        await check(card)
        for block, index, register in copies():
            if register.access is Access.RW and block is not abi.REGION:
                await card.write(block, register.name, 0x00010041, index)
        await card.write(abi.CARD, "RESET", 0)
        assert await card.read(abi.CARD, "SCRATCH") == 0x00010041
        await card.write(abi.CARD, "RESET", 1)
        assert abi.CARD["STATUS"].unpack(await card.read(abi.CARD, "STATUS"))["resetting"]
        await card.until(abi.CARD, "STATUS", "resetting", value=0)
        await check(card)
    run(body)


def test_every_rw_register_reads_back_masked():
    """Each copy keeps its own value. CONTROL, STEERING and RETURN_SIZE refuse some.

    What is a row of a table is in ``test_hdl_steer_registers``.
    """
    rng = random.Random(1)
    special = {("QUEUE", "CONTROL"), ("POOL", "CONTROL"), ("REGION", "REGION"),
               ("QUEUE", "RETURN_SIZE")}
    special |= {("STEER", register.name) for register in abi.STEER
                if not register.name.startswith(("FILTER", "MULTICAST"))}

    async def body(card):
        for pattern in (0xFFFFFFFF, 0, None):
            written = {}
            for block, index, register in copies():
                if register.access is not Access.RW or (block.name, register.name) in special:
                    continue
                value = rng.getrandbits(32) if pattern is None else pattern
                if register.name == "STEERING":
                    value = value & ~3 | value & 1
                await card.write(block, register.name, value, index)
                written[block, register.name, index] = value & mask(register)
            for (block, name, index), value in written.items():
                assert await card.read(block, name, index) == value, name
        assert await card.refused() == 0
    run(body)


def test_commands_read_as_zero():
    async def body(card):
        for block, index, register in copies():
            if register.access is Access.WO and register.name != "RESET":
                await card.write(block, register.name, 0x1FFFE, index)
                assert await card.read(block, register.name, index) == 0
    run(body)


def test_values_out_of_range_are_refused():
    async def body(card):
        refused = 0
        for block, name, value, index in (
                (abi.CARD, "STEERING", 3, 0), (abi.CARD, "STEERING", 0xFF, 0),
                (abi.POOL, "RETIRE", 0, 0), (abi.QUEUE, "RETURN_SIZE", 1, 1),
                (abi.QUEUE, "RETURN_SIZE", 3, 0), (abi.QUEUE, "RETURN_SIZE", 17, 0)):
            before = await card.read(block, name, index)
            await card.write(block, name, value, index)
            refused += name != "RETIRE"
            assert await card.read(block, name, index) == before
            assert await card.refused() == refused
        # A queue with a ring size or pool out of range is not enabled.
        for name, bad, good in (("RING_SIZE", 5, 6), ("RING_SIZE", 17, 16), ("POOL", 2, 1)):
            await card.write(abi.QUEUE, name, bad, 1)
            await card.write(abi.QUEUE, "CONTROL", 1, 1)
            refused += 1
            assert await card.refused() == refused
            assert await card.read(abi.QUEUE, "CONTROL", 1) == 0
            await card.write(abi.QUEUE, name, good, 1)
        await card.write(abi.QUEUE, "CONTROL", 1, 1)
        assert await card.read(abi.QUEUE, "CONTROL", 1) == 1
        assert await card.refused() == refused
        # While it runs, what it relies on is locked; its quota is not.
        for name in ("POOL", "RING_LOW", "RING_HIGH", "RING_SIZE", "RETURN_LOW", "RETURN_HIGH",
                     "RETURN_SIZE"):
            before = await card.read(abi.QUEUE, name, 1)
            await card.write(abi.QUEUE, name, 0x00007007, 1)
            refused += 1
            assert await card.read(abi.QUEUE, name, 1) == before
            assert await card.refused() == refused
        await card.write(abi.QUEUE, "QUOTA", 7, 1)
        assert await card.read(abi.QUEUE, "QUOTA", 1) == 7
        assert await card.read(abi.QUEUE, "QUOTA", 0) == abi.QUEUE["QUOTA"].reset
    run(body)


def test_where_a_return_ring_and_a_mirror_are_is_locked_while_in_use():
    async def body(card):
        for size in (0, 4, 16):
            await card.write(abi.QUEUE, "RETURN_SIZE", size | 0x100, 1)
            assert await card.read(abi.QUEUE, "RETURN_SIZE", 1) == size | 0x100
        for name in ("MIRROR_LOW", "MIRROR_HIGH"):
            await card.write(abi.POOL, name, 0x5009, 1)
            assert await card.read(abi.POOL, name, 1) == 0x5009
            assert await card.read(abi.POOL, name, 0) == 0
        await card.write(abi.POOL, "MIRROR_LOW", 0, 1)
        await card.write(abi.POOL, "CONTROL", 1, 1)
        for refused, name in enumerate(("MIRROR_LOW", "MIRROR_HIGH"), start=1):
            before = await card.read(abi.POOL, name, 1)
            await card.write(abi.POOL, name, 0x7008, 1)
            assert await card.read(abi.POOL, name, 1) == before
            assert await card.refused() == refused
    run(body)


def test_a_card_without_return_rings_and_mirrors_refuses_them():
    async def body(card):
        features = abi.CARD["CAP_FEATURES"].unpack(await card.read(abi.CARD, "CAP_FEATURES"))
        assert (features["pull_returns"], features["pool_watch"]) == (0, 0)
        refused = 0
        for block, name, value in ((abi.QUEUE, "RETURN_SIZE", 4), (abi.USER, "RETURN_PRODUCED", 0),
                                   (abi.POOL, "MIRROR_LOW", 1)):
            await card.write(block, name, value)
            refused += 1
            assert await card.refused() == refused
            assert await card.read(block, name) == 0
        for block, name in ((abi.QUEUE, "RETURN_SIZE"), (abi.POOL, "MIRROR_LOW")):
            await card.write(block, name, 0)
        assert await card.refused() == refused
        assert await card.read(abi.POOL, "OLDEST") == 0
    run(body, pull_returns=False, pool_watch=False)


def test_a_card_without_statistics_says_so():
    async def body(card):
        features = abi.CARD["CAP_FEATURES"].unpack(await card.read(abi.CARD, "CAP_FEATURES"))
        assert features["statistics"] == 0
        assert await card.read(abi.USER, "RX_PACKETS") == 0
    run(body, statistics=False)


@pytest.mark.parametrize("pool", [0, 1])
def test_each_pool_is_asked_for_the_age_as_well_as_for_the_page(pool):
    registers = PoolRegisters(CARD)

    async def bench(ctx):
        for word, name in enumerate(("OLDEST", "OLDEST_AGE")):
            ctx.set(registers.port.read_index, pool)
            ctx.set(registers.port.read_offset, abi.POOL.address(name, pool) & 0xFFF)
            assert ctx.get(registers.oldest.addr) == 2 * pool + word
    simulate(registers, bench)


@pytest.mark.parametrize("parser", [True, False])
def test_a_card_without_timestamps_has_no_clock_and_extends_only_what_a_parser_finds(parser):
    async def body(card):
        features = abi.CARD["CAP_FEATURES"].unpack(await card.read(abi.CARD, "CAP_FEATURES"))
        assert features["timestamps"] == 0
        await card.write(abi.CARD, "CLOCK_COMMAND", abi.ClockCommand.CAPTURE)
        assert await card.refused() == 1
        assert await card.read(abi.CARD, "CLOCK_LOW") == 0
        await card.write(abi.QUEUE, "FORMAT", 1, 1)
        assert await card.refused() == 2 - parser
        assert await card.read(abi.QUEUE, "FORMAT", 1) == parser
    run(body, timestamps=False, parser=parser, steering=False, header_split=False)


def test_a_card_without_steering_refuses_to_hash():
    async def body(card):
        features = abi.CARD["CAP_FEATURES"].unpack(await card.read(abi.CARD, "CAP_FEATURES"))
        assert [features[name] for name in ("header_split", "parser", "steering")] == [0, 0, 0]
        await card.write(abi.CARD, "STEERING", abi.SteeringMode.ROUND_ROBIN)
        await card.write(abi.CARD, "STEERING", abi.SteeringMode.RSS)
        assert await card.refused() == 1
        assert await card.read(abi.CARD, "STEERING") == abi.SteeringMode.ROUND_ROBIN
        for register in abi.STEER:
            address = abi.STEER.address(register.name)
            assert await card.bus.read(card.ctx, address) == (0, SLVERR)
            assert await card.bus.write(card.ctx, address, 1) == SLVERR
        assert await card.read(abi.STATS, "FAULT_REGISTER_ACCESS") == 2 * len(list(abi.STEER))
    run(body, parser=False, steering=False, header_split=False)


def test_start_and_drain():
    async def body(card):
        for block in (abi.POOL, abi.QUEUE):
            await card.write(block, "CONTROL", 1, 1)
            assert await card.read(block, "STATUS", 1) & 1 == 0
            await card.write(block, "CONTROL", 0, 1)
            await card.until(block, "STATUS", "drained", 1)
            assert await card.read(block, "CONTROL", 1) == 0
        assert await card.refused() == 0
    run(body)


def test_the_policy_changes_with_every_write_of_control():
    async def body(card):
        for value in (1, 3, 1, 3, 2):
            await card.write(abi.POOL, "CONTROL", value, 1)
            assert await card.read(abi.POOL, "CONTROL", 1) == value
        assert await card.read(abi.POOL, "CONTROL", 0) == 0
    run(body)


def test_regions():
    """Registered, counted, refused when in use or misaligned, and retired with their pool."""
    def region(pool, address, valid=1):
        return abi.REGION["REGION"].pack(valid=valid, pool=pool, address=address >> 12)

    async def body(card):
        await card.write(abi.CARD, "REGION_HIGH", 0x12)
        await card.write(abi.REGION, "REGION", region(1, 0x40000), 2)
        await card.until(abi.REGION, "REGION", "loading", 2, 0)
        assert await card.read(abi.REGION, "REGION", 2) == region(1, 0x40000)
        assert await card.read(abi.POOL, "REGISTERED", 1) == 4
        assert await card.read(abi.POOL, "FREE", 1) == 4
        for value, fault, slot in (
                (region(1, 0x80000), "REGION_REFUSED", 2),
                (region(2, 0x80000), "REGION_REFUSED", 1),
                (region(1, 0x80000, 0), "REGION_REFUSED", 1),
                (region(1, 0x41000), "REGION_ALIGNMENT", 1)):
            before = await card.read(abi.STATS, f"FAULT_{fault}")
            await card.write(abi.REGION, "REGION", value, slot)
            assert await card.read(abi.STATS, f"FAULT_{fault}") == before + 1
        assert await card.read(abi.REGION, "REGION", 1) == 0
        await card.write(abi.POOL, "CONTROL", 1, 1)
        await card.write(abi.POOL, "RETIRE", 1, 1)
        assert await card.refused() == 1
        await card.write(abi.POOL, "CONTROL", 0, 1)
        await card.until(abi.POOL, "STATUS", "drained", 1)
        await card.write(abi.POOL, "RETIRE", 1, 1)
        await card.until(abi.REGION, "REGION", "valid", 2, 0)
        await card.until(abi.POOL, "REGISTERED", "pages", 1, 0)
        assert await card.read(abi.POOL, "FREE", 1) == 0
        assert await card.read(abi.REGION, "REGION", 2) == 0
    run(body)


def test_events_are_sticky_and_cleared_bit_by_bit():
    async def body(card):
        assert await card.read(abi.CARD, "EVENTS") == 0
        # A pool that runs dry is low at once; a refused write is a fault.
        await card.write(abi.POOL, "CONTROL", 1, 0)
        await card.write(abi.CARD, "STEERING", 3)
        await card.until(abi.CARD, "EVENTS", "low_water")
        for _ in range(3):
            assert await card.read(abi.CARD, "EVENTS") & 3 == 3
        assert await card.read(abi.CARD, "LOW_WATER_0") == 1
        await card.write(abi.CARD, "EVENTS", 2)
        assert await card.read(abi.CARD, "EVENTS") == 1
        await card.write(abi.CARD, "EVENTS", 1)
        assert await card.read(abi.CARD, "EVENTS") == 0
    run(body)


@pytest.mark.parametrize(("enable", "raised"), [(0, 0), (1, 1), (2, 0), (7, 1)])
def test_the_last_interrupt_is_for_enabled_events(enable, raised):
    top = Top(CARD)

    async def bench(ctx):
        card = Card(ctx, Manager(top.ports))
        await card.until(abi.CARD, "STATUS", "resetting", value=0)
        await card.write(abi.CARD, "EVENT_ENABLE", enable)
        await card.write(abi.POOL, "CONTROL", 1, 1)
        await ctx.tick().repeat(20)
        assert ctx.get(top.ports["irq"]) == raised << 2
        assert ctx.get(top.ports["pause_req"]) == 1
        await card.write(abi.CARD, "EVENTS", 1)
        await ctx.tick().repeat(5)
        assert ctx.get(top.ports["irq"]) == 0
    simulate(top, bench)


@cache
def _addresses():
    return {block.address(register.name, index) for block, index, register in copies()}


def test_every_register_has_an_address_of_its_own():
    assert len(_addresses()) == len(list(copies()))
