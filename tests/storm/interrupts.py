"""When a queue's interrupt may fire, and when it must have."""

from __future__ import annotations

from pagering import abi

from .knobs import Knob

__all__ = ["InterruptRule"]

_INDEX_MASK = (1 << abi.CONSUMER_BITS) - 1
_ACTING_CYCLES = 32
"""Within so many cycles the card has acted on a register write that it took."""


class InterruptRule:
    """Follows arming, moderation and the visible completions of one queue."""

    def __init__(self) -> None:
        self.armed: int | None = None
        """Index that the interrupt was armed with."""
        self.limits = Knob((0, 0))
        """Of moderation: time and completions."""
        self.fired = False
        """Whether it has risen, with reason, since it was armed."""
        self._forced: int | None = None
        self._visible = 0
        self._since: int | None = None
        self._excused = -1

    def __str__(self) -> str:
        return (f"armed past {self.armed}, {self._visible} completions visible, some past that "
                f"since cycle {self._since}, forced in cycle {self._forced}, moderated by "
                f"{self.limits.values}")

    def restart(self, cycle: int) -> None:
        """The queue is enabled: nothing is visible, nothing armed."""
        self._excused = cycle + _ACTING_CYCLES if self.may_fire(cycle) else -1
        self.armed, self.fired, self._forced, self._visible, self._since = (
            None, False, None, 0, None)

    def arm(self, index: int, cycle: int) -> None:
        """Note that the host has armed the interrupt; it may be firing for the last time."""
        self._excused = cycle + _ACTING_CYCLES if self.may_fire(cycle) else -1
        self.armed, self.fired, self._since = index, False, None
        self.moved(self._visible, cycle)

    def force(self, cycle: int) -> None:
        """Note that the host forces it: now, or when it is armed."""
        self._forced = cycle

    def moved(self, visible: int, cycle: int) -> None:
        """Note how many completions are visible."""
        self._visible = visible
        if self._since is None and self._pending:
            self._since = cycle

    @property
    def _pending(self) -> int:
        if self.armed is None:
            return 0
        pending = self._visible - self.armed & _INDEX_MASK
        return pending if pending <= 1 << abi.RING_LOG2_MAX else 0

    def may_fire(self, cycle: int) -> bool:
        """Return whether there is a reason to fire now."""
        if cycle <= self._excused:
            return True
        if self.armed is None:
            return False
        waited = 0 if self._since is None else cycle - self._since
        return self._forced is not None or bool(self._pending) and any(
            not time and not count or count and self._pending >= count
            or time and waited > (time - 1) * abi.MODERATION_CYCLES
            for time, count in self.limits.values)

    def rose(self, cycle: int) -> bool:
        """Note that the line rose; return whether it had a reason."""
        if not self.may_fire(cycle):
            return False
        self.fired = True
        # A force that was on its way when the line rose will make it rise once more.
        if self._forced is not None and cycle > self._forced + _ACTING_CYCLES:
            self._forced = None
        return True

    def must_have_fired(self) -> bool:
        """Return whether the line must be up, the time of moderation being over."""
        time, count = self.limits.now
        return bool(self._pending) and bool(time or not count or self._pending >= count)
