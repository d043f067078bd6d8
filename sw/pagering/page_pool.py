"""A pool of pages that are recycled instead of freed, with the behaviour of Linux's ``page_pool``.

A page that comes back goes to a small cache (a stack, for the one thread that allocates) or to a
ring (a FIFO, for returns from anywhere), and leaves from there without touching the memory
provider or the device's mappings. The order of steps, the capacities and every statistic are those
of Linux 7.3; two differences have names:

double return
    Linux puts a page that is returned twice in the pool twice. Here the second return raises
    :class:`~pagering.errors.PoolError` and changes nothing, unless ``kernel_compat`` is set.
the card's ring
    Memory can be registered with a card that recycles its pages on its own, as *regions*. Their
    pages are in flight; what the card serves and takes back is counted by :meth:`note_card`.

One thread allocates, and only it may return with ``allow_direct``, update the node or destroy.
Returns that are not direct, and references, may come from any thread.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from pagering.errors import PoolError
from pagering.page_pool_idle import IdlePages
from pagering.page_pool_lifetime import PoolLifetime
from pagering.page_pool_memory import PoolMemory
from pagering.page_pool_page import PAGE_LOCK, Page, PageRegion, PageState
from pagering.page_pool_params import BULK_MAX, NUMA_NO_NODE, PagePoolParams
from pagering.page_pool_refs import check_drop, check_held, drop
from pagering.page_pool_stats import PagePoolStats
from pagering.providers import MemoryProvider

__all__ = ["Page", "PagePool", "PagePoolParams", "PagePoolStats", "PageRegion", "PageState"]


class PagePool(PoolLifetime):
    """A pool of pages of one size.

    Parameters
    ----------
    params : PagePoolParams
        Sizes, node, mapping.
    provider : MemoryProvider
        Where pages come from when none is idle.
    kernel_compat : bool
        Do not catch returns that are one too many.
    local_nid : int
        Memory node of the allocating thread, used if ``params.nid`` is ``NUMA_NO_NODE``.

    Attributes
    ----------
    params : PagePoolParams
        As given. ``nid`` and ``owner`` below start from it and may change.
    memory : PoolMemory
        Entry and exit of pages, with the counters ``hold_cnt`` and ``release_cnt``.
    owner, user_cnt, destroy_cnt, finished, retry_armed
        See :class:`~pagering.page_pool_lifetime.PoolLifetime`.
    nid, local_nid : int
        Preferred memory node, and the allocating thread's.

    Raises
    ------
    PoolError
        If the parameters do not fit together.
    """

    def __init__(self, params: PagePoolParams, provider: MemoryProvider, *,
                 kernel_compat: bool = False, local_nid: int = 0) -> None:
        params.check()
        self.params = params
        memory = PoolMemory(self, params, provider)
        super().__init__(memory, IdlePages(params, memory), params.owner)
        self.nid = params.nid
        self.local_nid = local_nid
        self._compat = kernel_compat

    @property
    def idle(self) -> int:
        """Pages that wait in the cache and in the ring."""
        return len(self._idle)

    @property
    def stats(self) -> PagePoolStats:
        """A snapshot of the statistics."""
        return replace(self._idle.stats, inflight=max(self.inflight, 0))

    def note_card(self, served: int, returned: int) -> None:
        """Count what the card's recycle ring did by itself since the last call.

        Parameters
        ----------
        served, returned : int
            Pages it handed out, and pages it took back.

        Raises
        ------
        PoolError
            If a number is negative.
        """
        if served < 0 or returned < 0:
            raise PoolError(f"the card cannot have served {served} and taken back {returned} pages")
        self._idle.stats.alloc_fast += served
        with self._idle.returns:
            self._idle.stats.recycle_ring += returned

    # Allocation --------------------------------------------------------------------------------

    def alloc(self) -> Page | None:
        """Return a page with one pool reference, or ``None`` if there is no memory.

        Raises
        ------
        PoolError
            If the pool was destroyed.
        """
        self._check_alive()
        nid = self._target_nid
        page = self._idle.take(nid)
        if page is None and self.params.order:
            # Large pages come one by one: a bulk of them would pin too much.
            page = next(iter(self.memory.obtain(1, nid)), None)
            self._idle.stats.alloc_slow_high_order += page is not None
        elif page is None:
            page = self._idle.stock(self.memory.obtain(self.params.refill, nid))
        if page is not None:
            page.state = PageState.OUT
        return page

    def alloc_region(self, pages: int) -> PageRegion:
        """Obtain ``pages`` contiguous pages to register with the card.

        Parameters
        ----------
        pages : int
            A power of two. The region's address is a multiple of its size, in bytes.

        Returns
        -------
        PageRegion
            One pool reference of each page is the card's until :meth:`put_region`.

        Raises
        ------
        PoolError
            If the number is no power of two, there is no memory or the pool was destroyed.
        """
        self._check_alive()
        if pages < 1 or pages & (pages - 1):
            raise PoolError(f"pages of a region must be a power of two, not {pages}")
        region = self.memory.obtain_region(pages, self._target_nid)
        self._idle.stats.alloc_slow += 1
        return region

    def update_nid(self, nid: int) -> None:
        """Prefer memory node ``nid`` from now on.

        Cached pages are let go at once; those in the ring are looked at when they leave it.

        Raises
        ------
        PoolError
            If ``nid`` is neither a node nor ``NUMA_NO_NODE``.
        """
        if nid < NUMA_NO_NODE:
            raise PoolError(f"nid must be a node or NUMA_NO_NODE (-1), not {nid}")
        self.nid = nid
        self._idle.empty_cache()

    @property
    def _target_nid(self) -> int:
        return self.local_nid if self.nid == NUMA_NO_NODE else self.nid

    # References --------------------------------------------------------------------------------

    def ref_page(self, page: Page) -> None:
        """Take one more pool reference of a page that is handed out or on the card.

        Raises
        ------
        PoolError
            If the page is idle or of another pool.
        """
        with PAGE_LOCK:
            check_held(page, self, self._compat)
            page.pp_ref_count += 1

    def unref(self, page: Page, nr: int = 1) -> int:
        """Drop ``nr`` pool references at once and return how many are left.

        0 means that the caller had the last ones and must call :meth:`put_unrefed`. The count
        itself then stays at 1, ready for the page's next life.

        Raises
        ------
        PoolError
            If there are fewer, the last is the card's, or the page is idle or of another pool.
        """
        with PAGE_LOCK:
            check_drop(page, nr, self, self._compat)
            return drop(page, nr)

    # Return ------------------------------------------------------------------------------------

    def put(self, page: Page, dma_sync_size: int = -1, allow_direct: bool = False) -> None:
        """Drop one pool reference; if it was the last, recycle the page or let go of it.

        Parameters
        ----------
        page : Page
            A page of this pool.
        dma_sync_size : int
            Bytes that the device may have written, -1 for all of ``max_len``.
        allow_direct : bool
            The caller is the allocating thread: use the cache. Ignored once destroyed.

        Raises
        ------
        PoolError
            If the page was returned already, is the card's or is another pool's. Nothing changes.
        """
        with PAGE_LOCK:
            check_drop(page, 1, self, self._compat)
            if drop(page, 1):
                return
            page.state = PageState.IDLE
        self._idle.put(page, dma_sync_size, self._is_direct(allow_direct))

    def put_unrefed(self, page: Page, dma_sync_size: int = -1, allow_direct: bool = False) -> None:
        """Return a page whose last reference :meth:`unref` dropped. Otherwise as :meth:`put`."""
        with PAGE_LOCK:
            check_drop(page, 1, self, self._compat)
            if (refs := page.pp_ref_count) > 1 and not self._compat:
                raise PoolError(f"page at {page.address:#x} still has {refs} references")
            page.state = PageState.IDLE
        self._idle.put(page, dma_sync_size, self._is_direct(allow_direct))

    def recycle_direct(self, page: Page) -> None:
        """Return a page from the allocating thread, straight to the cache."""
        self.put(page, -1, True)

    @staticmethod
    def put_bulk(pages: Sequence[Page]) -> None:
        """Return up to 16 pages, of any pools, taking each ring's lock once.

        Raises
        ------
        PoolError
            If there are more, or :meth:`put` would refuse one of them. Nothing changes.
        """
        if len(pages) > BULK_MAX:
            raise PoolError(f"a bulk return takes at most {BULK_MAX} pages, not {len(pages)}")
        last: dict[PagePool, list[Page]] = {}
        with PAGE_LOCK:
            for page, times in Counter(pages).items():
                if page.pool is None:
                    raise PoolError(f"page at {page.address:#x} was released")
                check_drop(page, times, page.pool, page.pool._compat)
            for page in pages:
                if page.pool is not None and drop(page, 1) == 0:
                    last.setdefault(page.pool, []).append(page)
                    page.state = PageState.IDLE
        for pool, group in last.items():
            pool._idle.put_bulk(group, pool._is_direct(False))

    def put_region(self, region: PageRegion) -> None:
        """Drop the card's references of a region that the card no longer uses.

        Each page is released as soon as the host has no reference either, at the latest when that
        is put; then the memory is freed.

        Raises
        ------
        PoolError
            If it is not a region of this pool, or was put already.
        """
        with PAGE_LOCK:
            if region.pool is not self:
                raise PoolError(f"region at {region.address:#x} is not a region of this pool")
            if region.retired:
                raise PoolError(f"region at {region.address:#x} was put already")
            region.retired = True
            last = []
            for page in region.pages:
                if page.pp_ref_count == 1:
                    page.state = PageState.IDLE
                    last.append(page)
                else:
                    page.pp_ref_count -= 1
                    page.state = PageState.OUT
        for page in last:
            self.memory.release(page)

    def _is_direct(self, allow_direct: bool) -> bool:
        if self.destroy_cnt:
            return False  # nobody will look at the cache again
        return allow_direct or (self.owner is not None and self.owner == threading.get_ident())
