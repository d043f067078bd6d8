"""How a pool's pages become reachable for a device, and how that ends exactly once.

A page is mapped when it enters its pool and unmapped when it leaves, however often it is recycled
in between. Two parties may want to unmap it: the return that releases it, and the destruction of
the pool, which cannot wait for pages that the host still holds. :class:`DmaTable` decides who does:
the first to take the page's id out of the table unmaps, the other does nothing.
"""

from __future__ import annotations

import enum
import heapq
import threading
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from pagering.errors import PoolError

if TYPE_CHECKING:
    from pagering.page_pool_page import Page

__all__ = ["CoherentDevice", "DmaDevice", "DmaDirection", "DmaTable"]


class DmaDirection(enum.Enum):
    """Who writes to mapped memory."""

    BIDIRECTIONAL = "bidirectional"
    TO_DEVICE = "to device"
    FROM_DEVICE = "from device"


@runtime_checkable
class DmaDevice(Protocol):
    """A device that reaches memory through mappings."""

    @property
    def needs_sync(self) -> bool:
        """Whether ownership of mapped bytes must be handed over explicitly."""

    def map_page(self, address: int, size: int, direction: DmaDirection) -> int:
        """Map ``size`` bytes at ``address`` and return the device's address of them.

        Raises
        ------
        PoolError
            If they cannot be mapped.
        """

    def unmap_page(self, dma_address: int, size: int, direction: DmaDirection) -> None:
        """End a mapping. From here on the device must not touch the bytes."""

    def sync_for_device(self, dma_address: int, length: int) -> None:
        """Give ``length`` bytes to the device."""

    def sync_for_cpu(self, dma_address: int, length: int) -> None:
        """Give ``length`` bytes to the host."""


class CoherentDevice:
    """A device that sees memory as it is: providers' memory arrives mapped, nothing needs sync.

    The mapping then lives as long as the memory, and ends with it.
    """

    @property
    def needs_sync(self) -> bool:
        """False: host and device see the same bytes."""
        return False

    def map_page(self, address: int, size: int, direction: DmaDirection) -> int:
        """Return ``address``, which is the device's own already."""
        return address

    def unmap_page(self, dma_address: int, size: int, direction: DmaDirection) -> None:
        """Do nothing: the memory is unmapped when it is freed."""

    def sync_for_device(self, dma_address: int, length: int) -> None:
        """Do nothing."""

    def sync_for_cpu(self, dma_address: int, length: int) -> None:
        """Do nothing."""


class DmaTable:
    """The mapped pages of a pool by id. Ids start at 1; the lowest free one is given out.

    Parameters
    ----------
    bits : int
        Width of an id: at most ``2**bits - 1`` pages can be mapped at a time.
    """

    def __init__(self, bits: int = 32) -> None:
        self._last = (1 << bits) - 1
        self._pages: dict[int, Page] = {}
        self._freed: list[int] = []
        self._fresh = 1
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Count the mapped pages."""
        return len(self._pages)

    def add(self, page: Page) -> int:
        """Enter ``page`` and return its id.

        Raises
        ------
        PoolError
            If all ids are in use.
        """
        with self._lock:
            if self._freed:
                index = heapq.heappop(self._freed)
            elif self._fresh <= self._last:
                index = self._fresh
                self._fresh += 1
            else:
                raise PoolError(f"all {self._last} DMA ids are in use")
            self._pages[index] = page
            return index

    def take(self, index: int, page: Page) -> bool:
        """Take ``page`` out. Whoever gets True, and nobody else, unmaps it."""
        with self._lock:
            if self._pages.get(index) is not page:
                return False
            del self._pages[index]
            heapq.heappush(self._freed, index)
            return True

    def pages(self) -> list[tuple[int, Page]]:
        """Return the ids and pages that are mapped now."""
        with self._lock:
            return list(self._pages.items())
