"""Everything at once: traffic, returns in any order, drains, retirement, limits, forgeries."""

from __future__ import annotations

import cocotb
from cocotb.handle import HierarchyObject
from cocotbext.axi import AxiStreamFrame

from pagering import abi
from pagering_tb.axi_slave import Stalls

from .rig import Rig, token

ACTIONS = 60


async def off(rig: Rig, block: abi.Block, index: int) -> None:
    """Disable and wait until drained."""
    await rig.write(block, "CONTROL", index, enable=0)
    for _ in range(4000):
        if await rig.get(block, "STATUS", index) & 1:
            return
    raise AssertionError(f"{block.name} {index} does not drain")


async def restart_queue(rig: Rig, index: int) -> None:
    """Take a queue down and up; what it had received goes back."""
    await off(rig, abi.QUEUE, index)
    await rig.queues[index].take()
    await rig.queues[index].enable()


async def replace_pool(rig: Rig) -> None:
    """Drain pool 1, unmap its memory, retire it, give it other memory."""
    await off(rig, abi.POOL, 1)
    for index in (2, 3):
        await off(rig, abi.QUEUE, index)
        rig.queues[index].poll()
        rig.queues[index].outstanding.clear()
    slot = max(rig.regions)
    rig.regions[slot].free()
    await rig.write(abi.POOL, "RETIRE", 1, retire=1)
    await rig.flush()
    while await rig.get(abi.POOL, "REGISTERED", 1):
        pass
    await rig.write(abi.POOL, "CONTROL", 1, enable=0, policy=rig.rng.randrange(2))
    await rig.register(slot, 1)
    await rig.write(abi.POOL, "CONTROL", 1, enable=1, policy=rig.rng.randrange(2))
    for index in (2, 3):
        await rig.queues[index].enable()


async def act(rig: Rig) -> None:
    """Do one thing that must not harm queues 0 and 1."""
    rng = rig.rng
    match rng.randrange(6):
        case 0 | 1:
            await restart_queue(rig, rng.choice((2, 3)))
        case 2:
            await replace_pool(rig)
        case 3:
            await rig.write(abi.POOL, "LIMIT", 1, pages=rng.choice((0, 1, 3, 65536)))
            await rig.write(abi.QUEUE, "QUOTA", 2, pages=rng.choice((0, 1, 2, 65536)))
        case 4:
            for _ in range(20):
                await rig.queues[rng.choice((2, 3))].give(token(
                    rng.getrandbits(32), page=rng.randrange(2 * rig.config.region_pages),
                    last=rng.randrange(rig.config.chunks)))
        case 5:
            for index in (2, 3):
                await rig.queues[index].take()


@cocotb.test()
@cocotb.parametrize(seed=(1, 2, 3))
async def whatever_happens_beside_them_two_queues_lose_nothing_uncounted(
        dut: HierarchyObject, seed: int) -> None:
    rig = Rig(dut, seed=seed, latency=80, jitter=40, gaps=0.1, stalls=Stalls(0.2, 0.1, 0.2))
    await rig.start()
    await rig.open((3, 1), [0, 0, 1, 1], log2=8, policy=seed & 1)
    await rig.round_robin(4)
    rig.host(0, 1, every=30, shuffle=True)
    sent: list[bytes] = []
    stop = False

    async def traffic() -> None:
        while not stop:
            data = rig.frame(rig.rng.choice((rig.rng.randint(1, 200), rig.rng.randint(1, 5000))))
            bad = rig.rng.random() < 0.05
            if not bad:
                sent.append(data)
            await rig.bench.send_raw(AxiStreamFrame(
                data, tuser=[0] * (len(data) - 1) + [1] if bad else 0))
    task = cocotb.start_soon(traffic())
    for _ in range(ACTIONS):
        await act(rig)
        await rig.bench.cycles(rig.rng.randint(10, 800))
        assert not rig.bench.problems(), rig.bench.problems()[:3]
    stop = True
    await task
    await rig.settle()
    await rig.stop_hosts()
    for index in (0, 1):
        queue = rig.queues[index]
        meant = iter(sent[index::4])
        assert all(data in meant for data in queue.frames), f"queue {index}: order or bytes"
        lost = len(sent[index::4]) - len(queue.frames)
        assert lost == await rig.dropped(index)
        assert len(queue.frames) == await rig.get(abi.USER, "RX_PACKETS", index) > 20
    await rig.check(await rig.faults())
    # All pages of pool 0 come back when its queues are taken down.
    for index in (0, 1):
        await off(rig, abi.QUEUE, index)
    assert await rig.get(abi.POOL, "FREE", 0) == await rig.get(abi.POOL, "REGISTERED", 0)
