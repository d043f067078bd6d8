"""The card and its software twin, step by step: after each step every register agrees.

One random scenario, drawn from the seed in the environment: frames, returns true and forged,
queues and pools that come and go, limits. The card is left to finish after each step; then all
registers, the interrupt lines and the completion rings of both are compared.
"""

from __future__ import annotations

import os
import random

import cocotb
from cocotb.handle import HierarchyObject
from cocotbext.axi import AxiStreamFrame

from packets import damaged, packet
from pagering import abi
from pagering.abi import Access
from pagering.errors import CardError
from pagering.fake import FakeCard
from pagering.fake_memory import FakeMemory
from pagering_tb.host_memory import DmaBlock

from .rig import Rig

STEPS = int(os.environ.get("PAGERING_TWIN_STEPS", "600"))
RING_LOG2 = 6
PLACES = {"REGION_HIGH", "RING_LOW", "RING_HIGH", "RETURN_LOW", "RETURN_HIGH", "MIRROR_LOW",
          "MIRROR_HIGH"}
"""Addresses: each of the two has memory of its own."""
RETURN_LOG2 = 5
MIRROR_CYCLES = 200
"""Enough for every pool's and queue's mirror to be written, one every 16 cycles."""
TIMED = {"FIFO_PEAK", *(name + half for half in ("", "_HIGH") for name in (
    "PAUSES", "PAUSE_CYCLES", "WRITE_BURSTS", "WRITE_BEATS"))}
"""What depends on when things happen, which the twin does not know."""


