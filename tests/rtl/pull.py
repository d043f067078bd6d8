"""Pull returns and count mirrors on the whole card: fetched tokens, and what must stay as it is."""

from __future__ import annotations

import struct

import cocotb
from cocotb.handle import HierarchyObject

from pagering import Card, abi
from pagering.abi import Fault
from pagering_tb.axi_slave import Stalls
from pagering_tb.host_memory import DmaBlock

from .rig import Rig, token
from .soak import off

MASK = (1 << abi.CONSUMER_BITS) - 1


class ReturnRing:
    """The host's side of a queue's return ring."""

    def __init__(self, rig: Rig, queue: int, log2: int, mirror: bool = False) -> None:
        self.rig, self.queue, self.log2, self.mirror = rig, queue, log2, mirror
        self.memory: DmaBlock = rig.bench.memory.allocate((4 << log2) + 8)
        self.produced = 0

    async def describe(self) -> None:
        """Set the registers of the drained queue."""
        rig, queue, address = self.rig, self.queue, self.memory.address
        await rig.write(abi.QUEUE, "RETURN_LOW", queue, address=address >> 12 & 0xFFFFF)
        await rig.write(abi.QUEUE, "RETURN_HIGH", queue, address=address >> 32)
        await rig.write(abi.QUEUE, "RETURN_SIZE", queue, log2=self.log2, mirror=int(self.mirror))

    def store(self, *tokens: int) -> None:
        """Put tokens in the ring."""
        for value in tokens:
            at = 4 * (self.produced & (1 << self.log2) - 1)
            self.memory.view[at:at + 4] = struct.pack("<I", value)
            self.produced = self.produced + 1 & MASK

    async def ring(self, index: int | None = None) -> None:
        """Ring the doorbell."""
        await self.rig.write(abi.USER, "RETURN_PRODUCED", self.queue,
                             index_=self.produced if index is None else index & MASK)

    async def consumed(self) -> int:
        """Ask the card how far it is."""
        return await self.rig.get(abi.QUEUE, "RETURN_CONSUMED", self.queue)

    async def put(self, *tokens: int) -> None:
        """Return tokens and wait until they are with the card."""
        self.store(*tokens)
        await self.ring()
        await self.taken()

    async def taken(self) -> None:
        """Wait until the card has everything."""
        for _ in range(3000):
            if await self.consumed() == self.produced:
                await self.rig.flush()
                return
        raise AssertionError("the card does not take what is in the ring")


async def opened(dut: HierarchyObject, log2: int = 6, queues: int = 2, mirror: bool = False,
                 regions: int = 1, **options: object) -> tuple[Rig, list[ReturnRing]]:
    """Bring up a card whose first queues have return rings."""
    rig = Rig(dut, **options)
    await rig.start()
    rings = [ReturnRing(rig, queue, log2, mirror) for queue in range(queues)]
    for ring in rings:
        await ring.describe()
    await rig.open((regions,))
    return rig, rings


async def pages(rig: Rig, count: int, queue: int = 0) -> list[int]:
    """Have so many pages filled and handed over whole; return their tokens."""
    await rig.steer(queue)
    size = min(rig.config.page_bytes, 9600)
    await rig.send(*[rig.frame(size) for _ in range(count)])
    rig.queues[queue].poll()
    taken = rig.queues[queue].outstanding
    rig.queues[queue].outstanding = []
    return taken


@cocotb.test()
async def tokens_left_in_the_ring_come_back(dut: HierarchyObject) -> None:
    rig, rings = await opened(dut, log2=4)
    free = await rig.get(abi.POOL, "FREE", 0)
    returned = 0
    for count in (1, 5, 8, 3, 7, 8):  # over the end of the ring, and in parts of a line
        tokens = await pages(rig, count)
        assert await rig.get(abi.POOL, "FREE", 0) == free - count
        await rings[0].put(*tokens)
        returned += count
        assert await rig.get(abi.POOL, "FREE", 0) == free
        assert await rig.get(abi.STATS, "RETURNS") == returned
        assert await rings[0].consumed() == returned
    assert rig.bench.memory.bytes_read == 64 * rig.bench.read_port.reads
    await rig.check()


