"""PagePool against the rules of Linux's page_pool, one named test for each of its pitfalls."""

from __future__ import annotations

import queue
import re
import threading
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from page_pools import DMA_BASE, ME, Device, make, moved, refuse, state, take
from pagering.errors import PoolError
from pagering.page_pool import Page, PagePool, PagePoolParams, PagePoolStats, PageState
from pagering.page_pool_dma import CoherentDevice, DmaDevice, DmaDirection, DmaTable
from pagering.page_pool_memory import serial_difference
from pagering.page_pool_page import PageRegion
from pagering.providers import FaultyProvider, LocalProvider

# Creation ------------------------------------------------------------------------------------

@pytest.mark.parametrize(("wrong", "sentence"), [
    ({"page_bytes": 2048, "order": -1},
     "page_bytes must be a power of two and at least 4096, not 2048"),
    ({"page_bytes": 4097}, "page_bytes must be a power of two and at least 4096, not 4097"),
    ({"order": -1, "nid": -2}, "order must not be negative, not -1"),
    ({"pool_size": -5}, "pool_size must not be negative, not -5"),
    ({"max_len": -5}, "max_len must not be negative, not -5"),
    ({"offset": -5}, "offset must not be negative, not -5"),
    ({"nid": -2, "dma_sync": True}, "nid must be a node or NUMA_NO_NODE (-1), not -2"),
    ({"dma_map": True, "dma_dir": DmaDirection.TO_DEVICE, "dma_sync": True, "order": 11},
     "dma_map needs dma_dir from device or bidirectional, not to device"),
    ({"dma_sync": True, "order": 11}, "dma_sync needs dma_map, which is False"),
    ({"dma_sync": True, "dma_map": True, "order": 11}, "dma_sync needs max_len above 0, not 0"),
    ({"order": 11}, "order must be at most 10, not 11"),
    ({"dma_sync": True, "dma_map": True, "offset": 64, "max_len": 4096},
     "offset + max_len must stay within the page of 4096 bytes, not 4160"),
])
def test_init_wrong(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PoolError, match=f"^{re.escape(sentence)}$"):
        make(**wrong)


def test_init_limits() -> None:
    rings = {size: PagePoolParams(pool_size=size).ring_size for size in (0, 1, 16384, 16385)}
    assert rings == {0: 1024, 1: 1, 16384: 16384, 16385: 16384}
    refills = {size: PagePoolParams(page_bytes=size).refill
               for size in (4096, 8192, 16384, 32768, 65536)}
    assert refills == {4096: 64, 8192: 64, 16384: 16, 32768: 16, 65536: 4}
    assert PagePoolParams().cache_size == 128
    make(order=10, dma_map=True, dma_dir=DmaDirection.BIDIRECTIONAL)


# Allocation ----------------------------------------------------------------------------------

def test_slow_counts_bulks() -> None:
    """Pitfall 2: one slow allocation brings 64 pages; the next 63 are fast."""
    pool = make()
    assert len(set(take(pool, 65))) == 65
    assert pool.stats == PagePoolStats(alloc_slow=2, alloc_fast=63, alloc_empty=2, inflight=128)
    assert pool.stats.allocations == 65


def test_bulk_is_handed_out_from_its_end() -> None:
    pages = take(make(page_bytes=65536), 4)
    assert [page.address for page in pages] == sorted((p.address for p in pages), reverse=True)


def test_partial_bulk_and_no_memory() -> None:
    pool = make(FaultyProvider(LocalProvider(), 11))
    assert pool.alloc()
    assert (pool.inflight, pool.idle, pool.stats.alloc_slow) == (10, 9, 1)
    dry = make(FaultyProvider(LocalProvider(), 1))
    assert dry.alloc() is None
    assert dry.stats == PagePoolStats(alloc_empty=1)
    assert make(FaultyProvider(LocalProvider(), 1), order=1).alloc() is None


