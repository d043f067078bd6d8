"""What was sent against what was received: every byte, in order, in each queue.

A frame that is missing is not an error here: the card may drop frames, if it counts them. The
scoreboard says how many are missing, and the conservation laws (:mod:`pagering_tb.conservation`)
say whether the card's counters explain them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import cycle

__all__ = ["QueueOf", "Scoreboard", "round_robin"]

_PROBLEMS_MAX = 20


QueueOf = Callable[[bytes], int | None]
"""Says for one good frame after the other to which queue it goes; None if a rule drops it."""


def round_robin(queues: int) -> QueueOf:
    """Return the function that gives one frame after the other to ``queues`` queues in turn."""
    turn = cycle(range(queues))
    return lambda frame: next(turn)


class Scoreboard:
    """Compares frames.

    Parameters
    ----------
    queue_of : QueueOf
        Queue of each good frame. Frames that the card rejects before it picks a queue (bad, runt,
        oversize) do not count. All go to queue 0 if left out.
    """

    def __init__(self, queue_of: QueueOf | None = None) -> None:
        self._queue_of = queue_of or round_robin(1)
        self._expected: dict[int, deque[tuple[int, bytes]]] = {}
        self.problems: list[str] = []
        self.sent = 0
        """Frames that went in, good or bad."""
        self.rejected = 0
        """Of those, the ones that the card must reject."""
        self.received = 0
        self.received_bytes = 0
        self.missing = 0
        """Frames that were passed over by a later one of their queue."""

    def send(self, frame: bytes, bad: bool = False) -> None:
        """Note a frame that goes in."""
        number = self.sent
        self.sent += 1
        if bad:
            self.rejected += 1
            return
        queue = self._queue_of(frame)
        if queue is None:
            self.rejected += 1
        else:
            self._expected.setdefault(queue, deque()).append((number, bytes(frame)))

    def receive(self, queue: int, frame: bytes | memoryview) -> int | None:
        """Compare a frame that came out of ``queue``; return which of those sent it is, from 0."""
        self.received += 1
        self.received_bytes += len(frame)
        expected = self._expected.get(queue, deque())
        for skipped, (number, candidate) in enumerate(expected):
            if candidate == frame:
                self.missing += skipped
                for _ in range(skipped + 1):
                    expected.popleft()
                return number
        self.problem(self._diagnose(queue, bytes(frame), [frame for _, frame in expected]))
        return None

    def problem(self, text: str) -> None:
        """Note that something is wrong; after the first few they are only counted."""
        if len(self.problems) < _PROBLEMS_MAX:
            self.problems.append(text)
        elif len(self.problems) == _PROBLEMS_MAX:
            self.problems.append("... and more")

    @property
    def lost(self) -> int:
        """Good frames that went in and did not come out."""
        return self.missing + sum(map(len, self._expected.values()))

    def _diagnose(self, queue: int, frame: bytes, expected: list[bytes]) -> str:
        what = f"frame {self.received} ({len(frame)} bytes) from queue {queue}"
        for other, frames in self._expected.items():
            if other != queue and any(frame == candidate for _, candidate in frames):
                return f"{what} was meant for queue {other}"
        if not expected:
            return f"{what} was never sent to it, or came twice"
        wanted = expected[0]
        if len(wanted) != len(frame):
            return f"{what} differs from all that were sent; the next one has {len(wanted)} bytes"
        at = next(i for i, (a, b) in enumerate(zip(wanted, frame, strict=True)) if a != b)
        return (f"{what} differs from what was sent at byte {at}: 0x{frame[at]:02x} instead of "
                f"0x{wanted[at]:02x}")
