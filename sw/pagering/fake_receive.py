"""The receive path of the in-memory card: steering, admission, placement, completions.

It works on whole frames. The gate judges a frame first, deaf card before anything else; from the
queue on, the order of decisions is that of ``DropCause``.
"""

from __future__ import annotations

from collections import deque

from pagering.abi import DropCause
from pagering.capabilities import Capabilities
from pagering.dissect import Facts, dissect, unseen
from pagering.fake_admission import FakeAdmission
from pagering.fake_completions import FakeCompletions
from pagering.fake_memory import HostMemory
from pagering.fake_placement import FakePlacement
from pagering.fake_state import FakeState
from pagering.fake_steering import FakeSteering, Steered

__all__ = ["FakeReceiver"]

_SCARCE = (DropCause.NO_PAGE, DropCause.POOL_LIMIT, DropCause.QUEUE_QUOTA, DropCause.RING_FULL)
"""What a queue may hold a frame for."""


class FakeReceiver(FakeState):
    """All state that a reset clears, and what frames and returned tokens do to it."""

    def __init__(self, config: Capabilities, memory: HostMemory,
                 before: FakeReceiver | None = None) -> None:
        super().__init__(config, memory, before)
        self.receive = False
        self.minimum, self.maximum = 1, 0xFFFF
        self.steering = FakeSteering(config.queues, config.steering)
        self.waiting: deque[tuple[Steered, Facts, bytes]] = deque()
        """Frames that are steered and wait for memory; only the first knows that it has to."""
        self._completions = FakeCompletions(self)
        self._admission = FakeAdmission(self)
        self._placement = FakePlacement(self, self._admission, self._completions)
        self.pending = self._completions.pending
        """Completions that are not visible yet, oldest first."""

    def frame(self, data: bytes, bad: bool, malformed: bool, overflow: bool) -> DropCause | None:
        """Take one frame off the stream; return why it was dropped, or None."""
        self.statistics.ended(data)
        cause = self._stream_cause(len(data), bad, malformed, overflow)
        if cause is not None:
            self.statistics.dropped(cause)
            return cause
        self.statistics.kept(data)
        found = dissect(data) if self.config.parser else unseen(data)
        self.waiting.append((self.steering.steer(found), found.facts, data))
        return self.retry()

    def retry(self) -> DropCause | None:
        """Take the frames that wait, up to one that has to wait on.

        Return why the last of them was dropped, or None.
        """
        cause = None
        while self.waiting:
            steered, facts, data = self.waiting[0]
            number, cause = steered.queue, steered.cause or DropCause.QUEUE_DISABLED
            if (steered.cause is None and number < len(self.queues)
                    and self.queues[number].enabled):
                pieces = self.queues[number].pieces(len(data), facts.header)
                cause = self._admission.refuse(number, pieces)
                if cause in _SCARCE and self.queues[number].hold:
                    return None
                if cause is None:
                    self._placement.place(steered, data, facts, pieces)
                    self.statistics.admitted(number, len(data), facts)
            self.waiting.popleft()
            if cause is not None:
                self.statistics.dropped(cause, number)
        return cause

    def _stream_cause(self, length: int, bad: bool, malformed: bool,
                      overflow: bool) -> DropCause | None:
        causes = (
            (not self.receive, DropCause.CARD_DISABLED),
            (bad, DropCause.BAD_FRAME),
            (malformed, DropCause.MALFORMED),
            (length > min(self.maximum, self.config.frame_bytes), DropCause.OVERSIZE),
            (overflow, DropCause.OVERFLOW),
            (length < self.minimum, DropCause.RUNT),
        )
        return next((cause for hit, cause in causes if hit), None)

    def show(self, count: int) -> None:
        """Make the ``count`` oldest pending completions visible, a line at a time."""
        self._completions.show(count)

    def consume(self, number: int, index: int) -> None:
        """Believe that the host has read up to ``index``: a lie spoils its own ring only."""
        self.queues[number].consumed = index

    def arm(self, number: int, index: int) -> None:
        """Consume, and interrupt when completions past ``index`` are due to."""
        self.consume(number, index)
        self.queues[number].interrupt.arm(index)
        self.moderate(number)

    def force(self, number: int) -> None:
        """Interrupt now, or as soon as the queue is armed."""
        self.queues[number].interrupt.forced = True
        self.moderate(number)

    def give_back(self, number: int, token: int) -> None:
        """Act on a token that was written to a queue's return window."""
        fault = self.pages.give_back(token, number)
        if fault is None:
            self.counters["RETURNS"] += 1
            self.counters["RECYCLED"] = self.pages.recycled
        else:
            self.fault(fault)
