"""How a pool ends: at once if all of its pages are there, else bit by bit.

Destruction never waits. It takes away what makes the pool useful, unmaps every page, and leaves
behind only what late returns need: a ring to land in and a count of what is missing.
"""

from __future__ import annotations

from pagering.errors import PoolError
from pagering.page_pool_idle import IdlePages
from pagering.page_pool_memory import PoolMemory

__all__ = ["PoolLifetime"]


class PoolLifetime:
    """Users and end of a pool.

    Parameters
    ----------
    memory : PoolMemory
        What the pool holds.
    idle : IdlePages
        Which part of it waits.
    owner : int or None
        As the attribute.

    Attributes
    ----------
    memory : PoolMemory
        Entry and exit of pages, with the counters ``hold_cnt`` and ``release_cnt``.
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
    """

    def __init__(self, memory: PoolMemory, idle: IdlePages, owner: int | None) -> None:
        self.memory = memory
        self.owner = owner
        self.user_cnt = 1
        self.destroy_cnt = 0
        self.finished = False
        self.retry_armed = False
        self._idle = idle

    @property
    def inflight(self) -> int:
        """Pages obtained and not let go: idle, handed out or on the card. May be negative."""
        return self.memory.inflight

    def acquire(self) -> None:
        """Register one more user, who must call :meth:`destroy` too."""
        self._check_alive()
        self.user_cnt += 1

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
        self.owner = None
        inflight = self._release_all()
        self.retry_armed = bool(inflight)
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
        return self.finished

    def _check_alive(self) -> None:
        if not self.user_cnt:
            raise PoolError("the pool was destroyed")

    def _check_inflight(self, inflight: int) -> None:
        if inflight < 0:
            raise PoolError(f"inflight is {inflight}: more pages were released "
                            f"({self.memory.release_cnt}) than obtained ({self.memory.hold_cnt})")

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
        return inflight
