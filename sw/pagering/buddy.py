"""Division of a run of memory into aligned blocks of powers of two: a buddy allocator.

A block of size s is at a multiple of s, so the two halves of any block, the *buddies*, differ in
one bit of their offset; that is how a freed block finds the one that it can be joined with.
"""

from __future__ import annotations

from pagering.errors import PoolError

__all__ = ["BuddyAllocator"]


class BuddyAllocator:
    """Hands out blocks of ``size`` bytes of memory that starts at offset 0.

    Parameters
    ----------
    size : int
        Bytes: a multiple of ``smallest``.
    smallest : int
        Bytes of the smallest block, a power of two.

    Raises
    ------
    PoolError
        If the numbers do not fit together.
    """

    def __init__(self, size: int, smallest: int = 4096) -> None:
        if smallest < 1 or smallest & (smallest - 1):
            raise PoolError(f"smallest block must be a power of two, not {smallest}")
        if size < smallest or size % smallest:
            raise PoolError(f"capacity must be a multiple of {smallest} bytes, not {size}")
        self._smallest = smallest
        self._free: dict[int, set[int]] = {}
        self._used: dict[int, int] = {}
        at = 0
        while at < size:
            # The largest block that starts here and does not reach past the end.
            block = 1 << ((size - at).bit_length() - 1)
            block = min(block, at & -at) if at else block
            self._free.setdefault(block, set()).add(at)
            at += block

    def allocate(self, size: int) -> int | None:
        """Return the offset of a block of at least ``size`` bytes, ``None`` if there is none.

        It is the lowest one of the smallest blocks that are large enough.
        """
        wanted = max(self._smallest, 1 << (size - 1).bit_length())
        fits = [block for block, free in self._free.items() if block >= wanted and free]
        if not fits:
            return None
        block = min(fits)
        at = min(self._free[block])
        self._free[block].remove(at)
        while block > wanted:
            block //= 2
            self._free.setdefault(block, set()).add(at + block)
        self._used[at] = wanted
        return at

    def free(self, at: int) -> None:
        """Take back the block at offset ``at``.

        Raises
        ------
        PoolError
            If none was handed out there.
        """
        if at not in self._used:
            raise PoolError(f"no block was handed out at offset {at:#x}")
        block = self._used.pop(at)
        while at ^ block in self._free.get(block, ()):
            self._free[block].remove(at ^ block)
            at &= ~block
            block *= 2
        self._free.setdefault(block, set()).add(at)
