"""BlockFinder, AccessRights, RegisterWindow: what the contract says there is and is refused."""

from __future__ import annotations

import random

import pytest
from amaranth.hdl import Module

from hdl_axi_lite import Manager
from hdl_streams import clocked, collect, config, simulate
from pagering import abi
from pagering_hdl.address_decoder import BLOCKS, AccessRights, BlockFinder
from pagering_hdl.register_window import RegisterWindow

CARD = config(queues=3, pools=2, pages=32, region_pages=8)
COUNTS = {"": 1, "regions": 4, "pools": 2, "queues": 3}
OKAY, SLVERR = 0, 2
SHOWN = {"user": "RX_PACKETS", "region": "REGION", "steer": "RSS", "stats": "FRAMES_IN"}
"""A register of each block that the block itself answers; else it is STATUS."""


def contract():
    """Return what the contract says of every address that means something."""
    known = {}
    for name, block in BLOCKS.items():
        for index in range(COUNTS[block.count]):
            for register in block:
                known[block.address(register.name, index)] = (
                    name, index, True, register.access is not abi.Access.RO,
                    register.access is abi.Access.WO)
    for queue in range(3):
        base = abi.USER.base + abi.USER.stride * queue
        for offset in range(abi.RETURN_WINDOW, abi.RETURN_WINDOW + abi.RETURN_WINDOW_BYTES, 4):
            known[base + offset] = ("user", queue, False, True, False)
    return known


def test_decodes_what_the_contract_says_and_nothing_else():
    m, known = Module(), contract()
    m.submodules.finder, m.submodules.dut = finder, dut = BlockFinder(), AccessRights(CARD)
    m.d.comb += [dut.blocks.eq(finder.blocks), dut.index.eq(finder.index),
                 dut.offset.eq(finder.address)]
    rng = random.Random(1)
    addresses = {*range(0, 0x1100, 4), *range(0x2000, 0x2100, 4), *range(0x3000, 0x3020, 4),
                 *(known if len(known) < 400 else rng.sample(sorted(known), 400)),
                 *(address + rng.randrange(1, 4) for address in rng.sample(sorted(known), 100)),
                 *(rng.randrange(1 << 20) for _ in range(300)),
                 0x8000, 0x8008, 0x9000, 0x9FFC, 0xFFFFC, 0x3FFC, 0x37FC}

    async def bench(ctx):
        for address in sorted(addresses):
            ctx.set(finder.address, address)
            flags = ctx.get(dut.readable), ctx.get(dut.writable)
            if address not in known:
                assert flags == (0, 0), hex(address)
                continue
            name, index, readable, writable, command = known[address]
            assert ctx.get(dut.command) == command
            assert flags == (readable, writable), hex(address)
            assert ctx.get(finder.blocks) == 1 << list(BLOCKS).index(name)
            assert ctx.get(finder.index) == index * (COUNTS[BLOCKS[name].count] > 1)
    simulate(clocked(m), bench)


def test_a_card_without_steering_has_no_registers_of_it():
    dut = AccessRights(config(steering=False, header_split=False))

    async def bench(ctx):
        for name, readable in (("steer", 0), ("stats", 1)):
            ctx.set(dut.blocks, 1 << list(BLOCKS).index(name))
            for register in BLOCKS[name]:
                ctx.set(dut.offset, register.offset)
                assert ctx.get(dut.readable) == readable
                assert not ctx.get(dut.writable)
    simulate(clocked(dut), bench)


def window():
    dut = RegisterWindow(CARD)
    return dut, Manager(dut.bus)


async def be_ready(ctx, dut):
    for name in BLOCKS:
        ctx.set(getattr(dut, name).ready, 1)


def watch(dut, into):
    """Note every write that reaches a block."""
    async def bench(ctx):
        ports = [getattr(dut, name) for name in BLOCKS]
        ticks = ctx.tick().sample(*(port.write & port.ready for port in ports),
                                  ports[0].write_index, ports[0].write_offset, ports[0].data)
        async for _, _, *writes, index, offset, value in ticks:
            for name, written in zip(BLOCKS, writes, strict=True):
                if written:
                    into.append((name, index, offset, value))
    return bench


def test_reads_answer_from_the_block_that_is_asked():
    dut, bus = window()
    asked, expected = [], []

    async def bench(ctx):
        for number, name in enumerate(BLOCKS):
            ctx.set(getattr(dut, name).value, 0x1000 + number)
        for number, (name, block) in enumerate(BLOCKS.items()):
            register = block[SHOWN.get(name, "STATUS")]
            index = COUNTS[block.count] - 1
            assert await bus.read(ctx, block.address(register.name, index)) == (
                0x1000 + number, OKAY)
            expected.append((name, index, block.address(register.name, index) & 0xFFF))

    async def watch_reads(ctx):
        ports = [getattr(dut, name) for name in BLOCKS]
        ticks = ctx.tick().sample(*(port.read for port in ports), ports[0].read_index,
                                  ports[0].read_offset)
        async for _, _, *reads, index, offset in ticks:
            asked.extend((name, index, offset)
                         for name, read in zip(BLOCKS, reads, strict=True) if read)
    simulate(dut, bench, background=[watch_reads])
    assert asked == expected


