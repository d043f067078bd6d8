"""Page pools: limit, failures on purpose, hooks of a provider, and what others see of a pool."""

from __future__ import annotations

import logging

import pytest

from page_pools import ME, Device, make, moved, refuse, take
from pagering.errors import PoolError
from pagering.page_pool import Page, PagePool, PagePoolParams, PagePoolStats
from pagering.page_pool_guard import AllocationGuard
from pagering.page_pool_hooks import MemoryProviderHooks
from pagering.page_pool_page import PageRegion
from pagering.page_pool_params import NUMA_NO_NODE
from pagering.page_pool_user import POOLS, PoolRegistry
from pagering.providers import LocalProvider

# Limit and faults ----------------------------------------------------------------------------

def test_limit_of_outstanding_pages() -> None:
    """Idle pages and the card's are not outstanding; a refusal is in no statistic."""
    pool = make(pool={"limit": 3})
    pool.alloc_region(8)
    first, *_ = take(pool, 3)
    before = pool.stats
    assert pool.alloc() is None
    assert pool.alloc_frag(64) is None
    assert (moved(pool, before), pool.outstanding, pool.guard.limit_hits) == ({}, 3, 2)
    pool.put(first)
    take(pool, 1)
    assert pool.outstanding == 3


def test_open_page_counts_once_against_the_limit() -> None:
    pool = make(pool={"limit": 1})
    assert pool.alloc_frag(64)
    assert pool.alloc_frag(64)
    assert pool.alloc() is None


def test_no_limit_as_in_linux() -> None:
    pool = make()
    take(pool, 5000)
    assert (pool.outstanding, pool.guard.calls) == (5000, 0)


def test_every_nth_allocation_fails() -> None:
    """As Linux's fault injection on page_pool_alloc_netmems, which the fragments run into too."""
    pool = make(pool={"fail_every": 511})
    failed = []
    for call in range(1, 1500):
        page = pool.alloc()
        if page is None:
            failed.append(call)
        else:
            pool.recycle_direct(page)
    assert failed == [511, 1022]
    assert pool.stats.allocations == 1497
    assert pool.guard.failures == 2
    hopeless = make(pool={"fail_every": 1})
    assert hopeless.alloc() is None
    assert hopeless.alloc_fit(64) is None
    assert hopeless.stats == PagePoolStats()


@pytest.mark.parametrize(("wrong", "sentence"), [
    ({"limit": 0}, "limit must be at least 1 page, not 0"),
    ({"fail_every": -1}, "fail_every must not be negative, not -1"),
])
def test_guard_wrong(wrong: dict[str, int], sentence: str) -> None:
    with pytest.raises(PoolError, match=f"^{sentence}$"):
        AllocationGuard(**wrong)


# Hooks ---------------------------------------------------------------------------------------

class Area:
    """Hooks over one region of a few pages, with a list of what was called."""

    def __init__(self, count: int, fill: int = 1) -> None:
        region = PageRegion(LocalProvider().allocate_region(count * 4096), count, 4096,
                            NUMA_NO_NODE)
        self.free = region.pages
        self.fill = fill
        self.calls: list[str] = []

    def init(self, pool: PagePool) -> None:
        self.calls.append("init")
        if pool.params.order:
            raise PoolError("this memory has pages of order 0 only")

    def destroy(self, pool: PagePool) -> None:
        self.calls.append("destroy")

    def alloc_page(self, pool: PagePool) -> Page | None:
        fresh = [self.free.pop() for _ in range(min(self.fill, len(self.free)))]
        for page in fresh:
            pool.memory.adopt(page)
        for page in fresh[1:]:
            pool.place_in_cache(page)
        return fresh[0] if fresh else None

    def release_page(self, pool: PagePool, page: Page) -> bool:
        page.pool = None
        self.free.append(page)
        return False


MAPPED = {"dma_map": True, "dma_sync": True, "max_len": 4096}


def test_hooks_serve_the_pool() -> None:
    """Pitfall 15: an allocation from the hooks counts as empty and as nothing else."""
    area = Area(2)
    assert isinstance(area, MemoryProviderHooks)
    device = Device()
    pool = make(pool={"hooks": area}, dev=device, **MAPPED)
    first, second = take(pool, 2)
    assert pool.alloc() is None
    assert pool.stats == PagePoolStats(alloc_empty=3, inflight=2)
    assert device.maps == 0  # the hooks map their memory
    pool.put(first)
    before = pool.stats
    assert pool.alloc() is first  # on no node, so never waived
    assert moved(pool, before) == {"alloc_refill": 1}
    pool.put(first)
    pool.put(second)
    assert pool.destroy()
    assert area.calls == ["init", "destroy"]
    assert set(area.free) == {first, second}


def test_hooks_fill_the_cache() -> None:
    pool = make(pool={"hooks": Area(8, fill=4)}, **MAPPED)
    take(pool, 8)
    assert pool.stats == PagePoolStats(alloc_empty=2, alloc_fast=6, inflight=8)


def test_hooks_get_pages_back_when_the_ring_is_full() -> None:
    area = Area(3)
    pool = make(pool={"hooks": area}, pool_size=1, **MAPPED)
    pages = take(pool, 3)
    before = pool.stats
    pool.put_bulk(pages)
    assert moved(pool, before) == {"recycle_ring": 1, "recycle_ring_full": 1, "inflight": -2}
    assert area.free == pages[1:]


