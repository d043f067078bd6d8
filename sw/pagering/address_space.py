"""Addresses for a card's memory: runs of what the IOMMU can translate, none given out twice.

A run that was freed is used again as late as possible, so that an address that was kept too long
most likely names nothing, and the access is seen.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence

from pagering.errors import CardError

__all__ = ["AddressSpace"]

_LOWEST = 1 << 20
"""Addresses below are left alone: an address of 0 or near it is a mistake."""


class AddressSpace:
    """Runs of addresses.

    Parameters
    ----------
    ranges
        First and last address of each range that can be used, apart and in order.

    """

    def __init__(self, ranges: Sequence[tuple[int, int]]) -> None:
        self._ranges = [(max(first, _LOWEST), last) for first, last in ranges if last >= _LOWEST]
        self._taken: list[tuple[int, int]] = []  # address, end
        self._next = 0

    def allocate(self, size: int, align: int) -> int:
        """Take ``size`` bytes at a multiple of ``align``, the next ones behind the last.

        Raises
        ------
        CardError
            If so many are nowhere left.

        """
        for least in (self._next, 0):
            for first, last in self._ranges:
                address = self._first_fit(max(first, least), last, size, align)
                if address is not None:
                    bisect.insort(self._taken, (address, address + size))
                    self._next = address + size
                    return address
        raise CardError(f"no {size} bytes aligned to {align} are left of the addresses that the "
                        f"IOMMU translates; close pools")

    def reserve(self, address: int, size: int) -> None:
        """Take these.

        Raises
        ------
        CardError
            If some are taken, or cannot be used.

        """
        end = address + size
        if not any(first <= address and end - 1 <= last for first, last in self._ranges):
            raise CardError(f"the IOMMU does not translate all of {address:#x} to {end - 1:#x}; "
                            f"choose another base address")
        at = bisect.bisect_left(self._taken, (address, end))
        neighbours = self._taken[max(0, at - 1):at + 1]
        if any(start < end and address < stop for start, stop in neighbours):
            raise CardError(f"some of the addresses {address:#x} to {end - 1:#x} are mapped "
                            f"already; choose another base address")
        self._taken.insert(at, (address, end))

    def free(self, address: int) -> None:
        """Give back the run that starts there."""
        del self._taken[bisect.bisect_left(self._taken, (address, 0))]

    def _first_fit(self, first: int, last: int, size: int, align: int) -> int | None:
        address = -(-first // align) * align
        at = max(0, bisect.bisect_right(self._taken, (address, 0)) - 1)
        for start, stop in self._taken[at:]:
            if start >= address + size:
                break
            if stop > address:
                address = -(-stop // align) * align
        return address if address + size - 1 <= last else None
