"""Dynamic interrupt moderation: a ladder of settings, climbed by trial.

Linux calls this *net DIM* (``Documentation/networking/net_dim.rst``); this is a writing of our own
after that description, so that a queue tunes itself as other drivers' do. Every 64 interrupts the
traffic of that time is compared with the time before. If the last step along the ladder has helped,
the next goes the same way, else back. When both neighbours are known to be worse, or the ladder
ends, it rests until the traffic changes; when it has wandered for too long, it rests for a while.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["COMPLETION_LADDER", "EVENTS_PER_LOOK", "EVENT_LADDER", "Climber", "Load",
           "ModerationTuner", "State", "Trend", "compare"]

EVENT_LADDER = ((1, 256), (8, 256), (64, 256), (128, 256), (256, 256))
"""(microseconds, completions), for a timer that starts with the first completion, as our card's."""
COMPLETION_LADDER = ((2, 256), (8, 128), (16, 64), (32, 64), (64, 64))
"""For a timer that starts anew with each completion: for comparison with cards that have one."""
EVENTS_PER_LOOK = 64
_FIRST_RUNG = 1
_SIGNIFICANT_PERCENT = 10


class Trend(enum.Enum):
    """How traffic is, compared with before."""

    WORSE = -1
    SAME = 0
    BETTER = 1


class State(enum.Enum):
    """What the climber is at."""

    UP = "goes to longer waits"
    DOWN = "goes to shorter waits"
    ON_TOP = "rests until traffic changes: its neighbours are no better"
    TIRED = "rests for a while: it has wandered too long"


@dataclass(frozen=True)
class Load:
    """Traffic of a while, in each millisecond."""

    bytes: int
    packets: int
    events: int

    @classmethod
    def of(cls, nanoseconds: int, bytes_: int, packets: int, events: int) -> Load:
        """Return what came in so long, rounded up."""
        span = max(1, nanoseconds)
        return cls(*(-(-count * 1_000_000 // span) for count in (bytes_, packets, events)))


def compare(now: Load, before: Load) -> Trend:
    """Return whether ``now`` is better: more bytes; if as many, more packets; else fewer events.

    A tenth more or less is no difference.
    """
    for name, sign in (("bytes", 1), ("packets", 1), ("events", -1)):
        value, reference = getattr(now, name), getattr(before, name)
        if not reference:
            if sign < 0 or not value:
                return Trend.SAME
            return Trend.BETTER
        if 100 * abs(value - reference) // reference > _SIGNIFICANT_PERCENT:
            return Trend.BETTER if (value > reference) == (sign > 0) else Trend.WORSE
    return Trend.SAME


class Climber:
    """Where on a ladder of so many rungs to be.

    Attributes
    ----------
    rung : int
        Where it is; 0 has the shortest wait.
    state : State
        What it is at.

    """

    def __init__(self, rungs: int, rung: int = _FIRST_RUNG) -> None:
        self.rung = min(rung, rungs - 1)
        # The first traffic is a change from none, and so sets it out.
        self.state = State.ON_TOP
        self._rungs = rungs
        self._ups = self._downs = 0
        """Steps each way since it last turned to that way."""
        self._tired = 0
        """Steps since it last rested on top."""
        self._before = Load(0, 0, 0)

    def look(self, load: Load) -> bool:
        """Take note of a while's traffic; return whether the rung is another now."""
        rung, state = self.rung, self.state
        if state is State.ON_TOP:
            if compare(load, self._before) is not Trend.SAME:
                self._set_out()
        elif state is State.TIRED:
            self._tired -= 1
            if not self._tired:
                self._set_out()
        else:
            self._climb(compare(load, self._before))
        # At rest on top, what it came there with stays the measure: slow changes are seen too.
        if state is not State.ON_TOP or self.state is not State.ON_TOP:
            self._before = load
        return self.rung != rung

    def _climb(self, trend: Trend) -> None:
        if trend is not Trend.BETTER:
            self._turn()
        if self._on_top():
            self._rest(State.ON_TOP)
        elif self._tired == 2 * self._rungs:
            self._rest(State.TIRED)
        elif not self._step():
            self._rest(State.ON_TOP)

    def _turn(self) -> None:
        if self.state is State.UP:
            self.state, self._downs = State.DOWN, 0
        else:
            self.state, self._ups = State.UP, 0

    def _on_top(self) -> bool:
        """Return whether both neighbours are known: it came by several steps, and is one back."""
        if self.state is State.UP:
            return self._downs > 1 and self._ups == 1
        return self._ups > 1 and self._downs == 1

    def _step(self) -> bool:
        """Go on by a rung; return whether there was one."""
        after = self.rung + (1 if self.state is State.UP else -1)
        if not 0 <= after < self._rungs:
            return False
        self.rung = after
        if self.state is State.UP:
            self._ups += 1
        else:
            self._downs += 1
        self._tired += 1
        return True

    def _rest(self, how: State) -> None:
        self.state = how
        self._ups = self._downs = 0
        if how is State.ON_TOP:
            self._tired = 0

    def _set_out(self) -> None:
        self.state = State.DOWN if self.rung else State.UP
        self._step()


class ModerationTuner:
    """A climber that is fed with a queue's counts.

    Parameters
    ----------
    ladder
        (microseconds, completions) of each rung.
    now
        What time it is, in nanoseconds.

    """

    def __init__(self, ladder: Sequence[tuple[int, int]] = EVENT_LADDER,
                 now: Callable[[], int] = time.monotonic_ns) -> None:
        self.ladder = ladder
        self.climber = Climber(len(ladder))
        self._now = now
        self._start: tuple[int, int, int] | None = None
        self._events = 0

    @property
    def limits(self) -> tuple[int, int]:
        """(microseconds, completions) of the rung that it is on."""
        return self.ladder[self.climber.rung]

    def interrupted(self, frames: int, bytes_: int) -> bool:
        """Take note of an interrupt; return whether the limits are others now.

        Parameters
        ----------
        frames, bytes_
            All that the queue has received so far.

        """
        at = (self._now(), bytes_, frames)
        if self._start is None:
            self._start, self._events = at, 0
            return False
        self._events += 1
        if self._events < EVENTS_PER_LOOK:
            return False
        span, more_bytes, more_frames = (
            after - before for after, before in zip(at, self._start, strict=True))
        changed = self.climber.look(Load.of(span, more_bytes, more_frames, self._events))
        self._start, self._events = at, 0
        return changed
