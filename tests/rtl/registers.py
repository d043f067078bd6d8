"""Registers: what is refused moves one fault counter, and what is wrong on the bus is reported."""

from __future__ import annotations

import random
import struct

import cocotb
import pytest
from cocotb.handle import HierarchyObject
from cocotbext.axi import AxiResp

from pagering import abi
from pagering.abi import Access, Fault
from pagering.errors import CardError
from pagering_tb.axi_slave import random_pauses

from .rig import Rig


async def opened(dut: HierarchyObject, **options: int) -> Rig:
    rig = Rig(dut, **options)
    await rig.start()
    await rig.open((1,))
    return rig


async def fault_count(rig: Rig, fault: Fault) -> int:
    return await rig.get(abi.STATS, f"FAULT_{fault.name}")


async def works(rig: Rig) -> None:
    data = rig.frame(500)
    await rig.send(data)
    await rig.queues[0].take()
    await rig.flush()
    assert rig.queues[0].frames[-1] == data
    assert not rig.queues[0].errors[-1]


def every_register(rig: Rig) -> list[tuple[abi.Block, abi.Register, int]]:
    cfg = rig.config
    counts = {"": 1, "regions": cfg.regions, "pools": cfg.pools, "queues": cfg.queues}
    return [(block, register, index) for block in abi.BLOCKS
            for index in sorted({0, counts[block.count] - 1}) for register in block]


@cocotb.test()
async def registers_read_their_reset_values(dut: HierarchyObject) -> None:
    rig = Rig(dut)
    await rig.start()
    for block, register, index in every_register(rig):
        if register.name.startswith("CAP_") or register.name == "STATUS":
            continue
        value = await rig.get(block, register.name, index)
        assert value == (0 if register.access is Access.WO else register.reset), register.name
    assert await rig.get(abi.QUEUE, "STATUS") == abi.QUEUE["STATUS"].reset
    assert await rig.get(abi.POOL, "STATUS") == abi.POOL["STATUS"].reset
    cfg, unpack = rig.config, lambda name, word: abi.CARD[name].unpack(word)
    assert unpack("CAP_COUNTS", await rig.get(abi.CARD, "CAP_COUNTS")) == {
        "queues": cfg.queues, "pools": cfg.pools, "regions": cfg.regions}
    assert unpack("CAP_SIZES", await rig.get(abi.CARD, "CAP_SIZES")) == {
        "page_log2": cfg.page_log2, "chunk_log2": cfg.chunk_log2,
        "region_pages_log2": cfg.region_pages_log2, "bus_log2": cfg.bus_log2}
    assert unpack("CAP_LIMITS", await rig.get(abi.CARD, "CAP_LIMITS")) == {
        "frame_bytes": cfg.max_frame, "burst_bytes": cfg.burst_bytes}


@cocotb.test()
async def a_write_to_a_read_only_register_is_refused(dut: HierarchyObject) -> None:
    rig = await opened(dut)
    count = 0
    for block, register, index in every_register(rig):
        if register.access is Access.RO:
            before = None if register.name == "FAULT_REGISTER_ACCESS" else await rig.get(
                block, register.name, index)
            await rig.poke(block.address(register.name, index), 0xFFFF_FFFF)
            await rig.flush()
            count += 1
            assert before in (None, await rig.get(block, register.name, index))
    assert await rig.faults() == {"REGISTER_ACCESS": count}
    assert rig.bench.transport.write_errors == count
    await works(rig)


@cocotb.test()
async def an_access_to_no_register_is_answered_with_an_error(dut: HierarchyObject) -> None:
    rig = await opened(dut)
    cfg = rig.config
    nowhere = [0x44, 0x3FC, 0x800, 0xFFC, abi.POOL.base + 0x34,
               abi.QUEUE.base + 0x7C, abi.USER.base + 0x14, abi.USER.base + 0x7FC]
    if cfg.regions < abi.REGION_SLOTS_MAX:
        nowhere.append(abi.REGION.address("REGION", cfg.regions))
    if cfg.pools < abi.POOLS_MAX:
        nowhere.append(abi.POOL.address("CONTROL", cfg.pools))
    if cfg.queues < abi.QUEUES_MAX:
        nowhere += [abi.QUEUE.address("CONTROL", cfg.queues),
                    abi.USER.address("ARM", cfg.queues), rig.window(cfg.queues)]
    for offset in nowhere:
        await rig.poke(offset, 0xFFFF_FFFF)
        with pytest.raises(CardError, match="SLVERR"):
            await rig.bench.transport.read32_async(offset)
    with pytest.raises(CardError, match="SLVERR"):
        await rig.bench.transport.read32_async(rig.window(0))
    assert await rig.faults() == {"REGISTER_ACCESS": 2 * len(nowhere) + 1}
    await works(rig)


