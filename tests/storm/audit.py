"""Holds every counter of the card, when it is at rest, against what the model has seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable

from pagering import abi
from pagering.abi import DropCause, Event, Fault

from .knobs import explain
from .model import Model
from .pages import Wrong

__all__ = ["Audit", "Read"]

Read = Callable[[abi.Block, str, int], Awaitable[int]]
"""Reads a register of the card."""


class Audit:
    """The checks of a card at rest.

    Parameters
    ----------
    model : Model
        What was seen.
    """

    def __init__(self, model: Model) -> None:
        self.model = model

    def refusals(self, number: int) -> frozenset[str]:
        """Return why a queue may have refused a frame since the last rest."""
        queue, pages, found = self.model.queues[number], self.model.pages, set()
        if not all(queue.enabled.values):
            found.add(DropCause.QUEUE_DISABLED.name)
        if not any(queue.enabled.values):
            return frozenset(found)
        for pool in queue.pools:
            if not all(self.model.pool_enabled[pool].values):
                found.add(DropCause.POOL_DISABLED.name)
            if not any(self.model.pool_enabled[pool].values) or all(queue.hold.values):
                continue
            if self.model.peak_pages[pool] > min(pages.registered[pool].values):
                found.add(DropCause.NO_PAGE.name)
            if self.model.peak_pages[pool] > min(pages.limit[pool].values):
                found.add(DropCause.POOL_LIMIT.name)
            if queue.peak_pages > min(pages.quota[number].values):
                found.add(DropCause.QUEUE_QUOTA.name)
            if queue.peak_unread > min(queue.rings.values):
                found.add(DropCause.RING_FULL.name)
        return frozenset(found)

    async def settle(self, read: Read) -> Counter[str]:
        """Hold every counter of the card, which is at rest, against what was seen.

        Return by how much they moved.
        """
        counters = {counter.name: await read(abi.STATS, counter.name, 0)
                    for counter in abi.COUNTERS}
        new = {name: n - self.model.counters[name] & 0xFFFF_FFFF for name, n in counters.items()}
        self._check_frames(counters, new)
        faults = {fault.name: new[f"FAULT_{fault.name}"] for fault in Fault}
        self._expect("faults", explain(faults, self.model.faults))
        if new["RETURNS"] != self.model.returns:
            raise Wrong(f"the host returned {self.model.returns} tokens rightly; the card took "
                        f"{new['RETURNS']}")
        await self._check_pages(read)
        await self._check_queues(read)
        await self._check_mirrors(read)
        await self._check_events(read, any(faults.values()))
        self.model.settle(counters)
        return Counter(new)

    def _expect(self, what: str, found: str | None) -> None:
        if found is not None:
            raise Wrong(f"{what}: {found}")

    def _check_frames(self, counters: dict[str, int], new: dict[str, int]) -> None:
        frames = self.model.frames
        if counters["FRAMES_IN"] != frames.ended:
            raise Wrong(f"{frames.ended} frames went in; the card counts "
                        f"{counters['FRAMES_IN']}")
        if counters["FRAMES_DELIVERED"] != self.model.total_delivered:
            raise Wrong(f"{self.model.total_delivered} frames came out; the card counts "
                        f"{counters['FRAMES_DELIVERED']}")
        drops = {cause.name: new[f"DROP_{cause.name}"] for cause in DropCause}
        refusals = [self.refusals(number) for number in range(self.model.config.queues)]
        lost = [frames.causes(frame, refusals.__getitem__) for frame in frames.on_way.values()]
        self._expect("drops", explain(drops, lost))
        frames.settle()

    async def _check_pages(self, read: Read) -> None:
        config, pages = self.model.config, self.model.pages
        unfilled, off = pages.unfilled(), 0
        for pool in range(config.pools):
            registered, free, out = [await read(abi.POOL, name, pool)
                                     for name in ("REGISTERED", "FREE", "OUTSTANDING")]
            if registered != pages.registered[pool].now:
                raise Wrong(f"pool {pool} has {pages.registered[pool].now} pages; the card says "
                            f"{registered}")
            filled = [page for number, page in unfilled if pages.pool_of(number) == pool]
            holds = pages.pool_holds[pool]
            shared = sum(bool(page.held) for page in filled)
            if not holds - shared <= out <= holds:
                raise Wrong(f"the host alone has {holds - shared} to {holds} pages of pool "
                            f"{pool}; the card says {out}")
            if not holds <= registered - free <= holds + len(filled) - shared:
                raise Wrong(f"{holds} to {holds + len(filled) - shared} pages of pool {pool} are "
                            f"off its ring; the card says that of {registered} {free} are free")
            off += registered - free
            await self._check_low_water(read, pool, free)
        held = sum([await read(abi.QUEUE, "HELD", number) for number in range(config.queues)])
        if off != held:
            raise Wrong(f"{off} pages are off their rings, but queues have {held}")

    async def _check_low_water(self, read: Read, pool: int, free: int) -> None:
        enter, leave = self.model.low_water[pool]
        low = await read(abi.POOL, "STATUS", pool) >> 1 & 1
        enabled = self.model.pool_enabled[pool].now
        if (low and (not enabled or free > enter and free >= leave)) or (
                not low and enabled and free <= enter):
            raise Wrong(f"pool {pool} has {free} pages free, thresholds {enter} and {leave}; "
                        f"low_water is {low}")

    async def _check_queues(self, read: Read) -> None:
        dropped = 0
        for number, queue in enumerate(self.model.queues):
            for block, name, expected in (
                    (abi.USER, "RX_PACKETS", queue.delivered),
                    (abi.QUEUE, "RETURN_CONSUMED", queue.returns.produced),
                    (abi.QUEUE, "PRODUCED", queue.ring.written if queue.ring else 0)):
                found = await read(block, name, number)
                if found != expected:
                    raise Wrong(f"queue {number}: {name} is {found}, not {expected}")
            dropped += sum([await read(abi.USER, name, number)
                            for name in sorted(set(abi.QUEUE_DROPS.values()))])
            drained = await read(abi.QUEUE, "STATUS", number) & 1
            if drained == queue.enabled.now:
                raise Wrong(f"queue {number}: drained is {drained} at rest, enabled is "
                            f"{queue.enabled.now}")
            self._check_interrupt(number)
        counted = sum([await read(abi.STATS, f"DROP_{cause.name}", 0) for cause in abi.QUEUE_DROPS])
        if dropped != counted:
            raise Wrong(f"queues dropped {dropped} frames, the card counts {counted}")

    def _check_interrupt(self, number: int) -> None:
        line, rule = self.model.irq >> number & 1, self.model.queues[number].interrupt
        if line < rule.must_have_fired() or line > rule.fired:
            raise Wrong(f"queue {number}: the interrupt is {line}: {rule}")

    async def _check_mirrors(self, read: Read) -> None:
        for number, queue in enumerate(self.model.queues):
            returns = queue.returns
            if queue.enabled.now and not returns.is_mirrored:
                raise Wrong(f"queue {number} has taken {returns.produced} tokens from its return "
                            f"ring; its mirror says {returns.mirrored}")
        for pool, mirror in enumerate(self.model.mirrors):
            if mirror.block is not None and self.model.pool_enabled[pool].now:
                counts = (await read(abi.POOL, "FREE", pool),
                          await read(abi.POOL, "OUTSTANDING", pool))
                if mirror.counts != counts:
                    raise Wrong(f"pool {pool} has {counts} pages free and outstanding; its mirror "
                                f"says {mirror.counts}")

    async def _check_events(self, read: Read, faults: bool) -> None:
        events = await read(abi.CARD, "EVENTS", 0)
        enabled = await read(abi.CARD, "EVENT_ENABLE", 0)
        line = self.model.irq >> self.model.config.queues & 1
        if line != bool(events & enabled):
            raise Wrong(f"the event interrupt is {line}; events 0x{events:x}, enabled "
                        f"0x{enabled:x}")
        if faults and not self.model.events_cleared and not events >> Event.FAULT & 1:
            raise Wrong("faults were counted, but there is no event of it")
        self.model.events_cleared = False
