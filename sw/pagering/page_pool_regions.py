"""Memory that a pool registers with a card, which then recycles the pages on its own.

The card's ring is the first level of such a pool, before the cache: a page that the card serves and
takes back never comes by here. Each page of a region has one pool reference that is the card's.
"""

from __future__ import annotations

from pagering.errors import PoolError
from pagering.page_pool_lifetime import PoolLifetime
from pagering.page_pool_page import PAGE_LOCK, Page, PageRegion
from pagering.page_pool_params import NUMA_NO_NODE

__all__ = ["PoolRegions"]


class PoolRegions(PoolLifetime):
    """A pool's dealings with a card, and which memory node it prefers.

    Attributes
    ----------
    nid, local_nid : int
        Preferred memory node, and the allocating thread's.
    """

    nid: int
    local_nid: int
    _out: set[Page]

    @property
    def target_nid(self) -> int:
        """The node that pages should be on."""
        return self.local_nid if self.nid == NUMA_NO_NODE else self.nid

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

    def nid_changed(self, nid: int) -> None:
        """Do :meth:`update_nid` unless ``nid`` is the preferred node already."""
        if nid != self.nid:
            self.update_nid(nid)

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
        region = self.memory.obtain_region(pages, self.target_nid)
        self._idle.stats.alloc_slow += 1
        return region

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
            last = [page for page in region.pages if page.pp_ref_count == 1]
            for page in region.pages:
                page.keep = False
                if page.pp_ref_count > 1:
                    page.pp_ref_count -= 1
                    self._out.add(page)
        for page in last:
            self.memory.release(page)
