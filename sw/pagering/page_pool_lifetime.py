"""How a pool ends: at once if all of its pages are there, else bit by bit.

Destruction never waits. It takes away what makes the pool useful, unmaps every page, and leaves
behind only what late returns need: a ring to land in and a count of what is missing.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from pagering.errors import PoolError
from pagering.page_pool_fragments import PageFragments
from pagering.page_pool_idle import IdlePages
from pagering.page_pool_memory import PoolMemory
from pagering.page_pool_params import PagePoolParams
from pagering.page_pool_user import POOLS

__all__ = ["DEFER_WARN_INTERVAL", "PoolLifetime"]

DEFER_WARN_INTERVAL = 60.0
"""Seconds between warnings about a pool that cannot finish and that nobody can see."""

_log = logging.getLogger(__name__)


class PoolLifetime:
    """Users, owner and end of a pool.

    Parameters
    ----------
    params : PagePoolParams
        Checked parameters.
    memory : PoolMemory
        What the pool holds.
    idle : IdlePages
        Which part of it waits.
    fragments : PageFragments
        The page that it keeps open.
    clock : callable
        Seconds, from any start.

    Attributes
    ----------
    params, memory, fragments
        As given. ``owner`` below starts from ``params.owner`` and may change.
    id : int
        Names the pool in :data:`~pagering.page_pool_user.POOLS`.
    owner : int or None
        The thread whose returns are direct without asking. Nobody's after :meth:`destroy`.
    user_cnt : int
        Users that must call :meth:`destroy` before it acts.
    destroy_cnt : int
        Attempts to release everything so far.
    finished : bool
        Destroyed, and the last page was released.
    retry_armed : bool
        Destroyed, and :meth:`release_retry` still has work. False forever after more pages were
        released than obtained: such a pool never finishes.
    detach_time : float or None
        When it was destroyed, if pages were missing then.
    """

    def __init__(self, params: PagePoolParams, memory: PoolMemory, idle: IdlePages,
                 fragments: PageFragments, clock: Callable[[], float]) -> None:
        self.params = params
        self.memory = memory
        self.fragments = fragments
        self.owner = params.owner
        self.user_cnt = 1
        self.destroy_cnt = 0
        self.finished = False
        self.retry_armed = False
        self.detach_time: float | None = None
        self.id = 0
        self._idle = idle
        # Whether a page that comes back has nothing to be done for it: it can go on the stack.
        self._plain = not params.dma_sync
        self._clock = clock
        self._warn_at = 0.0
        self._disconnect: Callable[[], None] | None = None

    @property
    def inflight(self) -> int:
        """Pages obtained and not let go: idle, handed out or on the card. May be negative."""
        return self.memory.inflight

    def enable_direct_recycling(self, owner: int | None = None) -> None:
        """Have the returns of one thread, this one if left out, go to the cache without asking.

        Raises
        ------
        PoolError
            If another thread is the owner, or the pool was destroyed.
        """
        self._check_alive()
        owner = threading.get_ident() if owner is None else owner
        if self.owner not in (None, owner):
            raise PoolError(f"thread {self.owner} recycles directly; disable that first")
        self.owner = owner

    def disable_direct_recycling(self) -> None:
        """End it. The owner must not be allocating or returning meanwhile."""
        self.owner = None

    def acquire(self, disconnect: Callable[[], None] | None = None) -> None:
        """Register one more user, who must call :meth:`destroy` too.

        Parameters
        ----------
        disconnect : callable or None
            Called when the pool is finished. Only the last one given is.
        """
        self._check_alive()
        self.user_cnt += 1
        self._disconnect = disconnect or self._disconnect

    def destroy(self) -> bool:
        """Give up the pool: never waits for pages that are still out.

        Idle pages are released and *all* pages are unmapped at once, those that the host still
        holds included. Their memory stays valid until they are put.

        Returns
        -------
        bool
            Whether it is finished. If not: other users are left, or :meth:`release_retry` must be
            called every second until it returns True.

        Raises
        ------
        PoolError
            If it was destroyed before, or more pages were released than obtained.
        """
        self._check_alive()
        self.user_cnt -= 1
        if self.user_cnt:
            return False
        self.disable_direct_recycling()
        self._plain = False
        self.fragments.close()
        inflight = self._release_all()
        if inflight:
            self.retry_armed = True
            self.detach_time = self._clock()
            self._warn_at = self.detach_time + DEFER_WARN_INTERVAL
            POOLS.notify("change", self)
        self._check_inflight(inflight)
        return self.finished

    def release_retry(self) -> bool:
        """Release what came back since. One tick of the work that Linux does every second.

        Returns
        -------
        bool
            Whether the pool is finished.

        Raises
        ------
        PoolError
            If the pool is not destroyed, or more pages were released than obtained. The latter
            is raised once; the pool then never finishes.
        """
        if self.user_cnt:
            raise PoolError("destroy() must come before release_retry()")
        if self.retry_armed:
            inflight = self._release_all()
            self.retry_armed = inflight > 0
            self._check_inflight(inflight)
            self._warn_if_stalled(inflight)
        return self.finished

    def _check_alive(self) -> None:
        if not self.user_cnt:
            raise PoolError("the pool was destroyed")

    def _check_inflight(self, inflight: int) -> None:
        if inflight < 0:
            raise PoolError(f"inflight is {inflight}: more pages were released "
                            f"({self.memory.release_cnt}) than obtained ({self.memory.hold_cnt})")

    def _warn_if_stalled(self, inflight: int) -> None:
        # A device's pools can be looked at, so only the others must make themselves heard.
        now = self._clock()
        if (inflight and self.params.netdev is None and self.detach_time is not None
                and now >= self._warn_at):
            _log.warning("stalled pool shutdown: id %d, %d inflight %d sec",
                         self.id, inflight, now - self.detach_time)
            self._warn_at = now + DEFER_WARN_INTERVAL

    def _release_all(self) -> int:
        if not self.destroy_cnt:
            self._idle.empty_cache()
            self.memory.unmap_all()
        self.destroy_cnt += 1
        self._idle.drain_ring()
        inflight = self.memory.inflight
        # Whoever returned the last page may still be leaving the ring's lock.
        with self._idle.returns:
            self.finished = not inflight
        if self.finished:
            if self._disconnect is not None:
                self._disconnect()
            POOLS.leave(self)
            self.memory.finish()
        return inflight