class Pair:
    """Both cards, driven alike."""

    def __init__(self, rig: Rig, mirrors: bool) -> None:
        cfg = rig.config
        self.mirrors = mirrors
        """Whether counts are mirrored: how often depends on time, so what is written does."""
        self.rig, self.cfg, self.rng = rig, cfg, rig.rng
        self.twin = FakeCard(
            queues=cfg.queues, pools=cfg.pools, regions=cfg.regions,
            region_pages=cfg.region_pages, page_bytes=cfg.page_bytes,
            chunk_bytes=cfg.chunk_bytes, bus_bytes=cfg.bus_bytes, frame_bytes=cfg.max_frame,
            burst_bytes=cfg.burst_bytes, clock_khz=cfg.clock_khz)
        self.rings: list[tuple[DmaBlock, FakeMemory]] = []
        self.regions: dict[int, tuple[DmaBlock, FakeMemory]] = {}
        self.return_rings = [self.both((4 << RETURN_LOG2) + 8) for _ in range(cfg.queues)]
        self.places = [self.both(64) for _ in range(cfg.pools)]
        """Memory of card and twin for each queue and each pool."""
        self.seen: list[tuple[int, int]] = []
        """(queue, token) of every completion so far."""
        self.heads = [0] * cfg.queues
        self.used: set[int] = set()
        """Slots written."""

    def both(self, size: int) -> tuple[DmaBlock, FakeMemory]:
        """Allocate for the card and for its twin."""
        return self.rig.bench.memory.allocate(size), self.twin.allocate(size)

    async def place(self, block: abi.Block, low: str, high: str, index: int,
                    pair: tuple[DmaBlock, FakeMemory], **fields: int) -> None:
        """Tell each card where its own memory is."""
        await self.rig.flush()
        for card, memory in ((self.rig.bench.transport.write32_async, pair[0]),
                             (self._twin_write, pair[1])):
            word = block[low].pack(**fields)
            await card(block.address(low, index), memory.address & 0xFFFF_FFFF & ~7 | word)
            await card(block.address(high, index), memory.address >> 32)

    async def pull(self, queue: int, tokens: list[int], ahead: int = 0) -> None:
        """Leave tokens in both rings and ring both doorbells, maybe with a wrong index."""
        start = self.twin.state.queues[queue].returned
        for number, value in enumerate(tokens):
            at = 4 * (start + number & (1 << RETURN_LOG2) - 1)
            for memory in self.return_rings[queue]:
                memory.view[at:at + 4] = value.to_bytes(4, "little")
        index = start + len(tokens) + ahead & (1 << abi.CONSUMER_BITS) - 1
        await self.write(abi.USER, "RETURN_PRODUCED", queue, index_=index)

    async def write(self, block: abi.Block, name: str, index: int = 0, **fields: int) -> None:
        values = {key.rstrip("_"): value for key, value in fields.items()}
        await self.poke(block.address(name, index), block[name].pack(**values))

    async def poke(self, offset: int, value: int) -> None:
        await self.rig.poke(offset, value)
        self.twin.write32(offset, value)

    async def register(self, slot: int, pool: int) -> None:
        size = 1 << self.cfg.region_log2
        pair = self.rig.bench.memory.allocate(size, size), self.twin.allocate(size, size)
        await self.rig.flush()
        for card, memory in ((self.rig.bench.transport.write32_async, pair[0]),
                             (self._twin_write, pair[1])):
            await card(abi.CARD.address("REGION_HIGH"), memory.address >> 32)
            await card(abi.REGION.address("REGION", slot), abi.REGION["REGION"].pack(
                valid=1, pool=pool, address=memory.address >> 12 & 0xFFFFF))
        if slot not in self.used:
            self.regions[slot] = pair
            self.used.add(slot)
        await self.rig.bench.cycles(4 * self.cfg.region_pages + 20)

    async def _twin_write(self, offset: int, value: int) -> None:
        self.twin.write32(offset, value)

    async def open_queue(self, queue: int, pool: int) -> None:
        pair = self.rings[queue] if queue < len(self.rings) else (
            self.rig.bench.memory.allocate(32 << RING_LOG2),
            self.twin.allocate(32 << RING_LOG2))
        if queue == len(self.rings):
            self.rings.append(pair)
        await self.rig.flush()
        if not self.twin.state.queues[queue].drained:
            return
        for memory in pair:
            memory.view[:] = bytes(len(memory.view))
        self.heads[queue] = 0
        for card, memory in ((self.rig.bench.transport.write32_async, pair[0]),
                             (self._twin_write, pair[1])):
            await card(abi.QUEUE.address("RING_LOW", queue), memory.address & 0xFFFF_F000)
            await card(abi.QUEUE.address("RING_HIGH", queue), memory.address >> 32)
        await self.write(abi.QUEUE, "RING_SIZE", queue, log2=RING_LOG2)
        extended = self.rng.randrange(2)
        await self.write(abi.QUEUE, "FORMAT", queue, extended=extended)
        await self.write(abi.QUEUE, "HEADER_SPLIT", queue,
                         enable=self.rng.random() < (0.6 if extended else 0.05),
                         pool=self.rng.choice((pool, *range(self.cfg.pools))),
                         threshold=self.rng.choice((0, 0, 0, 200, 65535)))
        await self.write(abi.QUEUE, "POOL", queue, index_=pool)
        await self.place(abi.QUEUE, "RETURN_LOW", "RETURN_HIGH", queue, self.return_rings[queue])
        await self.write(abi.QUEUE, "RETURN_SIZE", queue, log2=RETURN_LOG2,
                         mirror=int(self.mirrors))
        await self.write(abi.QUEUE, "CONTROL", queue, enable=1)

    async def frame(self, data: bytes, bad: bool = False, hole: bool = False) -> None:
        keep = [1] * len(data)
        if hole and len(data) > 2:
            keep[0] = 0
        await self.rig.bench.send_raw(AxiStreamFrame(
            data, tkeep=keep, tuser=[0] * (len(data) - 1) + [1] if bad else 0))
        holed = hole and len(data) > 2
        self.twin.inject(data[1:] if holed else data, bad=bad, malformed=holed)

    async def pass_time(self) -> None:
        """Let all that is moderated by time become due: a unit, and one for its rounding."""
        if any(queue.interrupt.time for queue in self.twin.state.queues):
            await self.rig.bench.cycles(2 * abi.MODERATION_CYCLES)
            self.twin.advance(abi.MODERATION_CYCLES)

    def collect(self) -> None:
        """Note the tokens of new completions, as the twin shows them."""
        for queue, state in enumerate(self.twin.state.queues):
            while self.heads[queue] != state.produced:
                slot = self.heads[queue] & (1 << RING_LOG2) - 1
                at = (slot + 1) * state.stride - abi.COMPLETION_BYTES
                word = int.from_bytes(self.rings[queue][1].view[at:at + 16], "little")
                fields = abi.COMPLETION.unpack(word)
                self.seen.append((queue, fields["token"]))
                if fields["split"]:
                    before = self.rings[queue][1].view[at - abi.EXTENSION_BYTES:at]
                    extension = abi.EXTENSION.unpack(int.from_bytes(before, "little"))
                    self.seen.append((queue, extension["header_token"]))
                self.heads[queue] = self.heads[queue] + 1 & (1 << abi.CONSUMER_BITS) - 1

    async def compare(self, what: str, whole: bool) -> None:
        counts = {"": 1, "regions": self.cfg.regions, "pools": self.cfg.pools,
                  "queues": self.cfg.queues}
        apart = TIMED | PLACES | {"OLDEST", "OLDEST_AGE"}
        if self.mirrors:
            apart |= {"WRITE_BYTES", "WRITE_BYTES_HIGH"}
        for block in abi.BLOCKS:
            for register in block:
                fixed = register.access is Access.WO or register.name in apart
                quick = register.access is Access.RO or register.name == "CONTROL"
                if fixed or not (whole or (quick and not register.name.startswith(
                        ("CAP_", "ID", "VERSION")))):
                    continue
                for index in range(counts[block.count]):
                    offset = block.address(register.name, index)
                    card = await self.rig.bench.transport.read32_async(offset)
                    twin = self.twin.read32(offset)
                    if block is abi.REGION:
                        card, twin = card & 0xFFF, twin & 0xFFF
                    assert card == twin, (
                        f"after {what}: {block.name}.{register.name} {index} is {card:#x} on the "
                        f"card and {twin:#x} on the twin")
        state = self.twin.state
        lines = sum(queue.interrupt.fired << n for n, queue in enumerate(state.queues))
        lines |= bool(state.events & state.event_enable) << self.cfg.queues
        assert int(self.rig.dut.irq.value) == lines, f"after {what}: interrupt lines"
        for queue, (card_ring, twin_ring) in enumerate(self.rings):
            assert card_ring.view == twin_ring.view, f"after {what}: ring of queue {queue}"
        for queue, (card_ring, twin_ring) in enumerate(self.return_rings):
            assert card_ring.view == twin_ring.view, f"after {what}: return ring of queue {queue}"
        for pool, (card_mirror, twin_mirror) in enumerate(self.places):
            assert card_mirror.view == twin_mirror.view, f"after {what}: mirror of pool {pool}"

    async def compare_oldest(self, what: str) -> None:
        """Of pages that came out in the same unit of time, either card may name any."""
        pages = self.twin.state.pages
        await self.rig.bench.cycles(2 * self.cfg.pools * (self.cfg.pages + 32))
        for pool in range(self.cfg.pools):
            found = abi.POOL["OLDEST"].unpack(await self.rig.get(abi.POOL, "OLDEST", pool))
            out = {page: state for page, state in enumerate(pages.pages)
                   if state.out and pages.pool_of(page) == pool}
            assert found["valid"] == bool(out), f"after {what}: oldest page of pool {pool}"
            if out:
                assert found["page"] in out, f"after {what}: oldest page of pool {pool}"
                assert found["queue"] == out[found["page"]].holder


