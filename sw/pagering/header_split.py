"""Frames in two parts: headers in memory of one pool, payload in memory of another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pagering.card_pool import CardPool

__all__ = ["HeaderSplit"]


@dataclass(frozen=True)
class HeaderSplit:
    """How a queue splits its frames.

    Headers reach up to the end of the L4 header. A frame that cannot be split, or need not be, goes
    to the pool of the headers whole: the host need not be able to read the other.

    Parameters
    ----------
    pool
        Where headers go; it may be the queue's own pool.
    threshold
        Split only frames of more bytes than this: 0 to 65535.

    Raises
    ------
    ValueError
        If the threshold is out of range.

    """

    pool: CardPool
    threshold: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 0xFFFF:
            raise ValueError(f"a threshold for header split is 0 to 65535 bytes, not "
                             f"{self.threshold}")