def test_hooks_and_parameters() -> None:
    """In the kernel's order: mapping, then the hooks' own word; the order is theirs to judge."""
    for params in ({}, {"dma_map": True}):
        with pytest.raises(PoolError, match=r"^memory from a provider's hooks needs dma_map and "
                                            r"dma_sync$"):
            make(pool={"hooks": Area(1)}, order=11, **params)
    with pytest.raises(PoolError, match=r"^this memory has pages of order 0 only$"):
        make(pool={"hooks": Area(1)}, order=11, **MAPPED)
    pool = make(pool={"hooks": Area(1)}, **MAPPED)
    refuse(pool, [], "memory from a provider's hooks cannot be registered with a card",
           pool.alloc_region, 1)


def test_hooks_may_switch_syncs_off() -> None:
    device = Device()
    pool = make(pool={"hooks": Area(1)}, dev=device, **MAPPED)
    pool.memory.dma_sync = pool.memory.dma_sync_for_cpu = False
    page, = take(pool, 1)
    pool.memory.sync_for_cpu(page, 0, 64)
    pool.put(page)
    assert device.calls == []


# Direct recycling, nodes, users --------------------------------------------------------------

def test_direct_recycling_is_switched() -> None:
    pool = make()
    page, = take(pool, 1)
    pool.enable_direct_recycling()
    pool.enable_direct_recycling(ME)  # again changes nothing
    before = pool.stats
    pool.put(page)
    assert moved(pool, before) == {"recycle_cached": 1}
    refuse(pool, [], f"thread {ME} recycles directly; disable that first",
           pool.enable_direct_recycling, ME + 1)
    pool.disable_direct_recycling()
    pool.put(*take(pool, 1))
    assert moved(pool, before)["recycle_ring"] == 1


def test_nid_changed_spares_the_cache_if_it_did_not() -> None:
    pool = make(nid=0)
    take(pool, 1)
    pool.nid_changed(0)
    assert pool.idle == 63
    pool.nid_changed(1)
    assert (pool.idle, pool.nid) == (0, 1)


def test_init_callback_sees_each_page_once() -> None:
    seen: list[Page] = []
    pool = make(init_callback=seen.append, page_bytes=65536)
    pages = take(pool, 4)
    for _ in range(3):
        for page in pages:
            pool.recycle_direct(page)
        take(pool, 4)
    assert seen == pages[::-1]


def test_disconnect_is_called_at_the_very_end() -> None:
    calls: list[str] = []
    pool = make()
    pool.acquire(lambda: calls.append("done"))
    page, = take(pool, 1)
    assert not pool.destroy()
    assert not pool.destroy()
    assert calls == []
    pool.put(page)
    assert pool.release_retry()
    assert calls == ["done"]


def test_a_direct_return_after_destroy_lands_in_the_ring() -> None:
    pool = make()
    page, = take(pool, 1)
    pool.destroy()
    before = pool.stats
    pool.recycle_direct(page)
    assert moved(pool, before) == {"recycle_ring": 1}


# What others see -----------------------------------------------------------------------------

def test_a_pool_is_told_of_until_it_is_finished() -> None:
    seen: list[tuple[str, object]] = []
    now = [100.0]
    stop = POOLS.listen(lambda what, pool: seen.append((what, pool["inflight"])))
    pool = make(netdev="pr7", order=1, owner=ME, pool={"clock": lambda: now[0]})
    page, = take(pool, 1)
    assert POOLS.get(pool.id) is pool
    assert POOLS.dump("pr7") == [pool]
    assert POOLS.describe(pool) == {"id": pool.id, "ifname": "pr7", "napi-id": ME, "inflight": 1,
                                    "inflight-mem": 8192}
    pool.destroy()
    now[0] += 1
    assert POOLS.describe(pool) == {"id": pool.id, "ifname": "pr7", "inflight": 1,
                                    "inflight-mem": 8192, "detach-time": 100}
    pool.put(page)
    pool.release_retry()
    assert (POOLS.get(pool.id), POOLS.dump("pr7")) == (None, [])
    stop()
    make(netdev="pr7")
    assert seen == [("add", 0), ("change", 1), ("del", 0)]


def test_pool_without_a_device_is_not_listed() -> None:
    seen: list[str] = []
    stop = POOLS.listen(lambda what, pool: seen.append(what))
    pool = make()
    stop()
    assert POOLS.get(pool.id) is pool
    assert seen == []


def test_ids_go_round() -> None:
    registry = PoolRegistry(last=(1 << 32) - 2)
    first, second, third = make(), make(), make()
    assert [registry.enter(pool) for pool in (first, second, third)] == [(1 << 32) - 1, 1, 2]
    again = PoolRegistry(last=(1 << 32) - 1)
    again.enter(first)
    assert again.get(1) is first


@pytest.mark.parametrize("netdev", [None, "pr0"])
def test_stalled_shutdown_is_warned_of(netdev: str | None,
                                       caplog: pytest.LogCaptureFixture) -> None:
    """Each minute, and only of a pool that nobody can see."""
    now = [0.0]
    pool = PagePool(PagePoolParams(netdev=netdev), LocalProvider(), clock=lambda: now[0])
    page, = take(pool, 1)
    pool.destroy()
    with caplog.at_level(logging.WARNING):
        for second in range(1, 130):
            now[0] = second
            pool.release_retry()
    warned = [f"stalled pool shutdown: id {pool.id}, 1 inflight {at} sec" for at in (60, 120)]
    assert caplog.messages == ([] if netdev else warned)
    pool.put(page)
    assert pool.release_retry()
