"""A completion ring in host memory: where it lies, and how far the host has read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagering import abi
from pagering.errors import CardError
from pagering.records import INDEX_MASK, PHASE_BYTE, PHASE_SHIFT

if TYPE_CHECKING:
    from pagering.registers import BlockView
    from pagering.transport import Transport

__all__ = ["CompletionRing"]


class CompletionRing:
    """The ring of one queue.

    Parameters
    ----------
    transport
        Where its memory comes from.
    entries
        Completions in it, a power of two.
    extended
        Whether they are extended ones.

    Attributes
    ----------
    view : memoryview
        Its bytes.
    lead, stride : int
        Bytes of the extension before a completion, and from one completion to the next.
    head : int
        Completions read so far, modulo 2**17.
    told : int
        Of those, how many the card knows to be read.
    carry : bytearray
        Completions of a frame whose end is not there yet: copied, for the card may overwrite them.

    """

    def __init__(self, transport: Transport, entries: int, extended: bool) -> None:
        self.entries = entries
        self.log2 = entries.bit_length() - 1
        self.lead = abi.EXTENSION_BYTES if extended else 0
        self.stride = self.lead + abi.COMPLETION_BYTES
        self.head = self.told = 0
        self.carry = bytearray()
        self._memory = transport.allocate(entries * self.stride)
        self.view = self._memory.view[:entries * self.stride]

    def describe(self, registers: BlockView, index: int) -> None:
        """Tell the card of the ring; queue ``index`` must be drained.

        Raises
        ------
        CardError
            If the transport's memory does not suit the card.

        """
        address = self._memory.address
        if address % 4096:
            raise CardError(f"the ring of queue {index} is at {address:#x}; the card needs "
                            f"a multiple of 4096 from the transport")
        # The card starts at index 0 in phase 1: whatever lies here must read as phase 0.
        self.view[:] = bytes(len(self.view))
        registers.RING_LOW.write(address=address >> 12 & 0xFFFFF)
        registers.RING_HIGH.write(address=address >> 32)
        registers.RING_SIZE.write(log2=self.log2)
        registers.FORMAT.write(extended=int(self.lead > 0))

    @property
    def ready(self) -> bool:
        """Whether there is a completion at the head."""
        at = (self.head & self.entries - 1) * self.stride + self.lead
        return self.view[at + PHASE_BYTE] >> PHASE_SHIFT & 1 != self.head >> self.log2 & 1

    def advance(self, count: int) -> None:
        """Step over completions that were read."""
        self.head = self.head + count & INDEX_MASK

    def free(self) -> None:
        """Give the memory back; the queue must be drained."""
        self.view.release()
        self._memory.free()
