"""Memory of any provider for a card: mapped when it is allocated, unmapped before it is freed."""

from __future__ import annotations

from pagering.errors import CardError, PoolError
from pagering.providers import MemoryProvider
from pagering.transport import DmaMemory, MappingTransport

__all__ = ["MappingProvider"]


class _Mapped:
    """A run of memory that a card reaches."""

    __slots__ = ("_memory", "_transport", "address")

    def __init__(self, memory: DmaMemory, transport: MappingTransport) -> None:
        self._memory = memory
        self._transport: MappingTransport | None = transport
        self.address = memory.address

    @property
    def view(self) -> memoryview:
        """The bytes."""
        return self._memory.view

    def free(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.unmap_memory(self._memory)
            self._memory.free()


class MappingProvider:
    """Serves what ``inner`` does, to the card of ``transport``.

    Parameters
    ----------
    inner : MemoryProvider
        Huge pages, shared memory, a file.
    transport : MappingTransport
        What maps it.
    """

    def __init__(self, inner: MemoryProvider, transport: MappingTransport) -> None:
        self._inner = inner
        self._transport = transport

    def allocate_region(self, size: int, align: int = 4096) -> DmaMemory:
        """Allocate and map. See :class:`~pagering.providers.MemoryProvider`."""
        memory = self._inner.allocate_region(size, align)
        try:
            self._transport.map_memory(memory)
        except CardError as error:
            memory.free()
            raise PoolError(f"{size} bytes cannot be mapped for the card: {error}") from error
        return _Mapped(memory, self._transport)
