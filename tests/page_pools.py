"""What the tests of page pools share: a strict device, and a few shorthands."""

from __future__ import annotations

import re
import threading
from dataclasses import asdict
from typing import Any

import pytest

from pagering.errors import PoolError
from pagering.page_pool import Page, PagePool, PagePoolParams, PagePoolStats
from pagering.page_pool_dma import DmaDirection
from pagering.providers import LocalProvider, MemoryProvider

ME = threading.get_ident()
DMA_BASE = 1 << 40


class Device:
    """Maps at an offset, and refuses to unmap or sync what is not mapped."""

    needs_sync = True

    def __init__(self, fail_at: int = 0) -> None:
        self.live: set[int] = set()
        self.calls: list[tuple[str, int, int]] = []
        self.maps = self.unmaps = 0
        self.fail_at = fail_at

    def map_page(self, address: int, size: int, direction: DmaDirection) -> int:
        self.maps += 1
        if self.maps == self.fail_at:
            raise PoolError("cannot map")
        assert address + DMA_BASE not in self.live
        self.live.add(address + DMA_BASE)
        return address + DMA_BASE

    def unmap_page(self, dma_address: int, size: int, direction: DmaDirection) -> None:
        self.live.remove(dma_address)
        self.unmaps += 1

    def sync_for_device(self, dma_address: int, length: int) -> None:
        self.calls.append(("device", dma_address, length))

    def sync_for_cpu(self, dma_address: int, length: int) -> None:
        self.calls.append(("cpu", dma_address, length))


def make(provider: MemoryProvider | None = None, *, compat: bool = False,
         pool: dict[str, Any] | None = None, **params: Any) -> PagePool:
    return PagePool(PagePoolParams(**params), provider or LocalProvider(), kernel_compat=compat,
                    **(pool or {}))


def take(pool: PagePool, count: int) -> list[Page]:
    pages = [pool.alloc() for _ in range(count)]
    assert None not in pages
    return [page for page in pages if page is not None]


def moved(pool: PagePool, before: PagePoolStats) -> dict[str, int]:
    """Return the counters that changed, and by how much."""
    old = asdict(before)
    return {name: value - old[name] for name, value in asdict(pool.stats).items()
            if value != old[name]}


def state(pool: PagePool, pages: list[Page]) -> list[object]:
    return [pool.stats, pool.idle, pool.memory.release_cnt,
            *((p.state, p.pool, p.pp_ref_count, p.refcount) for p in pages)]


def refuse(pool: PagePool, pages: list[Page], sentence: str, call: Any, *args: Any) -> None:
    """Check that ``call`` raises exactly ``sentence`` and changes nothing."""
    before = state(pool, pages)
    with pytest.raises(PoolError, match=f"^{re.escape(sentence)}$"):
        call(*args)
    assert state(pool, pages) == before
