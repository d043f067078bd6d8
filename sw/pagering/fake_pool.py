"""Pages, recycle rings and the return checker of the in-memory card.

Each page of a registered region is on the ring of its pool, open or being filled, or
outstanding; ``FakePages`` moves it between these and checks every returned token in the order of
``Fault.RETURN_*``. A chunk is outstanding from the moment its completion is visible: a token that
is guessed earlier is refused, so a page cannot be used again while a write to it is under way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from pagering import abi
from pagering.abi import Fault, Policy

__all__ = ["FakePages", "FakePool", "PageState", "Slot"]

_GENERATION_MASK = (1 << abi.TOKEN["generation"].width) - 1


@dataclass
class Slot:
    """A row of the region table."""

    valid: bool = False
    loading: bool = False
    pool: int = 0
    address: int = 0
    reads_left: int = 0


@dataclass
class PageState:
    """What the card knows of a page. The last holder stays known while it is on the ring."""

    generation: int = 0
    holder: int = 0
    on_ring: bool = False
    open: bool = False
    filling: int = 0
    """Chunks given to frames whose completion is not visible yet, a bit each."""
    outstanding: int = 0
    """Chunks that the host holds, a bit each."""
    since: int | None = None
    """Cycle from which on only the host has had the page, if it has."""

    @property
    def out(self) -> bool:
        """Whether only the host has it."""
        return bool(self.outstanding) and not self.open and not self.filling


@dataclass
class FakePool:
    """A pool's registers and its ring."""

    enabled: bool = False
    policy: Policy = Policy.FIFO
    limit: int = abi.POOL["LIMIT"].reset
    low_enter: int = 0
    low_exit: int = 0
    low: bool = False
    registered: int = 0
    peak: int = 0
    """Most pages off the ring since the pool was enabled."""
    under_way: int = 0
    """Segments whose writes are not done."""
    ring: deque[int] = field(default_factory=deque)
    """Free pages; the first leaves next."""

    @property
    def off_ring(self) -> int:
        """Pages that are not on the ring: what the limit bounds."""
        return self.registered - len(self.ring)

    @property
    def drained(self) -> bool:
        """Disabled, and no write to its regions is under way or will come."""
        return not self.enabled and not self.under_way


