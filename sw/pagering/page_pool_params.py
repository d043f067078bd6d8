"""What a page pool is created with, and which combinations it refuses.

The names are those of Linux's ``page_pool_params``; the two DMA flags are booleans.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pagering.errors import PoolError
from pagering.page_pool_dma import DmaDevice, DmaDirection

if TYPE_CHECKING:
    from pagering.page_pool_page import Page

__all__ = ["BULK_MAX", "MAX_PAGE_ORDER", "NUMA_NO_NODE", "PagePoolParams"]

NUMA_NO_NODE = -1
"""No preference: the node of whoever allocates."""
MAX_PAGE_ORDER = 10
"""Largest order of a page: 4 MiB with pages of 4 KiB."""
BULK_MAX = 16
"""Most pages that one bulk return takes."""

_RING_DEFAULT = 1024
_RING_MAX = 16384


@dataclass(frozen=True, kw_only=True)
class PagePoolParams:
    """Parameters of a page pool.

    Attributes
    ----------
    order : int
        The pool's pages are ``page_bytes << order`` bytes each.
    pool_size : int
        Slots of the ring. Not a limit of memory: the ring only bounds what is kept idle.
        0 stands for 1024, and more than 16384 is taken as 16384.
    nid : int
        Preferred memory node, or ``NUMA_NO_NODE``.
    owner : int or None
        Identifier of the thread that alone allocates (``threading.get_ident()``). Its returns
        go to the cache without being asked to. None: only returns that ask for it do.
    dma_map : bool
        Map each page for ``dev`` as long as it is in the pool.
    dma_sync : bool
        Give each recycled page back to the device, bytes ``offset`` to ``offset + max_len``.
    dev : DmaDevice or None
        What maps. None stands for a coherent device.
    dma_dir : DmaDirection
        Who writes to the pages.
    max_len, offset : int
        The part of a page that the device writes, in bytes.
    page_bytes : int
        Bytes of a page of order 0: a power of two, at least 4096.
    netdev : str or None
        The device that the pool is listed under. None: it can only be looked up by its id.
    init_callback : callable or None
        Called with each page that enters the pool. For tests.
    """

    order: int = 0
    pool_size: int = 0
    nid: int = NUMA_NO_NODE
    owner: int | None = None
    dma_map: bool = False
    dma_sync: bool = False
    dev: DmaDevice | None = None
    dma_dir: DmaDirection = DmaDirection.FROM_DEVICE
    max_len: int = 0
    offset: int = 0
    page_bytes: int = 4096
    netdev: str | None = None
    init_callback: Callable[[Page], None] | None = None

    @property
    def size(self) -> int:
        """Bytes of each of the pool's pages."""
        return self.page_bytes << self.order

    @property
    def ring_size(self) -> int:
        """Slots that the ring gets."""
        return min(self.pool_size, _RING_MAX) if self.pool_size else _RING_DEFAULT

    @property
    def refill(self) -> int:
        """Pages moved to the cache at a time. Fewer when pages are large, to pin less memory."""
        if self.page_bytes >= 1 << 16:
            return 4
        return 16 if self.page_bytes >= 1 << 14 else 64

    @property
    def cache_size(self) -> int:
        """Most pages in the cache: room for a refill on top of a refill's worth of returns."""
        return 2 * self.refill

    def check(self, hooks: bool = False) -> None:
        """Refuse what no pool can be made of.

        Ranges that C's unsigned types give the kernel for free come first, then the kernel's own
        checks in its order.

        Parameters
        ----------
        hooks : bool
            Whether memory comes from a provider's hooks, which judge the order themselves.

        Raises
        ------
        PoolError
            With a sentence that names the first value that is wrong.
        """
        if self.page_bytes < 4096 or self.page_bytes & (self.page_bytes - 1):
            raise PoolError(
                f"page_bytes must be a power of two and at least 4096, not {self.page_bytes}"
            )
        for name in ("order", "pool_size", "max_len", "offset"):
            value = getattr(self, name)
            if value < 0:
                raise PoolError(f"{name} must not be negative, not {value}")
        if self.nid < NUMA_NO_NODE:
            raise PoolError(f"nid must be a node or NUMA_NO_NODE (-1), not {self.nid}")
        if self.dma_map and self.dma_dir is DmaDirection.TO_DEVICE:
            raise PoolError(
                f"dma_map needs dma_dir from device or bidirectional, not {self.dma_dir.value}"
            )
        if self.dma_sync and not self.dma_map:
            raise PoolError("dma_sync needs dma_map, which is False")
        if self.dma_sync and not self.max_len:
            raise PoolError("dma_sync needs max_len above 0, not 0")
        if hooks and not (self.dma_map and self.dma_sync):
            raise PoolError("memory from a provider's hooks needs dma_map and dma_sync")
        if not hooks and self.order > MAX_PAGE_ORDER:
            raise PoolError(f"order must be at most {MAX_PAGE_ORDER}, not {self.order}")
        # The kernel trusts the driver here; a window past the page would sync foreign memory.
        if self.dma_sync and self.offset + self.max_len > self.size:
            raise PoolError(
                f"offset + max_len must stay within the page of {self.size} bytes, "
                f"not {self.offset + self.max_len}"
            )
