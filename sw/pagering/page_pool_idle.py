"""The pages that wait in a pool: a cache and a ring, and which of them a page goes to.

The cache is a stack: the page that came last is the one whose bytes are still in the processor's
caches. Only the allocating thread touches it. The ring is a FIFO that any thread may add to.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable

from pagering.page_pool_memory import PoolMemory
from pagering.page_pool_page import Page
from pagering.page_pool_params import NUMA_NO_NODE, PagePoolParams
from pagering.page_pool_stats import PagePoolStats
from pagering.ptr_ring import PtrRing

__all__ = ["IdlePages"]

_log = logging.getLogger(__name__)


class IdlePages:
    """Cache and ring of one pool.

    Parameters
    ----------
    params : PagePoolParams
        Checked parameters.
    memory : PoolMemory
        What releases the pages that cannot stay.

    Attributes
    ----------
    cache : list of Page
        The stack.
    cache_size : int
        Most pages on it.
    stats : PagePoolStats
        Counts what happens here.
    returns : threading.Lock
        Guards the ring's producer side and the counters of returns that are not direct.
    """

    def __init__(self, params: PagePoolParams, memory: PoolMemory) -> None:
        self._memory = memory
        self._refill = params.refill
        self.cache_size = params.cache_size
        self.cache: list[Page] = []
        self._ring: PtrRing[Page] = PtrRing(params.ring_size)
        self.stats = PagePoolStats()
        self.returns = threading.Lock()

    def __len__(self) -> int:
        """Count the pages that wait."""
        return len(self.cache) + len(self._ring)

    def refill(self, nid: int) -> Page | None:
        """Move pages from the ring to the empty cache and return the last of them, or ``None``.

        They must be on memory node ``nid``.
        """
        if self._ring.empty:
            self.stats.alloc_empty += 1
            return None
        while len(self.cache) < self._refill:
            page = self._ring.consume()
            if page is None:
                break
            if page.nid not in (nid, NUMA_NO_NODE):
                # One at a time: a ring full of remote pages must not hit the provider as a burst.
                self.stats.alloc_waive += 1
                self._memory.release(page)
                break
            self.cache.append(page)
        if not self.cache:
            return None
        self.stats.alloc_refill += 1
        return self.cache.pop()

    def stock(self, pages: Iterable[Page]) -> Page | None:
        """Cache fresh ``pages`` and return the last of them; ``None`` if there are none."""
        self.cache.extend(pages)
        if not self.cache:
            return None
        self.stats.alloc_slow += 1
        return self.cache.pop()

    def put(self, page: Page, dma_sync_size: int, direct: bool) -> None:
        """Keep a page whose last reference is gone, or let go of it."""
        if self._settle(page, dma_sync_size, direct):
            return
        with self.returns:
            kept = self._ring.produce(page)
            if kept:
                self.stats.recycle_ring += 1
            else:
                self.stats.recycle_ring_full += 1
        if not kept:
            self._memory.release(page)

    def put_bulk(self, pages: Iterable[Page], direct: bool) -> None:
        """Like :meth:`put` for several pages, with the ring's lock taken once."""
        self._to_ring([page for page in pages if not self._settle(page, -1, direct)])

    def empty_cache(self) -> None:
        """Let go of the cached pages."""
        while self.cache:
            self._memory.release(self.cache.pop())

    def drain_ring(self) -> None:
        """Let go of the pages in the ring."""
        while (page := self._ring.consume()) is not None:
            if page.refcount != 1:
                _log.critical("idle page at %#x has refcount %d", page.address, page.refcount)
            self._memory.release(page)

    def _settle(self, page: Page, dma_sync_size: int, direct: bool) -> bool:
        """Do all that can be done without the ring. False: the page must go there."""
        if page.region.retired:
            self._memory.release(page)
            return True
        if page.refcount != 1 or page.pfmemalloc:
            with self.returns:
                self.stats.recycle_released_refcnt += 1
            self._memory.release(page)
            return True
        self._memory.sync_for_device(page, dma_sync_size)
        if not direct:
            return False
        if len(self.cache) == self.cache_size:
            self.stats.recycle_cache_full += 1
            return False
        self.cache.append(page)
        self.stats.recycle_cached += 1
        return True

    def _to_ring(self, pages: list[Page]) -> None:
        taken = 0
        with self.returns:
            while taken < len(pages) and self._ring.produce(pages[taken]):
                taken += 1
            self.stats.recycle_ring += taken
            self.stats.recycle_ring_full += taken < len(pages)  # once, whatever is lost
        for page in pages[taken:]:
            self._memory.release(page)
