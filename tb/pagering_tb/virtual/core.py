"""What a virtual card needs of the card itself, whatever that is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

__all__ = ["CardCore"]


class CardCore(Protocol):
    """A card without a bus: :class:`~pagering_tb.library.LibraryCard`, or a model of it.

    Nothing happens by itself: time passes in :meth:`run` and in register accesses.
    """

    bus_master: bool
    """Whether it may read and write memory; if not, all of that is answered with an error."""

    def read32(self, offset: int) -> int:
        """Read a register. Raises ``CardError`` if the card answers with an error."""

    def write32(self, offset: int, value: int) -> None:
        """Write a register. Raises ``CardError`` likewise."""

    def write_words(self, offset: int, values: Sequence[int]) -> None:
        """Write successive registers, each by itself, up to the first that is refused."""

    def map(self, address: int, memory: memoryview, writable: bool = True) -> None:
        """Put memory in the card's address space."""

    def unmap(self, address: int) -> None:
        """Take away what was put at this address; the card does not touch it any more."""

    def reset(self) -> None:
        """Reset the function: nothing is kept, frames that were under way are lost."""

    def interrupt(self, vector: int, descriptor: int | None) -> None:
        """From now on signal this eventfd when the vector is raised, or nobody."""

    def send(self, frame: bytes) -> bool:
        """Queue a frame for the wire; return False if there is no room."""

    @property
    def waiting(self) -> int:
        """Frames that are queued."""

    def run(self, cycles: int) -> int:
        """Let so many cycles pass, or fewer if the card gets quiet; return how many."""

    @property
    def quiet(self) -> bool:
        """Whether nothing would happen if time passed."""

    def close(self) -> None:
        """End it."""