class FakePages:
    """The region table, the page table and the pools.

    Parameters
    ----------
    pools, queues, slots, region_pages, chunks
        How many of each there are; ``chunks`` is per page.
    page_bytes
        Size of a page.
    low_water_event
        Called when a pool becomes low.

    """

    def __init__(self, *, pools: int, queues: int, slots: int, region_pages: int, chunks: int,
                 page_bytes: int, low_water_event: Callable[[], None]) -> None:
        self.pools = [FakePool() for _ in range(pools)]
        self.slots = [Slot() for _ in range(slots)]
        self.held = [0] * queues
        """Pages off the ring, by queue."""
        self.pages = [PageState() for _ in range(slots * region_pages)]
        self.region_pages = region_pages
        self.chunks = chunks
        self.page_bytes = page_bytes
        self.recycled = 0
        """Pages put back on a ring."""
        self.cycles = 0
        """Time, for the age of pages; it stands still by itself."""
        self._low_water_event = low_water_event

    def remember(self, before: FakePages) -> None:
        """Take over what no reset clears: generation and last holder of each page."""
        self.pages = [PageState(page.generation, page.holder) for page in before.pages]

    def put(self, index: int, page: int) -> None:
        """Put a page on a pool's ring, at the end that the policy of this moment says."""
        pool = self.pools[index]
        if pool.policy is Policy.FIFO:
            pool.ring.append(page)
        else:
            pool.ring.appendleft(page)

    def load(self, slot: int) -> None:
        """Put the pages of a newly registered region on the ring of its pool."""
        row = self.slots[slot]
        pool = self.pools[row.pool]
        for page in range(slot * self.region_pages, (slot + 1) * self.region_pages):
            old = self.pages[page]
            self.pages[page] = PageState(old.generation + 1 & _GENERATION_MASK, old.holder,
                                         on_ring=True)
            self.put(row.pool, page)
        pool.registered += self.region_pages
        row.valid, row.loading = True, False
        self.watch(row.pool)

    def retire(self, index: int) -> None:
        """Take all regions from a pool. Each page begins a new life: old tokens stay dead."""
        pool = self.pools[index]
        pool.ring.clear()
        pool.registered = 0
        for number, row in enumerate(self.slots):
            if row.valid and row.pool == index:
                for page in range(number * self.region_pages, (number + 1) * self.region_pages):
                    state = self.pages[page]
                    if not state.on_ring:
                        self.held[state.holder] -= 1
                    self.pages[page] = PageState(state.generation + 1 & _GENERATION_MASK,
                                                 state.holder)
                self.slots[number] = Slot()
        self.watch(index)

    def pop(self, index: int, queue: int) -> int:
        """Open the next page of a pool for a queue; there must be one."""
        pool = self.pools[index]
        page = pool.ring.popleft()
        state = self.pages[page]
        state.generation = (state.generation + 1) & _GENERATION_MASK
        state.on_ring, state.open, state.holder = False, True, queue
        self.held[queue] += 1
        pool.peak = max(pool.peak, pool.off_ring)
        self.watch(index)
        return page

    def close(self, page: int) -> None:
        """Put nothing more in this page."""
        self.pages[page].open = False
        self._recycle(page)

    def fill(self, page: int, first: int, last: int) -> int:
        """Give chunks to a segment and return their token."""
        state = self.pages[page]
        state.filling |= self._bits(first, last)
        self.pools[self.pool_of(page)].under_way += 1
        return abi.TOKEN.pack(page=page, first=first, last=last, generation=state.generation)

    def show(self, token: int) -> None:
        """Give the chunks of a token to the host: its completion is visible."""
        named = abi.TOKEN.unpack(token)
        bits = self._bits(named["first"], named["last"])
        state = self.pages[named["page"]]
        state.filling &= ~bits
        state.outstanding |= bits
        self._recycle(named["page"])
        self.pools[self.pool_of(named["page"])].under_way -= 1

    def give_back(self, token: int, queue: int) -> Fault | None:
        """Check a token that was written to a queue's return window and act on it."""
        named = abi.TOKEN.unpack(token)
        page, first, last = named["page"], named["first"], named["last"]
        if page >= len(self.pages) or not self.slots[page // self.region_pages].valid:
            return Fault.RETURN_PAGE
        if not first <= last < self.chunks:
            return Fault.RETURN_CHUNK
        state = self.pages[page]
        if state.holder != queue:
            return Fault.RETURN_OWNER
        if state.generation != named["generation"]:
            return Fault.RETURN_GENERATION
        bits = self._bits(first, last)
        if state.outstanding & bits != bits:
            return Fault.RETURN_IDLE
        state.outstanding &= ~bits
        self._recycle(page)
        return None

    def pool_of(self, page: int) -> int:
        """Return the pool that owns a page."""
        return self.slots[page // self.region_pages].pool

    def address_of(self, page: int) -> int:
        """Return the DMA address of a page's first byte."""
        slot, index = divmod(page, self.region_pages)
        return self.slots[slot].address + index * self.page_bytes

    def outstanding_of(self, index: int) -> int:
        """Count the pages of a pool that only the host holds."""
        return sum(1 for page, state in enumerate(self.pages)
                   if state.out and self.pool_of(page) == index)

    def watch(self, index: int) -> None:
        """Bring a pool's low-water state up to date."""
        pool = self.pools[index]
        free = len(pool.ring)
        was = pool.low
        pool.low = pool.enabled and (free <= pool.low_enter or (was and free < pool.low_exit))
        if pool.low and not was:
            self._low_water_event()

    def oldest_of(self, index: int) -> tuple[int, PageState] | None:
        """Return the page that the host has had for longest, of several the first, and its state.

        None if it has none.
        """
        found = [(page, state) for page, state in enumerate(self.pages)
                 if state.out and self.pool_of(page) == index]
        return min(found, key=lambda item: item[1].since or 0, default=None)

    def _recycle(self, page: int) -> None:
        state = self.pages[page]
        if not state.out:
            state.since = None
        elif state.since is None:
            state.since = self.cycles
        if state.open or state.filling or state.outstanding or state.on_ring:
            return
        state.on_ring = True
        self.recycled += 1
        self.held[state.holder] -= 1
        index = self.pool_of(page)
        self.put(index, page)
        self.watch(index)

    @staticmethod
    def _bits(first: int, last: int) -> int:
        return ((1 << (last - first + 1)) - 1) << first
