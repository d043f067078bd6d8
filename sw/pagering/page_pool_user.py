"""What others see of page pools: the answers of netlink's ``page-pool-get``, and its notices.

Every pool has an id. Pools of a device are listed under its name, also after they were destroyed
while pages are missing; those without a device can only be looked up by id.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pagering.page_pool_lifetime import PoolLifetime

__all__ = ["POOLS", "PoolRegistry"]

_IDS = (1 << 32) - 1

Notice = Callable[[str, dict[str, object]], None]
"""Called with ``add``, ``change`` or ``del`` and what :meth:`PoolRegistry.describe` tells."""


class PoolRegistry:
    """Pools by id. Ids start at 1 and are given out in a circle of 32 bits.

    Parameters
    ----------
    last : int
        The id given out last; the next one follows.
    """

    def __init__(self, last: int = 0) -> None:
        self._last = last
        self._pools: weakref.WeakValueDictionary[int, PoolLifetime] = weakref.WeakValueDictionary()
        self._listeners: list[Notice] = []
        self._lock = threading.Lock()

    def enter(self, pool: PoolLifetime) -> int:
        """Give ``pool`` an id."""
        with self._lock:
            while True:
                self._last = self._last % _IDS + 1
                if self._last not in self._pools:
                    break
            self._pools[self._last] = pool
            return self._last

    def leave(self, pool: PoolLifetime) -> None:
        """Forget a finished pool."""
        self.notify("del", pool)
        with self._lock:
            self._pools.pop(pool.id, None)

    def get(self, pool_id: int) -> PoolLifetime | None:
        """Return the pool with this id."""
        return self._pools.get(pool_id)

    def dump(self, netdev: str) -> list[PoolLifetime]:
        """Return the pools of a device, by id."""
        with self._lock:
            return [pool for _, pool in sorted(self._pools.items())
                    if pool.params.netdev == netdev]

    def listen(self, notice: Notice) -> Callable[[], None]:
        """Have ``notice`` called for pools of a device; returns what ends it."""
        self._listeners.append(notice)
        return lambda: self._listeners.remove(notice)

    def notify(self, what: str, pool: PoolLifetime) -> None:
        """Tell the listeners of ``pool``, if it is a device's."""
        if pool.params.netdev is not None:
            for notice in tuple(self._listeners):
                notice(what, self.describe(pool))

    @staticmethod
    def describe(pool: PoolLifetime) -> dict[str, object]:
        """Return what netlink tells of a pool, by attribute; what does not apply is left out."""
        inflight = max(pool.inflight, 0)
        seen: dict[str, object] = {"id": pool.id}
        if pool.params.netdev is not None:
            seen["ifname"] = pool.params.netdev
        if pool.owner is not None:
            seen["napi-id"] = pool.owner  # the thread that plays its part
        seen["inflight"] = inflight
        seen["inflight-mem"] = inflight * pool.params.size
        if pool.detach_time is not None:
            seen["detach-time"] = int(pool.detach_time)
        return seen


POOLS = PoolRegistry()
"""The pools of this process."""