@cocotb.test()
async def every_forgery_is_refused_through_both_ways_alike(dut: HierarchyObject) -> None:
    """Checklist 11: no id that was not granted, none twice, none out of range."""
    rig, rings = await opened(dut)
    cfg = rig.config
    good, back = await pages(rig, 2)
    await rings[0].put(back)
    generation = abi.TOKEN.unpack(good)["generation"]
    forgeries = [
        (0, token(good, page=0xFFFF), Fault.RETURN_PAGE),
        (0, token(good, page=cfg.region_pages), Fault.RETURN_PAGE),
        (0, token(good, first=1, last=0), Fault.RETURN_CHUNK),
        (1, good, Fault.RETURN_OWNER),
        (0, token(good, generation=generation + 1 & 15), Fault.RETURN_GENERATION),
        (0, back, Fault.RETURN_IDLE),
    ]
    if cfg.chunks < 64:
        forgeries.append((0, token(good, last=cfg.chunks), Fault.RETURN_CHUNK))
    for queue, value, fault in forgeries:
        for pulls in (False, True):
            levels, faults = await rig.levels(), await rig.faults()
            if pulls:
                await rings[queue].put(value)
            else:
                await rig.queues[queue].give(value)
                await rig.flush()
            assert await rig.levels() == levels
            assert await rig.faults() == {
                **faults, fault.name: faults.get(fault.name, 0) + 1}, f"{value:#010x} {fault.name}"
    await rings[0].put(good)
    assert await rig.get(abi.STATS, "RETURNS") == 2, "the true token still counts, once"
    await rings[0].put(good)
    assert (await rig.faults())["RETURN_IDLE"] == 3
    await rig.check(await rig.faults())


@cocotb.test()
async def a_doorbell_out_of_range_is_refused_and_reads_nothing(dut: HierarchyObject) -> None:
    rig, rings = await opened(dut, log2=4)
    ring = rings[0]
    await ring.put(*await pages(rig, 3))
    reads, refused = rig.bench.read_port.reads, 0
    for index in (ring.produced + 17, ring.produced - 1, ring.produced + (1 << 16),
                  ring.produced - 17):
        await ring.ring(index)
        await rig.flush()
        refused += 1
        assert await rig.faults() == {"REGISTER_VALUE": refused}
        assert await ring.consumed() == ring.produced
    await ring.ring()  # where it is: good, and nothing to do
    await rig.write(abi.USER, "RETURN_PRODUCED", 3, index_=1)  # has no ring
    await rig.flush()
    assert await rig.faults() == {"REGISTER_VALUE": refused + 1}
    assert rig.bench.read_port.reads == reads
    await rig.write(abi.QUEUE, "RETURN_SIZE", 3, log2=4)
    await rig.flush()
    assert await rig.faults() == {"REGISTER_VALUE": refused + 2}, "set in a running queue"
    await off(rig, abi.QUEUE, 3)
    for log2, fits in ((0, 1), (1, 0), (3, 0), (4, 1), (16, 1), (17, 0), (31, 0)):
        await rig.write(abi.QUEUE, "RETURN_SIZE", 3, log2=log2)
        await rig.flush()
        assert (await rig.get(abi.QUEUE, "RETURN_SIZE", 3) == log2) == bool(fits)
    assert await rig.faults() == {"REGISTER_VALUE": refused + 6}
    await rig.check(await rig.faults())


@cocotb.test()
async def a_failed_read_costs_its_tokens_and_nothing_else(dut: HierarchyObject) -> None:
    rig, rings = await opened(dut)
    ring = rings[0]
    held = await pages(rig, 4)
    rig.bench.read_port.inject_error()
    await rig.write(abi.CARD, "EVENTS", fault=1, write_error=1)
    await ring.put(*held[:2])
    assert await rig.faults() == {"RETURN_READ": 1}
    assert await rig.get(abi.CARD, "EVENTS") == 1 << abi.Event.FAULT | 1 << abi.Event.WRITE_ERROR
    assert await rig.get(abi.STATS, "RETURNS") == 0
    await ring.put(*held[2:])
    assert await rig.get(abi.STATS, "RETURNS") == 2, "the ring goes on behind them"
    await rig.queues[0].give(*held[:2])
    await rig.flush()
    assert await rig.get(abi.STATS, "RETURNS") == 4, "they were still with the host"
    await rig.check({"RETURN_READ": 1})


