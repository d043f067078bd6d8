"""What the parts of a pool do to it: its fragments, the hooks of its memory, frames of a card."""

from __future__ import annotations

from collections.abc import Callable

from pagering.page_pool_page import Page
from pagering.page_pool_refs import refusal
from pagering.page_pool_sharing import PoolSharing
from pagering.page_pool_stats import PagePoolStats

__all__ = ["InnerPool"]


class InnerPool(PoolSharing):
    """A pool as its parts see it; who only uses pages needs none of this."""

    _cache: list[Page]
    _claim: Callable[[Page], None]
    _stats: PagePoolStats

    def let_go(self, page: Page) -> None:
        """Release a page that nobody holds a reference of, without recycling it."""
        self._take_back(page)
        self.memory.release(page)

    def reuse(self, page: Page) -> None:
        """Count a page that nobody holds as recycled and handed out again, where it is."""
        self.memory.sync_for_device(page, -1)
        self._stats.recycle_cached += 1
        self._stats.alloc_fast += 1

    def place_in_cache(self, page: Page) -> None:
        """Make a page of the hooks' idle, at a call of their ``alloc_page``."""
        self._out.discard(page)
        self._cache.append(page)

    def take_from_cache(self) -> Page | None:
        """Return a page that was placed in the cache during the same call."""
        return self._cache.pop() if self._cache else None

    def _take_back(self, page: Page) -> None:
        try:
            self._claim(page)
        except KeyError:
            raise refusal(page, self) from None

    def _claim_unchecked(self, page: Page) -> None:
        if page.pool is not self:
            raise KeyError(page)
        self._out.discard(page)
