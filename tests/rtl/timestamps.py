"""The clock of the card, and the timestamps that it gives to frames."""

from __future__ import annotations

import cocotb
from cocotb.handle import HierarchyObject
from cocotb.triggers import RisingEdge

from pagering import abi

from .rig import Rig, opened

RATE = 8
"""Whole nanoseconds per cycle: a stamp then tells the cycle."""


async def order(rig: Rig, command: abi.ClockCommand, value: int = 0) -> None:
    """Tell the card's clock."""
    await rig.write(abi.CARD, "CLOCK_VALUE_LOW", value=value & 0xFFFFFFFF)
    await rig.write(abi.CARD, "CLOCK_VALUE_HIGH", value=value >> 32)
    await rig.write(abi.CARD, "CLOCK_COMMAND", command=command)


@cocotb.test()
async def timestamps_are_exact_to_the_cycle_and_grow_across_32_bits(  # checklist 25
        dut: HierarchyObject) -> None:
    rig = await opened(dut, log2=8, extended=True)
    await order(rig, abi.ClockCommand.SET, (1 << 32) - 20_000)
    await order(rig, abi.ClockCommand.RATE, RATE << 32)
    await rig.flush()
    starts: list[int] = []
    watch_first_beats(rig, starts)
    rig.host(0, every=20)
    for _ in range(8):
        await rig.pour([rig.frame(rig.rng.randint(1, 3000)) for _ in range(9)])
        await rig.bench.cycles(rig.rng.randrange(300))
    await rig.stop_hosts()
    stamps = [each["time_high"] << 32 | each["time_low"] for each in rig.queues[0].extensions]
    assert len(stamps) == len(starts) == 72
    assert stamps[0] < 1 << 32 < stamps[-1]
    assert stamps == sorted(set(stamps))
    assert {stamp - RATE * cycle for stamp, cycle in zip(stamps, starts, strict=True)} == {
        stamps[0] - RATE * starts[0]}
    await rig.check()


def watch_first_beats(rig: Rig, starts: list[int]) -> None:
    """Note the cycle in which each frame's first beat comes in."""
    dut = rig.dut

    async def run() -> None:
        inside = False
        while True:
            await RisingEdge(dut.clk)
            if int(dut.s_axis_rx_tvalid.value) and int(dut.s_axis_rx_tready.value):
                if not inside:
                    starts.append(rig.bench.cycle)
                inside = not int(dut.s_axis_rx_tlast.value)
    cocotb.start_soon(run())


@cocotb.test()
async def the_clock_is_monotone_and_adjusted_in_one_step(  # checklist 25
        dut: HierarchyObject) -> None:
    rig = await opened(dut)

    async def now() -> int:
        await rig.write(abi.CARD, "CLOCK_COMMAND", command=abi.ClockCommand.CAPTURE)
        return (await rig.get(abi.CARD, "CLOCK_LOW")
                | await rig.get(abi.CARD, "CLOCK_HIGH") << 32)
    await order(rig, abi.ClockCommand.SET, (1 << 32) - 3000)
    assert await now() == await now() == (1 << 32) - 3000, "it stands until it has a rate"
    await order(rig, abi.ClockCommand.RATE, RATE << 32)
    read = [await now() for _ in range(40)]
    assert read == sorted(set(read))
    assert read[0] < 1 << 32 < read[-1]
    steps = [after - before for before, after in zip(read, read[1:], strict=False)]
    await order(rig, abi.ClockCommand.ADJUST, 1 << 40)
    assert 1 << 40 < await now() - read[-1] < (1 << 40) + 4 * max(steps)
    await order(rig, abi.ClockCommand.ADJUST, -(1 << 40) & (1 << 64) - 1)
    assert 0 < await now() - read[-1] < 8 * max(steps)
    await rig.check()