def test_refill_is_not_fast() -> None:
    """Pitfall 1: the page that a refill hands out counts as refill only."""
    pool = make()
    for page in take(pool, 128):
        pool.put(page)
    before = pool.stats
    take(pool, 1)
    assert moved(pool, before) == {"alloc_refill": 1}
    take(pool, 63)
    assert moved(pool, before) == {"alloc_refill": 1, "alloc_fast": 63}
    take(pool, 1)
    assert moved(pool, before) == {"alloc_refill": 2, "alloc_fast": 63}


def test_cache_is_a_stack_and_the_ring_a_fifo() -> None:
    """Pitfall 8, with a refill of 4: the ring yields its oldest 4, the last of them first."""
    pool = make(page_bytes=65536)
    pages = take(pool, 8)
    for page in pages[:3]:
        pool.put(page, allow_direct=True)
    assert take(pool, 3) == pages[2::-1]
    for page in pages:
        pool.put(page)
    assert take(pool, 8) == pages[3::-1] + pages[:3:-1]


def test_high_order_pages_come_alone() -> None:
    pool = make(order=2)
    page, = take(pool, 1)
    assert pool.stats == PagePoolStats(alloc_slow_high_order=1, alloc_empty=1, inflight=1)
    assert (page.size, len(page.view), page.address % 16384) == (16384, 16384, 0)


def test_waive_lets_go_of_one_page_and_stops() -> None:
    pool = make(page_bytes=65536)
    pages = take(pool, 4)
    pages[1].nid = 1
    for page in pages:
        pool.put(page)
    before = pool.stats
    assert pool.alloc() is pages[0]
    assert moved(pool, before) == {"alloc_waive": 1, "alloc_refill": 1, "inflight": -1}
    pages[2].nid = 1
    before = pool.stats
    assert pool.alloc() not in pages  # nothing cached when the refill stops: on to the provider
    assert moved(pool, before) == {"alloc_waive": 1, "alloc_slow": 1, "inflight": 3}


def test_update_nid_empties_the_cache_only() -> None:
    pool = make(page_bytes=65536, nid=0)
    pages = take(pool, 8)
    pool.put(pages[0])
    for page in pages[1:6]:
        pool.recycle_direct(page)
    before = pool.stats
    pool.update_nid(1)
    assert (moved(pool, before), pool.idle) == ({"inflight": -5}, 1)
    assert take(pool, 1)[0].nid == 1
    assert moved(pool, before) == {"alloc_waive": 1, "alloc_slow": 1, "inflight": -2}
    refuse(pool, pages, "nid must be a node or NUMA_NO_NODE (-1), not -2", pool.update_nid, -2)


# Return --------------------------------------------------------------------------------------

def test_cache_full_is_followed_by_a_second_counter() -> None:
    """Pitfall 3: the page that finds the cache full goes on to the ring, or out."""
    pool = make(pool_size=1)
    pages = take(pool, 192)
    for page in pages[:128]:
        pool.recycle_direct(page)
    assert pool.stats.recycle_cached == 128
    before = pool.stats
    pool.recycle_direct(pages[128])
    assert moved(pool, before) == {"recycle_cache_full": 1, "recycle_ring": 1}
    pool.recycle_direct(pages[129])
    assert moved(pool, before) == {"recycle_cache_full": 2, "recycle_ring": 1,
                                   "recycle_ring_full": 1, "inflight": -1}


def test_bulk_counts_ring_full_once() -> None:
    """Pitfall 4: eleven pages of sixteen are lost, one ring_full."""
    pool = make(pool_size=5)
    pages = take(pool, 16)
    before = pool.stats
    pool.put_bulk(pages)
    assert moved(pool, before) == {"recycle_ring": 5, "recycle_ring_full": 1, "inflight": -11}


