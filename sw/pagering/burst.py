"""Frames that came together, and that give their memory back together.

Leaving the ``with`` block of a ``Burst`` returns the memory of its frames to the card in one run of
writes, unless a frame was retained.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING

from pagering.frame import Frame

if TYPE_CHECKING:
    from pagering.rx_queue import RxQueue

__all__ = ["Burst", "take_back"]


def take_back(frames: Iterable[Frame]) -> list[int]:
    """End the use of frames that were not retained; return their tokens."""
    tokens: list[int] = []
    for frame in frames:
        if frame.lent:
            frame.invalidate()
            tokens += frame.tokens
    return tokens


class Burst:
    """Frames that were received together; a context manager.

    Leaving the block, with or without an exception, returns every frame that was not retained.
    """

    __slots__ = ("_frames", "_open", "_queue")

    def __init__(self, queue: RxQueue, frames: list[Frame]) -> None:
        self._queue = queue
        self._frames = frames
        self._open = True

    def __len__(self) -> int:
        return len(self._frames)

    def __iter__(self) -> Iterator[Frame]:
        return iter(self._frames)

    def __getitem__(self, at: int) -> Frame:
        return self._frames[at]

    def __enter__(self) -> Burst:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Return what was not retained. Again does nothing."""
        if not self._open:
            return
        self._open = False
        self._queue.finish(self, take_back(self._frames))
