"""Addresses for a card's memory: aligned, apart, in range, and used again as late as possible."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagering.address_space import AddressSpace
from pagering.errors import CardError

PAGE = 4096
RANGES = [(0, (1 << 21) - 1), ((1 << 22), (1 << 22) + 40 * PAGE - 1)]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 70), st.integers(0, 4)), max_size=80))
def test_runs_against_a_page_map(steps: list[tuple[int, int, int]]) -> None:
    """Take, reserve and free at random; a set of pages says what each must find."""
    space, taken = AddressSpace(RANGES), dict[int, int]()
    usable = {page for first, last in RANGES for page in range(first, last, PAGE)
              if page >= 1 << 20}

    def used() -> set[int]:
        return {page for address, size in taken.items()
                for page in range(address, address + size, PAGE)}

    for kind, pages, shift in steps:
        size, align = pages * PAGE, PAGE << shift
        free = usable - used()
        if kind == 0:
            fits = [page for page in free if page % align == 0
                    and all(page + at in free for at in range(0, size, PAGE))]
            if fits:
                address = space.allocate(size, align)
                assert address in fits
                taken[address] = size
            else:
                with pytest.raises(CardError, match=f"no {size} bytes aligned to {align} are left"):
                    space.allocate(size, align)
        elif kind == 1:
            address = sorted(usable)[pages * 7 % len(usable)]
            if all(address + at in free for at in range(0, size, PAGE)):
                space.reserve(address, size)
                taken[address] = size
            else:
                with pytest.raises(CardError, match=r"mapped already|does not translate all"):
                    space.reserve(address, size)
        elif taken:
            address = sorted(taken)[pages % len(taken)]
            space.free(address)
            del taken[address]


def test_what_was_freed_comes_last() -> None:
    space = AddressSpace([(1 << 20, (1 << 20) + 4 * PAGE - 1)])
    first, second = space.allocate(PAGE, PAGE), space.allocate(PAGE, PAGE)
    space.free(first)
    rest = [space.allocate(PAGE, PAGE) for _ in range(3)]
    assert rest == [second + PAGE, second + 2 * PAGE, first]


def test_addresses_that_there_are_not() -> None:
    space = AddressSpace([(0, (1 << 39) - 1)])
    with pytest.raises(CardError, match="does not translate all of 0x10000000000 to 0x100000"):
        space.reserve(1 << 40, PAGE)
    space.reserve(1 << 30, PAGE)
    with pytest.raises(CardError, match="some of the addresses 0x40000000 to 0x40000fff are"):
        space.reserve(1 << 30, PAGE)
