"""A card under test with a host that works the registers by hand.

The shipped driver would never return a token twice or enable a queue too early; this host does
what the test says. :class:`Rig` brings up pools and queues, :class:`HostQueue` reads one completion
ring, checks it, and gives memory back. Everything is a coroutine.
"""

from __future__ import annotations

import json
import os
import random
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import cocotb
from cocotb.handle import HierarchyObject
from cocotbext.axi import AxiStreamFrame

from pagering import abi
from pagering.abi import DropCause, Fault
from pagering_hdl.config import CardConfig
from pagering_hdl.queue_walk import ROUND_MIN
from pagering_tb.bench import BenchOptions, CardBench
from pagering_tb.host_memory import DmaBlock

__all__ = ["Completion", "HostQueue", "Rig", "config", "is_visible", "opened", "token"]

INDEX_MASK = (1 << abi.CONSUMER_BITS) - 1
CONFIG_VARIABLE = "PAGERING_TEST_CONFIG"


def config() -> CardConfig:
    """Return the configuration that the build under test was made from."""
    return CardConfig(**json.loads(os.environ[CONFIG_VARIABLE]))


def token(value: int, **changes: int) -> int:
    """Return a token with some of its fields changed."""
    return abi.TOKEN.pack(**{**abi.TOKEN.unpack(value), **changes})


@dataclass(frozen=True)
class Completion:
    """One completion as the host read it, with its data."""

    token: int
    length: int
    start: int
    end: int
    write_error: int
    last_of_page: int
    data: bytes
    extension: dict[str, int]
    """Empty if the queue's completions are plain ones."""

    @property
    def page(self) -> int:
        """Page id."""
        return abi.TOKEN.unpack(self.token)["page"]


class HostQueue:
    """The host's side of one queue."""

    def __init__(self, rig: Rig, index: int, pool: int, log2: int, extended: bool,
                 split: dict[str, int] | None = None) -> None:
        self.rig, self.index, self.pool, self.log2 = rig, index, pool, log2
        self.split = split
        self.lead = abi.EXTENSION_BYTES if extended else 0
        self.stride = self.lead + abi.COMPLETION_BYTES
        self.ring: DmaBlock = rig.bench.memory.allocate(self.stride << log2)
        self.head = 0
        self.frames: list[bytes] = []
        """Whole frames received, oldest first."""
        self.errors: list[bool] = []
        """For each frame, whether it was marked as badly written."""
        self.facts: list[dict[str, int]] = []
        """For each frame, all fields of its first completion."""
        self.outstanding: list[int] = []
        """Tokens received and not returned."""
        self.extensions: list[dict[str, int]] = []
        """What came with the first segment of each frame."""
        self._parts: list[Completion] = []

    async def enable(self) -> None:
        """Describe the ring and enable the queue."""
        rig, index, address = self.rig, self.index, self.ring.address
        self.ring.view[:] = bytes(len(self.ring.view))
        self.head = 0
        self._parts = []
        await rig.write(abi.QUEUE, "POOL", index, index_=self.pool)
        await rig.write(abi.QUEUE, "RING_LOW", index, address=address >> 12 & 0xFFFFF)
        await rig.write(abi.QUEUE, "RING_HIGH", index, address=address >> 32)
        await rig.write(abi.QUEUE, "RING_SIZE", index, log2=self.log2)
        await rig.write(abi.QUEUE, "FORMAT", index, extended=int(self.lead > 0))
        await rig.write(abi.QUEUE, "HEADER_SPLIT", index,
                        **({"enable": 1, **self.split} if self.split else {}))
        await rig.write(abi.QUEUE, "CONTROL", index, enable=1)

    def poll(self, most: int = 1 << 17) -> list[Completion]:
        """Read what is there; check phases, order of segments, and where the data lies."""
        found: list[Completion] = []
        mask = (1 << self.log2) - 1
        while len(found) < most:
            at = (self.head & mask) * self.stride
            word = int.from_bytes(self.ring.view[at:at + self.stride], "little")
            fields = abi.COMPLETION.unpack(word >> 8 * self.lead)
            if fields["phase"] != 1 - (self.head >> self.log2 & 1):
                break
            self.head = self.head + 1 & INDEX_MASK
            data = bytes(self.rig.memory_of(fields["token"])[:fields["length"]])
            assert len(data) == fields["length"], "the token names fewer bytes than the length"
            if fields["split"]:
                headers = abi.EXTENSION.unpack(word)["header_token"]
                data = bytes(self.rig.memory_of(headers)[:fields["header"]]) + data
                self.outstanding.append(headers)
            item = Completion(fields["token"], fields["length"], fields["start"], fields["end"],
                              fields["write_error"], fields["last_of_page"], data,
                              abi.EXTENSION.unpack(word) if self.lead else {})
            assert item.start == (not self._parts), "segments of a frame are out of order"
            if item.start:
                self.extensions.append(item.extension)
                self.facts.append(fields)
            else:
                assert not any(item.extension.values()), "only the first segment tells more"
            self._parts.append(item)
            if item.end:
                self.frames.append(b"".join(part.data for part in self._parts))
                self.errors.append(any(part.write_error for part in self._parts))
                self._parts = []
            self.outstanding.append(item.token)
            found.append(item)
        return found

    async def give(self, *tokens: int) -> None:
        """Write tokens to this queue's return window."""
        for value in tokens:
            await self.rig.bench.transport.write32_async(self.rig.window(self.index), value)

    async def consume(self) -> None:
        """Tell the card how far the ring has been read."""
        await self.rig.write(abi.USER, "CONSUMED", self.index, index_=self.head)

    async def take(self) -> list[Completion]:
        """Poll, return everything, consume."""
        found = self.poll()
        if self.outstanding:
            tokens, self.outstanding = self.outstanding, []
            await self.give(*tokens)
        if found:
            await self.consume()
        return found


