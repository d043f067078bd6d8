"""Operations of the random test: queues, pools and regions come and go; limits; resets."""

from __future__ import annotations

from pagering import abi

from . import control_operations as p
from .bench import LIMIT_CYCLES, Bench
from .pages import Wrong
from .queue import Ring

__all__ = ["Control"]


class Control(Bench):
    """The control plane."""

    async def queue_off(self, op: p.QueueOff) -> None:
        number = op.queue % self.config.queues
        queue = self.model.queues[number]
        if queue.enabled.now:
            queue.enabled.set(False)
            self.write(abi.QUEUE, "CONTROL", number, enable=0)
        if op.wait:
            await self.await_drained_queue(number)

    async def await_drained_queue(self, number: int) -> None:
        await self.until(f"drain queue {number}", abi.QUEUE, "STATUS", number,
                          lambda value: bool(value & 1))
        self.model.queue_drained(number)

    async def queue_on(self, op: p.QueueOn) -> None:
        number = op.queue % self.config.queues
        queue = self.model.queues[number]
        if queue.enabled.now and not op.again:
            return
        await self.queue_off(p.QueueOff(number))
        self.host.fetch()
        await self.registers.flush()
        self._describe(number, op)
        self._place_returns(number, op)
        queue.drained = False
        queue.enabled.set(True)
        self.host.heads[number] = 0
        self.write(abi.QUEUE, "CONTROL", number, enable=1,
                   taken=lambda: queue.interrupt.restart(self.ports.cycle))
        if not await self.read(abi.QUEUE, "CONTROL", number) & 1:
            raise Wrong(f"queue {number} was drained, but cannot be enabled")

    def _describe(self, number: int, op: p.QueueOn) -> None:
        """Set pools and completion ring of a drained queue."""
        queue, pools = self.model.queues[number], self.config.pools
        pool, headers = op.pool % pools, op.headers % pools
        extended = op.extended or op.split
        if queue.ring is not None:
            queue.ring.block.free()
        size = abi.COMPLETION_BYTES + extended * abi.EXTENSION_BYTES
        block = self.memory.allocate(size << op.log2)
        self.write(abi.QUEUE, "POOL", number, index_=pool)
        self.write(abi.QUEUE, "RING_LOW", number, address=block.address >> 12 & 0xFFFFF)
        self.write(abi.QUEUE, "RING_HIGH", number, address=block.address >> 32)
        self.write(abi.QUEUE, "RING_SIZE", number, log2=op.log2)
        self.write(abi.QUEUE, "FORMAT", number, extended=extended)
        self.write(abi.QUEUE, "HEADER_SPLIT", number, enable=op.split, pool=headers,
                   threshold=op.threshold)
        queue.pool.set(pool)
        queue.header_pool.set(headers)
        queue.split.set(op.split)
        queue.threshold = op.threshold
        queue.rings.set(1 << op.log2)
        queue.ring = Ring(block, op.log2, extended)

    def _place_returns(self, number: int, op: p.QueueOn) -> None:
        """Give a drained queue a return ring, or none."""
        returns = self.model.queues[number].returns
        if returns.block is not None:
            returns.block.free()
        log2 = max(op.pull, abi.RETURN_LOG2_MIN) if op.pull else 0
        block = self.memory.allocate((4 << log2) + abi.MIRROR_BYTES) if log2 else None
        address = 0 if block is None else block.address
        self.write(abi.QUEUE, "RETURN_LOW", number, address=address >> 12 & 0xFFFFF)
        self.write(abi.QUEUE, "RETURN_HIGH", number, address=address >> 32)
        mirrors = log2 > 0 and op.mirror
        self.write(abi.QUEUE, "RETURN_SIZE", number, log2=log2, mirror=int(mirrors))
        returns.place(block, log2, mirrors)

    async def pool_off(self, op: p.PoolOff) -> None:
        pool = op.pool % self.config.pools
        if self.model.pool_enabled[pool].now:
            self.model.pool_enabled[pool].set(False)
            self.write(abi.POOL, "CONTROL", pool, enable=0)
        if op.wait:
            await self.await_drained_pool(pool)

    async def await_drained_pool(self, pool: int) -> None:
        await self.until(f"drain pool {pool}", abi.POOL, "STATUS", pool,
                          lambda value: bool(value & 1))
        self.model.pages.pool_drained(pool)

    async def pool_on(self, op: p.PoolOn) -> None:
        pool = op.pool % self.config.pools
        if not self.model.pool_enabled[pool].now:
            await self.await_drained_pool(pool)
            await self.registers.flush()
            self._place_mirror(pool, op.mirror)
            self.model.pages.drained_pools.discard(pool)
            self.model.pool_enabled[pool].set(True)
        self.write(abi.POOL, "CONTROL", pool, enable=1, policy=int(op.lifo))

    def _place_mirror(self, pool: int, wanted: bool) -> None:
        """Give a drained pool a mirror of its counts, or none."""
        mirror = self.model.mirrors[pool]
        if mirror.block is not None:
            mirror.block.free()
        block = self.memory.allocate(abi.MIRROR_BYTES) if wanted else None
        address = 0 if block is None else block.address
        self.write(abi.POOL, "MIRROR_LOW", pool, enable=int(wanted),
                   address=address >> 3 & (1 << 29) - 1)
        self.write(abi.POOL, "MIRROR_HIGH", pool, address=address >> 32)
        mirror.place(block)

    async def replace(self, op: p.Replace) -> None:
        pages, pool = self.model.pages, op.pool % self.config.pools
        await self.pool_off(p.PoolOff(pool))
        # Drained means that no data comes; completions may. They are waited for, and nothing is on
        # its way back when the memory goes.
        limit = self.ports.cycle + LIMIT_CYCLES
        while pages.awaits_completion(pool):
            await self.cycles(20)
            self.look()
            if self.ports.cycle > limit:
                raise Wrong(f"pool {pool} is drained, but a completion does not come")
        self.host.paused = True
        await self.registers.flush()
        await self.pulled()
        await self.cycles(80)
        self.host.fetch()
        slots = {slot for slot, (owner, _) in pages.slots.items() if owner == pool}
        self.host.forget(slots)
        for slot in slots:
            pages.slots[slot][1].free()
        self.write(abi.POOL, "RETIRE", pool, retire=1)
        pages.retire(pool)
        await self.until(f"retire pool {pool}", abi.POOL, "REGISTERED", pool,
                          lambda value: not value)
        self.host.paused = False
        for _ in range(op.regions):
            await self.load(pool)
        await self.pool_on(p.PoolOn(pool, op.lifo))

    async def register(self, op: p.Register) -> None:
        await self.load(op.pool % self.config.pools)

    async def load(self, pool: int) -> None:
        config, pages = self.config, self.model.pages
        free = [slot for slot in range(config.regions) if slot not in pages.slots]
        if not free:
            return
        block = self.memory.allocate(1 << config.region_log2, 1 << config.region_log2)
        self.write(abi.CARD, "REGION_HIGH", address=block.address >> 32)
        self.write(abi.REGION, "REGION", free[0], valid=1, pool=pool,
                    address=block.address >> 12 & 0xFFFFF)
        pages.register(free[0], pool, block)
        await self.until("load a region", abi.REGION, "REGION", free[0],
                          lambda value: value & 3 == 1)

    async def limit(self, op: p.Limit) -> None:
        pool = op.pool % self.config.pools
        self.model.pages.limit[pool].set(op.pages)
        self.write(abi.POOL, "LIMIT", pool, pages=op.pages)

    async def quota(self, op: p.Quota) -> None:
        queue = op.queue % self.config.queues
        self.model.pages.quota[queue].set(op.pages)
        self.write(abi.QUEUE, "QUOTA", queue, pages=op.pages)

    async def low_water(self, op: p.LowWater) -> None:
        pool = op.pool % self.config.pools
        self.model.low_water[pool] = (op.enter, op.enter + op.more)
        self.write(abi.POOL, "LOW_WATER", pool, enter=op.enter, exit=op.enter + op.more)

    async def hold(self, op: p.Hold) -> None:
        queue = op.queue % self.config.queues
        self.model.queues[queue].hold.set(op.hold)
        self.write(abi.QUEUE, "POLICY", queue, hold=int(op.hold))

    async def moderate(self, op: p.Moderate) -> None:
        queue = op.queue % self.config.queues
        self.model.queues[queue].interrupt.limits.set((op.time, op.completions))
        self.write(abi.QUEUE, "MODERATION", queue, time=op.time, completions=op.completions)

    async def force(self, op: p.Force) -> None:
        number = op.queue % self.config.queues
        rule = self.model.queues[number].interrupt
        self.write(abi.QUEUE, "FORCE", number, force=1,
                   taken=lambda: rule.force(self.ports.cycle))

    async def mirror_timer(self, op: p.MirrorTimer) -> None:
        self.write(abi.CARD, "MIRROR_TIMER", cycles=op.cycles)
