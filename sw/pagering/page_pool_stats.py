"""The statistics of a page pool, under the names that Linux gives them over netlink.

A snapshot is a plain record: reading it never disturbs the pool, and it does not move afterwards.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

__all__ = ["PagePoolStats"]


@dataclass(slots=True)
class PagePoolStats:
    """Counters since the pool was created, and the pages it has in flight.

    Failed allocations and the releases of :meth:`~pagering.page_pool.PagePool.destroy`,
    ``update_nid`` and ``put_region`` are in no counter.

    Attributes
    ----------
    alloc_fast : int
        Pages from the allocation cache, and pages the card drew from its recycle ring.
    alloc_slow : int
        Visits to the memory provider: one for each bulk of single pages and for each region.
    alloc_slow_high_order : int
        Pages of order above 0 from the provider, always one at a time.
    alloc_empty : int
        Times that the cache was used up and the ring was empty too.
    alloc_refill : int
        Pages handed out directly by a refill of the cache from the ring. Not in ``alloc_fast``.
    alloc_waive : int
        Pages let go at a refill because they are on another memory node.
    recycle_cached : int
        Pages returned to the cache.
    recycle_cache_full : int
        Pages that found the cache full. Each counts once more, for where it went instead.
    recycle_ring : int
        Pages returned to the ring, and pages returned to the card's recycle ring.
    recycle_ring_full : int
        Returns that found the ring full. A bulk return counts once, whatever it lost.
    recycle_released_refcnt : int
        Pages let go on return: somebody else held them too, or they came from the reserves.
    inflight : int
        Pages the pool obtained and has not let go, idle ones included. Never below 0 here.
    """

    alloc_fast: int = 0
    alloc_slow: int = 0
    alloc_slow_high_order: int = 0
    alloc_empty: int = 0
    alloc_refill: int = 0
    alloc_waive: int = 0
    recycle_cached: int = 0
    recycle_cache_full: int = 0
    recycle_ring: int = 0
    recycle_ring_full: int = 0
    recycle_released_refcnt: int = 0
    inflight: int = 0

    @property
    def allocations(self) -> int:
        """Pages (and regions) handed out: the sum of the four ways to get one."""
        return (self.alloc_fast + self.alloc_refill + self.alloc_slow
                + self.alloc_slow_high_order)

    def as_netlink(self) -> dict[str, int]:
        """Return the values under their netlink names, such as ``alloc-fast``."""
        return {name.replace("_", "-"): value for name, value in asdict(self).items()}
