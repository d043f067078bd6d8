"""A fixed area of memory that a pool draws from and that others may hold pages of: hooks for it.

The pages are numbered. A page can be *lent* to somebody who is not trusted, such as a process that
reads the area: who has a number gives it back by that number. What was not lent, or was given back
already, is refused, so a borrower can neither forge a return nor return a page twice, and can harm
nobody but himself. This is how Linux's io_uring receives without copies.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pagering.errors import PoolError
from pagering.page_pool_dma import CoherentDevice
from pagering.page_pool_page import Page, PageRegion
from pagering.page_pool_params import NUMA_NO_NODE
from pagering.providers import MemoryProvider

if TYPE_CHECKING:
    from pagering.page_pool import PagePool

__all__ = ["RETURNS_MAX", "PageArea"]

RETURNS_MAX = 256
"""Numbers that one allocation looks at."""


class PageArea:
    """See :class:`~pagering.page_pool_hooks.MemoryProviderHooks`.

    Parameters
    ----------
    provider : MemoryProvider
        Where the area comes from.
    pages : int
        How many, a power of two.

    Attributes
    ----------
    refused : int
        Returns of what was not lent.
    failures : int
        Allocations that found nothing.

    Raises
    ------
    PoolError
        If the number is no power of two.
    """

    def __init__(self, provider: MemoryProvider, pages: int) -> None:
        if pages < 1 or pages & (pages - 1):
            raise PoolError(f"pages of an area must be a power of two, not {pages}")
        self._provider = provider
        self._count = pages
        self._pages: list[Page] = []
        self._numbers: dict[Page, int] = {}
        self._free: list[Page] = []
        self._lent = [0] * pages
        self._given_back: deque[int] = deque()
        self._lock = threading.Lock()  # pages are released from any thread
        self.refused = self.failures = 0

    def init(self, pool: PagePool) -> None:
        """Allocate the area and map it, once and as a whole."""
        if self._pages:
            raise PoolError("the area serves another pool")
        params = pool.params
        size = self._count * params.size
        memory = self._provider.allocate_region(size, params.size)
        device = params.dev or CoherentDevice()
        try:
            dma = device.map_page(memory.address, size, params.dma_dir)
        except PoolError:
            memory.free()
            raise
        self._pages = PageRegion(memory, self._count, params.size, NUMA_NO_NODE).pages
        for number, page in enumerate(self._pages):
            page.dma_address = dma + number * params.size
            self._numbers[page] = number
        self._free = self._pages[::-1]

    def destroy(self, pool: PagePool) -> None:
        """Unmap the area and free it."""
        device = pool.params.dev or CoherentDevice()
        device.unmap_page(self._pages[0].dma_address, self._count * pool.params.size,
                          pool.params.dma_dir)
        pages, self._pages, self._free = self._pages, [], []
        self._numbers.clear()
        for page in pages:
            page.put()

    def alloc_page(self, pool: PagePool) -> Page | None:
        """Put what borrowers gave back in the cache, or else what nobody has, and return one."""
        self._take_given_back(pool)
        if not pool.cached:
            for _ in range(min(pool.params.refill, len(self._free))):
                with self._lock:
                    fresh = self._free.pop()
                pool.memory.adopt(fresh)
                pool.place_in_cache(fresh)
        page = pool.take_from_cache()
        self.failures += page is None
        return page

    def release_page(self, pool: PagePool, page: Page) -> bool:
        """Keep a page for the next allocation; the memory stays."""
        page.pool = None
        with self._lock:
            self._free.append(page)
        return False

    def lend(self, page: Page) -> int:
        """Let a borrower have a page that is handed out; returns its number.

        The borrower has a reference of his own. The caller still puts his.
        """
        if page.pool is None or page not in self._numbers:
            raise PoolError(f"page at {page.address:#x} is not of this area")
        number = self._numbers[page]
        page.pool.ref_page(page)
        self._lent[number] += 1
        return number

    def give_back(self, numbers: Iterable[int]) -> None:
        """Take numbers from a borrower, who may be wrong. They are looked at when needed."""
        self._given_back.extend(numbers)

    def scrub(self, pool: PagePool) -> int:
        """Drop all that borrowers have, when they are gone; returns how many references."""
        self._given_back.clear()
        dropped = 0
        for number, count in enumerate(self._lent):
            self._lent[number] = 0
            dropped += count
            for _ in range(count):
                pool.put(self._pages[number])
        return dropped

    def _take_given_back(self, pool: PagePool) -> None:
        for _ in range(min(len(self._given_back), RETURNS_MAX)):
            if pool.cached >= pool.params.refill:
                return
            number = self._given_back.popleft()
            if not 0 <= number < self._count or not self._lent[number]:
                self.refused += 1
                continue
            self._lent[number] -= 1
            page = self._pages[number]
            if pool.unref(page) == 0:
                pool.memory.sync_for_device(page, -1)
                pool.place_in_cache(page)
