"""Interrupts: they mask themselves, lose no wake-up, and are moderated; the event vector."""

from __future__ import annotations

import cocotb
from cocotb.handle import HierarchyObject
from cocotb.triggers import RisingEdge
from cocotbext.axi import AxiStreamFrame

from pagering import abi

from .rig import Rig, is_visible, opened

OFFSETS = 128
"""More cycles than a frame alone takes from the wire to the host."""


@cocotb.test()
async def an_interrupt_masks_itself_until_it_is_armed_again(  # checklist 15
        dut: HierarchyObject) -> None:
    rig = await opened(dut)
    rises = await watch(rig)
    await rig.send(*[rig.frame(64) for _ in range(3)])
    assert rises[0] == 0, "never armed"
    for expected in (1, 2):
        rig.queues[0].poll()
        await rig.write(abi.USER, "ARM", 0, index_=rig.queues[0].head)
        await rig.settle()
        assert rises[0] == expected - 1, "nothing new"
        assert await rig.get(abi.QUEUE, "STATUS") == 2, "armed"
        for _ in range(4):
            await rig.send(rig.frame(64))
        assert rises[0] == expected, "one edge for each arming"
        assert await rig.get(abi.QUEUE, "STATUS") == 4, "fired, and masked"
    assert rises[1:] == [0] * rig.config.queues
    await rig.check()


async def watch(rig: Rig) -> list[int]:
    """Count the rising edges of each interrupt line from now on."""
    rises = [0] * (rig.config.queues + 1)

    async def run() -> None:
        before = int(rig.dut.irq.value)
        while True:
            await RisingEdge(rig.dut.clk)
            now = int(rig.dut.irq.value)
            for bit in range(len(rises)):
                rises[bit] += (now & ~before) >> bit & 1
            before = now
    cocotb.start_soon(run())
    return rises


@cocotb.test()
async def no_wake_up_is_lost_wherever_arming_meets_a_completion(  # checklist 15
        dut: HierarchyObject) -> None:
    rig = await opened(dut)
    rises = await watch(rig)
    queue = rig.queues[0]
    late = 0
    for offset in range(OFFSETS):
        queue.poll()
        index = queue.head
        # Sent first, armed ``offset`` cycles later: before, in or after the cycle of visibility.
        await rig.bench.send_raw(AxiStreamFrame(rig.frame(64)))
        await rig.bench.cycles(offset)
        late += bool(is_visible(rig, queue.head))
        await rig.write(abi.USER, "ARM", 0, index_=index)
        await rig.settle()
        assert rises[0] == offset + 1, f"armed {offset} cycles after the frame: {rises[0]} edges"
        assert await rig.get(abi.QUEUE, "STATUS") == 4
        await queue.take()
        await rig.flush()
    assert 0 < late < OFFSETS, "arming came before and after the completion"
    await rig.check()


@cocotb.test()
async def the_event_vector_is_raised_by_enabled_events_only(dut: HierarchyObject) -> None:
    rig = await opened(dut)
    rises = await watch(rig)
    await rig.poke(0, 0)
    await rig.flush()
    assert rises[-1] == 0, "not enabled"
    await rig.write(abi.CARD, "EVENT_ENABLE", fault=1)
    await rig.flush()
    assert rises[-1] == 1, "it had happened already"
    await rig.poke(0, 0)
    await rig.flush()
    assert rises[-1] == 1, "still raised"
    await rig.write(abi.CARD, "EVENTS", fault=1)
    await rig.flush()
    assert not int(dut.irq.value) >> rig.config.queues
    await rig.queues[0].give(0xFFFF_FFFF)
    await rig.flush()
    assert rises[-1] == 2
    ring = rig.queues[0].ring
    await rig.write(abi.CARD, "EVENTS", fault=1)
    await rig.write(abi.CARD, "EVENT_ENABLE", write_error=1)
    rig.bench.port.inject_error(lambda address: not ring.address <= address < ring.end)
    await rig.send(rig.frame(64))
    assert rises[-1] == 3
    await rig.check({"REGISTER_ACCESS": 2, "RETURN_PAGE": 1, "DATA_WRITE": 1})


