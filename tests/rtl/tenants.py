"""A tenant that writes anything it likes to its user page harms nobody but itself."""

from __future__ import annotations

import cocotb
from cocotb.handle import HierarchyObject

from pagering import abi
from pagering_tb.write_port import Burst

from .pull import ReturnRing
from .rig import HostQueue, Rig, token

WRITES = 6000
RING_LOG2 = 5


def watch_the_bus(rig: Rig, rings: list[ReturnRing]) -> list[str]:
    """Note every address on the memory bus that the two tenants did not give the card."""
    strays: list[str] = []
    reads = [range(ring.memory.address, ring.memory.address + (4 << RING_LOG2)) for ring in rings]
    writes = [range(block.address, block.end) for block in rig.regions.values()]
    writes += [range(rig.queues[queue].ring.address, rig.queues[queue].ring.end)
               for queue in (0, 1)]
    writes += [range(ring.memory.end - 8, ring.memory.end) for ring in rings]

    def read(address: int) -> None:
        if not any(address in place and address + 63 in place for place in reads):
            strays.append(f"read {address:#x}")

    def write(burst: Burst) -> None:
        # A mirror is a part of one beat, which may begin before it.
        end = burst.address + burst.beats * burst.size - 1
        if not any(burst.address in place or end in place for place in writes):
            strays.append(f"write {burst.address:#x}")
    rig.bench.read_port.on_read, rig.bench.port.on_burst = read, write
    return strays


async def serve(rig: Rig, queue: HostQueue, ring: ReturnRing, stop: list[bool]) -> None:
    """Be an honest tenant, who returns by both ways in turn, in any order."""
    turn = False
    while not stop or queue.outstanding:
        if queue.poll():
            await queue.consume()
        tokens, queue.outstanding = queue.outstanding, []
        rig.rng.shuffle(tokens)
        turn = not turn
        while turn and tokens:
            run, tokens = tokens[:1 << RING_LOG2], tokens[1 << RING_LOG2:]
            await ring.put(*run)
        await queue.give(*tokens)
        await rig.bench.cycles(64)
    await rig.flush()


@cocotb.test()
@cocotb.parametrize(shared_pool=(False, True))
async def a_forging_tenant_changes_nothing_of_another(dut: HierarchyObject,
                                                      shared_pool: bool) -> None:
    rig = Rig(dut)
    await rig.start()
    rings = [ReturnRing(rig, queue, RING_LOG2, mirror=True) for queue in (0, 1)]
    for ring in rings:
        await ring.describe()
    await rig.open((2, 2), [0, 0 if shared_pool else 1], log2=7)
    victim, forger = rig.queues[0], rig.queues[1]
    await rig.round_robin(2)
    # The forger's quota bounds what it can hold on to in a shared pool.
    await rig.write(abi.QUEUE, "QUOTA", 1, pages=4)
    await rig.flush()
    strays = watch_the_bus(rig, rings)
    stop: list[bool] = []
    serving = cocotb.start_soon(serve(rig, victim, rings[0], stop))
    user = abi.USER.base + abi.USER.stride
    forged = 0

    async def forge() -> None:
        nonlocal forged
        rng, known = rig.rng, [0]
        while forged < WRITES:
            known = [*known, *(item.token for item in forger.poll())][-50:]
            known += victim.outstanding[-5:]
            word = rng.choice((
                rng.getrandbits(32), rng.choice(known), rng.choice(known) ^ 1 << rng.randrange(32),
                token(rng.choice(known), generation=rng.randrange(16)),
                abi.TOKEN.pack(page=rng.randrange(4 * rig.config.region_pages),
                               last=rng.randrange(rig.config.chunks),
                               generation=rng.randrange(16))))
            at = 4 * rng.randrange(1 << RING_LOG2)
            rings[1].memory.view[at:at + 4] = word.to_bytes(4, "little")
            doorbell = user + abi.USER["RETURN_PRODUCED"].offset
            near = await rings[1].consumed() + rng.randint(-2, 40) if rng.random() < 0.1 else 0
            await rig.poke(*rng.choice((
                (user + 4 * rng.randrange(1024), word), (user + 4 * rng.randrange(512), word),
                (user + 0x800 + 4 * rng.randrange(512), word), (doorbell, word),
                (doorbell, near & 0x1FFFF))))
            forged += 1

    # The forger spoils its own ring: what it reads there is not checked.
    forger.poll = lambda most=0: []  # type: ignore[method-assign]
    task = cocotb.start_soon(forge())
    sent = []
    while not task.done():
        frames = [rig.frame(rig.rng.randint(1, 1500)) for _ in range(20)]
        mine = frames[0::2]
        start = len(victim.frames)
        await rig.bench.send(frames)
        sent += mine
        limit = rig.bench.cycle + 50_000
        while len(victim.frames) < start + len(mine):
            assert rig.bench.cycle < limit, "the victim no longer receives"
            await rig.bench.cycles(50)
    await rig.settle()
    stop.append(True)
    await serving
    await rig.settle()
    assert not strays, f"the card went to {strays[:3]}"
    assert await rings[0].consumed() == rings[0].produced > 40
    assert victim.frames == sent
    assert await rig.get(abi.USER, "RX_PACKETS", 0) == len(sent)
    assert await rig.dropped(0) == 0
    assert await rig.get(abi.QUEUE, "HELD", 0) <= 1, "all but an open page came back"
    assert await rig.get(abi.QUEUE, "HELD", 1) <= 4
    assert await rig.get(abi.QUEUE, "CONTROL", 0) == 1
    faults = await rig.faults()
    assert {"RETURN_PAGE", "RETURN_OWNER", "RETURN_GENERATION",
            "REGISTER_VALUE", "REGISTER_ACCESS"} <= set(faults)
    assert set(faults) <= {"RETURN_PAGE", "RETURN_CHUNK", "RETURN_OWNER", "RETURN_GENERATION",
                           "RETURN_IDLE", "REGISTER_ACCESS", "REGISTER_VALUE"}
    await rig.check(faults)
    # Taking the forger's queue down and retiring makes everything whole again.
    for queue in (0, 1):
        await rig.write(abi.QUEUE, "CONTROL", queue, enable=0)
    for pool in (0, 1):
        await rig.write(abi.POOL, "CONTROL", pool, enable=0)
    await rig.settle()
    for pool in (0, 1):
        await rig.write(abi.POOL, "RETIRE", pool, retire=1)
    await rig.flush()
    await rig.bench.cycles(8 * rig.config.pages)
    levels = await rig.levels()
    assert not any(value for name, value in levels.items()
                   if name.startswith(("REGISTERED", "FREE", "OUTSTANDING")) or "HELD" in name)