async def steer_table(pair: Pair, rng: random.Random) -> None:
    """Write a register or a row of steering; some rows and queues do not exist."""
    row = rng.choice((0, 1, 7, 9, 10, rng.randrange(128)))
    await pair.write(abi.STEER, "ROW", row=row, word=rng.randrange(16))
    for name, fields in (
            ("RSS", {"transform": rng.randrange(4), "tcp": rng.randrange(2),
                     "udp": rng.randrange(2)}),
            ("FILTER", {"promiscuous": int(rng.random() < 0.7), "all_multicast": rng.randrange(2),
                        "broadcast": rng.randrange(2), "vlan": int(rng.random() < 0.2),
                        "untagged": int(rng.random() < 0.8)}),
            ("MULTICAST_0", {"hashes": rng.getrandbits(32)}), ("KEY", {"key": rng.getrandbits(32)}),
            ("INDIRECTION", {"queue": rng.randrange(2 * pair.cfg.queues) % 64}),
            ("VLANS", {"vlans": rng.getrandbits(32)}),
            ("ADDRESS_LOW", {"address": rng.getrandbits(32)}),
            ("ADDRESS_HIGH", {"address": rng.getrandbits(16), "valid": rng.randrange(2)})):
        if rng.random() < 0.4:
            await pair.write(abi.STEER, name, **fields)
    # This one waits until a key is in its place.
    await pair.write(abi.STEER, "ROW", row=row)


