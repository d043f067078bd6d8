"""Drain, unmap, retire, reset: when the card stops writing, and how it comes back."""

from __future__ import annotations

import cocotb
from cocotb.handle import HierarchyObject
from cocotbext.axi import AxiStreamFrame

from pagering import abi
from pagering.abi import Fault
from pagering_tb.axi_slave import Stalls
from pagering_tb.write_port import Burst

from .rig import Rig

RESETS = 20


async def opened(dut: HierarchyObject, pools: tuple[int, ...] = (2,), **options: object) -> Rig:
    rig = Rig(dut, **options)
    await rig.start()
    await rig.open(pools, [n % len(pools) for n in range(4)], log2=10)
    return rig


def endless(rig: Rig) -> cocotb.task.Task[None]:
    """Start traffic that never ends."""
    async def run() -> None:
        while True:
            await rig.bench.send_raw(AxiStreamFrame(rig.frame(rig.rng.randint(1, 3000))))
    return cocotb.start_soon(run())


async def receives_again(rig: Rig) -> None:
    """Bring a card that was reset up from nothing, and see that it delivers."""
    rig.queues.clear()
    await rig.open((2,), [0] * 4, log2=10)
    frames = [rig.frame(rig.rng.randint(1, 2000)) for _ in range(6)]
    await rig.send(*frames)
    await rig.queues[0].take()
    await rig.flush()
    assert rig.queues[0].frames == frames
    await rig.check()


async def drained(rig: Rig, block: abi.Block, index: int) -> None:
    await rig.write(block, "CONTROL", index, enable=0)
    for _ in range(4000):
        if await rig.get(block, "STATUS", index) & 1:
            return
    raise AssertionError(f"{block.name} {index} does not drain")


@cocotb.test()
async def a_drained_queue_is_not_written_for_until_it_is_enabled(  # checklist 19
        dut: HierarchyObject) -> None:
    rig = await opened(dut, latency=120, jitter=30, stalls=Stalls(0.2, 0.2, 0.2))
    await rig.round_robin(4)
    rig.host(1, 2, 3)
    traffic = endless(rig)
    for _ in range(6):
        await rig.bench.cycles(rig.rng.randint(500, 3000))
        queue = rig.queues[0]
        await drained(rig, abi.QUEUE, 0)
        # From now on a write to its ring or to a page that it holds is one too many.
        queue.poll()
        held = set(queue.outstanding)
        before = [bytes(rig.memory_of(value)) for value in held]
        queue.ring.free()
        await rig.bench.cycles(3000)
        assert not rig.bench.memory.violations
        assert before == [bytes(rig.memory_of(value)) for value in held]
        await queue.give(*queue.outstanding)
        queue.outstanding = []
        await rig.flush()
        assert await rig.get(abi.QUEUE, "HELD", 0) == 0, "its open page was closed too"
        received = len(queue.frames)
        queue.ring = rig.bench.memory.allocate(16 << queue.log2)
        await queue.enable()
        limit = rig.bench.cycle + 20_000
        while len(queue.frames) == received:
            assert rig.bench.cycle < limit, "enabled again, it does not receive"
            await rig.bench.cycles(100)
            queue.poll()
    traffic.cancel()
    await rig.settle()
    await rig.stop_hosts()
    await rig.check()


@cocotb.test()
async def a_drained_pool_can_be_unmapped_under_traffic(  # checklist 19
        dut: HierarchyObject) -> None:
    rig = await opened(dut, pools=(1, 1), latency=120, stalls=Stalls(0.2, 0.2, 0.2))
    await rig.round_robin(4)
    rig.host(1, 3)
    traffic = endless(rig)
    for _ in range(5):
        await rig.bench.cycles(rig.rng.randint(500, 3000))
        rig.queues[0].poll()
        rig.queues[2].poll()
        old = [(0, value) for value in rig.queues[0].outstanding]
        await drained(rig, abi.POOL, 0)
        rig.regions[0].free()
        rig.queues[0].outstanding = []
        rig.queues[2].outstanding = []
        await rig.bench.cycles(1500)
        assert not rig.bench.memory.violations, "written after the pool was drained"
        await rig.write(abi.POOL, "RETIRE", 0, retire=1)
        await rig.flush()
        while await rig.get(abi.POOL, "REGISTERED", 0):
            pass
        assert [await rig.get(abi.POOL, name, 0) for name in ("FREE", "OUTSTANDING")] == [0, 0]
        assert await rig.get(abi.QUEUE, "HELD", 0) == await rig.get(abi.QUEUE, "HELD", 2) == 0
        await drained(rig, abi.QUEUE, 0)
        await drained(rig, abi.QUEUE, 2)
        faults = await rig.faults()
        for queue, value in old:
            await rig.queues[queue].give(value)
        await rig.flush()
        gone = (await rig.faults()).get("RETURN_PAGE", 0) - faults.get("RETURN_PAGE", 0)
        assert gone == len(old), "tokens of a retired region name no page"
        await rig.register(0, 0)
        for queue, value in old:
            await rig.queues[queue].give(value)
        await rig.flush()
        stale = (await rig.faults()).get("RETURN_GENERATION", 0) - faults.get(
            "RETURN_GENERATION", 0)
        assert stale == len(old), "registered again, its pages are in a new life"
        assert await rig.get(abi.POOL, "FREE", 0) == rig.config.region_pages
        await rig.write(abi.POOL, "CONTROL", 0, enable=1)
        await rig.queues[0].enable()
        await rig.queues[2].enable()
        await rig.flush()
    traffic.cancel()
    await rig.settle()
    await rig.stop_hosts()
    assert (await rig.faults()).keys() <= {Fault.RETURN_PAGE.name, Fault.RETURN_GENERATION.name}
    await rig.check(await rig.faults())


