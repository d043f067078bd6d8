"""A page, and the run of memory that it is part of.

A page carries two reference counts that must not be mixed up. ``refcount`` belongs to the memory:
the bytes live until it reaches zero. ``pp_ref_count`` belongs to the pool: the page goes back to
its pool when the last of these references is put.
"""

from __future__ import annotations

import enum
import threading
from typing import TYPE_CHECKING

from pagering.errors import PoolError
from pagering.transport import DmaMemory

if TYPE_CHECKING:
    from pagering.page_pool import PagePool

__all__ = ["PAGE_LOCK", "Page", "PageRegion", "PageState"]

PAGE_LOCK = threading.Lock()
"""Guards reference counts that are shared: Python has no atomic add. Held for a few instructions
only, never while memory is allocated, mapped or freed."""


class PageState(enum.Enum):
    """Who has a page. Linux does not keep this; it is what makes a double return detectable."""

    GONE = "released"
    """The pool let go of it (or has not taken it yet)."""
    IDLE = "idle in its pool"
    OUT = "handed out"
    CARD = "registered with the card"
    """One of its pool references is the card's, until its region is put."""


class Page:
    """One page of ``region``.

    Attributes
    ----------
    address : int
        Address of the first byte, as the provider gave it.
    size : int
        Bytes.
    region : PageRegion
        The memory that the page is part of.
    pool : PagePool or None
        The pool it belongs to, until that lets go of it.
    pp_ref_count : int
        Pool references. Rests at 1 while the page is idle.
    refcount : int
        Memory references, one of which is the pool's.
    pfmemalloc : bool
        The memory is from the system's emergency reserves, so it must not be kept.
    keep : bool
        Whether the pool may recycle it: not if it is from the reserves, or of a region that the
        card gave back.
    nid : int
        Memory node; ``NUMA_NO_NODE`` (-1) for memory that is as near as any.
    dma_address : int
        The device's address of the page, 0 if not mapped.
    dma_index : int
        Its id in the pool's table of mapped pages, 0 if none.
    """

    __slots__ = ("_pfmemalloc", "address", "dma_address", "dma_index", "keep", "nid", "pool",
                 "pp_ref_count", "refcount", "region", "size")

    def __init__(self, region: PageRegion, address: int, size: int, nid: int) -> None:
        self.region = region
        self.address = address
        self.size = size
        self.nid = nid
        self.pool: PagePool | None = None
        self.pp_ref_count = 1
        self.refcount = 1
        self._pfmemalloc = False
        self.keep = True
        self.dma_address = 0
        self.dma_index = 0

    def __repr__(self) -> str:
        """Address, holder and reference counts."""
        return (f"<Page {self.address:#x} {self.state.value}, "
                f"pp_ref_count {self.pp_ref_count}, refcount {self.refcount}>")

    @property
    def state(self) -> PageState:
        """Who has it."""
        if self.pool is None:
            return PageState.GONE
        if self.region.pool is not None and not self.region.retired:
            return PageState.CARD
        return PageState.OUT if self.pool.is_out(self) else PageState.IDLE

    @property
    def pfmemalloc(self) -> bool:
        """Whether the memory is from the system's emergency reserves."""
        return self._pfmemalloc

    @pfmemalloc.setter
    def pfmemalloc(self, reserve: bool) -> None:
        self._pfmemalloc = reserve
        self.keep = not reserve and not self.region.retired

    @property
    def view(self) -> memoryview:
        """The bytes, writable.

        Raises
        ------
        PoolError
            If the memory was freed.
        """
        if not self.refcount:
            raise PoolError(f"page at {self.address:#x} was freed")
        start = self.address - self.region.address
        return self.region.memory.view[start:start + self.size]

    def get(self) -> None:
        """Take a memory reference.

        Raises
        ------
        PoolError
            If the memory was freed.
        """
        with PAGE_LOCK:
            if not self.refcount:
                raise PoolError(f"page at {self.address:#x} was freed")
            self.refcount += 1

    def put(self) -> None:
        """Drop a memory reference. The last of a region's pages frees the memory.

        Raises
        ------
        PoolError
            If there is none left to drop, or the last one is the pool's.
        """
        with PAGE_LOCK:
            if not self.refcount:
                raise PoolError(f"page at {self.address:#x} was freed")
            if self.refcount == 1 and self.pool is not None:
                raise PoolError(
                    f"page at {self.address:#x} has one reference, which is its pool's"
                )
            self.refcount -= 1
            if self.refcount:
                return
            self.region.live -= 1
            last = not self.region.live
        if last:
            self.region.memory.free()


class PageRegion:
    """A run of pages, contiguous in the device's address space and freed together.

    Attributes
    ----------
    memory : DmaMemory
        The bytes.
    pages : list of Page
        By ascending address.
    live : int
        Pages whose memory somebody still holds.
    pool : PagePool or None
        The pool that registered the region with the card; None for the region of a single page.
    retired : bool
        The card gave it back: its pages are released, not recycled, as soon as they come back.
    """

    __slots__ = ("live", "memory", "pages", "pool", "retired")

    def __init__(self, memory: DmaMemory, count: int, page_size: int, nid: int) -> None:
        self.memory = memory
        self.pages = [Page(self, memory.address + i * page_size, page_size, nid)
                      for i in range(count)]
        self.live = count
        self.pool: PagePool | None = None
        self.retired = False

    @property
    def address(self) -> int:
        """Address of the first page."""
        return self.memory.address

    @property
    def size(self) -> int:
        """Bytes of all pages together."""
        return sum(page.size for page in self.pages)
