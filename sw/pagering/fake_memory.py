"""Host memory of the in-memory card: every allocation between guard bytes.

The card writes here by address, as over a bus: a write that is not wholly inside one mapped
allocation changes nothing, is answered with an error and is remembered in ``stray_writes``.
"""

from __future__ import annotations

import bisect

from pagering.errors import CardError
from pagering.transport import DmaMemory

__all__ = ["GUARD_BYTES", "FakeMemory", "HostMemory"]

GUARD_BYTES = 64
_GUARD = bytes((0xA5,)) * GUARD_BYTES
_FIRST_ADDRESS = 0x1_4000_0000
"""Above 4 GiB, so that a forgotten upper half of an address shows."""


class FakeMemory:
    """An allocation; implements ``DmaMemory``."""

    def __init__(self, address: int, size: int) -> None:
        self._address = address
        self._size = size
        self.guarded = bytearray(_GUARD + bytes(size) + _GUARD)
        """The bytes with the guards around them."""
        self.mapped = True
        """False once freed: the card must not write here any more."""

    @property
    def address(self) -> int:
        """The card's address of the first byte."""
        return self._address

    @property
    def view(self) -> memoryview:
        """The bytes, writable, without the guards."""
        return memoryview(self.guarded)[GUARD_BYTES:GUARD_BYTES + self._size]

    @property
    def size(self) -> int:
        """Length in bytes."""
        return self._size

    def free(self) -> None:
        """Unmap; the bytes stay readable so that a test can look at them."""
        self.mapped = False

    def intact(self) -> bool:
        """Return whether both guards are as they were made."""
        return self.guarded.startswith(_GUARD) and self.guarded.endswith(_GUARD)


class _Foreign:
    """Memory of somebody else's that was mapped."""

    mapped = True

    def __init__(self, memory: DmaMemory) -> None:
        self.address = memory.address
        self.view = memory.view
        self.size = len(memory.view)


class HostMemory:
    """All that one fake card reaches."""

    def __init__(self) -> None:
        self._next = _FIRST_ADDRESS
        self._starts: list[int] = []
        self._blocks: list[FakeMemory | _Foreign] = []
        self.stray_writes: list[tuple[int, int]] = []
        """(address, bytes) of each write that met no mapped memory."""
        self.stray_reads: list[tuple[int, int]] = []
        """Likewise of each read."""

    def allocate(self, size: int, align: int) -> FakeMemory:
        """Return ``size`` zeroed bytes at a multiple of ``align``.

        Raises
        ------
        ValueError
            If ``size`` is not positive or ``align`` is not a power of two.

        """
        if size <= 0:
            raise ValueError(f"cannot allocate {size} bytes; ask for at least one")
        if align <= 0 or align & (align - 1):
            raise ValueError(f"alignment {align} is not a power of two")
        address = -(-self._next // align) * align
        # A hole after each block: a write that runs over the end meets nothing.
        self._next = address + size + 4096
        block = FakeMemory(address, size)
        self._insert(block)
        return block

    def attach(self, memory: DmaMemory) -> None:
        """Map memory of somebody else's.

        Raises
        ------
        CardError
            If some of its addresses are in use.

        """
        block = _Foreign(memory)
        at = bisect.bisect_right(self._starts, block.address)
        before = self._blocks[at - 1] if at else None
        if ((before is not None and before.address + before.size > block.address)
                or (at < len(self._starts) and self._starts[at] < block.address + block.size)):
            raise CardError(f"addresses from {block.address:#x} on are mapped already")
        self._insert(block)

    def detach(self, memory: DmaMemory) -> None:
        """Unmap it."""
        at = bisect.bisect_left(self._starts, memory.address)
        del self._starts[at], self._blocks[at]

    def _insert(self, block: FakeMemory | _Foreign) -> None:
        at = bisect.bisect(self._starts, block.address)
        self._starts.insert(at, block.address)
        self._blocks.insert(at, block)

    def write(self, address: int, data: bytes | memoryview) -> bool:
        """Write as the card does; return whether the bus answered without an error."""
        at = bisect.bisect_right(self._starts, address) - 1
        block = self._blocks[at] if at >= 0 else None
        if block is None or not block.mapped or address + len(data) > block.address + block.size:
            self.stray_writes.append((address, len(data)))
            return False
        start = address - block.address
        block.view[start:start + len(data)] = data
        return True

    def read(self, address: int, size: int) -> bytes | None:
        """Read as the card does; return None if the bus answered with an error."""
        at = bisect.bisect_right(self._starts, address) - 1
        block = self._blocks[at] if at >= 0 else None
        if block is None or not block.mapped or address + size > block.address + block.size:
            self.stray_reads.append((address, size))
            return None
        start = address - block.address
        return bytes(block.view[start:start + size])

    def check_guards(self) -> None:
        """Check the bytes around every allocation.

        Raises
        ------
        CardError
            If any was written.

        """
        for block in self._blocks:
            if isinstance(block, FakeMemory) and not block.intact():
                raise CardError(f"the guard bytes around the {block.size} bytes at "
                                f"{block.address:#x} were overwritten; look for a write past "
                                f"the end of a view")

    @property
    def mapped_bytes(self) -> int:
        """Bytes that are allocated and not freed."""
        return sum(block.size for block in self._blocks if block.mapped)
