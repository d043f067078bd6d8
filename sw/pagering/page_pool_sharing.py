"""References of a page that is handed out: more than one, and how they come together again."""

from __future__ import annotations

from pagering.errors import PoolError
from pagering.page_pool_page import PAGE_LOCK, Page
from pagering.page_pool_refs import check_drop, check_held, drop
from pagering.page_pool_regions import PoolRegions

__all__ = ["PoolSharing"]


class PoolSharing(PoolRegions):
    """A pool whose pages may have several holders."""

    _compat: bool

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

    def fragment_page(self, page: Page, nr: int) -> None:
        """Make the one reference of a page that is handed out ``nr`` references, to be shared out.

        Raises
        ------
        PoolError
            If ``nr`` is less than 1, or the page is shared already or not handed out.
        """
        with PAGE_LOCK:
            check_drop(page, 1, self, self._compat)
            if nr < 1:
                raise PoolError(f"references of a page must be at least 1, not {nr}")
            if page.pp_ref_count != 1 and not self._compat:
                raise PoolError(
                    f"page at {page.address:#x} has {page.pp_ref_count} references already")
            page.pp_ref_count = nr

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
