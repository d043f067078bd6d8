"""Each cause of a drop, provoked alone: its counter moves by one and nothing else does."""

from __future__ import annotations

import cocotb
from cocotb.handle import HierarchyObject
from cocotbext.axi import AxiStreamFrame

from pagering import abi
from pagering.abi import DropCause
from pagering_tb.axi_slave import Stalls

from .rig import Rig


async def opened(dut: HierarchyObject, regions: int = 2, **options: object) -> Rig:
    rig = Rig(dut)
    await rig.start()
    await rig.open((regions,), **options)  # type: ignore[arg-type]
    return rig


async def expect(rig: Rig, *causes: DropCause) -> None:
    """Check the drop counters, that no page went, and that a good frame still arrives."""
    counted = {cause.name: causes.count(cause) for cause in causes}
    assert await rig.drops() == counted
    await rig.check()


async def survives(rig: Rig, queue: int = 0) -> None:
    """Send one good frame and receive it."""
    data = rig.frame(200)
    await rig.send(data)
    await rig.queues[queue].take()
    await rig.flush()
    assert rig.queues[queue].frames[-1] == data


@cocotb.test()
async def frames_that_the_mac_marked_bad(dut: HierarchyObject) -> None:
    rig = await opened(dut)
    for length in (1, 8, 64, 1514, 9600):
        await rig.send(rig.frame(length), bad=True)
    await expect(rig, *[DropCause.BAD_FRAME] * 5)
    assert await rig.get(abi.POOL, "FREE") == 2 * rig.config.region_pages
    assert await rig.dropped(0) == 0
    await survives(rig)


@cocotb.test()
async def runts_and_oversize_frames_at_their_exact_limits(dut: HierarchyObject) -> None:
    rig = await opened(dut)
    await rig.send(rig.frame(9601))
    await rig.send(rig.frame(12_000))
    await rig.write(abi.CARD, "FRAME_LIMITS", minimum=60, maximum=1518)
    await rig.flush()
    for length in (59, 60, 1518, 1519):
        await rig.send(rig.frame(length))
    await rig.write(abi.CARD, "FRAME_LIMITS", minimum=1, maximum=0)
    await rig.flush()
    await rig.send(b"x")
    await rig.write(abi.CARD, "FRAME_LIMITS", minimum=1, maximum=0xFFFF)
    await expect(rig, DropCause.RUNT, *[DropCause.OVERSIZE] * 4)
    await rig.queues[0].take()
    await rig.flush()
    assert [len(frame) for frame in rig.queues[0].frames] == [60, 1518]
    await survives(rig)


@cocotb.test()
async def holes_and_partial_beats_are_malformed(dut: HierarchyObject) -> None:
    rig = await opened(dut)
    lanes = rig.config.bus_bytes
    size = 4 * lanes
    shapes = {
        "hole in the first beat": {1},
        "no lane 0": {0},
        "hole in the middle": {2 * lanes + 1},
        "partial beat before the last": set(range(2 * lanes - 2, 2 * lanes)),
        "empty beat before the last": set(range(lanes, 2 * lanes)),
        "hole in the last beat": {4 * lanes - 2},
    }
    for missing in shapes.values():
        await rig.bench.send_raw(AxiStreamFrame(
            rig.frame(size), tkeep=[int(at not in missing) for at in range(size)]))
        await rig.settle()
    await expect(rig, *[DropCause.MALFORMED] * len(shapes))
    await survives(rig)


@cocotb.test()
async def a_frame_of_no_bytes_is_a_runt(dut: HierarchyObject) -> None:
    rig = await opened(dut)
    lanes = rig.config.bus_bytes
    await rig.bench.send_raw(AxiStreamFrame(bytes(lanes), tkeep=[0] * lanes))
    await rig.settle()
    await expect(rig, DropCause.RUNT)
    await survives(rig)


