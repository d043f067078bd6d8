"""The driver of one card: bring-up, pools, queues, counters, events, shutdown.

``Card(transport)`` identifies the card before it writes anything, resets it and then knows its
sizes. Every wait is bounded; an error is one sentence with what, where and what to do.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from types import TracebackType

from pagering import abi
from pagering.capabilities import Capabilities, identify, read_capabilities
from pagering.card_counters import CardCounters
from pagering.card_pool import CardPool
from pagering.card_requests import check_pool, check_queue
from pagering.clock import Clock
from pagering.errors import CardError, CardGone
from pagering.events import EventSource
from pagering.header_split import HeaderSplit
from pagering.page_pool import PagePool
from pagering.page_pool_params import PagePoolParams
from pagering.pause import Pausing
from pagering.polling import wait_until
from pagering.providers import MemoryProvider, TransportProvider
from pagering.registers import RegisterMap
from pagering.returns import ReturnWay
from pagering.rx_queue import RxQueue
from pagering.steering import Steered
from pagering.transport import Transport

__all__ = ["Card"]


class Card(Steered, Pausing, EventSource, CardCounters):
    """A card, reset and ready.

    Parameters
    ----------
    transport
        How the card is reached; closed with the card.
    timeout
        Seconds to wait for a reset or a drain.

    Raises
    ------
    CardError
        If it is no card of this contract, or does not answer.

    """

    def __init__(self, transport: Transport, *, timeout: float = 1.0) -> None:
        self.transport = transport
        self.timeout = timeout
        self.closed = False
        self._pools: dict[int, CardPool] = {}
        self._queues: dict[int, RxQueue] = {}
        self._slots: set[int] = set()
        self.registers = RegisterMap(transport)
        identify(self.registers)
        self.capabilities: Capabilities = read_capabilities(self.registers)
        caps = self.capabilities
        self.registers = RegisterMap(transport, queues=caps.queues, pools=caps.pools,
                                     regions=caps.regions)
        self._clock = Clock(self.registers, caps.clock_khz)
        self._init_steering(timeout)
        self.reset(timeout)

    def __enter__(self) -> Card:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    # Bring-up

    def reset(self, timeout: float | None = None) -> None:
        """Reset the card; it is disabled and empty afterwards, and its clock starts at 0.

        Raises
        ------
        CardError
            If pools or queues are still open, or the card does not finish in ``timeout`` seconds.

        """
        if self._pools or self._queues:
            raise CardError("a reset would take memory from open queues and pools; close them "
                            "first")
        self.registers.card.RESET.write(reset=1)
        self._rules.forget()
        wait_until(lambda: not self.registers.card.STATUS.get("resetting"),
                   "the card has reset itself", "power-cycle the card",
                   self.timeout if timeout is None else timeout)
        if self.capabilities.timestamps:
            self.clock.rate(0)

    @property
    def clock(self) -> Clock:
        """What frames are stamped with, if their queue has extended completions.

        Raises
        ------
        CardError
            If the card was made without timestamps.

        """
        if not self.capabilities.timestamps:
            raise CardError("this card has no clock; generate one with timestamps")
        return self._clock

    # Traffic

    @property
    def receive(self) -> bool:
        """Whether the card takes frames from the wire."""
        return bool(self.registers.card.CONTROL.get("receive"))

    @receive.setter
    def receive(self, on: bool) -> None:
        self.registers.card.CONTROL.modify(receive=int(on))
        # The write is a posted one: it has arrived when the card answers a read behind it.
        self.registers.card.CONTROL.get("receive")

    # Pools and queues

    @property
    def pools(self) -> list[CardPool]:
        """The open pools."""
        return list(self._pools.values())

    @property
    def queues(self) -> list[RxQueue]:
        """The open queues."""
        return list(self._queues.values())

    def add_pool(self, pages: int | None = None, *, policy: abi.Policy = abi.Policy.FIFO,
                 limit: int | None = None, low_water: tuple[int, int] | None = None,
                 provider: MemoryProvider | None = None, mirror: bool = False) -> CardPool:
        """Open a pool and register its memory.

        Parameters
        ----------
        pages
            How many: a multiple of the card's pages per region. One region if left out.
        policy
            In which order free pages are used again.
        limit
            Most pages off the ring at any time; None for no limit.
        low_water
            Free pages (enter, exit): low from ``enter`` down until back at ``exit``. An eighth
            and a quarter of the pages if left out.
        provider
            Where memory comes from; the transport if left out.
        mirror
            Whether the card writes the pool's counts to host memory when they change.

        Raises
        ------
        ValueError
            If a number is out of range.
        CardError
            If the card has no pool or no region slot left, or refuses.

        """
        caps = self.capabilities
        pages = caps.region_pages if pages is None else pages
        low_water = (pages // 8, pages // 4) if low_water is None else low_water
        check_pool(caps, caps.regions - len(self._slots), pages, limit, low_water)
        index = _first_free(caps.pools, self._pools, "pool")
        # The card's page is a whole number of 4 KiB pages: an order, in the pool's words.
        order = (caps.page_bytes // 4096).bit_length() - 1
        page_pool = PagePool(PagePoolParams(order=order),
                             provider or TransportProvider(self.transport))
        pool = CardPool(self, index, page_pool, pages, policy, limit, low_water, mirror)
        self._pools[index] = pool
        return pool

    def add_queue(self, pool: CardPool, ring_entries: int = 1024, *, quota: int | None = None,
                  index: int | None = None, extended: bool = False,
                  split: HeaderSplit | None = None, hold: bool = False,
                  returns: ReturnWay | str = ReturnWay.PUSH) -> RxQueue:
        """Open a receive queue that draws from ``pool``.

        Parameters
        ----------
        pool
            An open pool of this card.
        ring_entries
            Completions in its ring: a power of two, 64 to 65536.
        quota
            Most pages that it may hold; None for no limit but the pool's.
        index
            Which queue; the first free one if left out.
        extended
            Whether its completions are extended: 32 bytes each instead of 16, for
            :attr:`Frame.timestamp`, :attr:`Frame.vlan_tci` and :attr:`Frame.mark`.
        split
            Where headers go, if they go apart; completions are then extended ones.
        hold
            Whether a frame that finds no memory waits, and all frames behind it, whatever their
            queue. Else it is dropped.
        returns
            Which way memory goes back: "push", a register write for each token; "pull", through a
            ring in host memory that the card reads; "auto", whichever is better for a burst.

        Raises
        ------
        ValueError
            If a number is out of range.
        CardError
            If no queue is left, the pool is closed or the card refuses.

        """
        check_queue(self.capabilities, ring_entries, quota, extended, split is not None)
        for drawn in (pool, split.pool) if split else (pool,):
            if self._pools.get(drawn.index) is not drawn:
                raise CardError(f"pool {drawn.index} is closed or of another card; add a pool "
                                f"first")
        if index is None:
            index = _first_free(self.capabilities.queues, self._queues, "queue")
        elif self._queue_number(index) in self._queues:
            raise CardError(f"queue {index} is open already; close it first or take another")
        queue = RxQueue(self, index, pool, ring_entries, quota, extended or split is not None,
                        split, hold, returns)
        self._queues[index] = queue
        return queue

    def set_mirror_period(self, cycles: int) -> None:
        """Let at least so many clock cycles pass from one write of counts to the next.

        Raises
        ------
        ValueError
            If it is not 16 to 65535.

        """
        if not 16 <= cycles < 1 << 16:
            raise ValueError(f"counts are written every 16 to 65535 cycles, not {cycles}")
        self.registers.card.MIRROR_TIMER.write(cycles=cycles)

    def take_slot(self) -> int:
        """Return a free region slot, for a pool."""
        slot = _first_free(self.capabilities.regions, self._slots, "region slot")
        self._slots.add(slot)
        return slot

    def give_slot(self, slot: int) -> None:
        """Take back a region slot."""
        self._slots.discard(slot)

    def forget_pool(self, pool: CardPool) -> None:
        """Take a closed pool off the list."""
        if self._pools.get(pool.index) is pool:
            del self._pools[pool.index]

    def forget_queue(self, queue: RxQueue) -> None:
        """Take a closed queue off the list."""
        if self._queues.get(queue.index) is queue:
            del self._queues[queue.index]

    # Shutdown

    def close(self) -> None:
        """Stop receiving, drain queues and pools, retire, free. Again does nothing.

        Of a card that is gone, the memory is freed just so.

        Raises
        ------
        CardError
            If the card does not drain; memory that it could still write to stays mapped.

        """
        if self.closed:
            return
        with contextlib.suppress(CardGone):
            self.receive = False
        for queue in self.queues:
            queue.close(self.timeout)
        for pool in self.pools:
            pool.close(self.timeout)
        self.closed = True
        self.transport.close()


def _first_free(count: int, taken: Iterable[int], what: str) -> int:
    used = set(taken)
    for number in range(count):
        if number not in used:
            return number
    raise CardError(f"the card has {count} {what}s and all are in use; close one first")
