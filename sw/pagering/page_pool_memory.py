"""How pages enter a pool and leave it: memory, mapping and the two counters that bracket them.

:class:`PoolMemory` obtains pages from a provider, maps them, and counts them as held; it releases
them, which unmaps and counts. Between the two the pool recycles pages without coming here.
Held minus released is what is in flight.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from pagering.errors import PoolError
from pagering.page_pool_dma import CoherentDevice, DmaTable
from pagering.page_pool_hooks import MemoryProviderHooks
from pagering.page_pool_page import PAGE_LOCK, Page, PageRegion
from pagering.page_pool_params import PagePoolParams
from pagering.providers import MemoryProvider

if TYPE_CHECKING:
    from pagering.page_pool import PagePool

__all__ = ["PoolMemory", "serial_difference"]

_U32 = 0xFFFFFFFF


def serial_difference(later: int, earlier: int) -> int:
    """Return ``later - earlier`` of two 32-bit counters that may have wrapped, signed."""
    return ((later - earlier + 0x80000000) & _U32) - 0x80000000


class PoolMemory:
    """The pages of one pool, from the provider and back.

    Parameters
    ----------
    pool : PagePool
        Whom the pages are stamped with.
    params : PagePoolParams
        Checked parameters.
    provider : MemoryProvider
        Where memory comes from.
    hooks : MemoryProviderHooks or None
        What is told of released pages instead.

    Attributes
    ----------
    hold_cnt, release_cnt : int
        Pages obtained and let go, modulo 2**32.
    dma_sync : bool
        Whether recycled pages are given to the device. Ends when all pages are unmapped.
    dma_sync_for_cpu : bool
        Whether :meth:`sync_for_cpu` does anything. Hooks may clear both.
    mapped : DmaTable
        The pages that are mapped.
    """

    def __init__(self, pool: PagePool, params: PagePoolParams, provider: MemoryProvider,
                 hooks: MemoryProviderHooks | None) -> None:
        self._pool = pool
        self._params = params
        self._provider = provider
        self._hooks = hooks
        self._device = params.dev or CoherentDevice()
        self._lock = threading.Lock()  # returns come from any thread
        self.dma_sync = params.dma_sync
        self.dma_sync_for_cpu = True
        self.hold_cnt = 0
        self.release_cnt = 0
        self.mapped = DmaTable()

    @property
    def inflight(self) -> int:
        """Pages obtained and not let go, idle ones included. Negative: released too often."""
        return serial_difference(self.hold_cnt, self.release_cnt)

    @property
    def needs_sync(self) -> bool:
        """Whether recycled pages must be given to the device."""
        return self.dma_sync and self._device.needs_sync

    def obtain(self, count: int, nid: int) -> list[Page]:
        """Return up to ``count`` single pages: fewer, or none, if memory or mappings run out."""
        fresh: list[Page] = []
        for _ in range(count):
            try:
                fresh.append(self._memory(1, nid).pages[0])
            except PoolError:
                break
        pages = []
        for page in fresh:
            try:
                self._enter(page)
            except PoolError:
                page.put()  # this one is lost, the rest of the bulk is not
            else:
                pages.append(page)
        return pages

    def obtain_region(self, count: int, nid: int) -> PageRegion:
        """Return ``count`` pages in one run that is aligned to its size, all or nothing.

        Raises
        ------
        PoolError
            If there is no such memory, or not all of it can be mapped.
        """
        if self._hooks is not None:
            raise PoolError("memory from a provider's hooks cannot be registered with a card")
        region = self._memory(count, nid)
        held = self.hold_cnt
        for page in region.pages:
            try:
                self._enter(page)
            except PoolError:
                # The region never existed for the pool: take the pages back uncounted.
                self.hold_cnt = held
                for undo in region.pages:
                    self._unmap(undo)
                    self._leave(undo)
                    undo.put()
                raise
        region.pool = self._pool
        return region

    def adopt(self, page: Page) -> None:
        """Take a page of the hooks', which map it themselves."""
        self._stamp(page)

    def release(self, page: Page) -> None:
        """Let go of ``page``: unmap, count, and drop the pool's memory reference."""
        if self._hooks is None:
            self._unmap(page)
            mine = True
        else:
            mine = self._hooks.release_page(self._pool, page)
        with self._lock:
            self.release_cnt = (self.release_cnt + 1) & _U32
        # From here on a destroyed pool may be finished: only the page is touched. Under
        # kernel_compat a page may come here twice; its memory is still freed once.
        if mine and self._leave(page):
            page.put()

    def finish(self) -> None:
        """Tell the hooks that no page is in flight any more."""
        if self._hooks is not None:
            self._hooks.destroy(self._pool)

    def unmap_all(self) -> None:
        """Unmap every page, also those that the host holds, before the device goes away."""
        self.dma_sync = False
        for index, page in self.mapped.pages():
            # A return may release the page at the same time and owns its fields: leave them.
            address = page.dma_address
            if self.mapped.take(index, page):
                self._device.unmap_page(address, page.size, self._params.dma_dir)

    def sync_for_device(self, page: Page, size: int) -> None:
        """Give the first ``size`` bytes of the sync window to the device; -1: all of it."""
        if self.needs_sync:
            length = self._params.max_len if size < 0 else min(size, self._params.max_len)
            self._device.sync_for_device(page.dma_address + self._params.offset, length)

    def sync_for_cpu(self, page: Page, offset: int, length: int) -> None:
        """Give ``length`` bytes at ``offset`` of the sync window to the host."""
        if self.dma_sync_for_cpu and self._device.needs_sync:
            self._device.sync_for_cpu(page.dma_address + self._params.offset + offset, length)

    def _memory(self, count: int, nid: int) -> PageRegion:
        size = count * self._params.size
        memory = self._provider.allocate_region(size, size)
        return PageRegion(memory, count, self._params.size, nid)

    def _enter(self, page: Page) -> None:
        if self._params.dma_map:
            self._map(page)
        self._stamp(page)

    def _stamp(self, page: Page) -> None:
        page.pool = self._pool
        page.pp_ref_count = 1
        if self._params.init_callback is not None:
            self._params.init_callback(page)
        self.hold_cnt = (self.hold_cnt + 1) & _U32

    def _leave(self, page: Page) -> bool:
        """Cut the page's ties to the pool; whether there were any."""
        with PAGE_LOCK:
            had, page.pool = page.pool is not None, None
        return had

    def _map(self, page: Page) -> None:
        direction = self._params.dma_dir
        address = self._device.map_page(page.address, page.size, direction)
        try:
            page.dma_index = self.mapped.add(page)
        except PoolError:
            self._device.unmap_page(address, page.size, direction)
            raise
        page.dma_address = address
        self.sync_for_device(page, -1)

    def _unmap(self, page: Page) -> None:
        index, address = page.dma_index, page.dma_address
        if index and self.mapped.take(index, page):
            self._device.unmap_page(address, page.size, self._params.dma_dir)
        page.dma_address = page.dma_index = 0
