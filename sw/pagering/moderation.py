"""When a queue interrupts: the part of :class:`~pagering.rx_queue.RxQueue` that says so."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pagering import abi
from pagering.dim import EVENT_LADDER, ModerationTuner

if TYPE_CHECKING:
    from pagering.card import Card
    from pagering.queue_stats import QueueStats
    from pagering.registers import BlockView

__all__ = ["Moderated"]

_MOST_UNITS, _MOST_COMPLETIONS = (
    (1 << abi.QUEUE["MODERATION"][name].width) - 1 for name in ("time", "completions"))


class Moderated:
    """A queue whose interrupts wait for company."""

    stats: QueueStats
    _card: Card
    _registers: BlockView
    _tuner: ModerationTuner | None = None

    @property
    def moderation(self) -> tuple[float, int]:
        """When the queue interrupts: (microseconds, completions).

        After so long with a completion that the host has not read, or when so many are there,
        whichever comes first. A 0 leaves the other alone to decide; both 0, and the first
        completion interrupts. The card counts time in units of 128 cycles: it is rounded up to
        those, and read back as rounded. Setting it ends :meth:`adapt_moderation`.

        Raises
        ------
        ValueError
            When it is set to more than the card can count to.

        """
        fields = self._registers.MODERATION.read()
        return self._microseconds(fields["time"]), fields["completions"]

    @moderation.setter
    def moderation(self, limits: tuple[float, int]) -> None:
        self._moderate(limits)
        self._tuner = None

    def adapt_moderation(self, ladder: Sequence[tuple[int, int]] = EVENT_LADDER,
                         now: Callable[[], int] = time.monotonic_ns) -> ModerationTuner:
        """Tune :attr:`moderation` to the traffic from now on: see :mod:`pagering.dim`.

        It goes by the interrupts of :meth:`RxQueue.wait` and of receiving with a timeout; a queue
        that is only polled has none.

        Parameters
        ----------
        ladder
            (microseconds, completions) of each rung, from the shortest wait to the longest.
        now
            What time it is, in nanoseconds; a simulation has a time of its own.

        Raises
        ------
        ValueError
            If the ladder has no rung, or one is more than the card can count to.

        """
        if not ladder:
            raise ValueError("a ladder of moderation has at least one rung, not none")
        for limits in ladder:
            self._check_limits(limits)
        self._tuner = ModerationTuner(ladder, now)
        self._moderate(self._tuner.limits)
        return self._tuner

    def _interrupted(self) -> None:
        """Take note of an interrupt."""
        tuner = self._tuner
        if tuner is not None and tuner.interrupted(self.stats.frames, self.stats.bytes):
            self._moderate(tuner.limits)

    def _moderate(self, limits: tuple[float, int]) -> None:
        self._check_limits(limits)
        microseconds, completions = limits
        cycles = self._card.clock.cycles(microseconds * 1000)
        self._registers.MODERATION.write(time=-(-cycles // abi.MODERATION_CYCLES),
                                         completions=completions)

    def _check_limits(self, limits: tuple[float, int]) -> None:
        microseconds, completions = limits
        if not 0 <= microseconds <= self._microseconds(_MOST_UNITS):
            raise ValueError(f"an interrupt waits 0 to {self._microseconds(_MOST_UNITS)} "
                             f"microseconds, not {microseconds}")
        if not 0 <= completions <= _MOST_COMPLETIONS:
            raise ValueError(f"an interrupt waits for 0 to {_MOST_COMPLETIONS} completions, not "
                             f"{completions}")

    def force_interrupt(self) -> None:
        """Interrupt now; if the interrupt is not armed, as soon as it is."""
        self._registers.FORCE.write(force=1)

    def _microseconds(self, units: int) -> float:
        return self._card.clock.nanoseconds(units * abi.MODERATION_CYCLES) / 1000