@cocotb.test()
async def drained_means_that_no_read_is_under_way_or_will_come(dut: HierarchyObject) -> None:
    rig, rings = await opened(dut, log2=10, mirror=True, latency=200, jitter=100)
    ring = rings[0]
    for _ in range(3):
        ring.store(*[token(0, page=0xFFFF)] * 700)
        await ring.ring()
        await off(rig, abi.QUEUE, 0)
        assert await ring.consumed() == ring.produced, "what was posted is finished"
        ring.memory.free()
        await ring.ring(ring.produced + 5)
        await rig.bench.cycles(1500)
        assert not rig.bench.problems(), rig.bench.problems()[:3]
        ring.memory = rig.bench.memory.allocate((4 << ring.log2) + 8)
        await ring.describe()
        await rig.queues[0].enable()
        await rig.flush()
    faults = await rig.faults()
    assert faults == {"RETURN_PAGE": 2100, "REGISTER_VALUE": 3}
    await rig.check(faults)


@cocotb.test()
async def the_return_window_is_not_starved_by_a_full_ring(dut: HierarchyObject) -> None:
    rig, rings = await opened(dut, log2=12)
    held = await pages(rig, 4, queue=1)
    rings[0].store(*[token(0, page=0xFFFF)] * 4000)
    await rings[0].ring()
    await rig.bench.cycles(100)
    await rig.queues[1].give(*held)
    await rig.bench.transport.flush()
    await rig.bench.cycles(20)
    assert await rig.get(abi.STATS, "RETURNS") == 4
    assert await rings[0].consumed() < 4000, "the test was too slow to show it"
    await rings[0].taken()
    await rig.check({"RETURN_PAGE": 4000})


@cocotb.test()
@cocotb.parametrize(latency=(4, 64, 250))
async def tokens_come_at_four_in_five_cycles(dut: HierarchyObject, latency: int) -> None:
    rig, rings = await opened(dut, log2=12, latency=latency)
    rings[0].store(*[token(0, page=0xFFFF)] * 4096)
    await rings[0].ring()
    await rig.bench.cycles(2 * latency + 100)
    before, start = await rings[0].consumed(), rig.bench.cycle
    await rig.bench.cycles(2000)
    tokens = await rings[0].consumed() - before
    cycles = rig.bench.cycle - start
    dut._log.warning("pull: %d tokens in %d cycles at latency %d", tokens, cycles, latency)
    assert tokens >= 0.8 * cycles
    await rings[0].taken()


@cocotb.test()
async def mirrors_follow_the_counts_and_stop_when_drained(dut: HierarchyObject) -> None:
    rig, rings = await opened(dut, mirror=True)
    place = rig.bench.memory.allocate(64)
    await rig.write(abi.CARD, "MIRROR_TIMER", cycles=16)
    await rig.write(abi.POOL, "MIRROR_LOW", 0, enable=1, address=place.address >> 3 & 0x1FFF_FFFF)
    await rig.flush()
    assert await rig.faults() == {"REGISTER_VALUE": 1}, "the pool is not drained"
    await off(rig, abi.POOL, 0)
    await rig.write(abi.POOL, "MIRROR_LOW", 0, enable=1,
                    address=(place.address + 24) >> 3 & 0x1FFF_FFFF)
    await rig.write(abi.POOL, "MIRROR_HIGH", 0, address=place.address >> 32)
    await rig.flush()
    await rig.bench.cycles(300)
    assert not any(place.view), "nothing is written of a drained pool"
    await rig.write(abi.POOL, "CONTROL", 0, enable=1)

    async def shown() -> dict[str, int]:
        await rig.bench.cycles(400)
        assert not any(place.view[:24])
        assert not any(place.view[32:])
        return abi.MIRROR.unpack(int.from_bytes(place.view[24:32], "little"))

    async def read() -> dict[str, int]:
        return {"free": await rig.get(abi.POOL, "FREE", 0),
                "outstanding": await rig.get(abi.POOL, "OUTSTANDING", 0)}
    assert await shown() == await read()
    held = await pages(rig, 3)
    assert await shown() == await read()
    assert (await shown())["outstanding"] == 3
    await rings[0].put(held[0])
    assert await shown() == await read()
    assert int.from_bytes(rings[0].memory.view[-8:], "little") == 1
    await off(rig, abi.POOL, 0)
    place.free()
    await rings[0].put(*held[1:])
    await rig.bench.cycles(400)
    assert await rig.get(abi.POOL, "OUTSTANDING", 0) == 0
    await rig.check({"REGISTER_VALUE": 1})