@cocotb.test()
async def a_write_of_less_than_a_word_changes_nothing(dut: HierarchyObject) -> None:
    rig = await opened(dut)
    bus = rig.bench.transport._bus
    await rig.poke(abi.CARD.address("SCRATCH"), 0x01020304)
    await rig.flush()
    parts = [(0, 1), (1, 1), (3, 1), (0, 2), (2, 2), (1, 3)]
    for at, size in parts:
        answer = await bus.write(abi.CARD.address("SCRATCH") + at, b"\xFF" * size)
        assert answer.resp == AxiResp.SLVERR
    assert await rig.get(abi.CARD, "SCRATCH") == 0x01020304
    await bus.write(rig.window(0) + 2, struct.pack("<H", 0))
    assert await rig.faults() == {"REGISTER_ACCESS": len(parts) + 1}
    await works(rig)


@cocotb.test()
async def region_requests_are_checked(dut: HierarchyObject) -> None:
    rig = await opened(dut)
    cfg = rig.config
    levels = await rig.levels()
    pages = 1 << cfg.region_log2 - 12
    for address in {1, pages // 2 or 1, pages - 1 or 1}:
        if pages > 1:
            await rig.write(abi.REGION, "REGION", 1, valid=1, pool=0, address=address)
    await rig.flush()
    misaligned = (await rig.faults()).pop("REGION_ALIGNMENT")
    assert misaligned == len({1, pages // 2 or 1, pages - 1 or 1})
    await rig.write(abi.REGION, "REGION", 0, valid=1, pool=0, address=0)
    await rig.write(abi.REGION, "REGION", 1, valid=0, pool=0, address=0)
    await rig.write(abi.REGION, "REGION", 0, valid=0, pool=0, address=0)
    refused = 3
    if cfg.pools < 64:
        await rig.write(abi.REGION, "REGION", 1, valid=1, pool=cfg.pools, address=0)
        refused += 1
    await rig.flush()
    assert await rig.faults() == {"REGION_ALIGNMENT": misaligned, "REGION_REFUSED": refused}
    # A slot that is being loaded is in use.
    await rig.register(1, 0, wait=False)
    await rig.write(abi.REGION, "REGION", 1, valid=1, pool=0, address=0)
    await rig.flush()
    assert await fault_count(rig, Fault.REGION_REFUSED) == refused + 1
    after = await rig.levels()
    assert after.pop("REGISTERED 0") == 2 * cfg.region_pages
    assert after.pop("FREE 0") == 2 * cfg.region_pages
    assert after.items() <= levels.items()
    await works(rig)


@cocotb.test()
async def values_out_of_range_and_commands_at_the_wrong_time_are_refused(
        dut: HierarchyObject) -> None:
    rig = await opened(dut)
    cfg = rig.config

    async def refused(block: abi.Block, name: str, index: int = 0, **fields: int) -> None:
        levels, count = await rig.levels(), await fault_count(rig, Fault.REGISTER_VALUE)
        before = await rig.get(block, name, index)
        await rig.write(block, name, index, **fields)
        await rig.flush()
        assert await fault_count(rig, Fault.REGISTER_VALUE) == count + 1, f"{name} {fields}"
        assert await rig.get(block, name, index) == before
        assert await rig.levels() == levels

    await refused(abi.CARD, "STEERING", mode=3)
    await refused(abi.POOL, "RETIRE", retire=1)
    for name in ("POOL", "RING_LOW", "RING_HIGH", "RING_SIZE"):
        await refused(abi.QUEUE, name, 0)
    await rig.write(abi.QUEUE, "CONTROL", 1, enable=0)
    await rig.flush()
    for log2 in (0, 5, 17, 31):
        await rig.write(abi.QUEUE, "RING_SIZE", 1, log2=log2)
        await refused(abi.QUEUE, "CONTROL", 1, enable=1)
    await rig.write(abi.QUEUE, "RING_SIZE", 1, log2=6)
    if cfg.pools < 64:
        await rig.write(abi.QUEUE, "POOL", 1, index_=cfg.pools)
        await refused(abi.QUEUE, "CONTROL", 1, enable=1)
        await rig.write(abi.QUEUE, "POOL", 1, index_=0)
    await rig.write(abi.QUEUE, "CONTROL", 1, enable=1)
    await rig.flush()
    assert await rig.get(abi.QUEUE, "CONTROL", 1) == 1
    await works(rig)
    assert set(await rig.faults()) == {"REGISTER_VALUE"}


@cocotb.test()
async def enabling_and_setting_while_draining_is_refused(dut: HierarchyObject) -> None:
    rig = await opened(dut, latency=400)
    for block, name in ((abi.QUEUE, "queue"), (abi.POOL, "pool")):
        await rig.bench.send([rig.frame(1000)])
        while rig.bench.port.idle:
            # A fence that comes before the frame is admitted would find nothing to wait for.
            await rig.bench.cycles(1)
        await rig.write(block, "CONTROL", 0, enable=0)
        await rig.write(block, "CONTROL", 0, **({"policy": 1} if block is abi.POOL else {}),
                        enable=1)
        refusals = 1
        if block is abi.QUEUE:
            await rig.write(block, "RING_SIZE", 0, log2=9)
            refusals += 1
        else:
            await rig.write(block, "RETIRE", 0, retire=1)
            refusals += 1
        assert await rig.get(block, "STATUS") & 1 == 0, f"{name} has a write under way"
        assert await rig.get(block, "CONTROL") == 0
        assert await fault_count(rig, Fault.REGISTER_VALUE) == refusals
        await rig.settle()
        assert await rig.get(block, "STATUS") & 1
        await rig.queues[0].take()
        if block is abi.QUEUE:
            await rig.queues[0].enable()
        else:
            await rig.write(block, "CONTROL", 0, enable=1)
        await rig.flush()
        assert await fault_count(rig, Fault.REGISTER_VALUE) == refusals
        await rig.write(abi.CARD, "RESET", reset=0)
        await works(rig)
        if block is abi.QUEUE:
            # A fresh count for the pool's turn.
            await rig.write(abi.CARD, "RESET", reset=1)
            await rig.ready()
            rig.queues.clear()
            await rig.open((1,))
    await rig.check({"REGISTER_VALUE": 2})


@cocotb.test()
async def an_error_on_a_data_burst_marks_that_frame_only(dut: HierarchyObject) -> None:
    rig = await opened(dut, latency=40)
    ring = rig.queues[0].ring
    frames = [rig.frame(700) for _ in range(6)]
    rule = rig.bench.port.inject_error(
        lambda address: not ring.address <= address < ring.end and rig.bench.port.bursts >= 7)
    for response in (2, 3):
        rule.response, rule.remaining = response, 1
        rig.bench.port.bursts = 0
        await rig.bench.send(frames)
        await rig.settle()
        rig.queues[0].poll()
        got = rig.queues[0].frames[-6:]
        bad = rig.queues[0].errors[-6:]
        assert sum(bad) == 1
        assert all(one == two for one, two, wrong in zip(frames, got, bad, strict=True)
                   if not wrong)
    assert await rig.faults() == {"DATA_WRITE": 2}
    assert await rig.get(abi.CARD, "EVENTS") == 1 << abi.Event.FAULT | 1 << abi.Event.WRITE_ERROR
    await rig.queues[0].take()
    await rig.flush()
    assert await rig.get(abi.STATS, "RETURNS") == 12
    await works(rig)
    await rig.check({"DATA_WRITE": 2})


@cocotb.test()
async def an_error_on_a_completion_is_counted_and_nothing_hangs(dut: HierarchyObject) -> None:
    rig = await opened(dut)
    ring = rig.queues[0].ring
    rig.bench.port.inject_error(lambda address: ring.address <= address < ring.end)
    await rig.send(rig.frame(100))
    assert await rig.faults() == {"COMPLETION_WRITE": 1}
    assert await rig.get(abi.STATS, "FRAMES_DELIVERED") == 1
    assert await rig.get(abi.CARD, "EVENTS") == 1 << abi.Event.FAULT | 1 << abi.Event.WRITE_ERROR
    assert rig.queues[0].poll() == []
    # The host learns of it by the event; it takes the queue down and up again.
    await rig.write(abi.QUEUE, "CONTROL", 0, enable=0)
    await rig.settle()
    await rig.queues[0].enable()
    await rig.flush()
    await works(rig)
    await rig.check({"COMPLETION_WRITE": 1})


@cocotb.test()
async def registers_answer_rightly_at_any_pace_of_the_bus(dut: HierarchyObject) -> None:
    rig = await opened(dut)
    bus = rig.bench.transport._bus
    channels = (bus.write_if.aw_channel, bus.write_if.w_channel, bus.write_if.b_channel,
                bus.read_if.ar_channel, bus.read_if.r_channel)
    for number, channel in enumerate(channels):
        channel.set_pause_generator(random_pauses(random.Random(number), 0.7))
    rig.host(0)
    await rig.bench.send([rig.frame(64) for _ in range(10)])
    for _ in range(60):
        values = [rig.rng.getrandbits(32) for _ in range(3)]
        limits, quota = rig.rng.randrange(1 << 17), rig.rng.randrange(1 << 17)
        for value in values:
            await rig.write(abi.CARD, "SCRATCH", value=value)
        await rig.write(abi.POOL, "LIMIT", 1, pages=limits)
        await rig.write(abi.QUEUE, "QUOTA", 3, pages=quota)
        assert await rig.get(abi.CARD, "SCRATCH") == values[-1]
        assert await rig.get(abi.POOL, "LIMIT", 1) == limits
        assert await rig.get(abi.QUEUE, "QUOTA", 3) == quota
        assert await rig.get(abi.CARD, "ID") == abi.ID_VALUE
        # A write and a read at the same time, of registers of different blocks.
        write = bus.init_write(abi.CARD.address("SCRATCH"), struct.pack("<I", 7))
        read = await bus.read(abi.POOL.address("LIMIT", 1), 4)
        await write.wait()
        assert int.from_bytes(read.data, "little") == limits
    await rig.settle()
    await rig.stop_hosts()
    assert len(rig.queues[0].frames) == 10
    await rig.check()