@pytest.mark.parametrize("block", [abi.CARD, abi.POOL, abi.QUEUE])
def test_a_command_reads_as_zero_whatever_its_block_says(block):
    dut, bus = window()

    async def bench(ctx):
        ctx.set(getattr(dut, block.name.lower()).value, 5)
        for register in block:
            if register.access is abi.Access.WO:
                assert await bus.read(ctx, block.address(register.name)) == (0, OKAY)
    simulate(dut, bench)


def test_what_the_host_sets_reads_back_unless_it_was_refused():
    dut, bus = window()

    async def bench(ctx):
        await be_ready(ctx, dut)
        for value, refused in ((0x1234_5678, 0), (0xFFFF_FFFF, 1), (0x9ABC_DEF0, 0), (0, 1)):
            ctx.set(dut.refused, refused)
            for address in (abi.CARD.address("SCRATCH"), abi.POOL.address("LOW_WATER", 1),
                            abi.QUEUE.address("RING_HIGH", 2)):
                before, _ = await bus.read(ctx, address)
                assert await bus.write(ctx, address, value) == OKAY
                assert await bus.read(ctx, address) == (before if refused else value, OKAY)
        assert await bus.read(ctx, abi.QUEUE.address("RING_HIGH", 1)) == (0, OKAY)
    simulate(dut, bench)


def test_writes_reach_their_block_once():
    dut, bus = window()
    seen, expected = [], []

    async def bench(ctx):
        await be_ready(ctx, dut)
        for name, block in BLOCKS.items():
            for register in block:
                if register.access is abi.Access.RO:
                    continue
                index = COUNTS[block.count] - 1
                address = block.address(register.name, index)
                assert await bus.write(ctx, address, len(seen)) == OKAY
                expected.append((name, index, address & 0xFFF, len(expected)))
        assert await bus.write(ctx, 0x3FFC, 77) == OKAY
        expected.append(("user", 0, 0xFFC, 77))
    simulate(dut, bench, background=[watch(dut, seen)])
    assert seen == expected


@pytest.mark.parametrize(("access", "address", "strobe"), [
    ("write", abi.CARD.address("ID"), 15), ("write", abi.CARD.address("SCRATCH"), 7),
    ("write", abi.CARD.address("SCRATCH"), 0), ("write", abi.CARD.address("SCRATCH") + 2, 15),
    ("write", 0xFF0, 15), ("write", abi.POOL.address("LIMIT", 2), 15),
    ("write", abi.QUEUE.address("QUOTA", 3), 15), ("write", 0x3802, 15), ("write", 0x3014, 15),
    ("write", abi.USER.address("CONSUMED", 3), 15), ("write", 0x9800, 15), ("read", 0xFF0, 15),
    ("read", 0x3800, 15), ("read", abi.POOL.address("LIMIT", 2), 15), ("read", 0xFFFFC, 15),
    ("write", abi.REGION.address("REGION", 4), 15), ("read", 0x2003, 15)])
def test_refuses(access, address, strobe):
    """SLVERR, nothing written, one REGISTER_ACCESS."""
    dut, bus = window()
    writes, refusals = [], []

    async def bench(ctx):
        await be_ready(ctx, dut)
        for name in BLOCKS:
            ctx.set(getattr(dut, name).value, 0xFFFF)
        if access == "write":
            assert await bus.write(ctx, address, 1, strobe) == SLVERR
        else:
            assert await bus.read(ctx, address) == (0, SLVERR)
        await ctx.tick()
    simulate(dut, bench, background=[watch(dut, writes), collect(dut.refusal, refusals)])
    assert writes == []
    assert [refusal["fault"] for refusal in refusals] == [abi.Fault.REGISTER_ACCESS]


def test_a_write_waits_for_its_block():
    dut, bus = window()
    seen = []

    async def bench(ctx):
        assert await bus.write(ctx, 0x3800, 5) == OKAY
        assert seen == [("user", 0, 0x800, 5)]

    async def block(ctx):
        await ctx.tick().repeat(10)
        assert ctx.get(dut.user.write)
        assert not ctx.get(dut.bus.bvalid)
        ctx.set(dut.user.ready, 1)
    simulate(dut, bench, block, background=[watch(dut, seen)])


def test_a_read_waits_for_its_block_and_asks_for_as_long():
    dut, bus = window()
    answers = []

    async def bench(ctx):
        await be_ready(ctx, dut)
        ctx.set(dut.stats.answered, 0)
        for name in ("RETURNS", "RETURNS_HIGH"):
            answer = await bus.read(ctx, abi.STATS.address(name))
            answers.append(answer)
        assert not ctx.get(dut.stats.read)

    async def block(ctx):
        for value, offset in ((7, "RETURNS"), (8, "RETURNS_HIGH")):
            await ctx.tick().until(dut.stats.read)
            assert ctx.get(dut.stats.read_offset) == abi.STATS[offset].offset
            await ctx.tick().repeat(5)
            assert ctx.get(dut.stats.read)
            assert not ctx.get(dut.bus.rvalid)
            ctx.set(dut.stats.value, value)
            ctx.set(dut.stats.answered, 1)
            await ctx.tick()
            ctx.set(dut.stats.answered, 0)
    simulate(dut, bench, block)
    assert answers == [(7, OKAY), (8, OKAY)]


