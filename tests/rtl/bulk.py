"""The fast models of ``pagering_tb.bulk_ports`` beside those of cocotbext-axi.

The same frames go through the same card with either; each run writes down what the card put where,
and ``tests/test_rtl_bulk.py`` compares.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.handle import HierarchyObject
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiStreamBus, AxiStreamFrame, AxiStreamMonitor

from pagering import abi
from pagering_tb.axi_slave import Stalls
from pagering_tb.bulk_memory import BulkBurst
from pagering_tb.bulk_ports import BulkPorts
from pagering_tb.bulk_wire import WireFrame
from pagering_tb.host_memory import HostMemory

from .rig import Rig, config

OUTPUT = "PAGERING_BULK_OUTPUT"
LATENCY = 9
RING_LOG2 = 10
Write = Callable[[int, int], Awaitable[None]]
Read = Callable[[int], Awaitable[int]]


def frames() -> list[WireFrame]:
    """Return the frames of the test, some bad, some malformed."""
    rng = random.Random(5)
    lengths = [rng.choice((1, 60, 64, 65, 256, rng.randint(1, 300), rng.randint(1, 5000)))
               for _ in range(120)]
    return [WireFrame(rng.randbytes(length), rng.random() < 0.1, length > 2 and rng.random() < 0.1)
            for length in lengths]


async def bring_up(write: Write, read: Read, memory: HostMemory) -> dict[str, memoryview]:
    """Set up one queue over two regions; return all memory that the card may write to."""
    cfg = config()
    ring = memory.allocate(abi.COMPLETION_BYTES << RING_LOG2)
    blocks = {"ring": ring.view}
    for slot in range(4):
        size = 1 << cfg.region_log2
        block = memory.allocate(size, size)
        blocks[f"region {slot}"] = block.view
        await write(abi.CARD.address("REGION_HIGH"), block.address >> 32)
        await write(abi.REGION.address("REGION", slot), abi.REGION["REGION"].pack(
            valid=1, address=block.address >> 12 & 0xFFFFF))
        while await read(abi.REGION.address("REGION", slot)) & 3 != 1:
            pass
    await write(abi.POOL.address("CONTROL"), 1)
    await write(abi.QUEUE.address("RING_LOW"), ring.address & 0xFFFF_F000)
    await write(abi.QUEUE.address("RING_HIGH"), ring.address >> 32)
    await write(abi.QUEUE.address("RING_SIZE"), RING_LOG2)
    await write(abi.QUEUE.address("CONTROL"), 1)
    await write(abi.CARD.address("CONTROL"), 1)
    await read(abi.CARD.address("STATUS"))
    return blocks


async def note(read: Read, blocks: dict[str, memoryview], bursts: int, beats: int,
               **more: Any) -> None:
    """Write down what there is to compare."""
    counters = {counter.name: await read(abi.STATS.address(counter.name))
                for counter in abi.COUNTERS
                if counter.name not in ("PAUSES", "PAUSE_CYCLES", "WRITE_BURSTS")}  # of the timing
    Path(os.environ[OUTPUT]).write_text(json.dumps({
        "counters": counters, "bursts": bursts, "beats": beats, **more,
        **{name: view.hex() for name, view in blocks.items()}}), encoding="utf-8")


@cocotb.test()
async def with_cocotbext_axi(dut: HierarchyObject) -> None:
    rig = Rig(dut, latency=LATENCY)
    await rig.start()
    read = rig.bench.transport.read32_async
    blocks = await bring_up(rig.poke, read, rig.bench.memory)
    for frame in frames():
        size = len(frame.data)
        await rig.bench.send_raw(AxiStreamFrame(
            frame.data, tkeep=[not frame.hole] + [1] * (size - 1),
            tuser=[0] * (size - 1) + [int(frame.bad)]))
    await rig.settle()
    port = rig.bench.port
    assert port.first_beat is not None
    await note(read, blocks, port.bursts, port.beats, cycles=port.last_beat - port.first_beat)


async def _bulk(dut: HierarchyObject, latency: int, stalls: Stalls, gaps: float) -> None:
    dut.rst.value = 1
    Clock(dut.clk, 4000, "ps").start()
    ports = BulkPorts(dut, config().burst_bytes)
    monitor = AxiStreamMonitor(AxiStreamBus.from_prefix(dut, "s_axis_rx"), dut.clk, dut.rst)
    memory = HostMemory(1 << 28)
    bursts: list[int] = []

    def answered(burst: BulkBurst) -> None:
        bursts.append(burst.last_cycle)
        for address, data in burst.pieces:
            assert memory.write(address, bytes(data))
    first: list[int] = []

    def edge() -> None:
        if ports.memory.beats and not first:
            first.append(ports.cycle)
    ports.on_edge = edge
    ports.memory.on_answered = answered
    ports.memory.latency, ports.memory.stalls, ports.wire.gaps = latency, stalls, gaps
    await ClockCycles(dut.clk, 4)
    dut.rst.value = 0

    async def write(offset: int, value: int) -> None:
        ports.registers.write(offset, value)
    read = ports.registers.read
    while await read(abi.CARD.address("STATUS")) & 1:
        pass
    blocks = await bring_up(write, read, memory)
    for frame in frames():
        ports.wire.put(frame)
    while ports.wire.waiting or not await read(abi.CARD.address("STATUS")) & 2 or (
            not ports.memory.idle):
        await ClockCycles(dut.clk, 20)
    for frame in frames():
        seen = await monitor.recv()
        assert bytes(seen.tdata) == frame.data[frame.hole:]
        assert any(seen.tuser if isinstance(seen.tuser, list) else [seen.tuser]) == frame.bad
    assert not ports.memory.problems
    assert ports.registers.write_errors == ports.registers.read_errors == 0
    await note(read, blocks, len(bursts), ports.memory.beats, cycles=bursts[-1] - first[0] + 1)


@cocotb.test()
async def with_bulk_ports(dut: HierarchyObject) -> None:
    await _bulk(dut, LATENCY, Stalls(), 0.0)


@cocotb.test()
async def with_bulk_ports_that_stall(dut: HierarchyObject) -> None:
    await _bulk(dut, 40, Stalls(0.3, 0.3, 0.3), 0.3)
