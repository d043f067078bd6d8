"""When a queue interrupts: the part of :class:`~pagering.rx_queue.RxQueue` that says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagering import abi

if TYPE_CHECKING:
    from pagering.card import Card
    from pagering.registers import BlockView

__all__ = ["Moderated"]

_MOST_UNITS, _MOST_COMPLETIONS = (
    (1 << abi.QUEUE["MODERATION"][name].width) - 1 for name in ("time", "completions"))


class Moderated:
    """A queue whose interrupts wait for company."""

    _card: Card
    _registers: BlockView

    @property
    def moderation(self) -> tuple[float, int]:
        """When the queue interrupts: (microseconds, completions).

        After so long with a completion that the host has not read, or when so many are there,
        whichever comes first. A 0 leaves the other alone to decide; both 0, and the first
        completion interrupts. The card counts time in units of 128 cycles: it is rounded up to
        those, and read back as rounded.

        Raises
        ------
        ValueError
            When it is set to more than the card can count to.

        """
        fields = self._registers.MODERATION.read()
        return self._microseconds(fields["time"]), fields["completions"]

    @moderation.setter
    def moderation(self, limits: tuple[float, int]) -> None:
        microseconds, completions = limits
        if not 0 <= microseconds <= self._microseconds(_MOST_UNITS):
            raise ValueError(f"an interrupt waits 0 to {self._microseconds(_MOST_UNITS)} "
                             f"microseconds, not {microseconds}")
        if not 0 <= completions <= _MOST_COMPLETIONS:
            raise ValueError(f"an interrupt waits for 0 to {_MOST_COMPLETIONS} completions, not "
                             f"{completions}")
        cycles = self._card.clock.cycles(microseconds * 1000)
        self._registers.MODERATION.write(time=-(-cycles // abi.MODERATION_CYCLES),
                                         completions=completions)

    def force_interrupt(self) -> None:
        """Interrupt now; if the interrupt is not armed, as soon as it is."""
        self._registers.FORCE.write(force=1)

    def _microseconds(self, units: int) -> float:
        return self._card.clock.nanoseconds(units * abi.MODERATION_CYCLES) / 1000
