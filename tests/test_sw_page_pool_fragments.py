"""Fragments of pages: bias, drain, and the statistics of a page that is cut up again."""

from __future__ import annotations

from page_pools import DMA_BASE, Device, make, moved, refuse, take
from pagering.page_pool import Fragment, PagePool, PageState
from pagering.page_pool_fragments import BIAS_MAX
from pagering.providers import FaultyProvider, LocalProvider


def cut(pool: PagePool, size: int, count: int = 1) -> list[Fragment]:
    fragments = [pool.alloc_frag(size) for _ in range(count)]
    return [fragment for fragment in fragments if fragment is not None]


def test_fragments_share_the_open_page() -> None:
    pool = make()
    first, second, third = cut(pool, 1000, 3)
    assert [f.offset for f in (first, second, third)] == [0, 1000, 2000]
    assert first.page is second.page is third.page
    assert pool.stats.allocations == 1
    assert first.page.pp_ref_count == BIAS_MAX  # not touched for each fragment
    second.view[:] = b"x" * 1000
    assert bytes(first.page.view[999:2001]) == bytes(1) + b"x" * 1000 + bytes(1)


def test_offsets_are_aligned_and_sizes_are_not() -> None:
    pool = make()
    assert [(f.offset, f.size) for f in cut(pool, 13, 3)] == [(0, 13), (16, 13), (32, 13)]
    wide = make(pool={"fragment_align": 256})
    assert [f.offset for f in cut(wide, 13, 3)] == [0, 256, 512]


def test_drain_opens_the_next_page() -> None:
    """While a fragment is out, the used-up page goes back with its last fragment only."""
    pool = make()
    fragments = cut(pool, 2048, 3)
    old, new = fragments[0].page, fragments[2].page
    assert old is not new
    assert (old.pp_ref_count, new.pp_ref_count) == (2, BIAS_MAX)
    before = pool.stats
    pool.put(old)
    assert moved(pool, before) == {}
    pool.put(old, allow_direct=True)
    assert moved(pool, before) == {"recycle_cached": 1}


def test_drain_reuses_a_page_that_is_all_back() -> None:
    """It counts as cached and as fast although it saw no cache, and is given to the device."""
    device = Device()
    pool = make(dma_map=True, dma_sync=True, max_len=4096, dev=device)
    page = cut(pool, 2048, 2)[0].page
    pool.put(page)
    pool.put(page)
    device.calls.clear()
    before = pool.stats
    again, = cut(pool, 2048)
    assert (again.page, again.offset) == (page, 0)
    assert moved(pool, before) == {"recycle_cached": 1, "alloc_fast": 1}
    assert device.calls == [("device", page.address + DMA_BASE, 4096)]
    assert page.pp_ref_count == BIAS_MAX


def test_drain_lets_go_of_a_page_that_somebody_else_holds() -> None:
    pool = make()
    page = cut(pool, 4096)[0].page
    pool.put(page)
    page.get()
    before = pool.stats
    assert cut(pool, 4096)[0].page is not page
    assert moved(pool, before) == {"alloc_fast": 1, "inflight": -1}  # not under released-refcnt
    page.put()


def test_one_fragment_too_many_is_caught() -> None:
    """Each fragment is a reference; the reserve is not the callers' to drop."""
    pool = make()
    page = cut(pool, 64, 2)[0].page
    pool.put(page)
    pool.put(page)
    refuse(pool, [page], f"page at {page.address:#x} has 0 references to drop, not 1",
           pool.put, page)


def test_sizes() -> None:
    pool = make(order=1)
    assert cut(pool, 8192)[0].size == 8192
    for size in (0, 8193):
        refuse(pool, [], f"fragment size must be 1 to 8192 bytes, not {size}",
               pool.alloc_frag, size)


def test_no_memory_closes_the_page() -> None:
    pool = make(FaultyProvider(LocalProvider(), 2), order=1)
    first, = cut(pool, 5000)
    assert pool.alloc_frag(5000) is None
    assert pool.fragments.page is None
    pool.put(first.page)
    assert cut(pool, 5000)[0].page is first.page


def test_fit_gives_whole_pages_above_half() -> None:
    pool = make()
    whole = pool.alloc_fit(2049)
    assert whole is not None
    assert (whole.offset, whole.size, whole.page.pp_ref_count) == (0, 4096, 1)
    assert pool.fragments.page is None


def test_fit_gives_the_tail_to_the_last_fragment() -> None:
    pool = make()
    got = [pool.alloc_fit(1500) for _ in range(3)]
    assert [(f.offset, f.size) for f in got if f] == [(0, 1500), (1504, 2592), (0, 1500)]


def test_driver_cuts_a_page_itself() -> None:
    """The other style: a bias of the driver's own, given back when the page is used up."""
    pool = make()
    page, = take(pool, 1)
    pool.fragment_page(page, 100)
    for _ in range(3):
        pool.put(page)
    assert pool.unref(page, 97) == 0
    assert (page.pp_ref_count, page.state) == (1, PageState.OUT)
    before = pool.stats
    pool.put_unrefed(page)
    assert moved(pool, before) == {"recycle_ring": 1}


def test_driver_cuts_wrongly() -> None:
    pool = make()
    page, other = take(pool, 2)
    refuse(pool, [page], "references of a page must be at least 1, not 0",
           pool.fragment_page, page, 0)
    pool.ref_page(page)
    refuse(pool, [page], f"page at {page.address:#x} has 2 references already",
           pool.fragment_page, page, 4)
    pool.put(other)
    refuse(pool, [other], f"page at {other.address:#x} is back in its pool: returned twice",
           pool.fragment_page, other, 4)


def test_destroy_gives_the_open_page_up() -> None:
    local = LocalProvider()
    pool = make(local)
    fragment, = cut(pool, 64)
    assert not pool.destroy()
    assert (pool.inflight, fragment.page.pp_ref_count) == (1, 1)
    pool.put(fragment.page)
    assert pool.release_retry()
    done = make(local)
    done.put(cut(done, 64)[0].page)
    before = done.stats
    assert done.destroy()
    assert moved(done, before) == {"inflight": -64}
    assert local.live_bytes == 0
    for call in (done.alloc_frag, done.alloc_fit):
        refuse(done, [], "the pool was destroyed", call, 64)
