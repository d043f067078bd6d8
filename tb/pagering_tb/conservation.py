"""The two conservation laws, read from the card's own counters at a quiescent point.

Frames: what came in was delivered or dropped for a named cause. Pages: each registered page is on
its pool's ring or held by exactly one queue, and what a queue holds is with the host or is the one
page it fills. Both are exact; :func:`check_frames` and :func:`check_pages` return a sentence for
each that does not hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pagering import Card, abi

from .scoreboard import Scoreboard

__all__ = ["PoolLevels", "check_frames", "check_pages", "read_levels"]


@dataclass(frozen=True)
class PoolLevels:
    """Where the pages of one pool are."""

    pool: int
    registered: int
    free: int
    outstanding: int
    peak: int
    held: Mapping[int, int]
    """Pages off the ring by queue; of one that also draws from another pool, of both."""

    @property
    def open(self) -> int:
        """Pages that the card still fills, or has filled and not yet handed over."""
        return self.registered - self.free - self.outstanding


def read_levels(card: Card) -> list[PoolLevels]:
    """Read the levels of all open pools; blocking driver code."""
    return [PoolLevels(pool.index, pool.registered, pool.free, pool.outstanding, pool.peak,
                       {queue.index: queue.held for queue in card.queues
                        if pool in queue.pools})
            for pool in card.pools]


def check_frames(counters: Mapping[str, int], board: Scoreboard) -> list[str]:
    """Check frames in = delivered + drops, and both against what the bench saw.

    Parameters
    ----------
    counters : Mapping[str, int]
        From :meth:`pagering.Card.counters`, read while nothing is under way.
    board : Scoreboard
        What went in and came out.
    """
    problems = []
    came, delivered = counters["frames_in"], counters["frames_delivered"]
    drops = {cause: counters[f"drop_{cause.name.lower()}"] for cause in abi.DropCause}
    total = sum(drops.values())
    named = ", ".join(f"{n} {cause.name.lower()}" for cause, n in drops.items() if n) or "no drops"
    if came != delivered + total:
        problems.append(f"the card counts {came} frames in, but {delivered} delivered and {named}")
    if came != board.sent:
        problems.append(f"{board.sent} frames were sent, but the card counts {came}")
    if delivered != board.received:
        problems.append(f"{board.received} frames were received, but the card counts {delivered}")
    if total != board.lost + board.rejected:
        problems.append(f"{board.lost + board.rejected} frames did not come out, but the card "
                        f"counts {named}")
    return problems


def check_pages(levels: list[PoolLevels], returned: bool = True) -> list[str]:
    """Check that each registered page is somewhere, once.

    Parameters
    ----------
    levels : list[PoolLevels]
        Read while nothing is under way.
    returned : bool
        Whether the host has returned everything, so that nothing may be outstanding.
    """
    problems = []
    for group in _groups(levels):
        by_queue = {queue: pages for level in group for queue, pages in level.held.items()}
        held = sum(by_queue.values())
        free, registered = (sum(getattr(level, name) for level in group)
                            for name in ("free", "registered"))
        if free + held != registered:
            names = " and ".join(f"pool {level.pool}" for level in group)
            problems.append(f"{names} has {registered} pages, but {free} on the ring and {held} "
                            f"with its queues")
    for level in levels:
        if not 0 <= level.open <= len(level.held):
            problems.append(f"pool {level.pool} has {level.open} pages neither on the ring nor "
                            f"outstanding; its {len(level.held)} queues fill one each at most")
        if returned and level.outstanding:
            problems.append(f"pool {level.pool} counts {level.outstanding} pages outstanding, but "
                            f"all were returned")
    return problems


def _groups(levels: list[PoolLevels]) -> list[list[PoolLevels]]:
    """Put together the pools that have a queue in common."""
    groups: list[list[PoolLevels]] = []
    for level in levels:
        joined = [group for group in groups
                  if any(level.held.keys() & other.held.keys() for other in group)]
        groups = [group for group in groups if group not in joined]
        groups.append([*(other for group in joined for other in group), level])
    return groups
