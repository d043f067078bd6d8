"""The hold policy: nothing is lost while the host is slow, and nothing can lock the card up."""

from __future__ import annotations

import cocotb
from cocotb.handle import HierarchyObject
from cocotbext.axi import AxiStreamFrame

from pagering import abi

from .rig import Rig


async def opened(dut: HierarchyObject, **options: object) -> Rig:
    rig = Rig(dut, **options)
    await rig.start()
    await rig.open((1,))
    await rig.write(abi.QUEUE, "POLICY", 0, hold=1)
    await rig.flush()
    return rig


@cocotb.test()
@cocotb.parametrize(scarce=("page", "limit", "quota", "ring"))
async def a_slow_host_loses_nothing(dut: HierarchyObject, scarce: str) -> None:  # checklist 13
    """Whatever is scarce; pause_req is raised while a frame waits."""
    rig = await opened(dut)
    queue = rig.queues[0]
    if scarce == "limit":
        await rig.write(abi.POOL, "LIMIT", 0, pages=2)
    if scarce == "quota":
        await rig.write(abi.QUEUE, "QUOTA", 0, pages=1)
    count = {"page": rig.config.region_pages + 6, "ring": 300}.get(scarce, 20)
    size = 60 if scarce == "ring" else rig.config.page_bytes - 100
    frames = [rig.frame(size) for _ in range(count)]
    for data in frames:
        await rig.bench.send_raw(AxiStreamFrame(data))
    for _ in range(200):
        await rig.bench.cycles(500)
        if int(dut.pause_req.value):
            break
    assert int(dut.pause_req.value) == 1
    await rig.bench.cycles(1000)
    assert len(queue.frames) < count
    for _ in range(4 * count):
        if len(queue.frames) == count:
            break
        await queue.take()
        await rig.bench.cycles(400)
    assert queue.frames == frames
    assert await rig.drops() == {}
    await rig.settle()
    assert int(dut.pause_req.value) == 0
    await rig.check()


@cocotb.test()
async def a_queue_that_holds_stalls_the_others_until_it_is_drained(
        dut: HierarchyObject) -> None:  # checklist 13
    rig = await opened(dut)
    await rig.write(abi.QUEUE, "QUOTA", 0, pages=0)
    await rig.round_robin(2)
    frames = [rig.frame(200) for _ in range(6)]
    for data in frames:
        await rig.bench.send_raw(AxiStreamFrame(data))
    await rig.bench.cycles(1000)
    assert not rig.queues[1].poll()
    await rig.write(abi.QUEUE, "CONTROL", 0, enable=0)
    await rig.settle()
    await rig.queues[1].take()
    assert rig.queues[1].frames == frames[1::2]
    assert await rig.drops() == {"QUEUE_DISABLED": 3}
    await rig.check()


@cocotb.test()
async def a_queue_that_drops_stalls_nobody(dut: HierarchyObject) -> None:  # checklist 13
    """At full load: the queue without memory loses its frames, the other none, and no time."""
    rig = await opened(dut)
    await rig.write(abi.QUEUE, "POLICY", 0, hold=0)
    await rig.write(abi.QUEUE, "QUOTA", 0, pages=0)
    await rig.round_robin(2)
    rig.host(1, every=8)
    frames = [rig.frame(200) for _ in range(200)]
    begin = rig.bench.cycle
    for data in frames:
        await rig.bench.send_raw(AxiStreamFrame(data))
    await rig.bench.sent()
    beats = -(-200 // rig.config.bus_bytes)
    assert rig.bench.cycle - begin < len(frames) * beats * 1.2 + 500
    await rig.settle()
    await rig.stop_hosts()
    assert rig.queues[1].frames == frames[1::2]
    assert await rig.drops() == {"QUEUE_QUOTA": 100}
    await rig.check()


@cocotb.test()
async def a_reset_ends_the_waiting(dut: HierarchyObject) -> None:
    rig = await opened(dut)
    await rig.write(abi.QUEUE, "QUOTA", 0, pages=0)
    for _ in range(5):
        await rig.bench.send_raw(AxiStreamFrame(rig.frame(100)))
    await rig.bench.cycles(500)
    assert int(dut.pause_req.value) == 1
    await rig.write(abi.CARD, "RESET", reset=1)
    await rig.flush()
    await rig.ready()
    assert int(dut.pause_req.value) == 0
    assert (await rig.get(abi.CARD, "STATUS")) & 2
