"""A pool of the card and its memory.

A ``CardPool`` owns one recycle ring of the card. Its memory comes region by region from a
:class:`~pagering.page_pool.PagePool`, is registered with one write per region and goes back only
after the card reported the pool drained: until then no region is unmapped. A page that the host
retains outlives the pool; its memory is freed with its last reference.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from pagering import abi
from pagering.errors import CardError, CardGone, PoolError
from pagering.page_pool import PagePool
from pagering.page_pool_page import Page, PageRegion
from pagering.page_pool_stats import PagePoolStats
from pagering.polling import wait_drained, wait_until
from pagering.pool_watch import OldestPage, PoolMirror, read_oldest

if TYPE_CHECKING:
    from pagering.card import Card

__all__ = ["CardPool"]

_PAGE, _FIRST, _LAST = (abi.TOKEN[name] for name in ("page", "first", "last"))


class CardPool:
    """One pool. Made by :meth:`pagering.card.Card.add_pool`.

    Parameters
    ----------
    card
        The card.
    index
        Which of its pools.
    page_pool
        Where the memory comes from; closed with this pool.
    pages
        How many pages to register: a multiple of the card's pages per region.
    policy
        In which order free pages are used again.
    limit
        Most pages off the ring; None for no limit.
    low_water
        Numbers of free pages (enter, exit) between which the pool is low.
    mirror
        Whether the card writes the counts to host memory when they change.

    Raises
    ------
    CardError
        If the card refuses a region or does not get ready.
    PoolError
        If there is no memory.

    """

    def __init__(self, card: Card, index: int, page_pool: PagePool, pages: int,
                 policy: abi.Policy, limit: int | None, low_water: tuple[int, int],
                 mirror: bool = False) -> None:
        self.index = index
        self.page_pool = page_pool
        self.closed = False
        self.views: dict[int, memoryview] = {}
        """The bytes of each page, by page id."""
        self.addresses: dict[int, int] = {}
        """DMA address of each page, by page id."""
        self._card = card
        self._registers = card.registers.pool(index)
        self._regions: dict[int, PageRegion] = {}
        self._pages: dict[int, Page] = {}
        self._served = self._noted_returned = 0
        self._mirror = PoolMirror(card.transport, self._registers) if mirror else None
        try:
            self._set_limits(limit, low_water)
            while self.registered_by_host < pages:
                self._register(page_pool.alloc_region(card.capabilities.region_pages))
            self._enable(policy)
        except BaseException:
            self.close()
            raise

    # Set up

    def _set_limits(self, limit: int | None, low_water: tuple[int, int]) -> None:
        reset = abi.POOL["LIMIT"].reset
        self._registers.LIMIT.write(pages=reset if limit is None else limit)
        self._registers.LOW_WATER.write(enter=low_water[0], exit=low_water[1])

    def _register(self, region: PageRegion) -> None:
        """Tell the card of one region: one write, then its pages are on the ring."""
        card = self._card
        address, size = region.memory.address, card.capabilities.region_bytes
        slot = card.take_slot()
        self._regions[slot] = region
        if address % size or len(region.memory.view) < size:
            raise CardError(f"region at {address:#x} of {len(region.memory.view)} bytes does not "
                            f"suit the card; it takes {size} bytes at a multiple of {size}")
        if address + size > 1 << 64:
            raise CardError(f"region at {address:#x} does not end within 64-bit addresses")
        card.registers.card.REGION_HIGH.write(address=address >> 32)
        row = card.registers.region(slot)
        row.write(valid=1, pool=self.index, address=address >> 12 & 0xFFFFF)
        # valid comes first; when loading is over too, all pages are on the ring.
        wait_until(lambda: _loaded(row.read()), f"region slot {slot} is loaded",
                   "read the region_alignment and region_refused faults, then reset the card")
        self._index_pages(slot, region)

    def _index_pages(self, slot: int, region: PageRegion) -> None:
        caps = self._card.capabilities
        view = region.memory.view
        for at, page in enumerate(region.pages):
            number = slot * caps.region_pages + at
            self.views[number] = view[at * caps.page_bytes:(at + 1) * caps.page_bytes]
            self.addresses[number] = region.memory.address + at * caps.page_bytes
            self._pages[number] = page

    def _enable(self, policy: abi.Policy) -> None:
        self._registers.CONTROL.write(enable=1, policy=policy)
        if not self._registers.CONTROL.get("enable"):
            raise CardError(f"the card refused to enable pool {self.index}; drain it or reset the "
                            f"card first")

    # Looking at it

    @property
    def slots(self) -> tuple[int, ...]:
        """Slots of its regions in the card's table."""
        return tuple(self._regions)

    def region_view(self, slot: int) -> memoryview:
        """Return the bytes of a region."""
        return self._regions[slot].memory.view

    @property
    def registered_by_host(self) -> int:
        """Pages that the driver has registered; :attr:`registered` asks the card."""
        return len(self._pages)

    @property
    def registered(self) -> int:
        """Pages of the pool's regions."""
        return self._registers.REGISTERED.get()

    @property
    def free(self) -> int:
        """Pages on the ring."""
        return self._registers.FREE.get()

    @property
    def outstanding(self) -> int:
        """Pages that only the host holds."""
        return self._registers.OUTSTANDING.get()

    @property
    def free_cached(self) -> int:
        """As :attr:`free`, from host memory if the pool has a mirror: no register is read."""
        return self.free if self._mirror is None else self._mirror.counts()["free"]

    @property
    def outstanding_cached(self) -> int:
        """As :attr:`outstanding`, from host memory if the pool has a mirror."""
        return (self.outstanding if self._mirror is None
                else self._mirror.counts()["outstanding"])

    def oldest(self) -> OldestPage | None:
        """Return the page that the host has had for longest, or None: what a leak is called.

        The card goes over its pages all the time; what it tells may be as old as two rounds, see
        the register OLDEST.
        """
        return read_oldest(self._registers)

    @property
    def peak(self) -> int:
        """Most pages that were off the ring at one time."""
        return self._registers.PEAK.get()

    @property
    def low_water(self) -> bool:
        """Whether free pages fell to the low-water mark and are not back yet."""
        return bool(self._registers.STATUS.get("low_water"))

    @property
    def stats(self) -> PagePoolStats:
        """The page pool's statistics, with the card's share brought up to date."""
        if not self.closed:
            back = max(self._served - (self.registered - self.free), self._noted_returned)
            self.page_pool.note_card(0, back - self._noted_returned)
            self._noted_returned = back
        return self.page_pool.stats

    def page_view(self, token: int) -> memoryview:
        """Return the bytes of the chunks that ``token`` names.

        Raises
        ------
        CardError
            If the token names no page of this pool, or chunks past its end.

        """
        view = self.views.get((token & _PAGE.mask) >> _PAGE.lsb)
        first, last = (token & _FIRST.mask) >> _FIRST.lsb, (token & _LAST.mask) >> _LAST.lsb
        size = self._card.capabilities.chunk_bytes
        if view is None or not first <= last < self._card.capabilities.chunks:
            raise CardError(f"token {token:#010x} names no memory of pool {self.index}; the card "
                            f"or a completion ring is corrupt: reset the card")
        return view[first * size:(last + 1) * size]

    # References, for RxQueue

    def note_served(self, pages: int) -> None:
        """Count pages that the host saw for the first time in this life."""
        self._served += pages
        self.page_pool.note_card(pages, 0)

    def hold(self, token: int) -> Page:
        """Take a reference of a token's page, so that its memory outlives this pool."""
        page = self._pages[(token & _PAGE.mask) >> _PAGE.lsb]
        self.page_pool.ref_page(page)
        return page

    def let_go(self, page: Page) -> None:
        """Drop a reference of :meth:`hold`."""
        self.page_pool.put(page)
        if self.closed:
            # The page pool was given up while this page was out: let it finish.
            self.page_pool.release_retry()

    # The end

    def drain(self, timeout: float = 1.0) -> None:
        """Disable the pool and wait until the card writes no more to its memory.

        Raises
        ------
        CardError
            If the card does not get there within ``timeout`` seconds.

        """
        with contextlib.suppress(CardGone):
            self._registers.CONTROL.modify(enable=0)
        wait_drained(lambda: bool(self._registers.STATUS.get("drained")),
                     f"pool {self.index} is drained", timeout)

    def close(self, timeout: float = 1.0) -> None:
        """Drain, retire, and only then give the memory back. Again does nothing.

        Raises
        ------
        CardError
            If a queue still draws from the pool, or the card does not drain or retire it; the
            memory then stays mapped.

        """
        if self.closed:
            return
        users = [queue.index for queue in self._card.queues if self in queue.pools]
        if users:
            raise CardError(f"queue {users[0]} still draws from pool {self.index}; close it first")
        self.drain(timeout)
        self._retire(timeout)
        self._give_back()
        self._card.forget_pool(self)

    def _retire(self, timeout: float) -> None:
        self._registers.RETIRE.write(retire=1)
        wait_drained(lambda: self.registered == 0, f"pool {self.index} has no regions", timeout)

    def _give_back(self) -> None:
        self.closed = True
        self.views, self.addresses = {}, {}
        for slot, region in self._regions.items():
            self.page_pool.put_region(region)
            self._card.give_slot(slot)
        self._regions, self._pages = {}, {}
        if self._mirror is not None:
            self._mirror.free(self._registers)
            self._mirror = None
        try:
            self.page_pool.destroy()
        except PoolError as error:
            raise PoolError(f"pool {self.index} gave its regions back, but {error}") from error


def _loaded(row: dict[str, int]) -> bool:
    return bool(row["valid"] and not row["loading"])
