"""What a card can be asked for: numbers of pages and entries, checked before it sees them."""

from __future__ import annotations

from pagering import abi
from pagering.capabilities import Capabilities
from pagering.errors import CardError

__all__ = ["check_pool", "check_queue"]

_PAGES_MAX = 1 << abi.PAGE_ID_BITS


def check_pool(caps: Capabilities, slots: int, pages: int, limit: int | None,
               low_water: tuple[int, int]) -> None:
    """Check a pool's numbers, of a card with so many region slots left.

    Raises
    ------
    ValueError
        If one is out of range.
    CardError
        If the card has no room.

    """
    if pages <= 0 or pages % caps.region_pages:
        raise ValueError(f"a pool has a multiple of {caps.region_pages} pages, one region "
                         f"each; {pages} is none")
    left = slots * caps.region_pages
    if pages > left:
        raise CardError(f"the card has room for {left} more pages, not {pages}; close a pool "
                        f"or ask for fewer")
    if limit is not None and not 0 <= limit <= _PAGES_MAX:
        raise ValueError(f"a pool's limit is 0 to {_PAGES_MAX} pages, not {limit}")
    enter, leave = low_water
    most = min(pages, _PAGES_MAX - 1)
    if not 0 <= enter <= leave <= most:
        raise ValueError(f"low water needs 0 <= enter <= exit <= {most} pages, not {enter} and "
                         f"{leave}")


def check_queue(caps: Capabilities, ring_entries: int, quota: int | None, extended: bool,
                split: bool) -> None:
    """Check a queue's numbers, and whether the card has what it needs.

    Raises
    ------
    ValueError
        If one is out of range.
    CardError
        If the card cannot split frames or extend completions.

    """
    least, most = 1 << abi.RING_LOG2_MIN, 1 << abi.RING_LOG2_MAX
    if not least <= ring_entries <= most or ring_entries & (ring_entries - 1):
        raise ValueError(f"a completion ring has a power of two of entries, {least} to {most}; "
                         f"{ring_entries} is none")
    if quota is not None and not 0 <= quota <= _PAGES_MAX:
        raise ValueError(f"a quota is 0 to {_PAGES_MAX} pages, not {quota}")
    if split and not caps.header_split:
        raise CardError("this card cannot split frames; generate one with header split")
    if extended and not caps.extended:
        raise CardError("this card cannot extend completions; generate one with timestamps or "
                        "a parser")
