"""Where a pool's memory comes from.

A provider hands out runs of memory that are contiguous and aligned in the card's address space, or
raises :class:`~pagering.errors.PoolError`; it never returns memory that breaks the promise.
Whoever asked frees each run, once, through :meth:`~pagering.transport.DmaMemory.free`.
"""

from __future__ import annotations

import contextlib
import mmap
from typing import Protocol, runtime_checkable

from pagering.errors import CardError, PoolError
from pagering.transport import DmaMemory, Transport

__all__ = ["FaultyProvider", "LocalProvider", "MemoryProvider", "TransportProvider",
           "check_request"]


@runtime_checkable
class MemoryProvider(Protocol):
    """A source of memory that the card can write to."""

    def allocate_region(self, size: int, align: int = 4096) -> DmaMemory:
        """Return at least ``size`` bytes whose card address is a multiple of ``align``.

        Parameters
        ----------
        size : int
            Bytes, at least 1.
        align : int
            Bytes, a power of two.

        Raises
        ------
        PoolError
            If an argument is out of range, or no such memory can be had.
        """


def check_request(size: int, align: int) -> None:
    """Refuse what no provider can serve.

    Raises
    ------
    PoolError
        If a number is out of range.
    """
    if size < 1:
        raise PoolError(f"region size must be at least 1 byte, not {size}")
    if align < 1 or align & (align - 1):
        raise PoolError(f"region alignment must be a power of two, not {align}")


class TransportProvider:
    """Memory from the card's own transport.

    Parameters
    ----------
    transport : Transport
        What reaches the card. Its memory is already mapped for the card.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def allocate_region(self, size: int, align: int = 4096) -> DmaMemory:
        """Ask the transport, and check what it returns. See :class:`MemoryProvider`."""
        check_request(size, align)
        try:
            memory = self._transport.allocate(size, align)
        except (CardError, OSError, MemoryError) as error:
            raise PoolError(
                f"transport cannot allocate {size} bytes aligned to {align}: {error}"
            ) from error
        address, length = memory.address, len(memory.view)
        if address % align or length < size:
            # The card computes page addresses from the region's base: it must never be told a
            # base that is off, so the mistake ends here.
            memory.free()
            raise PoolError(
                f"transport returned {length} bytes at {address:#x} when asked for {size} bytes "
                f"aligned to {align}"
            )
        return memory


class _LocalMemory:
    """Anonymous memory of this process under a made-up card address."""

    __slots__ = ("_map", "_owner", "_view", "address")

    def __init__(self, owner: LocalProvider, address: int, size: int) -> None:
        self._owner: LocalProvider | None = owner
        self._map = mmap.mmap(-1, size)
        self._view = memoryview(self._map)
        self.address = address

    @property
    def view(self) -> memoryview:
        """The bytes. Raises ``PoolError`` once they are freed."""
        if self._owner is None:
            raise PoolError(f"memory at {self.address:#x} was freed")
        return self._view

    def free(self) -> None:
        if self._owner is None:
            return
        self._owner.live_bytes -= len(self._view)
        self._owner = None
        # A slice that somebody still holds keeps the bytes mapped until it is dropped.
        with contextlib.suppress(BufferError):
            self._view.release()
            self._map.close()


class LocalProvider:
    """Memory of this process alone, for use without a card.

    Card addresses are made up. None is given out twice, so an address that was kept too long
    never names somebody else's memory.

    Parameters
    ----------
    base : int
        The lowest address, in bytes.

    Attributes
    ----------
    live_bytes : int
        Bytes handed out and not freed yet.

    Raises
    ------
    PoolError
        If ``base`` is negative.
    """

    def __init__(self, base: int = 1 << 30) -> None:
        if base < 0:
            raise PoolError(f"base address must not be negative, not {base}")
        self._next = base
        self.live_bytes = 0

    def allocate_region(self, size: int, align: int = 4096) -> DmaMemory:
        """Return ``size`` zeroed bytes at the next free address. See :class:`MemoryProvider`."""
        check_request(size, align)
        address = (self._next + align - 1) & -align
        try:
            memory = _LocalMemory(self, address, size)
        except (OSError, MemoryError, OverflowError, ValueError) as error:
            raise PoolError(f"this process cannot map {size} bytes: {error}") from error
        self._next = address + size
        self.live_bytes += size
        return memory


class FaultyProvider:
    """Fails every ``every``-th request and passes the others on: fault injection for tests.

    Parameters
    ----------
    inner : MemoryProvider
        What serves the other requests.
    every : int
        At least 1; 1 fails them all.

    Attributes
    ----------
    calls : int
        Requests so far.
    failures : int
        Requests failed so far by this provider.

    Raises
    ------
    PoolError
        If ``every`` is less than 1.
    """

    def __init__(self, inner: MemoryProvider, every: int) -> None:
        if every < 1:
            raise PoolError(f"every must be at least 1, not {every}")
        self._inner = inner
        self._every = every
        self.calls = 0
        self.failures = 0

    def allocate_region(self, size: int, align: int = 4096) -> DmaMemory:
        """Pass the request on, or fail it. See :class:`MemoryProvider`."""
        self.calls += 1
        if self.calls % self._every == 0:
            self.failures += 1
            raise PoolError(f"request {self.calls} for {size} bytes failed on purpose")
        return self._inner.allocate_region(size, align)
