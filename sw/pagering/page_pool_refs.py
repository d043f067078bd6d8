"""The pool references of a page: who may drop how many, and what is wrong if not.

The functions that change a count run under :data:`~pagering.page_pool_page.PAGE_LOCK`. With
``compat`` they accept what Linux accepts, which includes returning a page twice.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pagering.errors import PoolError
from pagering.page_pool_page import Page, PageState

if TYPE_CHECKING:
    from pagering.page_pool_lifetime import PoolLifetime

__all__ = ["check_drop", "check_held", "drop", "refusal"]

_log = logging.getLogger(__name__)


def refusal(page: Page, pool: PoolLifetime) -> PoolError:
    """Say why ``pool`` cannot take back ``page``, which is not among those it handed out."""
    where = f"page at {page.address:#x}"
    if page.pool is None:
        return PoolError(f"{where} was released")
    if page.pool is not pool:
        return PoolError(f"{where} belongs to another pool")
    if page.state is PageState.CARD:
        return PoolError(f"the last reference of the {where} is the card's: put its region")
    return PoolError(f"{where} is back in its pool: returned twice")


def check_held(page: Page, pool: PoolLifetime, compat: bool) -> None:
    """Refuse a page that nobody outside ``pool`` can hold.

    Raises
    ------
    PoolError
        If the page is idle (unless ``compat``), released or of another pool.
    """
    if page.pool is not pool or (page.state is PageState.IDLE and not compat):
        raise refusal(page, pool)


def check_drop(page: Page, nr: int, pool: PoolLifetime, compat: bool) -> None:
    """Refuse to drop ``nr`` references that the caller cannot have.

    Raises
    ------
    PoolError
        As :func:`check_held`, or if there are fewer references, or the last one is the card's.
    """
    check_held(page, pool, compat)
    if nr < 1:
        raise PoolError(f"references to drop must be at least 1, not {nr}")
    if compat:
        return
    mine = pool.fragments.reserve(page)
    if page.pp_ref_count - mine < nr:
        raise PoolError(
            f"page at {page.address:#x} has {page.pp_ref_count - mine} references to drop, "
            f"not {nr}"
        )
    if page.state is PageState.CARD and page.pp_ref_count == nr:
        raise refusal(page, pool)


def drop(page: Page, nr: int) -> int:
    """Drop ``nr`` references and return how many are left.

    When the last ones go the count is set to 1 rather than 0: that is what the page's next life
    starts with, and a page that was never shared is then not written to at all. It is also why
    the count alone cannot tell a second return from the first.
    """
    if page.pp_ref_count == nr:
        if nr != 1:
            page.pp_ref_count = 1
        return 0
    page.pp_ref_count -= nr
    if page.pp_ref_count < 0:
        _log.warning("page at %#x has %d references", page.address, page.pp_ref_count)
    return page.pp_ref_count
