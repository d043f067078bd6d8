"""Operations of the random test: frames and tokens, and the weather on the buses."""

from __future__ import annotations

from collections.abc import Callable

from pagering import abi
from pagering.abi import Fault
from pagering.dissect import Dissection, dissect
from pagering_tb.axi_slave import Stalls
from pagering_tb.bulk_wire import WireFrame

from . import traffic_operations as p
from .bench import HOLD_CYCLES, LIMIT_CYCLES, Bench
from .packets import NUMBERED, numbered, templates
from .pages import Wrong

__all__ = ["Traffic"]

_WAITING_MAX = 48
"""Frames on the wire."""
_STALE_LIVES = 6
"""A token so many lives old cannot be taken for one of today: generations wrap at 16."""
_TOKEN_CYCLES = 2000
"""A host that has nothing waits so long for something to forge."""


class Traffic(Bench):
    """What happens beside the control plane."""

    async def put_frames(self, op: p.Frames) -> None:
        for _ in range(max(1, op.count >> (0, 1, 3, 5, 1)[op.sizes])):
            now = self.ports.cycle
            limit, patience = now + LIMIT_CYCLES, now + HOLD_CYCLES
            while self.wire.waiting >= _WAITING_MAX:
                await self.cycles(40)
                self.look()
                if self.ports.cycle > patience:
                    self.release()
                if self.ports.cycle > limit:
                    raise Wrong("the card takes no more frames")
            data, found = self._frame(op.sizes)
            bad, hole = self.rng.randrange(64) < op.bad, self.rng.randrange(64) < op.holes
            hole = hole and len(data) > 2
            self.model.frames.send(data, bad, hole, found)
            self.wire.put(WireFrame(data, bad, hole))

    def _length(self, sizes: int) -> int:
        rng, config = self.rng, self.config
        match sizes:
            case 0:
                return rng.choice((60, 64, 64, 64, 65, rng.randint(1, 64)))
            case 1:
                return rng.choice((64,) * 7 + (594,) * 4 + (1518,))
            case 2:
                edge = rng.choice((config.chunk_bytes, config.page_bytes, config.burst_bytes,
                                   config.bus_bytes))
                return max(1, edge * rng.randint(1, 3) + rng.randint(-2, 2))
        return rng.randint(1, config.max_frame + 40)

    def _frame(self, sizes: int) -> tuple[bytes, Dissection]:
        """Return bytes unlike those of all other frames on their way, and what is in them."""
        frames = self.model.frames
        if sizes == 4:
            template = self.rng.choice(templates())
            return numbered(template.data, frames.sent), template.found
        length = self._length(sizes)
        while True:
            start = self.rng.randrange(4096)
            data = self.noise[start:start + length]
            if length >= NUMBERED.stop:
                data = numbered(data, frames.sent)
            if data not in frames.on_way:
                return data, dissect(data)
            length += length < NUMBERED.stop

    async def set_host(self, op: p.Host) -> None:
        was, self.host.manner = self.host.manner, op
        if was.lazy and not op.lazy:
            for queue in range(self.config.queues):
                self.host.consume(queue)

    async def forge(self, op: p.Forge) -> None:
        # The host keeps what comes meanwhile: a token that is forged must be one that it has.
        was, self.host.paused = self.host.paused, True
        if op.kind:
            await self._await_tokens(lambda: bool(self.host.held))
        await self.registers.flush()
        if op.kind == 0:
            # What is stale must be so by whichever way the true token went.
            await self.pulled()
        for number in range(op.count):
            self._forge_one(op.kind, op.pick + number, op.pull)
        self.host.ring()
        self.host.paused = was

    async def _await_tokens(self, enough: Callable[[], bool]) -> None:
        """Let the host, which gives nothing, take tokens; not for long if none come."""
        end = self.ports.cycle + _TOKEN_CYCLES
        while not enough() and self.ports.cycle < end and (
                self.wire.waiting or not self.bus.idle):
            self.host.fetch()
            await self.cycles(20)

    def _forge_one(self, kind: int, pick: int, pull: bool) -> None:
        config, host, pages = self.config, self.host, self.model.pages
        names = [Fault.RETURN_OWNER, Fault.RETURN_GENERATION, Fault.RETURN_IDLE]
        if kind == 0:
            old = [(queue, token) for queue, token, life in host.stale
                   if pages.pages[self._page(token)].life - life < _STALE_LIVES
                   and self._page(token) // config.region_pages in pages.slots]
            if not old:
                return
            queue, token = old[-1 - pick % len(old)]
        elif not host.held:
            return
        else:
            queue, token = host.held[pick % len(host.held)]
        named = abi.TOKEN.unpack(token)
        if kind == 1:
            named["generation"] ^= 1 + pick % 15
            names = [Fault.RETURN_GENERATION]
        elif kind == 2:
            if config.queues == 1:
                return
            queue = (queue + 1 + pick % (config.queues - 1)) % config.queues
            names = [Fault.RETURN_OWNER]
        elif kind == 3:
            named["last"] = 63 if config.chunks < 64 else named["first"] - 1
            if named["last"] < 0:
                return
            names = [Fault.RETURN_CHUNK]
        elif kind == 4:
            named["page"] = 0xFFFF - pick
            names = [Fault.RETURN_PAGE]
        forged, due = abi.TOKEN.pack(**named), frozenset(fault.name for fault in names)
        if not (pull and self.host.leave(queue, forged, lambda: self.model.faults.append(due))):
            self.expect(self.host.window(queue), forged, *names)

    @staticmethod
    def _page(token: int) -> int:
        return abi.TOKEN.unpack(token)["page"]

    async def arm(self, op: p.Arm) -> None:
        number = op.queue % self.config.queues
        queue = self.model.queues[number]
        ring = queue.ring
        if ring is None or not queue.enabled.now:
            return
        index = max(0, self.host.heads[number] - op.behind)

        def taken() -> None:
            ring.consumed = index
            queue.interrupt.arm(index, self.ports.cycle)
        self.write(abi.USER, "ARM", number, index_=index, taken=taken)

    async def read_error(self, op: p.ReadError) -> None:
        host, queues = self.host, self.model.queues
        pulling = [number for number, queue in enumerate(queues)
                   if queue.enabled.now and queue.returns.log2]
        if not pulling:
            return
        number = pulling[op.queue % len(pulling)]
        was, host.paused = host.paused, True
        await self._await_tokens(lambda: any(queue == number for queue, _ in host.held))
        # Whatever else was left has been read: it is known which tokens each read is for.
        await self.registers.flush()
        await self.pulled()
        returns = queues[number].returns
        returns.fails = op.skip
        for queue, token in [held for held in host.held if held[0] == number][:op.count]:
            host.held.remove((queue, token))
            host.give(queue, token, pull=True)
        host.ring()
        await self.registers.flush()
        await self.pulled()
        returns.fails, host.paused = None, was

    async def misuse(self, op: p.Misuse) -> None:
        model, config = self.model, self.config
        queue, pool = op.index % config.queues, op.index % config.pools
        if op.kind == 0 and model.pool_enabled[pool].now:
            self.expect(abi.POOL.address("RETIRE", pool), 1, Fault.REGISTER_VALUE)
        elif op.kind in (1, 2) and model.queues[queue].enabled.now:
            name = "POOL" if op.kind == 1 else "RING_SIZE"
            self.expect(abi.QUEUE.address(name, queue), 7, Fault.REGISTER_VALUE)
        elif op.kind == 3:
            self.expect(0x3FC, 1, Fault.REGISTER_ACCESS)
        elif op.kind == 4:
            self.expect(abi.CARD.address("ID"), 1, Fault.REGISTER_ACCESS)
        elif op.kind in (5, 6):
            self._misplace(pool, op.index, op.kind == 5)

    def _misplace(self, pool: int, pick: int, again: bool) -> None:
        """Register a region in a slot that is in use, or at an address that is none for it."""
        used = self.model.pages.slots
        slots = [slot for slot in range(self.config.regions) if (slot in used) == again]
        if slots and (again or self.config.region_pages > 1):
            self.expect(
                abi.REGION.address("REGION", slots[pick % len(slots)]),
                abi.REGION["REGION"].pack(valid=1, pool=pool, address=0 if again else 1),
                Fault.REGION_REFUSED if again else Fault.REGION_ALIGNMENT)

    async def gate(self, op: p.Gate) -> None:
        frames = self.model.frames
        frames.receive.set(op.receive)
        frames.drop_when_full.set(op.drop_when_full)
        frames.minimum.set(op.minimum)
        frames.maximum.set(op.maximum)
        self.write(abi.CARD, "CONTROL", receive=int(op.receive),
                    drop_when_full=int(op.drop_when_full))
        self.write(abi.CARD, "FRAME_LIMITS", minimum=op.minimum, maximum=op.maximum)

    async def flush(self, op: p.Flush) -> None:
        self.write(abi.CARD, "FLUSH_TIMER", cycles=op.cycles)

    async def events(self, op: p.Events) -> None:
        self.model.events_cleared = True
        self.registers.write(abi.CARD.address("EVENTS"), op.clear & 7)
        self.registers.write(abi.CARD.address("EVENT_ENABLE"), op.enable & 7)

    async def set_memory(self, op: p.Memory) -> None:
        for bus in (self.bus, self.reads):
            bus.latency, bus.jitter = op.latency, op.jitter
            bus.stalls = Stalls(op.address / 8, op.data / 8, op.response / 8)

    async def gaps(self, op: p.Gaps) -> None:
        self.wire.gaps = op.eighths / 8

    async def bus_error(self, op: p.BusError) -> None:
        self.model.errors[:] = [op.skip] + [0] * (op.count - 1)