def test_ring_full_although_slots_are_free() -> None:
    """Pitfall 13: a refill of 4 takes 4 pages off a full ring, yet the ring has no room."""
    pool = make(pool_size=32, page_bytes=65536)
    pages = take(pool, 36)
    for page in pages[:32]:
        pool.put(page)
    take(pool, 4)
    before = pool.stats
    pool.put(pages[32])
    assert moved(pool, before) == {"recycle_ring_full": 1, "inflight": -1}
    take(pool, 12)
    pool.put(pages[33])
    assert pool.stats.recycle_ring == 33


@pytest.mark.parametrize("hold", ["refcount", "pfmemalloc"])
def test_released_refcnt(hold: str) -> None:
    """Pitfall 7: a page from the reserves counts like one that somebody else holds."""
    provider = LocalProvider()
    pool = make(provider)
    page, *_ = take(pool, 64)
    if hold == "refcount":
        page.get()
    else:
        page.pfmemalloc = True
    before = pool.stats
    pool.put(page, allow_direct=True)
    assert moved(pool, before) == {"recycle_released_refcnt": 1, "inflight": -1}
    assert (page.pool, page.state) == (None, PageState.GONE)
    if hold == "refcount":
        page.view[0] = 1  # the other holder's bytes are still there
        page.put()
    assert provider.live_bytes == 63 * 4096
    for call in (lambda: page.view, page.get, page.put):
        refuse(pool, [page], f"page at {page.address:#x} was freed", call)


def test_the_pools_memory_reference_cannot_be_dropped() -> None:
    pool = make()
    page, = take(pool, 1)
    refuse(pool, [page], f"page at {page.address:#x} has one reference, which is its pool's",
           page.put)


def test_owner_returns_directly() -> None:
    """Pitfall 10: the allocating thread's ordinary returns go to the cache, others to the ring."""
    pool = make(owner=ME)
    mine, other = take(pool, 2)
    before = pool.stats
    pool.put(mine)
    assert moved(pool, before) == {"recycle_cached": 1}
    thread = threading.Thread(target=pool.put, args=(other,))
    thread.start()
    thread.join()
    assert moved(pool, before) == {"recycle_cached": 1, "recycle_ring": 1}
    pages = take(pool, 3)
    before = pool.stats
    pool.put_bulk(pages)
    assert moved(pool, before) == {"recycle_cached": 3}


@pytest.mark.parametrize("direct", [True, False])
def test_double_return_is_caught(direct: bool) -> None:
    """Pitfall 6, closed: the second return raises and changes nothing."""
    pool, other = make(), make()
    page, = take(pool, 1)
    twice = f"page at {page.address:#x} is back in its pool: returned twice"
    refuse(other, [page], f"page at {page.address:#x} belongs to another pool", other.put, page)
    refuse(pool, [page], f"page at {page.address:#x} has 1 references to drop, not 2",
           pool.put_bulk, [page, page])
    pool.put(page, allow_direct=direct)
    for call, argument in ((pool.put, page), (pool.put_unrefed, page), (pool.unref, page),
                           (pool.ref_page, page), (pool.put_bulk, [page])):
        refuse(pool, [page], twice, call, argument)
    gone, = take(pool, 1)
    gone.pfmemalloc = True
    pool.put(gone)
    for call, argument in ((pool.put, gone), (pool.put_bulk, [gone])):
        refuse(pool, [gone], f"page at {gone.address:#x} was released", call, argument)


