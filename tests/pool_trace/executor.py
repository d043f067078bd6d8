"""Runs a trace on the Python pool."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pagering.errors import PoolError
from pagering.page_pool import Fragment, Page, PagePool, PagePoolParams
from pagering.page_pool_dma import DmaDirection
from pagering.providers import LocalProvider

from .trace import (
    FLAG_COMPAT,
    FLAG_MAP,
    FLAG_OWNER,
    FLAG_SYNC,
    GONE_COUNTERS,
    Operation,
    answer_line,
)

__all__ = ["CountingDevice", "Executor"]

_DMA = 1 << 40
_U32 = 0xFFFFFFFF


class CountingDevice:
    """Maps at an offset, and knows what is mapped."""

    needs_sync = True

    def __init__(self) -> None:
        self.live: set[int] = set()

    def map_page(self, address: int, size: int, direction: DmaDirection) -> int:
        if address + _DMA in self.live:
            raise PoolError(f"{address:#x} is mapped twice")
        self.live.add(address + _DMA)
        return address + _DMA

    def unmap_page(self, dma_address: int, size: int, direction: DmaDirection) -> None:
        self.live.remove(dma_address)

    def sync_for_device(self, dma_address: int, length: int) -> None:
        if dma_address not in self.live:
            raise PoolError(f"{dma_address:#x} is not mapped")

    def sync_for_cpu(self, dma_address: int, length: int) -> None:
        self.sync_for_device(dma_address, length)


@dataclass
class _Slot:
    pool: int
    """-1 for a memory reference, which no pool knows of."""
    page: Page
    references: int = 1


class Executor:
    """The pools and slots of one trace.

    Attributes
    ----------
    pools : dict of int to PagePool
        By number, all that were created.
    device : CountingDevice
        What their pages are mapped for.
    """

    def __init__(self) -> None:
        self.pools: dict[int, PagePool] = {}
        self.device = CountingDevice()
        self._slots: dict[int, _Slot] = {}
        self._serials: dict[Page, int] = {}
        self._entered: dict[int, int] = {}

    def run(self, trace: Iterable[Operation]) -> Iterator[str]:
        """Execute a trace, and yield an answer for each operation."""
        for operation in trace:
            result = getattr(self, f"_do_{operation.name}")(*operation.numbers)
            yield answer_line(operation, result or "ok", self._counters())

    def _counters(self) -> Iterator[list[int]]:
        for number, pool in sorted(self.pools.items()):
            stats = pool.stats.as_netlink()
            shown = [stats[name] for name in GONE_COUNTERS]
            if pool.user_cnt:
                yield [*shown, pool.inflight, pool.cached, pool.idle - pool.cached]
            elif self._in_slots(number):
                yield shown

    def _in_slots(self, number: int) -> bool:
        return any(slot.pool == number for slot in self._slots.values())

    # Pools

    def _do_create(self, number: int, order: int, size: int, nid: int, flags: int) -> str:
        def enter(page: Page) -> None:
            self._entered[number] = self._serials[page] = self._entered.get(number, 0) + 1

        params = PagePoolParams(
            order=order, pool_size=size, nid=nid, dma_map=bool(flags & FLAG_MAP),
            dma_sync=bool(flags & FLAG_SYNC), max_len=4096 << order, dev=self.device,
            owner=threading.get_ident() if flags & FLAG_OWNER else None, init_callback=enter)
        try:
            self.pools[number] = PagePool(params, LocalProvider(base=(number + 1) << 32),
                                          kernel_compat=bool(flags & FLAG_COMPAT))
        except PoolError:
            return f"refused {-errno.EINVAL}"
        return "ok"

    def _do_nid(self, number: int, nid: int) -> None:
        self.pools[number].update_nid(nid)

    def _do_user(self, number: int) -> None:
        self.pools[number].acquire()

    def _do_destroy(self, number: int) -> str:
        pool = self.pools[number]
        pool.destroy()
        if pool.user_cnt:
            return "users"
        return "gone" if pool.finished else f"left {pool.inflight}"

    def _do_tick(self, number: int) -> str:
        pool = self.pools[number]
        pool.release_retry()
        return f"left {pool.inflight}"

    # Pages

    def _do_alloc(self, number: int, slot: int) -> str:
        page = self.pools[number].alloc()
        return "none" if page is None else self._fill(slot, number, page)

    def _do_allocs(self, number: int, slot: int, count: int) -> str:
        got = seen = 0
        for at in range(slot, slot + count):
            page = self.pools[number].alloc()
            if page is None:
                break
            got += 1
            seen = (seen * 31 + int(self._fill(at, number, page))) & _U32
        return f"{got} {seen}"

    def _do_frag(self, number: int, slot: int, size: int) -> str:
        fragment = self.pools[number].alloc_frag(size)
        return self._fill_fragment(slot, number, fragment, whole=False)

    def _do_fit(self, number: int, slot: int, size: int) -> str:
        fragment = self.pools[number].alloc_fit(size)
        return self._fill_fragment(slot, number, fragment, whole=True)

    def _do_hold(self, slot: int, target: int) -> None:
        page = self._slots[slot].page
        page.get()
        self._slots[target] = _Slot(-1, page)

    def _do_drop(self, slot: int) -> None:
        self._slots.pop(slot).page.put()

    # References

    def _do_ref(self, slot: int, target: int) -> None:
        held = self._slots[slot]
        self.pools[held.pool].ref_page(held.page)
        self._fill(target, held.pool, held.page)

    def _do_fragment(self, slot: int, count: int) -> None:
        held = self._slots[slot]
        self.pools[held.pool].fragment_page(held.page, count)
        held.references = count

    def _do_split(self, slot: int, target: int) -> None:
        held = self._slots[slot]
        held.references -= 1
        self._fill(target, held.pool, held.page)

    def _do_twice(self, slot: int, target: int) -> None:
        self._fill(target, self._slots[slot].pool, self._slots[slot].page)

    def _do_forget(self, slot: int) -> None:
        del self._slots[slot]

    def _do_put(self, slot: int, size: int, direct: int) -> None:
        held = self._slots.pop(slot)
        self.pools[held.pool].put(held.page, size, bool(direct))

    def _do_puts(self, slot: int, count: int, size: int, direct: int) -> None:
        for at in range(slot, slot + count):
            self._do_put(at, size, direct)

    def _do_bulk(self, *slots: int) -> None:
        PagePool.put_bulk([self._slots.pop(slot).page for slot in slots])

    def _do_unref(self, slot: int, size: int, direct: int) -> str:
        held = self._slots.pop(slot)
        pool = self.pools[held.pool]
        left = pool.unref(held.page, held.references)
        if not left:
            pool.put_unrefed(held.page, size, bool(direct))
        return str(left)

    def _fill(self, slot: int, number: int, page: Page) -> str:
        self._slots[slot] = _Slot(number, page)
        return str(self._serials[page])

    def _fill_fragment(self, slot: int, number: int, fragment: Fragment | None,
                       whole: bool) -> str:
        if fragment is None:
            return "none"
        serial = self._fill(slot, number, fragment.page)
        return f"{serial} {fragment.offset}" + (f" {fragment.size}" if whole else "")