def test_in_a_reset_only_the_cards_page_is_there():
    dut, bus = window()
    writes, refusals = [], []

    async def bench(ctx):
        await be_ready(ctx, dut)
        ctx.set(dut.closed, 1)
        for name in BLOCKS:
            ctx.set(getattr(dut, name).value, 9)
        for name, block in BLOCKS.items():
            register = next((r for r in block if r.access is not abi.Access.RO), None)
            if register is not None:
                assert await bus.write(ctx, block.address(register.name), 1) == OKAY
            address = block.address(SHOWN.get(name, "STATUS"))
            assert await bus.read(ctx, address) == (9 if name == "card" else 0, OKAY)
        assert await bus.read(ctx, abi.POOL.address("LIMIT")) == (0, OKAY)
    simulate(dut, bench, background=[watch(dut, writes), collect(dut.refusal, refusals)])
    assert [name for name, *_ in writes] == ["card"]
    assert refusals == []


def test_responses_wait_and_stay():
    """A manager that takes its time sees the same answer; reads and writes do not disturb it."""
    dut, _ = window()

    async def bench(ctx):
        bus = dut.bus
        await be_ready(ctx, dut)
        ctx.set(dut.card.value, 0x1234)
        for signal in (bus.awvalid, bus.wvalid, bus.arvalid):
            ctx.set(signal, 1)
        ctx.set(bus.wstrb, 15)
        ctx.set(bus.awaddr, abi.POOL.address("STATUS"))
        ctx.set(bus.araddr, abi.CARD.address("STATUS"))
        await ctx.tick().repeat(12)
        for _ in range(5):
            ctx.set(dut.card.value, 0)
            assert ctx.get(bus.bvalid & bus.rvalid)
            assert ctx.get(bus.bresp).value == SLVERR
            assert ctx.get(bus.rdata) == 0x1234
            assert not ctx.get(bus.awready | bus.wready | bus.arready)
            await ctx.tick()
    simulate(dut, bench)


@pytest.mark.parametrize("first", ["aw", "w"])
def test_address_and_data_may_come_apart(first):
    dut, _ = window()
    seen = []

    async def bench(ctx):
        bus = dut.bus
        await be_ready(ctx, dut)
        ctx.set(bus.wstrb, 15)
        ctx.set(bus.awaddr, abi.CARD.address("SCRATCH"))
        ctx.set(bus.bready, 1)
        ctx.set(getattr(bus, f"{first}valid"), 1)
        await ctx.tick().repeat(4)
        assert seen == []
        assert not ctx.get(bus.bvalid)
        ctx.set(bus.awvalid, 1)
        ctx.set(bus.wvalid, 1)
        await ctx.tick()
        ctx.set(bus.awvalid, 0)
        ctx.set(bus.wvalid, 0)
        await ctx.tick().until(bus.bvalid)
        await ctx.tick().repeat(2)
        assert len(seen) == 1
    simulate(dut, bench, background=[watch(dut, seen)])


def answers(dut, into):
    """Note every response to a write."""
    async def bench(ctx):
        ticks = ctx.tick().sample(dut.bus.bvalid & dut.bus.bready, dut.bus.bresp)
        async for _, _, answered, response in ticks:
            if answered:
                into.append(getattr(response, "value", response))
    return bench


@pytest.mark.parametrize("waits", [False, True])
def test_a_write_a_cycle_and_none_lost_while_its_block_waits(waits):
    dut, _ = window()
    seen, answered = [], []

    async def bench(ctx):
        bus = dut.bus
        ctx.set(dut.user.ready, 1)
        for name in ("bready", "awvalid", "wvalid"):
            ctx.set(getattr(bus, name), 1)
        ctx.set(bus.wstrb, 15)
        for number in range(40):
            ctx.set(bus.awaddr, 0x3800 + 4 * number)
            ctx.set(bus.wdata, number)
            assert waits or ctx.get(bus.awready & bus.wready)
            await ctx.tick().until(bus.awready & bus.wready)
        for name in ("awvalid", "wvalid"):
            ctx.set(getattr(bus, name), 0)
        while len(answered) < 40:
            await ctx.tick()

    async def block(ctx):
        rng = random.Random(1)
        while waits:
            ctx.set(dut.user.ready, rng.random() < 0.5)
            await ctx.tick()
    simulate(dut, bench, background=[block, watch(dut, seen), answers(dut, answered)])
    assert seen == [("user", 0, 0x800 + 4 * number, number) for number in range(40)]
    assert answered == [OKAY] * 40
