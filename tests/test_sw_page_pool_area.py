"""A fixed area behind a pool, and borrowers who are not trusted."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from page_pools import DMA_BASE, Device, make, moved, refuse, take
from pagering.errors import PoolError
from pagering.page_pool import PagePool, PagePoolStats
from pagering.page_pool_area import RETURNS_MAX, PageArea
from pagering.providers import FaultyProvider, LocalProvider


def serve(pages: int, provider: LocalProvider | None = None,
          **params: Any) -> tuple[PageArea, PagePool]:
    area = PageArea(provider or LocalProvider(), pages)
    return area, make(pool={"hooks": area}, dma_map=True, dma_sync=True, max_len=4096, **params)


def test_area_is_mapped_once_as_a_whole() -> None:
    device, provider = Device(), LocalProvider()
    _, pool = serve(8, provider, dev=device)
    pages = take(pool, 8)
    assert pool.alloc() is None
    assert device.maps == 1
    assert [page.dma_address - page.address for page in pages] == [DMA_BASE] * 8
    assert pool.stats == PagePoolStats(alloc_empty=2, alloc_fast=7, inflight=8)
    for page in pages:
        pool.put(page)
    assert pool.destroy()
    assert (device.live, provider.live_bytes) == (set(), 0)


def test_what_is_lent_comes_back_by_number() -> None:
    device = Device()
    area, pool = serve(4, dev=device)
    page, *rest = take(pool, 4)
    number = area.lend(page)
    pool.put(page)
    assert pool.alloc() is None  # the borrower has it
    device.calls.clear()
    area.give_back([number])
    assert pool.alloc() is page
    assert device.calls == [("device", page.dma_address, 4096)]
    assert (area.refused, area.failures, pool.inflight) == (0, 1, 4)
    assert len(rest) == 3


def test_page_that_the_host_still_has_comes_back_with_its_last_reference() -> None:
    area, pool = serve(1)
    page, = take(pool, 1)
    numbers = [area.lend(page), area.lend(page)]
    area.give_back(numbers)
    assert pool.alloc() is None
    before = pool.stats
    pool.put(page)
    assert moved(pool, before) == {"recycle_ring": 1}


@pytest.mark.parametrize("wrong", ["the same again", "never lent", "too large", "negative"])
def test_borrower_cannot_forge(wrong: str) -> None:
    """What is refused changes nothing but a count; the host keeps all that it has."""
    area, pool = serve(4)
    pages = take(pool, 4)
    numbers = [area.lend(page) for page in pages[:2]]
    del pages[0]
    other = ({0, 1, 2, 3} - set(numbers)).pop()
    area.give_back([numbers[1], {"the same again": numbers[1], "never lent": other,
                                 "too large": 4, "negative": -1}[wrong]])
    assert pool.alloc() is None
    assert area.refused == 1
    assert [page.pp_ref_count for page in pages] == [1, 1, 1]


def test_returns_are_taken_in_batches() -> None:
    area, pool = serve(2)
    take(pool, 2)
    area.give_back([7] * (RETURNS_MAX + 5))
    pool.alloc()
    assert area.refused == RETURNS_MAX
    pool.alloc()
    assert area.refused == RETURNS_MAX + 5


def test_scrub_when_the_borrower_is_gone() -> None:
    provider = LocalProvider()
    area, pool = serve(4, provider)
    pages = take(pool, 4)
    for page in pages[:3]:
        area.lend(page)
    for page in pages:
        pool.put(page)
    assert not pool.destroy()
    assert pool.inflight == 3
    assert area.scrub(pool) == 3
    assert area.scrub(pool) == 0
    assert pool.release_retry()
    assert provider.live_bytes == 0


def test_area_wrong() -> None:
    for pages in (0, 3):
        with pytest.raises(PoolError, match=f"^pages of an area must be a power of two, not "
                                            f"{pages}$"):
            PageArea(LocalProvider(), pages)
    area, pool = serve(2)
    stranger, = take(make(), 1)
    refuse(pool, [], f"page at {stranger.address:#x} is not of this area", area.lend, stranger)
    page, = take(pool, 1)
    pool.put(page)
    refuse(pool, [page], f"page at {page.address:#x} is back in its pool: returned twice",
           area.lend, page)
    with pytest.raises(PoolError, match=r"^the area serves another pool$"):
        make(pool={"hooks": area}, dma_map=True, dma_sync=True, max_len=4096)


def test_area_that_cannot_be_had_leaves_nothing() -> None:
    mapped = {"dma_map": True, "dma_sync": True, "max_len": 4096}
    with pytest.raises(PoolError, match=r"^request 1 for 8192 bytes failed on purpose$"):
        make(pool={"hooks": PageArea(FaultyProvider(LocalProvider(), 1), 2)}, **mapped)
    provider = LocalProvider()
    with pytest.raises(PoolError, match=r"^cannot map$"):
        make(pool={"hooks": PageArea(provider, 2)}, dev=Device(fail_at=1), **mapped)
    assert provider.live_bytes == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["alloc", "lend", "put", "back"]),
                          st.integers(-2, 9)), max_size=80))
def test_any_order_of_lending(steps: list[tuple[str, int]]) -> None:
    """References of host and borrower are conserved whatever numbers the borrower sends."""
    area, pool = serve(8)
    held: list[Any] = []
    lent = [0] * 8
    for what, number in steps:
        if what == "alloc":
            page = pool.alloc()
            if page is not None:
                held.append(page)
        elif what == "lend" and held:
            lent[area.lend(held[number % len(held)])] += 1
        elif what == "put" and held:
            pool.put(held.pop(number % len(held)))
        elif what == "back":
            area.give_back([number])
    while (page := pool.alloc()) is not None:  # until all returns were looked at
        held.append(page)
    assert all(mine <= theirs for mine, theirs in zip(area._lent, lent, strict=True))
    for page in held:
        pool.put(page)
    area.scrub(pool)
    assert pool.destroy()
