"""Where pages lie in host memory: a view of each, and of each region as rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pagering.number_arrays import Numbers
from pagering.records import PAGE_MASK

if TYPE_CHECKING:
    from pagering.capabilities import Capabilities
    from pagering.card_pool import CardPool

__all__ = ["PagePlaces"]


class PagePlaces:
    """The pages of some pools.

    Parameters
    ----------
    pools
        The pools.
    caps
        What the card is.

    Attributes
    ----------
    known : array
        Whether there is such a page, by page id.

    """

    def __init__(self, pools: tuple[CardPool, ...], caps: Capabilities) -> None:
        self.known = np.zeros(PAGE_MASK + 1, bool)
        # By slot, for a loop that looks up thousands: few views stay in the processor's cache.
        self._regions = [memoryview(b"")] * caps.regions
        for pool in pools:
            self.known[list(pool.views)] = True
            for slot in pool.slots:
                self._regions[slot] = pool.region_view(slot)
        self._chunk_bytes = caps.chunk_bytes
        # All powers of two, so shifts do for divisions.
        self._page_log2 = caps.page_bytes.bit_length() - 1
        self._region_log2 = caps.region_bytes.bit_length() - 1
        self._chunk_log2 = caps.chunk_bytes.bit_length() - 1
        self._columns: dict[tuple[int, int], npt.NDArray[np.void]] = {}

    def rows(self, pages: Numbers, offsets: Numbers, width: int) -> npt.NDArray[np.uint8]:
        """Return the first ``width`` bytes of the chunks that start at these places.

        A view if they are evenly spaced in one region, else a copy.
        """
        slots, starts = self._find(pages, offsets)
        chunks = starts >> self._chunk_log2
        used = np.flatnonzero(np.bincount(slots)).tolist()
        if len(used) == 1:
            return _rows(_evenly(self._column(used[0], width), chunks))
        found = np.empty(len(slots), f"V{width}")
        for slot in used:
            mine = slots == slot
            found[mine] = self._column(slot, width)[chunks[mine]]
        return _rows(found)

    def views(self, pages: Numbers, offsets: Numbers, lengths: npt.NDArray[Any]
              ) -> list[memoryview]:
        """Return the bytes from each place on."""
        regions = self._regions
        slots, starts = self._find(pages, offsets)
        return [regions[slot][start:end] for slot, start, end in zip(
            slots.tolist(), starts.tolist(), (starts + lengths).tolist(), strict=True)]

    def _find(self, pages: Numbers, offsets: Numbers) -> tuple[Numbers, Numbers]:
        """Return slots of regions, and how many bytes into them places are."""
        starts = pages << self._page_log2
        starts |= offsets
        slots = starts >> self._region_log2
        starts &= (1 << self._region_log2) - 1
        return slots, starts

    def _column(self, slot: int, width: int) -> npt.NDArray[np.void]:
        """Return the first bytes of each chunk of a region, each chunk's as one item."""
        if (slot, width) not in self._columns:
            self._columns[slot, width] = np.ndarray(
                1 << self._region_log2 - self._chunk_log2, f"V{width}", self._regions[slot],
                strides=(self._chunk_bytes,))
        return self._columns[slot, width]

    def release(self) -> None:
        """Let go of the memory."""
        self._columns.clear()
        self._regions = []


def _evenly(column: npt.NDArray[np.void], places: Numbers) -> npt.NDArray[np.void]:
    """Take items out of a column, by a slice where that can be."""
    first, last = int(places[0]), int(places[-1])
    step = int(places[1]) - first if len(places) > 1 else 1
    if step > 0 and last - first == step * (len(places) - 1) and (
            np.count_nonzero(np.diff(places) == step) == len(places) - 1):
        return column[first:last + 1:step]
    return column[places]


def _rows(column: npt.NDArray[np.void]) -> npt.NDArray[np.uint8]:
    """Return items as rows of their bytes."""
    found: npt.NDArray[Any] = column[:, np.newaxis].view(np.uint8)
    return found
