"""A tenant that writes anything it likes to its user page harms nobody but itself."""

from __future__ import annotations

import cocotb
from cocotb.handle import HierarchyObject

from pagering import abi

from .rig import Rig, token

WRITES = 4000


@cocotb.test()
@cocotb.parametrize(shared_pool=(False, True))
async def a_forging_tenant_changes_nothing_of_another(dut: HierarchyObject,
                                                      shared_pool: bool) -> None:
    rig = Rig(dut)
    await rig.start()
    await rig.open((2, 2), [0, 0 if shared_pool else 1], log2=7)
    victim, forger = rig.queues[0], rig.queues[1]
    await rig.round_robin(2)
    # The forger's quota bounds what it can hold on to in a shared pool.
    await rig.write(abi.QUEUE, "QUOTA", 1, pages=4)
    await rig.flush()
    rig.host(0, shuffle=True)
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
            offset = rng.choice((0, 4, 8, 12, 0x10, 0x7FC, *[0x800 + 4 * rng.randrange(512)] * 12))
            await rig.poke(user + offset, word)
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
    await rig.stop_hosts()
    assert victim.frames == sent
    assert await rig.get(abi.USER, "RX_PACKETS", 0) == len(sent)
    assert await rig.dropped(0) == 0
    assert await rig.get(abi.QUEUE, "HELD", 0) <= 1, "all but an open page came back"
    assert await rig.get(abi.QUEUE, "HELD", 1) <= 4
    assert await rig.get(abi.QUEUE, "CONTROL", 0) == 1
    faults = await rig.faults()
    assert {"RETURN_PAGE", "RETURN_OWNER", "RETURN_GENERATION"} <= set(faults)
    assert set(faults) <= {"RETURN_PAGE", "RETURN_CHUNK", "RETURN_OWNER", "RETURN_GENERATION",
                           "RETURN_IDLE", "REGISTER_ACCESS"}
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
