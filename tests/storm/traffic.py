"""Operations of the random test: frames and tokens, and the weather on the buses."""

from __future__ import annotations

from pagering import abi
from pagering.abi import Fault
from pagering_tb.bulk_wire import WireFrame
from pagering_tb.write_port import Stalls

from . import program as p
from .bench import LIMIT_CYCLES, Bench
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
        for _ in range(max(1, op.count >> (0, 1, 3, 5)[op.sizes])):
            limit = self.ports.cycle + LIMIT_CYCLES
            while self.wire.waiting >= _WAITING_MAX:
                await self.cycles(40)
                self.look()
                if self.ports.cycle > limit:
                    raise Wrong("the card takes no more frames")
            self._send(self._length(op.sizes), self.rng.randrange(64) < op.bad,
                       self.rng.randrange(64) < op.holes)

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

    def _send(self, length: int, bad: bool, hole: bool) -> None:
        frames = self.model.frames
        hole = hole and length > 2
        while True:
            head = frames.sent.to_bytes(4, "little")[:length]
            if length < 4:
                head = self.rng.randbytes(length)
            start = self.rng.randrange(4096)
            data = head + self.noise[start:start + length - len(head)]
            if data not in frames.on_way:
                break
            length += 1
        frames.send(data, bad, hole)
        self.wire.put(WireFrame(data, bad, hole))

    async def set_host(self, op: p.Host) -> None:
        was, self.host.manner = self.host.manner, op
        if was.lazy and not op.lazy:
            for queue in range(self.config.queues):
                self.host.consume(queue)

    async def forge(self, op: p.Forge) -> None:
        # The host keeps what comes meanwhile: a token that is forged must be one that it has.
        was, self.host.paused = self.host.paused, True
        end = self.ports.cycle + _TOKEN_CYCLES
        while op.kind and not self.host.held and self.ports.cycle < end and (
                self.wire.waiting or not self.bus.idle):
            self.host.fetch()
            await self.cycles(20)
        await self.registers.flush()
        for number in range(op.count):
            self._forge_one(op.kind, op.pick + number)
        self.host.paused = was

    def _forge_one(self, kind: int, pick: int) -> None:
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
        self.expect(self.host.window(queue), abi.TOKEN.pack(**named), *names)

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
            queue.armed, ring.consumed = index, index
        self.write(abi.USER, "ARM", number, index_=index, taken=taken)

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

    async def steer(self, op: p.Steer) -> None:
        queue = op.queue % self.config.queues
        # The first frame of a rotation still has the turn of the one before, whatever that was.
        self.model.frames.steering.set(tuple(range(self.config.queues)) if op.turns else (queue,))
        self.write(abi.CARD, "STEERING", mode=int(op.turns), queue=queue, last=queue)

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
        self.bus.latency, self.bus.jitter = op.latency, op.jitter
        self.bus.stalls = Stalls(op.address / 8, op.data / 8, op.response / 8)

    async def gaps(self, op: p.Gaps) -> None:
        self.wire.gaps = op.eighths / 8

    async def bus_error(self, op: p.BusError) -> None:
        self.model.errors[:] = [op.skip] + [0] * (op.count - 1)
