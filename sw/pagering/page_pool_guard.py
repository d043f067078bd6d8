"""What may keep a page pool from handing out a page although there is one.

Linux counts the pages that are out but compares the number with nothing: a host that holds on to
its pages can take all memory. A limit of outstanding pages is the first of our differences. The
other rule is for tests: every n-th allocation fails, as with Linux's fault injection.
"""

from __future__ import annotations

from pagering.errors import PoolError

__all__ = ["AllocationGuard"]


class AllocationGuard:
    """Admits or refuses each allocation of one pool.

    Parameters
    ----------
    limit : int or None
        Most pages that may be out at a time; None for no limit.
    fail_every : int
        Each so many-th allocation fails; 0 for none.

    Attributes
    ----------
    calls : int
        Allocations asked for.
    limit_hits : int
        Those refused because of the limit.
    failures : int
        Those failed on purpose.

    Raises
    ------
    PoolError
        If a number is out of range.
    """

    def __init__(self, limit: int | None = None, fail_every: int = 0) -> None:
        if limit is not None and limit < 1:
            raise PoolError(f"limit must be at least 1 page, not {limit}")
        if fail_every < 0:
            raise PoolError(f"fail_every must not be negative, not {fail_every}")
        self.limit = limit
        self.fail_every = fail_every
        self.calls = self.limit_hits = self.failures = 0

    def admits(self, outstanding: int) -> bool:
        """Judge one allocation while ``outstanding`` pages are out."""
        self.calls += 1
        if self.fail_every and self.calls % self.fail_every == 0:
            self.failures += 1
            return False
        if self.limit is not None and outstanding >= self.limit:
            self.limit_hits += 1
            return False
        return True
