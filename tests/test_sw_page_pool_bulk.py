"""Pages by number in bursts: order, splitting, and every way to return what is not out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from page_pools import Device, make
from pagering.errors import PoolError
from pagering.page_pool_bulk import BulkPages


def bulk(count: int = 256) -> BulkPages:
    return BulkPages(make(), count)


def test_numbers_name_the_pools_pages() -> None:
    device = Device()
    pool = make(dma_map=True, dev=device)
    pages = BulkPages(pool, 100)
    burst = pages.alloc(10)
    assert [pages.addresses[number] for number in burst.numbers] \
        == [pages.pages[number].dma_address for number in burst.numbers]
    assert pool.outstanding == 100
    assert list(BulkPages(make(), 2).addresses) == [(1 << 30) + 63 * 4096, (1 << 30) + 62 * 4096]


def test_a_burst_comes_again_as_it_went() -> None:
    """Last in, first out, and the very same array: nothing is copied."""
    pages = bulk()
    first, second = pages.alloc(64), pages.alloc(64)
    pages.put(first)
    pages.put(second)
    assert pages.alloc(64) is second
    assert pages.alloc(64) is first
    assert (pages.served, pages.returned, pages.free) == (256, 128, 128)


def test_bursts_are_cut_and_joined() -> None:
    pages = bulk(100)
    sizes = [len(pages.alloc(count)) for count in (64, 30, 5, 64, 64)]
    assert sizes == [64, 30, 5, 1, 0]
    assert pages.free == 0


def test_numbers_cannot_be_changed() -> None:
    burst = bulk().alloc(4)
    with pytest.raises(ValueError, match="read-only"):
        burst.numbers[0] = 7
    with pytest.raises(ValueError, match="WRITEABLE"):
        burst.numbers.setflags(write=True)


def test_a_burst_that_is_returned_twice() -> None:
    pages = bulk()
    burst = pages.alloc(64)
    pages.put(burst)
    with pytest.raises(PoolError, match=r"^a burst of 64 pages is not out, or not as a whole: "
                                        r"returned twice\?$"):
        pages.put(burst)
    assert (pages.free, pages.returned) == (256, 64)


def test_pages_come_back_in_other_company() -> None:
    pages = bulk()
    first, second = pages.alloc(64), pages.alloc(64)
    pages.put_numbers(np.concatenate([first.numbers[::2], second.numbers[1::2]]))
    with pytest.raises(PoolError, match="not as a whole"):
        pages.put(first)
    pages.put_numbers(list(first.numbers[1::2]))
    pages.put_numbers(second.numbers[::2])
    assert sorted(pages.alloc(256).numbers) == list(range(256))


@pytest.mark.parametrize(("wrong", "sentence"), [
    ([255, 3], "page 3 is not out: returned twice, or never handed out"),
    ([255, 254, 255], "a page is twice among those to return"),
    ([255, -1], "page -1 is not out: returned twice, or never handed out"),
    ([256], "page 256 is not out: returned twice, or never handed out"),
    ([255] * 257, "257 pages cannot be out: there are 256"),
])
def test_numbers_that_are_not_out(wrong: list[int], sentence: str) -> None:
    """Refused whole: what was right among them is still out, and can still be returned."""
    pages = bulk()
    pages.alloc(64)
    with pytest.raises(PoolError, match=f"^{sentence}$"):
        pages.put_numbers(wrong)
    assert pages.free == 192
    pages.put_numbers(range(192, 256))
    with pytest.raises(PoolError, match=r"^page 200 is not out"):
        pages.put_numbers([200])


def test_close_returns_all() -> None:
    pool = make()
    pages = BulkPages(pool, 100)
    burst = pages.alloc(3)
    with pytest.raises(PoolError, match=r"^3 pages are still out$"):
        pages.close()
    pages.put(burst)
    pages.close()
    assert (pool.outstanding, pool.inflight, pool.destroy()) == (0, 128, True)


@pytest.mark.parametrize(("count", "sentence"), [
    (0, "pages in bulk must be 1 to 32768, not 0"),
    (32769, "pages in bulk must be 1 to 32768, not 32769"),
    (65, "the pool has only 10 pages of 65"),
])
def test_bulk_wrong(count: int, sentence: str) -> None:
    pool = make(pool={"limit": 10})
    with pytest.raises(PoolError, match=f"^{sentence}$"):
        BulkPages(pool, count)
    assert pool.outstanding == 0


def test_alloc_wrong() -> None:
    pages = bulk()
    with pytest.raises(PoolError, match=r"^pages to allocate must be at least 1, not 0$"):
        pages.alloc(0)
    assert len(pages.alloc(256)) == 256


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["alloc", "put", "numbers"]), st.integers(1, 20)),
                max_size=60), st.randoms(use_true_random=False))
def test_every_page_is_in_one_place(steps: list[tuple[str, int]], rng: st.random.Random) -> None:
    pages, bursts, loose = bulk(40), [], set(range(0))
    for what, count in steps:
        if what == "alloc":
            burst = pages.alloc(count)
            assert not set(burst.numbers) & (loose | {n for b in bursts for n in b.numbers})
            bursts.append(burst)
        elif what == "put" and bursts:
            pages.put(bursts.pop(count % len(bursts)))
        elif what == "numbers":
            loose |= {int(number) for burst in bursts for number in burst.numbers}
            bursts = []
            some = rng.sample(sorted(loose), min(count, len(loose)))
            pages.put_numbers(some)
            loose -= set(some)
        assert pages.free == 40 - len(loose) - sum(map(len, bursts))
    for burst in bursts:
        pages.put(burst)
    pages.put_numbers(sorted(loose))
    pages.close()