@cocotb.test()
async def a_reset_at_any_moment_leaves_the_bus_legal_and_the_card_usable(
        dut: HierarchyObject) -> None:
    rig = await opened(dut, latency=60, jitter=20, stalls=Stalls(0.2, 0.1, 0.2))
    for _ in range(RESETS):
        await rig.round_robin(4)
        rig.host(every=40, shuffle=True)
        traffic = endless(rig)
        await rig.bench.cycles(rig.rng.randint(50, 2500))
        await rig.stop_hosts()
        await rig.write(abi.CARD, "RESET", reset=1)
        await rig.bench.transport.flush()
        await rig.ready()
        beats = rig.bench.port.beats
        assert rig.bench.port.idle, "what was under way has finished"
        assert not rig.bench.problems(), rig.bench.problems()[:3]
        for block in (*rig.regions.values(), *(queue.ring for queue in rig.queues.values())):
            block.free()
        await rig.bench.cycles(600)
        assert rig.bench.port.beats == beats, "not a write after the reset"
        traffic.cancel()
        await rig.bench.sent()
        counted = await rig.get(abi.STATS, "FRAMES_IN")
        assert (await rig.drops()).get("CARD_DISABLED", 0) == counted
        await rig.write(abi.CARD, "RESET", reset=1)
        await rig.ready()
        await receives_again(rig)


@cocotb.test()
async def the_reset_pin_works_in_mid_traffic(dut: HierarchyObject) -> None:
    rig = await opened(dut, latency=60)
    for _ in range(5):
        await rig.round_robin(4)
        traffic = endless(rig)
        await rig.bench.cycles(rig.rng.randint(100, 1500))
        traffic.cancel()
        await rig.bench.reset()
        await rig.ready()
        await rig.bench.sent()
        await rig.bench.cycles(200)
        assert (await rig.drops()).keys() <= {"CARD_DISABLED"}, "nothing from before is left"
        await receives_again(rig)


@cocotb.test()
async def a_frame_that_a_reset_cuts_in_two_is_not_delivered(dut: HierarchyObject) -> None:
    rig = await opened(dut)
    for cut in (10, 60, 110):
        await rig.bench.send_raw(AxiStreamFrame(rig.frame(9600)))
        await rig.bench.cycles(cut)
        rig.bench.source.pause = True
        await rig.write(abi.CARD, "RESET", reset=1)
        await rig.bench.transport.flush()
        await rig.ready()
        rig.queues.clear()
        await rig.open((2,), [0] * 4, log2=10)
        rig.bench.source.pause = False
        await rig.settle()
        follower = rig.frame(100)
        await rig.send(follower)
        await rig.queues[0].take()
        await rig.flush()
        assert rig.queues[0].frames == [follower]
        assert await rig.drops() == {"CARD_DISABLED": 1}, "its rest is swallowed, and counted"
        await rig.check()


@cocotb.test()
async def a_frame_that_ends_during_a_reset_is_counted_twice_or_not_at_all(
        dut: HierarchyObject) -> None:
    """Once as a frame, once as dropped: whenever its last beat comes."""
    rig = Rig(dut)
    await rig.start()
    for wait in range(50, 110):
        await rig.bench.send_raw(AxiStreamFrame(rig.frame(100 * rig.config.bus_bytes)))
        await rig.bench.cycles(wait)
        await rig.write(abi.CARD, "RESET", reset=1)
        await rig.bench.transport.flush()
        await rig.ready()
        await rig.bench.sent()
        await rig.bench.cycles(20)
        counted = await rig.get(abi.STATS, "FRAMES_IN")
        assert (await rig.drops()).get("CARD_DISABLED", 0) == counted, wait


@cocotb.test()
async def regions_are_loaded_by_one_write_each_in_any_number(dut: HierarchyObject) -> None:
    rig = Rig(dut)
    await rig.start()
    await rig.write(abi.POOL, "CONTROL", 0, enable=1)
    count = min(rig.config.regions, 8)
    writes = rig.bench.transport.writes
    for slot in range(count):
        await rig.register(slot, 0, wait=False)
    assert rig.bench.transport.writes - writes == 2 * count, "REGION_HIGH and the region"
    await rig.flush()
    while await rig.get(abi.POOL, "REGISTERED") != count * rig.config.region_pages:
        pass
    assert await rig.get(abi.POOL, "FREE") == count * rig.config.region_pages
    await rig.check()


@cocotb.test()
async def every_burst_is_answered_before_its_completion_is_written(dut: HierarchyObject) -> None:
    rig = await opened(dut, latency=250)
    ring = rig.queues[0].ring
    written: list[tuple[int, int, int]] = []

    def note(burst: Burst) -> None:
        written.append((burst.address, burst.first_cycle, burst.last_cycle))

    rig.bench.port.on_burst = note
    for length in (1, 64, 1514, 4097):
        del written[:]
        await rig.send(rig.frame(length))
        data = [last for address, _, last in written if not ring.address <= address < ring.end]
        lines = [first for address, first, _ in written if ring.address <= address < ring.end]
        assert lines, "a completion was written"
        assert min(lines) >= min(data) + 250
        assert max(lines) >= max(data) + 250, "no completion before its data was answered"
    await rig.check()
