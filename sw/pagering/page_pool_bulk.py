"""Pages of a pool by number, a burst at a time: a level before the pool's cache.

A burst is an array of page numbers that nobody can change. It goes back as it came, by one set
operation however many pages it has, and is handed out again as it is. Where its pages come back in
other company, arrays of any numbers are taken too: these are looked up in a table of marks.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pagering.errors import PoolError
from pagering.number_arrays import Numbers, constant
from pagering.page_pool import Page, PagePool

__all__ = ["BulkPages", "PageBurst"]

_LARGEST = 1 << 15
_WIDTH = np.dtype(np.intp).itemsize
_OUT = constant(0xFFFF, np.uint16)
_OUT_BYTES = b"\xff" * 2 * _LARGEST
_ORDER = np.arange(_LARGEST, dtype=np.uint16)
_ORDER_BYTES = _ORDER.tobytes()


class PageBurst:
    """Pages that were handed out together.

    Attributes
    ----------
    raw : bytes
        The numbers, as the array has them in memory.
    numbers : numpy.ndarray
        The pages' numbers, read-only.
    """

    __slots__ = ("numbers", "raw")

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.numbers: Numbers = np.frombuffer(raw, np.intp)

    def __len__(self) -> int:
        """Count the pages."""
        return len(self.raw) // _WIDTH


class BulkPages:
    """Some pages of a pool, by number from 0. For the thread that allocates from the pool.

    Parameters
    ----------
    pool : PagePool
        Where the pages come from; they count as out there until :meth:`close`.
    count : int
        How many, at most 32768.

    Attributes
    ----------
    pages : list of Page
        By number.
    addresses : numpy.ndarray
        DMA address of each, or its address if the pool maps nothing.
    served, returned : int
        Pages handed out and taken back so far.

    Raises
    ------
    PoolError
        If the number is out of range, or the pool has fewer.
    """

    def __init__(self, pool: PagePool, count: int) -> None:
        if not 1 <= count <= _LARGEST:
            raise PoolError(f"pages in bulk must be 1 to {_LARGEST}, not {count}")
        self._pool = pool
        self.pages: list[Page] = []
        while len(self.pages) < count and (page := pool.alloc()) is not None:
            self.pages.append(page)
        if len(self.pages) < count:
            found = len(self.pages)
            self._give_back()
            raise PoolError(f"the pool has only {found} pages of {count}")
        self.addresses: npt.NDArray[np.uint64] = np.array(
            [page.dma_address or page.address for page in self.pages], np.uint64)
        self.served = self.returned = 0
        self._stack = [PageBurst(np.arange(count, dtype=np.intp).tobytes())]
        self._out: set[PageBurst] = set()
        # _OUT for a page that is out but of no burst that is, else anything. The second half is
        # of no pages and never _OUT: numpy counts negative numbers from the end.
        self._marks = np.zeros(2 * count, np.uint16)

    @property
    def free(self) -> int:
        """Pages that are here."""
        return len(self.pages) - (self.served - self.returned)

    def alloc(self, count: int) -> PageBurst:
        """Return ``count`` pages, or as many as there are.

        Raises
        ------
        PoolError
            If ``count`` is less than 1.
        """
        try:
            burst = self._stack.pop()
        except IndexError:
            burst = PageBurst(b"")
        if len(burst.numbers) != count:
            burst = self._cut(burst, count)
        self._out.add(burst)
        self.served += len(burst.numbers)
        return burst

    def put(self, burst: PageBurst) -> None:
        """Return a burst.

        Raises
        ------
        PoolError
            If it is not out, or some of its pages came back otherwise.
        """
        try:
            self._out.remove(burst)
        except KeyError:
            raise PoolError(f"a burst of {len(burst)} pages is not out, or not as a whole: "
                            f"returned twice?") from None
        self._stack.append(burst)
        self.returned += len(burst.numbers)

    def put_numbers(self, numbers: npt.ArrayLike) -> None:
        """Return any pages that are out. Their bursts then cannot be returned as a whole any more.

        Raises
        ------
        PoolError
            If one of them is not out, or is there twice. Nothing changes.
        """
        back = PageBurst(np.asarray(numbers, np.intp).tobytes())
        self._break_up()
        self._mark_back(back.numbers)
        self._stack.append(back)
        self.returned += len(back.numbers)

    def close(self) -> None:
        """Return all pages to the pool.

        Raises
        ------
        PoolError
            If some are out.
        """
        missing = len(self.pages) - self.free
        if missing:
            raise PoolError(f"{missing} pages are still out")
        self._stack.clear()
        self._give_back()

    def _give_back(self) -> None:
        while self.pages:
            self._pool.recycle_direct(self.pages.pop())

    def _cut(self, top: PageBurst, count: int) -> PageBurst:
        """Make a burst of ``count`` pages from the top of the stack."""
        if count < 1:
            self._stack.append(top)
            raise PoolError(f"pages to allocate must be at least 1, not {count}")
        size, raw = count * _WIDTH, top.raw
        while len(raw) < size and self._stack:
            raw = self._stack.pop().raw + raw
        if rest := raw[:-size]:
            self._stack.append(PageBurst(rest))
        return PageBurst(raw[-size:])

    def _break_up(self) -> None:
        """Mark the pages of all bursts that are out one by one."""
        while self._out:
            self._marks[self._out.pop().numbers] = _OUT

    def _mark_back(self, numbers: Numbers) -> None:
        count = len(numbers)
        if count > len(self.pages):
            raise PoolError(f"{count} pages cannot be out: there are {len(self.pages)}")
        try:
            all_out = self._marks[numbers].tobytes() == _OUT_BYTES[:2 * count]
        except IndexError:
            all_out = False
        if not all_out:
            raise PoolError(f"page {self._first_wrong(numbers)} is not out: returned twice, or "
                            f"never handed out")
        # Each page gets its place in the array for a mark; a page that is there twice has one
        # mark only, which then stands in the wrong place for one of the two.
        self._marks[numbers] = _ORDER[:count]
        if self._marks[numbers].tobytes() != _ORDER_BYTES[:2 * count]:
            self._marks[numbers] = _OUT
            raise PoolError("a page is twice among those to return")

    def _first_wrong(self, numbers: Numbers) -> Any:
        within = (numbers >= 0) & (numbers < len(self.pages))
        within[within] = self._marks[numbers[within]] == _OUT
        return numbers[~within][0]