async def rule(pair: Pair, rng: random.Random) -> None:
    """Put a rule in place, possible or not, or take it off, and wait until the card has."""
    await pair.write(abi.STEER, "ROW", row=rng.choice((0, 1, 62, 63, 64)),
                     word=abi.RULE_WORDS - 1)
    enable = rng.randrange(2)
    if enable:
        some = {f"match_{name}": int(rng.random() < 0.2) for name in (
            "l3", "source", "source_port", "destination_port", "protocol", "vlan")}
        fields = {"mark": rng.getrandbits(16), "queue": rng.randrange(2 * pair.cfg.queues) % 64,
                  "drop": int(rng.random() < 0.2), "l3": rng.randrange(4)}
        await pair.write(abi.STEER, "RULE_WORD",
                         value=abi.RULE.pack(**fields, **some) >> 32 * (abi.RULE_WORDS - 1))
    await pair.write(abi.STEER, "RULE", enable=enable)
    while abi.STEER["RULE"].unpack(await pair.rig.get(abi.STEER, "RULE"))["busy"]:
        pass


async def step(pair: Pair) -> str:
    """Do one random thing to both; return what it was."""
    rng, cfg, seen = pair.rng, pair.cfg, pair.seen
    queue, pool = rng.randrange(cfg.queues), rng.randrange(cfg.pools)
    outstanding = [(q, value) for q, value in seen[-200:]]
    kind = rng.choices(
        ("frame", "return", "forge", "near", "consume", "arm", "queue", "pool", "limits",
         "low water", "retire", "register", "steer", "steer table", "rule",
         "frame limits", "receive", "locked", "events", "bad access", "clock", "moderation",
         "force", "pull", "bad doorbell"),
        (60, 40, 3, 8, 12, 12, 4, 2, 3, 2, 1, 3, 3, 6, 1, 1, 1, 2, 2, 1, 6, 4, 2, 20, 2))[0]
    if kind == "frame":
        length = rng.choice((rng.randint(1, 64), rng.randint(1, 2000), rng.randint(1, 9700),
                             cfg.page_bytes, cfg.chunk_bytes))
        length = min(length, 9700)
        bad, hole = rng.random() < 0.05, rng.random() < 0.03
        data = rng.randbytes(length)
        if rng.random() < 0.5:
            data = packet(rng)
            data = damaged(rng, data) if rng.random() < 0.3 else data
        await pair.frame(data, bad, hole)
        kind += f" of {len(data)}"
    elif kind in ("return", "near") and outstanding:
        for q, value in rng.sample(outstanding, min(len(outstanding), rng.randint(1, 4))):
            if kind == "near":
                value ^= 1 << rng.randrange(32)
                q = queue if rng.random() < 0.3 else q
            elif (q, value) in seen:
                seen.remove((q, value))
            await pair.poke(pair.rig.window(q) + 4 * rng.randrange(512), value)
    elif kind == "pull":
        mine = [value for q, value in outstanding if q == queue]
        tokens = rng.sample(mine, min(len(mine), rng.randint(0, 20)))
        for value in tokens:
            seen.remove((queue, value))
        tokens += [rng.choice((*seen, (queue, rng.getrandbits(32))))[1]
                   for _ in range(rng.randrange(3))]
        rng.shuffle(tokens)
        await pair.pull(queue, tokens)
    elif kind == "bad doorbell":
        await pair.pull(queue, [], rng.choice(((1 << RETURN_LOG2) + 1, -1, rng.getrandbits(17))))
    elif kind == "forge":
        await pair.poke(pair.rig.window(queue), rng.getrandbits(32))
    elif kind == "consume":
        for q in range(cfg.queues):
            await pair.write(abi.USER, "CONSUMED", q, index_=pair.heads[q])
    elif kind == "arm":
        await pair.write(abi.USER, "ARM", queue, index_=pair.heads[queue])
    elif kind == "queue":
        if pair.twin.state.queues[queue].enabled:
            await pair.write(abi.QUEUE, "CONTROL", queue, enable=0)
        else:
            await pair.open_queue(queue, rng.randrange(cfg.pools))
    elif kind == "pool":
        await pair.write(abi.POOL, "CONTROL", pool, enable=int(rng.random() < 0.7),
                         policy=rng.randrange(2))
    elif kind == "limits":
        few = rng.random() < 0.4
        await pair.write(abi.POOL, "LIMIT", pool, pages=rng.randrange(12) if few else 65536)
        await pair.write(abi.QUEUE, "QUOTA", queue, pages=rng.randrange(6) if few else 65536)
    elif kind == "low water":
        enter = rng.randrange(9)
        await pair.write(abi.POOL, "LOW_WATER", pool, enter=enter, exit=enter + rng.randrange(5))
    elif kind == "retire":
        await pair.write(abi.POOL, "CONTROL", pool, enable=0)
        await pair.rig.flush()
        await pair.write(abi.POOL, "RETIRE", pool, retire=rng.randrange(2))
        await pair.rig.bench.cycles(4 * cfg.pages // 2 + 100)
        pair.used = {n for n, row in enumerate(pair.twin.state.pages.slots) if row.valid}
        await pair.write(abi.POOL, "CONTROL", pool, enable=1)
    elif kind == "register":
        await pair.register(rng.randrange(cfg.regions), pool)
    elif kind == "steer":
        await pair.write(abi.CARD, "STEERING", mode=rng.choice((0, 0, 1, 1, 2, 2, 3)),
                         queue=rng.choice((queue, queue, 63)), last=rng.randrange(cfg.queues))
    elif kind == "steer table":
        await steer_table(pair, rng)
    elif kind == "rule":
        await rule(pair, rng)
    elif kind == "frame limits":
        await pair.write(abi.CARD, "FRAME_LIMITS", minimum=rng.choice((1, 1, 60)),
                         maximum=rng.choice((1518, 0xFFFF, 0xFFFF)))
    elif kind == "receive":
        await pair.write(abi.CARD, "CONTROL", receive=int(rng.random() < 0.8))
    elif kind == "locked":
        if not pair.twin.state.queues[queue].drained:
            await pair.write(abi.QUEUE, rng.choice(("POOL", "RING_LOW", "RING_SIZE", "FORMAT")),
                             queue)
    elif kind == "events":
        await pair.write(abi.CARD, "EVENTS", low_water=1, fault=rng.randrange(2))
        await pair.write(abi.CARD, "EVENT_ENABLE", low_water=rng.randrange(2),
                         fault=rng.randrange(2))
    elif kind == "clock":
        # It stands still, or the twin could not know when a frame came.
        for half in ("LOW", "HIGH"):
            await pair.write(abi.CARD, f"CLOCK_VALUE_{half}", value=rng.getrandbits(32))
        for command in (rng.choice((abi.ClockCommand.SET, abi.ClockCommand.ADJUST)),
                        abi.ClockCommand.CAPTURE):
            await pair.write(abi.CARD, "CLOCK_COMMAND", command=command)
    elif kind == "moderation":
        await pair.write(abi.QUEUE, "MODERATION", queue, time=rng.choice((0, 0, 1)),
                         completions=rng.choice((0, 0, 1, 2, 5, 4095)))
    elif kind == "force":
        await pair.write(abi.QUEUE, "FORCE", queue, force=rng.randrange(2))
    elif kind == "bad access":
        await pair.poke(rng.choice((0, 0x3FC, 0x1FFC, 0x2FFC, 0x3014)), rng.getrandbits(32))
        for read in (pair.rig.bench.transport.read32_async, pair.twin.read32):
            try:
                answer = read(0x3FC)
                if not isinstance(answer, int):
                    await answer
            except CardError:
                continue
            raise AssertionError("a read of no register was answered")
    return kind


@cocotb.test()
async def card_and_twin_agree_after_every_step(dut: HierarchyObject) -> None:
    seed = int(os.environ.get("PAGERING_TWIN_SEED", "1"))
    rig = Rig(dut, seed=seed, latency=2)
    await rig.start()
    pair = Pair(rig, mirrors=bool(seed & 1))
    pair.rng = random.Random(seed)
    for slot in range(2):
        await pair.register(slot, slot % rig.config.pools)
    await pair.write(abi.CARD, "MIRROR_TIMER", cycles=16)
    for pool in range(rig.config.pools):
        await pair.place(abi.POOL, "MIRROR_LOW", "MIRROR_HIGH", pool, pair.places[pool],
                         enable=int(pair.mirrors))
        await pair.write(abi.POOL, "CONTROL", pool, enable=1, policy=pool % 2)
    for queue in range(rig.config.queues):
        await pair.open_queue(queue, queue % 2)
    await pair.write(abi.CARD, "CONTROL", receive=1)
    await rig.settle()
    for number in range(STEPS):
        what = await step(pair)
        await rig.settle()
        await rig.bench.cycles(MIRROR_CYCLES)
        await rig.settle()
        await pair.pass_time()
        pair.collect()
        await pair.compare(f"step {number}, {what}", number % 10 == 0)
        if number % 50 == 0:
            await pair.compare_oldest(f"step {number}, {what}")
    for slot in pair.used:
        card, twin = pair.regions[slot]
        assert card.view == twin.view, f"memory of region {slot}"
    counters = {name: await rig.get(abi.STATS, name) for _, name, _ in abi.COUNTERS}
    dut._log.warning("reached: %s", {name: n for name, n in counters.items() if n})
    assert not rig.bench.problems()
    assert not pair.twin.stray_writes
