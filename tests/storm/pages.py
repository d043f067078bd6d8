"""Who has each page, as it can be told from outside the card.

What is seen: the bytes that the card writes, the tokens in its completions, and the tokens that the
host has given back. From these alone follow the rules of this file: memory that the host holds is
not written to; no chunk is handed out twice; a page begins a new life only when all of its last
life has come back, under the next generation; it is filled from its first chunk on, by one queue,
of the pool that its region belongs to; and nobody has more pages than allowed. A queue that splits
frames fills two pages at a time, one for headers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from pagering import abi
from pagering.fake_queue import Side
from pagering_hdl.config import CardConfig
from pagering_tb.host_memory import DmaBlock

from .knobs import Knob

__all__ = ["Page", "PageLedger", "Wrong", "chunk_bits"]

_GENERATIONS = 1 << abi.TOKEN["generation"].width
_COOLING_CYCLES = 300
"""Within so many cycles the card has acted on a return that it took."""


class Wrong(AssertionError):
    """The card did something that it must never do."""


def chunk_bits(first: int, last: int) -> int:
    """Return the set of chunks from ``first`` to ``last``, a bit each."""
    return (1 << last + 1) - (1 << first)


@dataclass
class Page:
    """One page."""

    queue: int = -1
    """Whom it was last opened for."""
    generation: int | None = None
    """Of this life; None if no life was seen yet."""
    life: int = 0
    """How many lives there were."""
    next: int = 0
    """Chunks given in this life."""
    held: int = 0
    """Chunks that the host has, a bit each."""
    written: int = 0
    """Chunks that were written to, and whose completion is not there yet."""
    spoilt: int = 0
    """Of these, the ones in a burst that was answered with an error."""
    unanswered: list[int] = field(default_factory=list)
    """Chunks of each burst whose answer is not out yet, oldest first."""


class PageLedger:
    """All pages, regions, limits and quotas.

    Parameters
    ----------
    config : CardConfig
        Of the card.
    """

    def __init__(self, config: CardConfig) -> None:
        self.config = config
        self.pages = [Page() for _ in range(config.pages)]
        self.slots: dict[int, tuple[int, DmaBlock]] = {}
        """Registered regions: pool and memory, by slot."""
        self.registered = [Knob(0) for _ in range(config.pools)]
        self.limit = [Knob(abi.POOL["LIMIT"].reset) for _ in range(config.pools)]
        self.quota = [Knob(abi.QUEUE["QUOTA"].reset) for _ in range(config.queues)]
        self.pool_holds = [0] * config.pools
        """Pages of which the host has a chunk, by pool."""
        self.queue_holds = [0] * config.queues
        self.filling = [0] * config.pools
        """Pages that have been written to and of which the host has nothing yet, by pool."""
        self.open: dict[tuple[int, Side], int] = {}
        """The page that a queue filled last, if it can be going on with it."""
        self.drained_pools: set[int] = set()
        self._at: dict[int, int] = {}
        self._cooling: list[deque[int]] = [deque() for _ in range(config.pools)]

    def register(self, slot: int, pool: int, block: DmaBlock) -> None:
        """Note that a region is being registered: every page of it begins anew."""
        self.slots[slot] = (pool, block)
        self._at[block.address >> self.config.region_log2] = slot
        self.registered[pool].set(self.registered[pool].now + self.config.region_pages)
        self._new_generation(slot)

    def retire(self, pool: int) -> None:
        """Note that a drained pool has lost its regions."""
        for slot, (owner, block) in tuple(self.slots.items()):
            if owner == pool:
                del self.slots[slot], self._at[block.address >> self.config.region_log2]
                for number in self._pages_of(slot):
                    self._let_go(self.pages[number], pool, ~0)
                self._new_generation(slot)
        self.registered[pool].set(0)
        self.filling[pool] = 0
        self.open = {place: page for place, page in self.open.items()
                     if page // self.config.region_pages in self.slots}

    def inherit(self, before: PageLedger) -> None:
        """Take over what no reset of the card clears: the generations."""
        for page, old in zip(self.pages, before.pages, strict=True):
            page.generation, page.life = old.generation, old.life

    def written(self, address: int, size: int, spoilt: bool) -> int:
        """Judge a burst of frame data; return which page it was."""
        config = self.config
        slot = self._at.get(address >> config.region_log2)
        if slot is None:
            raise Wrong(f"{size} bytes were written to 0x{address:x}, outside of every region")
        pool, block = self.slots[slot]
        if pool in self.drained_pools:
            raise Wrong(f"a region of pool {pool} was written to after the pool was drained")
        offset = address - block.address
        number = slot * config.region_pages + (offset >> config.page_log2)
        page = self.pages[number]
        offset &= config.page_bytes - 1
        bits = chunk_bits(offset >> config.chunk_log2,
                          min(offset + size, config.page_bytes) - 1 >> config.chunk_log2)
        if page.held & bits:
            raise Wrong(f"page {number} was written to while the host has chunks "
                        f"0x{page.held & bits:x} of it")
        if not page.written and not page.held:
            self.filling[pool] += 1
        page.written |= bits
        if spoilt:
            page.spoilt |= bits
        page.unanswered.append(bits)
        return number

    def answered(self, number: int) -> None:
        """Note that the oldest burst to a page was answered."""
        del self.pages[number].unanswered[0]

    def pool_drained(self, pool: int) -> None:
        """Judge that a pool is drained: from now on nothing is written to its regions."""
        for number in self._of_pool(pool):
            if self.pages[number].unanswered:
                raise Wrong(f"pool {pool} is drained, but a write to page {number} is not "
                            f"answered")
        self.drained_pools.add(pool)

    def awaits_completion(self, pool: int) -> bool:
        """Return whether data in a pool's regions has no completion yet."""
        return any(self.pages[number].written for number in self._of_pool(pool))

    def completed(self, queue: int, pool: int, token: dict[str, int],
                  side: Side = Side.PAYLOAD) -> tuple[memoryview, bool]:
        """Judge a completion's token; return its memory, and whether its data is spoilt."""
        config = self.config
        number, first, last = token["page"], token["first"], token["last"]
        slot, place = divmod(number, config.region_pages)
        if slot not in self.slots:
            raise Wrong(f"queue {queue} was given page {number}, of no region")
        if self.slots[slot][0] != pool:
            raise Wrong(f"queue {queue} of pool {pool} was given page {number} of pool "
                        f"{self.slots[slot][0]}")
        if not first <= last < config.chunks:
            raise Wrong(f"queue {queue} was given chunks {first} to {last} of page {number}")
        page, bits = self.pages[number], chunk_bits(first, last)
        if first == 0:
            self._begin(queue, number, page, token["generation"], side)
        elif (self.open.get((queue, side)), page.next, page.generation) != (
                number, first, token["generation"]):
            raise Wrong(f"queue {queue} goes on with chunk {first} of page {number}, generation "
                        f"{token['generation']}; it had page {self.open.get((queue, side))}, and "
                        f"that page is at chunk {page.next} of generation {page.generation}")
        if page.written & bits != bits:
            raise Wrong(f"page {number}: chunks 0x{bits:x} were completed, but only "
                        f"0x{page.written & bits:x} written")
        if any(bits & late for late in page.unanswered):
            raise Wrong(f"page {number}: chunks 0x{bits:x} were completed before their writes were "
                        f"answered")
        spoilt = bool(page.spoilt & bits)
        if not page.held:
            self.filling[pool] -= 1
        page.written &= ~bits
        page.spoilt &= ~bits
        page.next = last + 1
        self._hold(page, pool, bits)
        if first == 0:
            self._check_limits(queue, pool)
        start = (place << config.page_log2) + (first << config.chunk_log2)
        end = (place << config.page_log2) + (last + 1 << config.chunk_log2)
        return self.slots[slot][1].view[start:end], spoilt

    def _begin(self, queue: int, number: int, page: Page, generation: int, side: Side) -> None:
        if page.held:
            raise Wrong(f"queue {queue} was given page {number} anew, but the host still has "
                        f"chunks 0x{page.held:x} of it")
        if page.generation is not None and generation != (page.generation + 1) % _GENERATIONS:
            raise Wrong(f"page {number} came in generation {generation} after "
                        f"{page.generation}")
        page.queue, page.generation, page.life = queue, generation, page.life + 1
        self.open[queue, side] = number

    def _hold(self, page: Page, pool: int, bits: int) -> None:
        if not page.held:
            self.pool_holds[pool] += 1
            self.queue_holds[page.queue] += 1
        page.held |= bits

    def _check_limits(self, queue: int, pool: int) -> None:
        # Whichever of these pages was granted last saw all the others off the ring, and it was
        # granted since the card was last at rest: under one of the limits since then.
        limit, quota = max(self.limit[pool].values), max(self.quota[queue].values)
        if self.pool_holds[pool] > limit:
            raise Wrong(f"{self.pool_holds[pool]} pages of pool {pool} are at the host; its limit "
                        f"is {limit}")
        if self.queue_holds[queue] > quota:
            raise Wrong(f"queue {queue} has {self.queue_holds[queue]} pages; its quota is {quota}")

    def returned(self, cycle: int, token: int) -> None:
        """Note that the card took a token that the host rightly returned."""
        named = abi.TOKEN.unpack(token)
        number = named["page"]
        pool, page = self.pool_of(number), self.pages[number]
        self._let_go(page, pool, chunk_bits(named["first"], named["last"]))
        if not page.held:
            self._cooling[pool].append(cycle + _COOLING_CYCLES)
            if page.written:
                self.filling[pool] += 1

    def off_ring(self, pool: int, cycle: int) -> int:
        """Return how many pages of a pool may be off its ring, as far as can be seen."""
        cooling = self._cooling[pool]
        while cooling and cooling[0] < cycle:
            cooling.popleft()
        idle = sum(self.pool_of(number) == pool and not page.held and not page.written
                   for number, page in self.unfilled())
        return self.pool_holds[pool] + self.filling[pool] + len(cooling) + idle

    def settle(self) -> None:
        """Check what must hold when the card is at rest."""
        for number, page in enumerate(self.pages):
            if page.written:
                raise Wrong(f"chunks 0x{page.written:x} of page {number} were written, but no "
                            f"completion tells of them")
        for cooling in self._cooling:
            cooling.clear()
        for knob in (*self.registered, *self.limit, *self.quota):
            knob.settle()

    def unfilled(self) -> list[tuple[int, Page]]:
        """Return the pages that queues may be going to fill further, and their numbers."""
        return [(number, self.pages[number]) for number in self.open.values()
                if self.pages[number].next < self.config.chunks]

    def closed(self, queue: int) -> None:
        """Note that a queue puts nothing more in its open pages."""
        for side in Side:
            self.open.pop((queue, side), None)

    def pool_of(self, number: int) -> int:
        """Return the pool that owns a page of a registered region."""
        return self.slots[number // self.config.region_pages][0]

    def _let_go(self, page: Page, pool: int, bits: int) -> None:
        if page.held and not page.held & ~bits:
            self.pool_holds[pool] -= 1
            self.queue_holds[page.queue] -= 1
        page.held &= ~bits

    def _of_pool(self, pool: int) -> Iterator[int]:
        for slot, (owner, _) in self.slots.items():
            if owner == pool:
                yield from self._pages_of(slot)

    def _pages_of(self, slot: int) -> range:
        return range(slot * self.config.region_pages, (slot + 1) * self.config.region_pages)

    def _new_generation(self, slot: int) -> None:
        for number in self._pages_of(slot):
            page = self.pages[number]
            page.next = 0
            if page.generation is not None:
                page.generation = (page.generation + 1) % _GENERATIONS