class Rig:
    """A bench, some pools, some queues.

    Parameters
    ----------
    dut : HierarchyObject
        The card.
    options
        As of :class:`pagering_tb.bench.BenchOptions`.
    """

    def __init__(self, dut: HierarchyObject, **options: Any) -> None:
        self.dut = dut
        self.config = config()
        options.setdefault("memory_bytes", 1 << 28)
        self.bench = CardBench(dut, self.config, BenchOptions(**options))
        self.rng = random.Random(options.get("seed", 1))
        self.regions: dict[int, DmaBlock] = {}
        self.queues: dict[int, HostQueue] = {}
        self._hosts: list[Any] = []
        self._stopping = False

    async def start(self) -> None:
        """Start the clock and wait until the card is out of reset."""
        await self.bench.start()
        await self.ready()

    async def ready(self) -> None:
        """Wait until no reset is under way."""
        for _ in range(3000):
            if not (await self.get(abi.CARD, "STATUS")) & 1:
                return
        raise AssertionError("the card does not come out of reset")

    async def open(self, pools: Sequence[int] = (1,), queues: Iterable[int] | None = None,
                   log2: int = 8, receive: bool = True, extended: bool = False,
                   **control: int) -> None:
        """Register regions for each pool, enable pools and queues.

        Parameters
        ----------
        pools : Sequence[int]
            Regions of pool 0, 1, ...
        queues : Iterable[int]
            Pool of queue 0, 1, ...; all draw from pool 0 if left out.
        log2 : int
            Size of the completion rings.
        receive : bool
            Whether to take frames.
        extended : bool
            Whether completions are extended ones.
        control : int
            Fields of each pool's CONTROL.
        """
        slot = 0
        for pool, count in enumerate(pools):
            await self.write(abi.POOL, "CONTROL", pool, enable=0, **control)
            for _ in range(count):
                await self.register(slot, pool)
                slot += 1
            await self.write(abi.POOL, "CONTROL", pool, enable=1, **control)
        for index, pool in enumerate([0] * self.config.queues if queues is None else queues):
            await self.add_queue(index, pool, log2, extended)
        await self.write(abi.CARD, "CONTROL", receive=int(receive))
        await self.flush()

    async def register(self, slot: int, pool: int, wait: bool = True) -> DmaBlock:
        """Register one region and wait until it is loaded."""
        size = 1 << self.config.region_log2
        block = self.bench.memory.allocate(size, size)
        await self.write(abi.CARD, "REGION_HIGH", address=block.address >> 32)
        await self.write(abi.REGION, "REGION", slot, valid=1, pool=pool,
                         address=block.address >> 12 & 0xFFFFF)
        self.regions[slot] = block
        while wait:
            row = abi.REGION["REGION"].unpack(await self.get(abi.REGION, "REGION", slot))
            if row["valid"] and not row["loading"]:
                break
        return block

    async def add_queue(self, index: int, pool: int = 0, log2: int = 8, extended: bool = False,
                        split: dict[str, int] | None = None) -> HostQueue:
        """Open and enable a queue; ``split`` has fields of HEADER_SPLIT."""
        self.queues[index] = queue = HostQueue(self, index, pool, log2,
                                               extended or split is not None, split)
        await queue.enable()
        return queue

    # Registers

    async def get(self, block: abi.Block, name: str, index: int = 0) -> int:
        """Read a whole register."""
        return await self.bench.transport.read32_async(block.address(name, index))

    async def write(self, block: abi.Block, name: str, index: int = 0, **fields: int) -> None:
        """Write a register; ``index_`` is its field ``index``."""
        values = {key.rstrip("_"): value for key, value in fields.items()}
        await self.bench.transport.write32_async(block.address(name, index),
                                                 block[name].pack(**values))

    async def poke(self, offset: int, value: int) -> None:
        """Write any word."""
        await self.bench.transport.write32_async(offset, value)

    def window(self, queue: int) -> int:
        """Offset of a queue's return window."""
        return abi.USER.base + abi.USER.stride * queue + abi.RETURN_WINDOW

    async def flush(self) -> None:
        """Wait until all writes were answered and acted upon."""
        await self.bench.transport.flush()
        await self.bench.cycles(40)

    async def steer(self, queue: int) -> None:
        """Send every frame to one queue."""
        await self.write(abi.CARD, "STEERING", queue=queue)
        await self.bench.transport.flush()

    async def round_robin(self, queues: int) -> None:
        """Send frame after frame to the first ``queues`` queues in turn."""
        await self.write(abi.CARD, "STEERING", mode=1, last=queues - 1)
        await self.bench.transport.flush()

    async def drops(self) -> dict[str, int]:
        """Return the drop counters that are not zero."""
        read = {cause.name: await self.get(abi.STATS, f"DROP_{cause.name}") for cause in DropCause}
        return {name: value for name, value in read.items() if value}

    async def faults(self) -> dict[str, int]:
        """Return the fault counters that are not zero."""
        read = {fault.name: await self.get(abi.STATS, f"FAULT_{fault.name}") for fault in Fault}
        return {name: value for name, value in read.items() if value}

    async def dropped(self, queue: int) -> int:
        """Return how many frames were steered to a queue and dropped."""
        return sum([await self.get(abi.USER, name, queue)
                    for _, name, _ in abi.QUEUE_COUNTERS if name.startswith("DROP_")])

    async def levels(self, pools: int | None = None) -> dict[str, int]:
        """Return all that the card tells of its pools and queues and of returns."""
        state = {name: await self.get(abi.STATS, name) for name in ("RETURNS", "RECYCLED")}
        for pool in range(self.config.pools if pools is None else pools):
            for name in ("REGISTERED", "FREE", "OUTSTANDING", "PEAK", "CONTROL", "STATUS"):
                state[f"{name} {pool}"] = await self.get(abi.POOL, name, pool)
        for queue in self.queues:
            for name in ("HELD", "PRODUCED", "CONTROL", "STATUS"):
                state[f"queue {queue} {name}"] = await self.get(abi.QUEUE, name, queue)
            for _, name, _ in abi.QUEUE_COUNTERS:
                state[f"queue {queue} {name}"] = await self.get(abi.USER, name, queue)
        return state

    # Traffic

    def frame(self, length: int) -> bytes:
        """Return a frame of random bytes."""
        return self.rng.randbytes(length)

    async def send(self, *frames: bytes, bad: bool = False) -> None:
        """Put frames on the wire and wait until they are in and the card is idle."""
        for data in frames:
            tuser = [0] * (len(data) - 1) + [1] if bad else 0
            await self.bench.send_raw(AxiStreamFrame(data, tuser=tuser))
        await self.settle()

    async def settle(self) -> None:
        """Wait until the wire is empty and the card says that nothing is under way."""
        await self.bench.sent()
        await self.flush()
        for _ in range(20_000):
            if (await self.get(abi.CARD, "STATUS")) & 2 and self.bench.port.idle:
                # All queues are looked at once more before an interrupt is known not to come.
                await self.bench.cycles(max(ROUND_MIN, self.config.queues) + 8)
                return
        raise AssertionError("the card does not become idle")

    def memory_of(self, value: int) -> memoryview:
        """Return the bytes that a token names."""
        named, cfg = abi.TOKEN.unpack(value), self.config
        slot, place = divmod(named["page"], cfg.region_pages)
        start = place * cfg.page_bytes + named["first"] * cfg.chunk_bytes
        end = place * cfg.page_bytes + (named["last"] + 1) * cfg.chunk_bytes
        return self.regions[slot].view[start:end]

    def host(self, *queues: int, every: int = 64, shuffle: bool = False) -> None:
        """Start to serve queues (all if none is named): receive, return, consume."""
        async def serve() -> None:
            held: deque[tuple[HostQueue, int]] = deque()
            while not self._stopping or held:
                for index in queues or tuple(self.queues):
                    queue = self.queues[index]
                    found = queue.poll()
                    held.extend((queue, value) for value in queue.outstanding)
                    queue.outstanding = []
                    if found:
                        await queue.consume()
                if shuffle:
                    self.rng.shuffle(held)
                kept = self.rng.randrange(8) if shuffle and not self._stopping else 0
                for _ in range(len(held) - kept):
                    queue, value = held.popleft()
                    await queue.give(value)
                await self.bench.cycles(every)
        self._stopping = False
        self._hosts.append(cocotb.start_soon(serve()))

    async def stop_hosts(self) -> None:
        """Stop serving; take and return what is left."""
        self._stopping = True
        for task in self._hosts:
            await task
        self._hosts = []
        for queue in self.queues.values():
            await queue.take()
        await self.flush()

    def received(self) -> int:
        """Count the frames that the queues have received."""
        return sum(len(queue.frames) for queue in self.queues.values())

    async def pour(self, frames: Iterable[bytes], window: int = 1 << 16) -> None:
        """Send frames back to back, with at most ``window`` bytes on their way."""
        under_way: deque[int] = deque()
        seen = self.received()
        for data in frames:
            limit = self.bench.cycle + 200_000
            while True:
                now = self.received()
                for _ in range(now - seen):
                    under_way.popleft()
                seen = now
                if not under_way or (sum(under_way) + len(data) <= window and len(under_way) < 48):
                    break
                assert self.bench.cycle < limit, "nothing more is received"
                await self.bench.cycles(16)
            under_way.append(len(data))
            await self.bench.send_raw(AxiStreamFrame(data))
        await self.settle()

    async def check(self, faults: dict[str, int] | None = None) -> None:
        """Check what must hold whenever nothing is under way."""
        cfg = self.config
        assert await self.faults() == (faults or {})
        drops = await self.drops()
        came, delivered = await self.get(abi.STATS, "FRAMES_IN"), await self.get(
            abi.STATS, "FRAMES_DELIVERED")
        assert came == delivered + sum(drops.values()), (came, delivered, drops)
        held = [await self.get(abi.QUEUE, "HELD", queue) for queue in range(cfg.queues)]
        off = 0
        for pool in range(cfg.pools):
            registered, free, out = [await self.get(abi.POOL, name, pool)
                                     for name in ("REGISTERED", "FREE", "OUTSTANDING")]
            assert 0 <= out <= registered - free <= registered
            off += registered - free
        assert off == sum(held), "each page off a ring is held by one queue"
        assert not self.bench.problems(), self.bench.problems()[:3]


async def opened(dut: HierarchyObject, regions: int | None = None, log2: int = 6,
                 extended: bool = False, **options: object) -> Rig:
    """Return a rig with one pool of half the card's regions, open to receive."""
    rig = Rig(dut, **options)
    await rig.start()
    await rig.open((regions or rig.config.regions // 2,), log2=log2, extended=extended)
    return rig


def is_visible(rig: Rig, index: int) -> bool:
    """Return whether completion ``index`` of queue 0 is in memory now."""
    queue = rig.queues[0]
    end = ((index & (1 << queue.log2) - 1) + 1) * queue.stride
    return queue.ring.view[end - 1] >> 7 == 1 - (index >> queue.log2 & 1)