def test_two_threads_that_return_the_same_pages() -> None:
    pool = make()
    pages = take(pool, 256)
    before, caught = pool.stats, []

    def give_back() -> None:
        for page in pages:
            try:
                pool.put(page)
            except PoolError:
                caught.append(page)

    threads = [threading.Thread(target=give_back) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert moved(pool, before) == {"recycle_ring": 256}
    assert sorted(page.address for page in caught) == sorted(page.address for page in pages)


def test_one_thread_allocates_and_others_return() -> None:
    """Nothing is lost, kept twice or counted wrongly, though a direct return takes no lock."""
    pool = make(pool_size=64, owner=ME)
    todo: queue.SimpleQueue[Page | None] = queue.SimpleQueue()

    def give_back() -> None:
        while (page := todo.get()) is not None:
            pool.put(page)

    threads = [threading.Thread(target=give_back, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    ours = 0
    for turn in range(20_000):
        page, = take(pool, 1)
        if turn % 3:
            todo.put(page)
        else:
            pool.put(page)
            ours += 1
    for _ in threads:
        todo.put(None)
    for thread in threads:
        thread.join()
    stats = pool.stats
    theirs = 20_000 - ours
    assert stats.allocations == 20_000
    assert stats.recycle_cached + stats.recycle_cache_full >= ours
    assert stats.recycle_ring + stats.recycle_ring_full == theirs + stats.recycle_cache_full
    assert (pool.outstanding, pool.inflight) == (0, pool.idle)
    assert pool.destroy()


@pytest.mark.parametrize("direct", [True, False])
def test_double_return_in_the_kernel(direct: bool) -> None:
    """Pitfall 6, reproduced: the page is in the pool twice and is handed out twice."""
    pool = make(compat=True, page_bytes=65536)
    page, *rest = take(pool, 4)
    pool.put(page, allow_direct=direct)
    pool.put(page, allow_direct=direct)
    assert pool.idle == 2
    assert take(pool, 2) == [page, page]
    assert pool.inflight == 4
    assert len(rest) == 3


# References ----------------------------------------------------------------------------------

def test_pool_references() -> None:
    pool = make()
    page, = take(pool, 1)
    for _ in range(3):
        pool.ref_page(page)
    before = pool.stats
    pool.put(page)
    assert (page.pp_ref_count, moved(pool, before)) == (3, {})
    refuse(pool, [page], "references to drop must be at least 1, not 0", pool.unref, page, 0)
    refuse(pool, [page], f"page at {page.address:#x} has 3 references to drop, not 4",
           pool.unref, page, 4)
    refuse(pool, [page], f"page at {page.address:#x} still has 3 references",
           pool.put_unrefed, page)
    assert pool.unref(page, 1) == 2
    assert pool.unref(page, 2) == 0
    assert (page.pp_ref_count, page.state) == (1, PageState.OUT)
    pool.put_unrefed(page)
    assert moved(pool, before) == {"recycle_ring": 1}


def test_too_many_unrefs_in_the_kernel(caplog: pytest.LogCaptureFixture) -> None:
    pool = make(compat=True)
    page, = take(pool, 1)
    assert pool.unref(page, 3) == -2
    assert caplog.messages == [f"page at {page.address:#x} has -2 references"]


def test_bulk_takes_16_pages_of_any_pools() -> None:
    first, second = make(), make(LocalProvider(1 << 32), owner=ME)
    a, b = take(first, 4), take(second, 13)
    refuse(first, a + b, "a bulk return takes at most 16 pages, not 17", first.put_bulk, a + b)
    first.put(a[0])
    refuse(second, b, f"page at {a[0].address:#x} is back in its pool: returned twice",
           PagePool.put_bulk, [*b, a[0]])
    first.ref_page(a[1])
    before = first.stats, second.stats
    PagePool.put_bulk([b[0], a[1], a[2], b[1], a[1]])
    assert moved(first, before[0]) == {"recycle_ring": 2}
    assert moved(second, before[1]) == {"recycle_cached": 2}


# Mapping -------------------------------------------------------------------------------------

def test_devices() -> None:
    assert isinstance(Device(), DmaDevice)
    assert isinstance(CoherentDevice(), DmaDevice)
    page, = take(make(dma_map=True), 1)
    assert page.dma_address == page.address
    assert take(make(), 1)[0].dma_address == 0


def test_sync_window() -> None:
    device = Device()
    pool = make(dma_map=True, dma_sync=True, dev=device, offset=128, max_len=1536)
    page, = take(pool, 1)
    start = page.address + DMA_BASE + 128
    assert page.dma_address == page.address + DMA_BASE
    assert device.calls.count(("device", start, 1536)) == 1
    assert len(device.calls) == 64
    device.calls.clear()
    pool.memory.sync_for_cpu(page, 14, 60)
    assert device.calls == [("cpu", start + 14, 60)]
    device.calls.clear()
    for size in (-1, 60, 4096, 0):
        pool.put(page, size, True)
        assert pool.alloc() is page
    assert device.calls == [("device", start, length) for length in (1536, 60, 1536, 0)]
    assert device.maps == 64  # recycling never maps again
    page.get()
    device.calls.clear()
    pool.put(page)
    assert device.calls == []  # a page that leaves is not for the device


def test_map_failure_loses_one_page_of_a_bulk() -> None:  # checklist 27
    device, provider = Device(fail_at=3), LocalProvider()
    pool = make(provider, dma_map=True, dev=device)
    take(pool, 63)
    assert (pool.inflight, pool.stats.alloc_slow) == (63, 1)
    assert provider.live_bytes == 63 * 4096
    device.fail_at = device.maps + 1
    assert make(provider, dma_map=True, dev=device, order=1).alloc() is None
    assert provider.live_bytes == 63 * 4096


def test_dma_ids() -> None:
    pages = take(make(), 4)
    table = DmaTable(bits=2)
    assert [table.add(page) for page in pages[:3]] == [1, 2, 3]
    with pytest.raises(PoolError, match=r"^all 3 DMA ids are in use$"):
        table.add(pages[3])
    assert not table.take(2, pages[0])
    assert table.take(2, pages[1])
    assert not table.take(2, pages[1])
    assert table.add(pages[3]) == 2
    assert len(table) == 3


# In flight and the end -----------------------------------------------------------------------

def test_inflight_includes_idle_pages() -> None:
    """Pitfall 5."""
    pool = make()
    for page in take(pool, 10):
        pool.put(page)
    assert (pool.inflight, pool.idle) == (64, 64)


def test_counters_wrap() -> None:
    """Pitfall 12."""
    pool = make(page_bytes=65536)
    pool.memory.hold_cnt = pool.memory.release_cnt = 0xFFFFFFFE
    pages = take(pool, 4)
    assert (pool.memory.hold_cnt, pool.inflight) == (2, 4)
    for page in pages:
        pool.put(page)
    assert pool.destroy()
    assert pool.memory.release_cnt == 2
    assert [serial_difference(*pair) for pair in ((0, 1), (1, 0xFFFFFFFF), (0x80000000, 0))] \
        == [-1, 2, -0x80000000]


def test_release_is_counted_before_the_memory_goes() -> None:
    """Pitfall 11: when the memory is freed the page no longer knows its pool."""
    seen = []

    class Memory:
        def __init__(self, size: int, align: int) -> None:
            self.address, self.view = align, memoryview(bytearray(size))

        def free(self) -> None:
            seen.append((pool.memory.release_cnt, page.pool, page.dma_address))

    class Provider:
        def allocate_region(self, size: int, align: int = 4096) -> Memory:
            return Memory(size, align)

    pool = make(Provider(), order=1, dma_map=True)
    page, = take(pool, 1)
    page.pfmemalloc = True
    pool.put(page)
    assert seen == [(1, None, 0)]


def test_destroy_never_waits() -> None:
    """Pitfalls 9 and 14: everything is unmapped at once; late returns are let go at a tick."""
    device, provider = Device(), LocalProvider()
    pool = make(provider, dma_map=True, dma_sync=True, max_len=4096, dev=device, owner=ME)
    late, later, idle = take(pool, 3)
    pool.put(idle)
    assert not pool.destroy()
    assert (device.unmaps, device.live, pool.idle, pool.inflight) == (64, set(), 0, 2)
    assert pool.owner is None
    late.view[0] = 7
    device.calls.clear()
    before = pool.stats
    pool.put(late, allow_direct=True)
    assert moved(pool, before) == {"recycle_ring": 1}
    assert device.calls == []
    assert not pool.release_retry()
    assert (pool.inflight, provider.live_bytes) == (1, 4096)
    pool.put(later)
    assert pool.inflight == 1
    assert pool.release_retry()
    assert pool.release_retry()
    assert (pool.finished, pool.destroy_cnt, provider.live_bytes) == (True, 3, 0)
    assert device.unmaps == 64
    for call in (pool.alloc, pool.destroy, pool.acquire):
        refuse(pool, [], "the pool was destroyed", call)


def test_each_user_destroys() -> None:
    pool = make()
    pool.acquire()
    assert not pool.destroy()
    assert take(pool, 1)[0].pool is pool
    refuse(pool, [], "destroy() must come before release_retry()", pool.release_retry)


def test_negative_inflight_stops_the_retries_forever(caplog: pytest.LogCaptureFixture) -> None:
    """Pitfall 16."""
    pool = make(compat=True, page_bytes=65536)
    page, other, *_ = take(pool, 4)
    for _ in range(5):
        pool.put(page)
    sentence = "^" + re.escape(
        "inflight is -1: more pages were released (5) than obtained (4)") + "$"
    with pytest.raises(PoolError, match=sentence):
        pool.destroy()
    assert caplog.messages == [f"idle page at {page.address:#x} has refcount 0"] * 4
    with pytest.raises(PoolError, match=sentence):
        pool.release_retry()
    pool.put(other)
    assert not pool.release_retry()  # raises no more, and does no more
    assert (pool.idle, pool.inflight, pool.finished) == (1, -1, False)
    assert (pool.stats.inflight, pool.stats.as_netlink()["inflight"]) == (0, 0)


# The card ------------------------------------------------------------------------------------

def test_region_is_aligned_and_counted() -> None:
    device = Device()
    pool = make(dma_map=True, dev=device)
    take(pool, 1)  # so that the provider's next address is not aligned by luck
    before = pool.stats
    region = pool.alloc_region(512)
    assert moved(pool, before) == {"alloc_slow": 1, "inflight": 512}
    assert region.size == 1 << 21
    assert region.address % region.size == 0
    assert region.address == region.memory.address
    assert [page.address - region.address for page in region.pages[:3]] == [0, 4096, 8192]
    region.memory.view[4096] = 9
    assert region.pages[1].view[0] == 9
    assert (device.maps, len(device.live)) == (64 + 512, 64 + 512)


@pytest.mark.parametrize("pages", [0, -4, 3])
def test_region_wrong_pages(pages: int) -> None:
    pool = make()
    refuse(pool, [], f"pages of a region must be a power of two, not {pages}",
           pool.alloc_region, pages)


def test_region_failures_leave_nothing() -> None:
    pool = make(FaultyProvider(LocalProvider(), 1))
    refuse(pool, [], "request 1 for 32768 bytes failed on purpose", pool.alloc_region, 8)
    device, provider = Device(fail_at=5), LocalProvider()
    pool = make(provider, dma_map=True, dev=device)
    refuse(pool, [], "cannot map", pool.alloc_region, 8)
    assert (device.unmaps, device.live, provider.live_bytes) == (4, set(), 0)
    assert pool.memory.hold_cnt == 0


def test_put_region_waits_for_the_hosts_pages_only() -> None:
    device, provider = Device(), LocalProvider()
    pool = make(provider, dma_map=True, dev=device)
    region = pool.alloc_region(8)
    held = region.pages[3]
    pool.ref_page(held)
    before = pool.stats
    pool.put_region(region)
    assert moved(pool, before) == {"inflight": -7}
    assert device.live == {held.dma_address}
    assert provider.live_bytes == 8 * 4096
    held.view[0] = 1
    refuse(pool, region.pages, f"region at {region.address:#x} was put already",
           pool.put_region, region)
    pool.put(held, allow_direct=True)
    assert moved(pool, before) == {"inflight": -8}
    assert (device.live, device.unmaps, provider.live_bytes) == (set(), 8, 0)
    refuse(pool, region.pages, f"page at {held.address:#x} was released", pool.put, held)


def test_the_host_cannot_put_the_cards_reference() -> None:
    pool = make()
    region = pool.alloc_region(2)
    page = region.pages[0]
    sentence = f"the last reference of the page at {page.address:#x} is the card's: put its region"
    refuse(pool, region.pages, sentence, pool.put, page)
    pool.ref_page(page)
    refuse(pool, region.pages, sentence, pool.unref, page, 2)
    pool.put(page)
    refuse(pool, region.pages, sentence, PagePool.put_bulk, [page])


def test_put_region_of_another_pool() -> None:
    pool, region = make(), make().alloc_region(1)
    single, = take(pool, 1)
    for wrong in (region, single.region):
        refuse(pool, region.pages, f"region at {wrong.address:#x} is not a region of this pool",
               pool.put_region, wrong)


def test_region_after_destroy() -> None:
    device, provider = Device(), LocalProvider()
    pool = make(provider, dma_map=True, dev=device)
    region = pool.alloc_region(4)
    assert not pool.destroy()
    assert (device.unmaps, provider.live_bytes) == (4, 4 * 4096)
    pool.put_region(region)
    assert (device.unmaps, provider.live_bytes) == (4, 0)
    assert pool.release_retry()


def test_note_card() -> None:
    pool = make()
    pool.note_card(served=7, returned=5)
    assert pool.stats == PagePoolStats(alloc_fast=7, recycle_ring=5)
    refuse(pool, [], "the card cannot have served -1 and taken back 0 pages",
           pool.note_card, -1, 0)


def test_netlink_names() -> None:
    values = PagePoolStats(*range(1, 13)).as_netlink()
    assert list(values) == [
        "alloc-fast", "alloc-slow", "alloc-slow-high-order", "alloc-empty", "alloc-refill",
        "alloc-waive", "recycle-cached", "recycle-cache-full", "recycle-ring",
        "recycle-ring-full", "recycle-released-refcnt", "inflight"]
    assert list(values.values()) == list(range(1, 13))


# Any order of calls --------------------------------------------------------------------------

class AnyOrder(RuleBasedStateMachine):
    """Calls in any order; what is out is tracked here, independently of the pool."""

    @initialize(page_bytes=st.sampled_from([16384, 65536]), slots=st.sampled_from([1, 5, 32, 40]),
                every=st.sampled_from([3, 7, 1000]), owner=st.sampled_from([None, ME]))
    def create(self, page_bytes: int, slots: int, every: int, owner: int | None) -> None:
        self.device, self.local = Device(), LocalProvider()
        self.pool = make(FaultyProvider(self.local, every), page_bytes=page_bytes, owner=owner,
                         pool_size=slots, dma_map=True, dev=self.device)
        self.out: dict[Page, int] = {}  # page: references of ours
        self.held: list[Page] = []  # a memory reference of ours each
        self.regions: list[PageRegion] = []
        self.allocs = self.regions_made = self.returns = 0

    @rule(count=st.integers(1, 24))
    def alloc(self, count: int) -> None:
        for _ in range(count):
            page = self.pool.alloc()
            if page is None:
                break
            assert page not in self.out
            assert page.pool is self.pool
            assert (page.pp_ref_count, page.refcount) == (1, 1)
            assert page.dma_address in self.device.live
            self.out[page] = 1
            self.allocs += 1

    def pick(self, data: st.DataObject) -> Page:
        return data.draw(st.sampled_from(list(self.out)))

    def dropped(self, page: Page) -> None:
        self.out[page] -= 1
        if not self.out[page]:
            del self.out[page]
            card = page.region.pool is not None
            self.returns += not card

    @precondition(lambda self: self.out)
    @rule(data=st.data(), count=st.integers(1, 24), direct=st.booleans())
    def put(self, data: st.DataObject, count: int, direct: bool) -> None:
        for page in data.draw(st.permutations(list(self.out)))[:count]:
            self.pool.put(page, allow_direct=direct)
            self.dropped(page)

    @precondition(lambda self: self.out)
    @rule(data=st.data(), count=st.integers(1, 16))
    def put_bulk(self, data: st.DataObject, count: int) -> None:
        pages = data.draw(st.permutations(list(self.out)))[:count]
        self.pool.put_bulk(pages)
        for page in pages:
            self.dropped(page)

    @precondition(lambda self: self.out)
    @rule(data=st.data(), hold=st.sampled_from(["pp", "mm", "reserve"]))
    def hold(self, data: st.DataObject, hold: str) -> None:
        page = self.pick(data)
        if hold == "pp":
            self.pool.ref_page(page)
            self.out[page] += 1
        elif hold == "mm":
            page.get()
            self.held.append(page)
        else:
            page.pfmemalloc = True

    @precondition(lambda self: self.out)
    @rule(data=st.data(), bulk=st.booleans())
    def put_once_too_often(self, data: st.DataObject, bulk: bool) -> None:
        page = self.pick(data)
        for _ in range(self.out[page]):
            self.pool.put(page)
            self.dropped(page)
        before = state(self.pool, [page])
        with pytest.raises(PoolError):
            self.pool.put_bulk([page]) if bulk else self.pool.put(page)
        assert state(self.pool, [page]) == before

    @rule(log2=st.integers(0, 3))
    def alloc_region(self, log2: int) -> None:
        try:
            region = self.pool.alloc_region(1 << log2)
        except PoolError:
            return
        self.regions.append(region)
        self.regions_made += 1

    @precondition(lambda self: self.regions)
    @rule(data=st.data())
    def host_takes_a_card_page(self, data: st.DataObject) -> None:
        page = data.draw(st.sampled_from(data.draw(st.sampled_from(self.regions)).pages))
        self.pool.ref_page(page)
        self.out[page] = self.out.get(page, 0) + 1

    @precondition(lambda self: self.regions)
    @rule()
    def put_region(self) -> None:
        self.pool.put_region(self.regions.pop(0))

    @rule(nid=st.integers(-1, 1))
    def update_nid(self, nid: int) -> None:
        self.pool.update_nid(nid)

    @invariant()
    def conserves(self) -> None:
        pool, stats = self.pool, self.pool.stats
        card = {page for region in self.regions for page in region.pages}
        assert pool.inflight == pool.idle + len(card | self.out.keys()) == stats.inflight
        assert len(self.device.live) == len(pool.memory.mapped) == pool.inflight
        assert stats.allocations == self.allocs + self.regions_made
        assert self.device.maps - self.device.unmaps == pool.inflight

    @invariant()
    def accounts_for_returns(self) -> None:
        """Each page that came back was kept, or let go under exactly one name or a full ring."""
        stats = self.pool.stats
        known = stats.recycle_cached + stats.recycle_ring + stats.recycle_released_refcnt
        assert known <= self.returns
        assert (known == self.returns) is (stats.recycle_ring_full == 0)

    def teardown(self) -> None:
        if not hasattr(self, "pool"):
            return
        missing = len(self.out.keys() | {p for region in self.regions for p in region.pages})
        assert self.pool.destroy() is (missing == 0)
        assert not self.device.live
        for region in self.regions:
            self.pool.put_region(region)
        for page, references in self.out.items():
            for _ in range(references):
                self.pool.put(page)
        assert self.pool.release_retry()
        assert self.device.unmaps == self.device.maps
        for page in self.held:
            page.put()
        assert self.local.live_bytes == 0


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
