"""A card that is opened to receive, and each frame compared with what was sent."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator

from pagering.card import Card
from pagering.frame import Frame
from pagering.providers import MemoryProvider
from pagering.rx_queue import RxQueue

from .frames import number_of, numbered
from .report import require

__all__ = ["Reception", "receiving"]

_PAGES = 512
_RING = 256
_PATIENCE_S = 20.0


class Reception:
    """An open card and what has come in.

    Attributes
    ----------
    card, queues
        The card and its open queues.
    frames
        How many came on each queue.
    first, last
        The lowest and the highest number of them.

    """

    def __init__(self, card: Card, queues: list[RxQueue]) -> None:
        self.card = card
        self.queues = queues
        self.frames: Counter[int] = Counter()
        self.first = self.last = -1
        self._seen: dict[int, int] = {}

    def receive(self, count: int) -> None:
        """Receive so many frames, sleeping until there are some, and check each."""
        end = self.total + count
        patience = time.monotonic() + _PATIENCE_S
        while self.total < end:
            require(time.monotonic() < patience, f"only {self.total} of {end} frames came in "
                                                 f"{_PATIENCE_S:g} s")
            for queue in self.queues:
                with queue.recv(64, timeout=0.005) as burst:
                    for frame in burst:
                        self._check(frame)
                        patience = time.monotonic() + _PATIENCE_S

    @property
    def total(self) -> int:
        """Frames so far."""
        return sum(self.frames.values())

    def _check(self, frame: Frame) -> None:
        data, queue = bytes(frame), frame.queue
        number = number_of(data)
        require(not frame.write_error, f"frame {number} could not be written")
        require(data == numbered(number), f"frame {number} of {len(data)} bytes is not as it was "
                                          f"sent: {data[:64].hex()}")
        require(number > self._seen.get(queue, -1), f"frame {number} came behind a later one")
        self._seen[queue] = number
        self.frames[queue] += 1
        self.first = number if self.first < 0 else min(self.first, number)
        self.last = max(self.last, number)


@contextlib.contextmanager
def receiving(card: Card, queues: int | None = None,
              provider: MemoryProvider | None = None) -> Iterator[Reception]:
    """Open queues, spread flows over them, and receive until the block ends; then close it all."""
    with card:
        pool = card.add_pool(_PAGES, provider=provider)
        opened = [card.add_queue(pool, _RING)
                  for _ in range(queues or card.capabilities.queues)]
        if len(opened) == 1:
            card.steer_to(opened[0])
        else:
            card.steer_by_hash(opened)
        card.receive = True
        yield Reception(card, opened)