@cocotb.test()
async def a_full_fifo_drops_only_if_told_to(dut: HierarchyObject) -> None:
    rig = await opened(dut, regions=rig_regions(dut), log2=10)
    for drop in (1, 0):
        before = len(rig.queues[0].frames)
        await rig.write(abi.CARD, "CONTROL", receive=1, drop_when_full=drop)
        await rig.flush()
        rig.bench.port.set_stalls(Stalls(1.0, 1.0, 1.0))
        frames = [rig.frame(1000) for _ in range(100)]
        task = cocotb.start_soon(rig.bench.send(frames))
        await rig.bench.cycles(100 * 1000 // rig.config.bus_bytes + 500)
        assert task.done() == bool(drop), "held while the memory stands still"
        rig.bench.port.set_stalls(Stalls())
        rig.host(0)
        await task
        await rig.settle()
        await rig.stop_hosts()
        got = rig.queues[0].frames[before:]
        if drop:
            lost = (await rig.drops())["OVERFLOW"]
            assert 0 < lost < len(frames)
            assert len(got) == len(frames) - lost
            assert got == [frame for frame in frames if frame in got]
        else:
            assert got == frames
    await rig.check()
    assert set(await rig.drops()) == {"OVERFLOW"}


def rig_regions(dut: HierarchyObject) -> int:
    rig = Rig(dut)
    return rig.config.regions // 2


@cocotb.test()
async def disabled_card_queue_and_pool_have_their_own_causes(dut: HierarchyObject) -> None:
    rig = await opened(dut)
    await rig.write(abi.CARD, "CONTROL", receive=0)
    await rig.flush()
    await rig.send(rig.frame(64))
    await rig.write(abi.CARD, "CONTROL", receive=1)
    await rig.write(abi.QUEUE, "CONTROL", 0, enable=0)
    await rig.flush()
    await rig.send(rig.frame(64))
    await rig.steer(63)
    await rig.send(rig.frame(64))
    await rig.steer(1)
    await rig.write(abi.POOL, "CONTROL", 0, enable=0)
    await rig.flush()
    await rig.send(rig.frame(64))
    await expect(rig, DropCause.CARD_DISABLED, DropCause.QUEUE_DISABLED, DropCause.QUEUE_DISABLED,
                 DropCause.POOL_DISABLED)
    assert [await rig.dropped(queue) for queue in (0, 1)] == [1, 1]
    await rig.write(abi.POOL, "CONTROL", 0, enable=1)
    await rig.flush()
    await survives(rig, 1)


@cocotb.test()
async def receive_is_sampled_at_the_first_beat(dut: HierarchyObject) -> None:
    rig = await opened(dut)
    for switch_to in (0, 1):
        await rig.bench.send_raw(AxiStreamFrame(rig.frame(9600)))
        await rig.bench.cycles(40)
        await rig.write(abi.CARD, "CONTROL", receive=switch_to)
        await rig.settle()
        await rig.queues[0].take()
    await rig.flush()
    await expect(rig, DropCause.CARD_DISABLED)
    assert len(rig.queues[0].frames) == 1


@cocotb.test()
async def an_empty_pool_drops_as_no_page_and_recovers_without_a_reset(  # checklist 12
        dut: HierarchyObject) -> None:
    rig = await opened(dut, regions=1)
    size, pages = rig.config.page_bytes, rig.config.region_pages
    whole = min(size, 9600)
    for _ in range(pages):
        await rig.bench.send_raw(AxiStreamFrame(rig.frame(whole)))
    await rig.settle()
    for _ in range(3):
        await rig.send(rig.frame(whole))
        assert await rig.get(abi.POOL, "FREE") == 0
    await expect(rig, *[DropCause.NO_PAGE] * 3)
    for _ in range(3):
        await rig.queues[0].take()
        await rig.flush()
        await survives(rig)


@cocotb.test()
async def limit_and_quota_bound_the_pages_off_the_ring(dut: HierarchyObject) -> None:
    rig = await opened(dut)
    size = min(rig.config.page_bytes, 9600)
    await rig.write(abi.POOL, "LIMIT", 0, pages=3)
    for _ in range(5):
        await rig.send(rig.frame(size))
        off = await rig.get(abi.POOL, "REGISTERED") - await rig.get(abi.POOL, "FREE")
        assert off <= 3
    await expect(rig, *[DropCause.POOL_LIMIT] * 2)
    await rig.queues[0].take()
    await rig.write(abi.POOL, "LIMIT", 0, pages=65536)
    await rig.write(abi.QUEUE, "QUOTA", 0, pages=2)
    await rig.flush()
    for _ in range(4):
        await rig.send(rig.frame(size))
        assert await rig.get(abi.QUEUE, "HELD") <= 2
    await expect(rig, *[DropCause.POOL_LIMIT] * 2, *[DropCause.QUEUE_QUOTA] * 2)
    await rig.steer(1)
    await survives(rig, 1)
    await rig.queues[0].take()
    await rig.flush()
    await rig.steer(0)
    await survives(rig)


@cocotb.test()
async def a_quota_of_one_page_recovers_from_a_frame_that_does_not_fit(
        dut: HierarchyObject) -> None:
    rig = await opened(dut)
    cfg = rig.config
    if cfg.chunks == 1:
        return
    await rig.write(abi.QUEUE, "QUOTA", 0, pages=1)
    await rig.send(rig.frame((cfg.chunks - 1) * cfg.chunk_bytes))
    await rig.queues[0].take()
    await rig.flush()
    assert await rig.get(abi.QUEUE, "HELD") == 1, "the page is open"
    await rig.send(rig.frame(2 * cfg.chunk_bytes))
    await expect(rig, DropCause.QUEUE_QUOTA)
    assert await rig.get(abi.QUEUE, "HELD") == 0, "refused, the frame still closed the page"
    await survives(rig)


@cocotb.test()
async def a_full_completion_ring_drops_until_the_host_consumes(  # checklist 14
        dut: HierarchyObject) -> None:
    rig = await opened(dut, regions=rig_regions(dut), log2=6)
    queue = rig.queues[0]
    for _ in range(4):
        for _ in range(16):
            await rig.bench.send_raw(AxiStreamFrame(rig.frame(64)))
        await rig.settle()
        queue.poll()
        tokens, queue.outstanding = queue.outstanding, []
        await queue.give(*tokens)
    await rig.send(rig.frame(64), rig.frame(64))
    await expect(rig, *[DropCause.RING_FULL] * 2)
    await queue.consume()
    await survives(rig)


@cocotb.test()
async def a_slow_host_costs_counted_drops_and_no_more(dut: HierarchyObject) -> None:
    rig = await opened(dut, regions=1, log2=6)
    await rig.write(abi.CARD, "CONTROL", receive=1, drop_when_full=1)
    await rig.flush()
    rig.host(0, every=20_000)
    frames = [rig.frame(rig.rng.randint(1, 1500)) for _ in range(250)]
    await rig.bench.send(frames)
    await rig.settle()
    await rig.stop_hosts()
    got = rig.queues[0].frames
    drops = await rig.drops()
    assert sum(drops.values()) == len(frames) - len(got) > 0
    position = iter(frames)
    assert all(frame in position for frame in got), "in order, each as it was sent"
    await rig.check()
    await survives(rig)
