"""The host's DMA memory: one real buffer, handed out in blocks with guard bytes around each.

The card writes through :meth:`HostMemory.write`, which takes the bytes only if all of them lie in
one block that is allocated now. Anything else changes nothing and is recorded as a
:class:`Violation`. The driver gets each block as a ``memoryview`` of the same buffer, so nothing is
copied on the way to the user of a frame.

Addresses are not used again before the whole arena has been handed out once: a card that writes to
memory after it was unmapped is caught, and does not hit somebody else's block by chance.
"""

from __future__ import annotations

import bisect
import mmap
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from pagering.errors import PageringError

__all__ = ["GUARD_BYTES", "DmaBlock", "HostMemory", "HostMemoryError", "Violation"]

GUARD_BYTES = 256
_GUARD = bytes((0xA5, 0x5A, 0xC3, 0x3C)) * (GUARD_BYTES // 4)


class HostMemoryError(PageringError):
    """Host memory was asked for something it cannot give, or found a broken guard."""


@dataclass(frozen=True)
class Violation:
    """Something that the card must never do."""

    what: str
    address: int
    cycle: int

    def __str__(self) -> str:
        return f"cycle {self.cycle}: {self.what} at 0x{self.address:x}"


class DmaBlock:
    """One allocation; a :class:`pagering.transport.DmaMemory`."""

    def __init__(self, memory: HostMemory, address: int, size: int, align: int) -> None:
        self._memory = memory
        self.address = address
        self.size = size
        self.align = align
        self.end = address + size
        self.freed = False
        self.view = memory.view(address, size)

    def free(self) -> None:
        """Unmap the block: a write to it is a violation from now on."""
        if not self.freed:
            self.freed = True
            self._memory.release(self)


class HostMemory:
    """Memory that driver and card share.

    Parameters
    ----------
    size : int
        Bytes of address space. Only what is written to takes real memory.
    base : int
        Card address of the first byte; above 4 GiB, so that the upper half of every address counts.
    shared : int
        Descriptor of a file of that size that another process has mapped too.
    """

    def __init__(self, size: int = 1 << 30, base: int = 0x12_4000_0000,
                 shared: int | None = None) -> None:
        if base % mmap.PAGESIZE or size % mmap.PAGESIZE:
            raise ValueError("base and size of host memory must be multiples of the page size")
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
        self._buffer = (mmap.mmap(-1, size, flags=flags) if shared is None
                        else mmap.mmap(shared, size))
        self._private = shared is None
        self._bytes = memoryview(self._buffer)
        self.base = base
        self.size = size
        self.clock: Callable[[], int] = lambda: 0
        """Tells the cycle for a violation's text; the bench sets it."""
        self.violations: list[Violation] = []
        self.bytes_written = 0
        """Bytes that the card wrote; each strobed byte counts."""
        self.bytes_read = 0
        """Bytes that the card read."""
        self._cursor = base
        self._starts: list[int] = []
        self._blocks: list[DmaBlock] = []
        self._retired: dict[tuple[int, int], deque[int]] = {}
        self._last: DmaBlock | None = None

    @property
    def blocks(self) -> tuple[DmaBlock, ...]:
        """The blocks that are allocated now, by address."""
        return tuple(self._blocks)

    def view(self, address: int, size: int) -> memoryview:
        """Return the bytes at card address ``address``, without any check."""
        start = address - self.base
        return self._bytes[start:start + size]

    def allocate(self, size: int, align: int = 4096) -> DmaBlock:
        """Return ``size`` zeroed bytes at a multiple of ``align``, guarded on both sides."""
        if size <= 0 or align <= 0 or align & (align - 1):
            raise ValueError(f"cannot allocate {size} bytes aligned to {align}")
        align = max(align, GUARD_BYTES)
        address = -(-(self._cursor + GUARD_BYTES) // align) * align
        if address + size + GUARD_BYTES <= self.base + self.size:
            self._cursor = address + size + GUARD_BYTES
        else:
            retired = self._retired.get((size, align))
            if not retired:
                raise HostMemoryError(f"the simulated host has no {size} bytes left; give the "
                                      f"bench more memory than {self.size >> 20} MiB")
            address = retired.popleft()
        block = DmaBlock(self, address, size, align)
        self.view(address - GUARD_BYTES, GUARD_BYTES)[:] = _GUARD
        self.view(block.end, GUARD_BYTES)[:] = _GUARD
        index = bisect.bisect(self._starts, address)
        self._starts.insert(index, address)
        self._blocks.insert(index, block)
        return block

    def release(self, block: DmaBlock) -> None:
        """Take ``block`` back, after a look at its guards; called by :meth:`DmaBlock.free`."""
        broken = self._broken_guard(block)
        index = bisect.bisect_left(self._starts, block.address)
        del self._starts[index], self._blocks[index]
        self._last = None
        self._retired.setdefault((block.size, block.align), deque()).append(block.address)
        self._forget(block)
        if broken is not None:
            raise HostMemoryError(broken)

    def _forget(self, block: DmaBlock) -> None:
        # Whole pages go back to the system and read as zero; the edges are cleared by hand.
        start, end = block.address - self.base, block.end - self.base
        first = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
        last = end // mmap.PAGESIZE * mmap.PAGESIZE
        if self._private and first < last and hasattr(mmap, "MADV_DONTNEED"):
            self._buffer.madvise(mmap.MADV_DONTNEED, first, last - first)
            self._bytes[start:first] = bytes(first - start)
            self._bytes[last:end] = bytes(end - last)
        else:
            self._bytes[start:end] = bytes(end - start)

    def find(self, address: int, size: int) -> DmaBlock | None:
        """Return the block that holds all of these bytes, if there is one."""
        block = self._last
        if block is None or not block.address <= address < block.end:
            index = bisect.bisect(self._starts, address) - 1
            if index < 0:
                return None
            block = self._blocks[index]
        if address + size > block.end:
            return None
        self._last = block
        return block

    def write(self, address: int, data: bytes) -> bool:
        """Take the card's bytes. Return False, changing nothing, if they are out of bounds."""
        size = len(data)
        if self.find(address, size) is None:
            self.report(f"stray write of {size} bytes", address)
            return False
        start = address - self.base
        self._bytes[start:start + size] = data
        self.bytes_written += size
        return True

    def read(self, address: int, size: int) -> bytes | None:
        """Give the card bytes. Return None if they are out of bounds: that is a violation."""
        if self.find(address, size) is None:
            self.report(f"stray read of {size} bytes", address)
            return None
        self.bytes_read += size
        start = address - self.base
        return bytes(self._bytes[start:start + size])

    def report(self, what: str, address: int) -> None:
        """Record a violation."""
        self.violations.append(Violation(what, address, self.clock()))

    def check_guards(self) -> list[str]:
        """Return a sentence for every guard that was written over."""
        return [text for text in map(self._broken_guard, self._blocks) if text is not None]

    def _broken_guard(self, block: DmaBlock) -> str | None:
        for side, start in (("before", block.address - GUARD_BYTES), ("after", block.end)):
            found = self.view(start, GUARD_BYTES)
            if found != _GUARD:
                offset = next(i for i in range(GUARD_BYTES) if found[i] != _GUARD[i])
                return (f"guard {side} the block 0x{block.address:x}..0x{block.end:x} was written "
                        f"over at 0x{start + offset:x}")
        return None