@cocotb.test()
async def arming_right_after_enabling_is_neither_lost_nor_early(dut: HierarchyObject) -> None:
    rig = await opened(dut, latency=200)
    await rig.send(*[rig.frame(64) for _ in range(5)])
    await rig.queues[0].take()
    await rig.write(abi.QUEUE, "CONTROL", 0, enable=0)
    await rig.steer(1)
    await rig.settle()
    rises = await watch(rig)
    # The card is busy with another queue's frames when queue 0 starts anew.
    await rig.bench.send([rig.frame(1500) for _ in range(8)])
    await rig.queues[0].enable()
    await rig.write(abi.USER, "ARM", 0, index_=0)
    await rig.settle()
    assert rises[0] == 0, "nothing of the new ring is visible"
    assert await rig.get(abi.QUEUE, "STATUS") == 2
    await rig.steer(0)
    await rig.send(rig.frame(64))
    assert rises[0] == 1
    await rig.check()


@cocotb.test()
@cocotb.parametrize(limits=((0, 0), (0, 4), (0, 16), (2, 0), (8, 0), (2, 16), (64, 4)))
async def moderation_bounds_interrupts_and_waits(  # checklist 16
        dut: HierarchyObject, limits: tuple[int, int]) -> None:
    """Against a host that arms after each interrupt, and looks at its ring only then."""
    time, completions = limits
    rig = await opened(dut, log2=7)
    await rig.write(abi.QUEUE, "MODERATION", 0, time=time, completions=completions)
    queue, count = rig.queues[0], 96
    fired: list[tuple[int, int]] = []

    async def serve() -> None:
        await rig.write(abi.USER, "ARM", 0, index_=0)
        before = 0
        while True:
            await RisingEdge(dut.clk)
            now = int(dut.irq.value) & 1
            if now and not before:
                fired.append((rig.bench.cycle, len(await queue.take())))
                await rig.write(abi.USER, "ARM", 0, index_=queue.head)
            before = now
    cocotb.start_soon(serve())
    for _ in range(count):
        await rig.send(rig.frame(64))
    await rig.bench.cycles((time + 2) * abi.MODERATION_CYCLES)
    if not time:
        assert len(fired) == count // max(1, completions)
    else:
        assert len(queue.frames) == count, "none is left to wait for another"
        assert len(fired) < count / 2
    for (before, _), (at, found) in zip(fired, fired[1:], strict=False):
        patient = time and at - before >= (time - 1) * abi.MODERATION_CYCLES
        assert found >= completions > 0 or patient or not any(limits)
    await rig.check()


@cocotb.test()
async def force_interrupts_without_a_frame(dut: HierarchyObject) -> None:
    rig = await opened(dut)
    rises = await watch(rig)
    await rig.write(abi.QUEUE, "MODERATION", 1, time=4095, completions=4095)
    await rig.write(abi.QUEUE, "FORCE", 1, force=1)
    await rig.flush()
    assert sum(rises) == 0, "it is not armed"
    for edges in (1, 1, 2):
        await rig.write(abi.USER, "ARM", 1, index_=0)
        await rig.flush()
        if edges == 2:
            await rig.write(abi.QUEUE, "FORCE", 1, force=1)
            await rig.flush()
        assert rises[1] == edges
    assert sum(rises) == 2
    await rig.check()


@cocotb.test()
async def low_water_is_told_though_no_completion_comes(dut: HierarchyObject) -> None:
    """An empty pool gets no frame, so no completion: its event must not wait for one."""
    rig = await opened(dut, regions=1)
    rises = await watch(rig)
    await rig.write(abi.QUEUE, "MODERATION", 0, time=4095, completions=4095)
    await rig.write(abi.CARD, "EVENT_ENABLE", low_water=1)
    await rig.write(abi.POOL, "LOW_WATER", 0, enter=1, exit=2)
    await rig.write(abi.USER, "ARM", 0, index_=0)
    pages = rig.config.region_pages
    await rig.send(*[rig.frame(rig.config.page_bytes) for _ in range(pages - 1)])
    assert (rises[0], rises[-1]) == (0, 1)
    await rig.check()