@cocotb.test()
async def a_failed_mirror_write_is_a_fault_of_its_own(dut: HierarchyObject) -> None:
    rig = Rig(dut)
    await rig.start()
    place = rig.bench.memory.allocate(64)
    await rig.write(abi.POOL, "MIRROR_LOW", 0, enable=1, address=place.address >> 3 & 0x1FFF_FFFF)
    await rig.write(abi.POOL, "MIRROR_HIGH", 0, address=place.address >> 32)
    rig.bench.port.inject_error(lambda address: address == place.address)
    await rig.open((1,))
    await rig.bench.cycles(400)
    assert await rig.faults() == {"MIRROR_WRITE": 1}
    assert await rig.get(abi.CARD, "EVENTS") == 1 << abi.Event.FAULT | 1 << abi.Event.WRITE_ERROR
    await rig.check({"MIRROR_WRITE": 1})


@cocotb.test()
async def the_oldest_page_has_a_name(dut: HierarchyObject) -> None:
    rig, _ = await opened(dut)
    cfg = rig.config
    bound = 2 * cfg.pools * (cfg.pages + 32)

    async def oldest(pool: int = 0) -> tuple[dict[str, int], int]:
        await rig.bench.cycles(bound)
        return (abi.POOL["OLDEST"].unpack(await rig.get(abi.POOL, "OLDEST", pool)),
                await rig.get(abi.POOL, "OLDEST_AGE", pool))
    assert (await oldest())[0]["valid"] == 0
    first = (await pages(rig, 1, queue=1))[0]
    since = rig.bench.cycle
    await rig.bench.cycles(2 * abi.AGE_CYCLES)
    second = (await pages(rig, 1, queue=0))[0]
    found, age = await oldest()
    page = abi.TOKEN.unpack(first)["page"]
    assert found == {"page": page, "queue": 1, "valid": 1}
    elapsed = rig.bench.cycle - since
    assert (elapsed - bound) // abi.AGE_CYCLES - 2 <= age <= elapsed // abi.AGE_CYCLES + 1
    assert (await oldest(1))[0]["valid"] == 0
    await rig.queues[1].give(first)
    await rig.flush()
    assert (await oldest())[0] == {"page": abi.TOKEN.unpack(second)["page"], "queue": 0, "valid": 1}
    await rig.queues[0].give(second)
    await rig.flush()
    assert (await oldest())[0]["valid"] == 0
    await rig.check()


@cocotb.test()
@cocotb.parametrize(way=("push", "pull", "auto"))
async def the_driver_returns_by_every_way(dut: HierarchyObject, way: str) -> None:
    rig = Rig(dut, latency=30, jitter=30, stalls=Stalls(0.2, 0.2, 0.2))
    await rig.bench.start()
    bench, received = rig.bench, []
    # One to a page on every card, so that no tokens can be merged.
    frames = [rig.frame(rig.rng.randint(2100, 3000)) for _ in range(150)]

    ready = False

    def drive() -> None:
        nonlocal ready
        with Card(bench.transport) as card:
            pool = card.add_pool(4 * card.capabilities.region_pages, mirror=True)
            card.set_mirror_period(16)
            queue = card.add_queue(pool, 64, returns=way)
            card.receive = ready = True
            while len(received) < len(frames):
                with queue.recv(64, timeout=1e-5) as burst:
                    received.extend(frame.tobytes() for frame in burst)
                bench.sleep(rig.rng.choice((200, 12_000)))
                assert 0 <= pool.free_cached <= pool.registered_by_host
            bench.sleep(1000)
            assert pool.free_cached == pool.free
            assert pool.outstanding_cached == pool.outstanding
            took = queue.returns.pushed, queue.returns.pulled
            assert sum(took) == queue.stats.returns
            assert bool(took[0]) == (way != "pull")
            assert bool(took[1]) == (way != "push")
            assert not sum(card.faults().values())

    async def wire() -> None:
        while not ready:
            await bench.cycles(50)
        for data in frames:
            await bench.send([data])
            while len(received) + 24 < bench.frames_sent:
                await bench.cycles(50)
    task = cocotb.start_soon(wire())
    await bench.driver(drive)
    await task
    assert received == frames
    assert not bench.memory.violations, bench.memory.violations[:3]
    assert not bench.memory.blocks, "everything was given back"
    assert bool(bench.memory.bytes_read) == (way != "push")
