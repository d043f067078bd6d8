"""A pool of pages that are recycled instead of freed, with the behaviour of Linux's ``page_pool``.

A page that comes back goes to a small cache (a stack, for the one thread that allocates) or to a
ring (a FIFO, for returns from anywhere), and leaves from there without touching the memory
provider or the device's mappings. The order of steps, the capacities and every statistic are those
of Linux 7.3. Three differences have names:

double return
    Linux puts a page that is returned twice in the pool twice. Here the second return raises
    :class:`~pagering.errors.PoolError` and changes nothing, unless ``kernel_compat`` is set. (A
    return that comes when the page was handed out again is taken for the new holder's.)
outstanding limit
    Linux counts pages and limits nothing. Here ``limit`` bounds how many may be out at a time.
the card's ring
    Memory can be registered with a card that recycles its pages on its own, as *regions*. Their
    pages are in flight; what the card serves and takes back is counted by
    :meth:`~pagering.page_pool_regions.PoolRegions.note_card`.

What makes sense in a kernel only has no counterpart: pools of processors, pages by their virtual
address (``alloc_va``), socket buffers.

One thread allocates, and only it may return with ``allow_direct``, cut fragments, update the node
or destroy. Returns that are not direct, and references, may come from any thread.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from pagering.errors import PoolError
from pagering.page_pool_fragments import FRAGMENT_ALIGN, Fragment, PageFragments
from pagering.page_pool_guard import AllocationGuard
from pagering.page_pool_hooks import MemoryProviderHooks
from pagering.page_pool_idle import IdlePages
from pagering.page_pool_inner import InnerPool
from pagering.page_pool_memory import PoolMemory
from pagering.page_pool_page import PAGE_LOCK, Page, PageRegion, PageState
from pagering.page_pool_params import BULK_MAX, PagePoolParams
from pagering.page_pool_refs import check_drop, drop, refusal
from pagering.page_pool_stats import PagePoolStats
from pagering.page_pool_user import POOLS
from pagering.providers import MemoryProvider

__all__ = ["Fragment", "Page", "PagePool", "PagePoolParams", "PagePoolStats", "PageRegion",
           "PageState"]


class PagePool(InnerPool):
    """A pool of pages of one size.

    Parameters
    ----------
    params : PagePoolParams
        Sizes, node, mapping.
    provider : MemoryProvider
        Where pages come from when none is idle.
    hooks : MemoryProviderHooks or None
        Memory of a fixed size that is used instead.
    kernel_compat : bool
        Do not catch returns that are one too many.
    limit : int or None
        Most pages that :meth:`alloc` may have handed out at a time.
    fail_every : int
        Fail each so many-th allocation, for tests; 0 for none.
    local_nid : int
        Memory node of the allocating thread, used if ``params.nid`` is ``NUMA_NO_NODE``.
    fragment_align : int
        Fragments start at multiples of so many bytes.
    clock : callable
        Seconds, from any start: dates the pool's destruction.

    Attributes
    ----------
    guard : AllocationGuard
        The limit and the failures, and how often they refused a page.

    Raises
    ------
    PoolError
        If the parameters do not fit together.
    """

    def __init__(self, params: PagePoolParams, provider: MemoryProvider, *,
                 hooks: MemoryProviderHooks | None = None, kernel_compat: bool = False,
                 limit: int | None = None, fail_every: int = 0, local_nid: int = 0,
                 fragment_align: int = FRAGMENT_ALIGN,
                 clock: Callable[[], float] = time.monotonic) -> None:
        params.check(hooks is not None)
        self.guard = AllocationGuard(limit, fail_every)
        memory = PoolMemory(self, params, provider, hooks)
        super().__init__(params, memory, IdlePages(params, memory),
                         PageFragments(self, fragment_align), clock)
        self.nid = params.nid
        self.local_nid = local_nid
        self._hooks = hooks
        self._compat = kernel_compat
        self._out = set()
        # Set operations are atomic: of two returns of a page, only one finds it here.
        self._claim = self._claim_unchecked if kernel_compat else self._out.remove
        self._guarded = limit is not None or fail_every > 0
        if hooks is not None:
            hooks.init(self)
        # What an allocation or a direct return looks at when all is well.
        self._cache = self._idle.cache
        self._cache_size = self._idle.cache_size
        self._stats = self._idle.stats
        self.id = POOLS.enter(self)
        POOLS.notify("add", self)

    @property
    def idle(self) -> int:
        """Pages that wait in the cache and in the ring."""
        return len(self._idle)

    @property
    def cached(self) -> int:
        """Those of them that wait in the cache."""
        return len(self._cache)

    @property
    def outstanding(self) -> int:
        """Pages that were handed out and are not back: what the limit is about.

        Those that only the card has are not among them.
        """
        return len(self._out)

    @property
    def stats(self) -> PagePoolStats:
        """A snapshot of the statistics."""
        return replace(self._stats, inflight=max(self.inflight, 0))

    def is_out(self, page: Page) -> bool:
        """Whether the pool handed out ``page`` and did not get it back."""
        return page in self._out

    # Allocation --------------------------------------------------------------------------------

    def alloc(self) -> Page | None:
        """Return a page with one pool reference, or ``None`` if there is no memory.

        Raises
        ------
        PoolError
            If the pool was destroyed.
        """
        if self._guarded and not self.guard.admits(len(self._out)):
            return None
        try:
            page = self._cache.pop()
        except IndexError:
            return self._alloc_slow()
        self._stats.alloc_fast += 1
        self._out.add(page)
        return page

    def alloc_frag(self, size: int) -> Fragment | None:
        """Return ``size`` bytes of a page that is shared with other fragments.

        Returns
        -------
        Fragment or None
            With one pool reference of its page; ``None`` if there is no memory.

        Raises
        ------
        PoolError
            If it is larger than a page, or the pool was destroyed.
        """
        self._check_alive()
        return self.fragments.cut(size)

    def alloc_fit(self, size: int) -> Fragment | None:
        """Return a fragment of at least ``size`` bytes, or a whole page if two do not fit in it."""
        self._check_alive()
        return self.fragments.fit(size)

    def _alloc_slow(self) -> Page | None:
        self._check_alive()
        nid = self.target_nid
        page = self._idle.refill(nid)
        if page is not None:
            pass
        elif self._hooks is not None:
            page = self._hooks.alloc_page(self)
        elif self.params.order:
            # Large pages come one by one: a bulk of them would pin too much.
            page = next(iter(self.memory.obtain(1, nid)), None)
            self._stats.alloc_slow_high_order += page is not None
        else:
            page = self._idle.stock(self.memory.obtain(self.params.refill, nid))
        if page is not None:
            self._out.add(page)
        return page

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
        if page.pp_ref_count != 1 and self.unref(page):
            return
        self._take_back(page)
        self._idle.put(page, dma_sync_size, self._is_direct(allow_direct))

    def put_unrefed(self, page: Page, dma_sync_size: int = -1, allow_direct: bool = False) -> None:
        """Return a page whose last reference :meth:`unref` dropped. Otherwise as :meth:`put`."""
        with PAGE_LOCK:
            check_drop(page, 1, self, self._compat)
            if (refs := page.pp_ref_count) > 1 and not self._compat:
                raise PoolError(f"page at {page.address:#x} still has {refs} references")
        self._take_back(page)
        self._idle.put(page, dma_sync_size, self._is_direct(allow_direct))

    def recycle_direct(self, page: Page) -> None:
        """Return a page from the allocating thread, straight to the cache."""
        if (page.pp_ref_count == 1 == page.refcount and page.keep and self._plain
                and len(self._cache) < self._cache_size):
            try:
                self._claim(page)
            except KeyError:
                raise refusal(page, self) from None
            self._cache.append(page)
            self._stats.recycle_cached += 1
        else:
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
                    page.pool._take_back(page)
                    last.setdefault(page.pool, []).append(page)
        for pool, group in last.items():
            pool._idle.put_bulk(group, pool._is_direct(False))

    def _is_direct(self, allow_direct: bool) -> bool:
        if self.destroy_cnt:
            return False  # nobody will look at the cache again
        return allow_direct or (self.owner is not None and self.owner == threading.get_ident())
