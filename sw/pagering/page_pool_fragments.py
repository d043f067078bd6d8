"""Several small buffers in one page: fragments, cut from the one page that a pool keeps open.

While a page is open its pool holds a large number of references of it in reserve, the *bias*, of
which each fragment takes one by being counted, not by touching the page. When the page is used up
the pool gives back what is left of the bias in one go. So a page that is cut into many fragments
costs one atomic operation, not one for each of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pagering.errors import PoolError
from pagering.page_pool_page import PAGE_LOCK, Page
from pagering.page_pool_refs import drop

if TYPE_CHECKING:
    from pagering.page_pool import PagePool

__all__ = ["BIAS_MAX", "FRAGMENT_ALIGN", "Fragment", "PageFragments"]

BIAS_MAX = (1 << 62) - 1
"""References held in reserve: half of what Linux's signed counter can hold."""
FRAGMENT_ALIGN = 8
"""Bytes that fragments start at multiples of, as on x86-64, where DMA is coherent."""


class Fragment(NamedTuple):
    """A part of a page. Its one pool reference goes back by :meth:`PagePool.put` of the page."""

    page: Page
    offset: int
    """First byte, from the page's start."""
    size: int
    """Bytes."""

    @property
    def view(self) -> memoryview:
        """The bytes, writable."""
        return self.page.view[self.offset:self.offset + self.size]


class PageFragments:
    """The open page of one pool.

    Parameters
    ----------
    pool : PagePool
        Where pages come from.
    align : int
        Fragments start at multiples of so many bytes.

    Attributes
    ----------
    page : Page or None
        The open page.
    users : int
        Fragments cut from it.
    offset : int
        Where the next one starts.
    """

    def __init__(self, pool: PagePool, align: int = FRAGMENT_ALIGN) -> None:
        self._pool = pool
        self._align = align
        self.page: Page | None = None
        self.users = 0
        self.offset = 0

    def reserve(self, page: Page) -> int:
        """Return how many references of ``page`` are the pool's own, held in reserve."""
        return BIAS_MAX - self.users if page is self.page else 0

    def cut(self, size: int) -> Fragment | None:
        """Cut a fragment of ``size`` bytes, or return ``None`` if there is no memory.

        Raises
        ------
        PoolError
            If it is larger than a page, or not at least 1 byte.
        """
        most = self._pool.params.size
        if not 1 <= size <= most:
            raise PoolError(f"fragment size must be 1 to {most} bytes, not {size}")
        room = (size + self._align - 1) & -self._align
        page, offset = self.page, self.offset
        if page is not None and offset + room > most:
            page = self._reuse(page)
        elif page is not None:
            self.users += 1
            self.offset = offset + room
            return Fragment(page, offset, size)
        if page is None:
            page = self._pool.alloc()
        self.page = page
        if page is None:
            return None
        self.users, self.offset = 1, room
        page.pp_ref_count = BIAS_MAX
        return Fragment(page, 0, size)

    def fit(self, size: int) -> Fragment | None:
        """Return a fragment, or a whole page if two of ``size`` bytes do not fit in one.

        The last fragment of a page gets what is left of it: whoever holds it pins as much.
        """
        most = self._pool.params.size
        if 2 * size > most:
            page = self._pool.alloc()
            return None if page is None else Fragment(page, 0, most)
        fragment = self.cut(size)
        if fragment is None or self.offset + size <= most:
            return fragment
        self.offset = most
        return fragment._replace(size=most - fragment.offset)

    def close(self) -> None:
        """Give up the open page. Its fragments stay valid until they are put."""
        page = self.page
        if page is not None and self._give_reserve_back(page):
            self._pool.let_go(page)

    def _reuse(self, page: Page) -> Page | None:
        """Close ``page``; open it again at once if all of its fragments are back."""
        if not self._give_reserve_back(page):
            return None
        if page.refcount != 1 or not page.keep:
            self._pool.let_go(page)
            return None
        self._pool.reuse(page)
        return page

    def _give_reserve_back(self, page: Page) -> bool:
        """Drop what is left of the bias; whether nobody else holds the page."""
        with PAGE_LOCK:
            left, self.page = drop(page, BIAS_MAX - self.users), None
        return not left
