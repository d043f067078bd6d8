"""How the driver reaches a card: registers, DMA memory, interrupts.

The driver is written against :class:`Transport` alone, so the same code runs over the in-memory
card of the unit tests, over a simulation and over a real device.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

__all__ = ["DmaMemory", "EventfdTransport", "MappingTransport", "SharedMemory", "Transport"]


@runtime_checkable
class DmaMemory(Protocol):
    """A run of memory that card and host share, contiguous in the card's address space."""

    @property
    def address(self) -> int:
        """The address under which the card reaches the first byte."""

    @property
    def view(self) -> memoryview:
        """The bytes, writable, as the host sees them."""

    def free(self) -> None:
        """Unmap: from here on the card must not write to it. Calling it again does nothing."""


@runtime_checkable
class SharedMemory(DmaMemory, Protocol):
    """Memory that another process can map."""

    @property
    def place(self) -> tuple[int, int]:
        """A descriptor of something larger, and at which byte of it this memory starts."""


@runtime_checkable
class Transport(Protocol):
    """A card's registers, memory and interrupts."""

    def read32(self, offset: int) -> int:
        """Read the register at byte ``offset`` of the card's window, in one 32-bit access.

        Raises
        ------
        CardError
            If the card answers with an error.
        """

    def write32(self, offset: int, value: int) -> None:
        """Write ``value`` in exactly one 32-bit access. Writes may be posted; they reach the card
        in order, and before any later read returns.
        """

    def write_tokens(self, offset: int, tokens: Sequence[int]) -> None:
        """Store ``tokens`` to successive words from ``offset`` on, one 32-bit access each.

        The caller keeps the run inside one return window.
        """

    def allocate(self, size: int, align: int = 4096) -> DmaMemory:
        """Return ``size`` zeroed bytes whose card address is a multiple of ``align``."""

    def wait_interrupt(self, vector: int, timeout: float | None = None) -> bool:
        """Block until ``vector`` was raised since the last call, or ``timeout`` seconds passed.

        Returns whether it was raised. In a simulation the seconds are simulated ones.
        """

    def close(self) -> None:
        """Let go of the card. The card is left quiet: disabled and drained."""


@runtime_checkable
class EventfdTransport(Transport, Protocol):
    """A transport whose interrupts an event loop can wait for."""

    def interrupt_fd(self, vector: int) -> int:
        """Return a descriptor that is readable from when ``vector`` was raised until
        ``wait_interrupt`` has told so. It belongs to the transport.
        """


@runtime_checkable
class MappingTransport(Transport, Protocol):
    """A transport that lets the card reach memory that it did not allocate."""

    def map_memory(self, memory: DmaMemory) -> None:
        """Map ``memory`` for the card, under its own address.

        Raises
        ------
        CardError
            If some of these addresses are mapped already, or cannot be.
        """

    def unmap_memory(self, memory: DmaMemory) -> None:
        """End that. From here on the card cannot write to it."""
