"""The card's clock, which the timestamps of frames are read from."""

from __future__ import annotations

from fractions import Fraction

from pagering.abi import ClockCommand
from pagering.registers import RegisterMap

__all__ = ["Clock"]

_MASK = (1 << 64) - 1
_BILLION = 1_000_000_000


class Clock:
    """Nanoseconds from an origin of the host's choice; 0 when the card was reset.

    Made by :class:`pagering.card.Card`, which lets it run at its nominal rate.

    Parameters
    ----------
    registers
        Of the card.
    khz
        The frequency that the card counts with.

    """

    def __init__(self, registers: RegisterMap, khz: int) -> None:
        self._card = registers.card
        self._period = Fraction(1_000_000, khz)
        """Nanoseconds of a cycle, if the card's oscillator is right."""

    def now(self) -> int:
        """Return the time in nanoseconds."""
        self._card.CLOCK_COMMAND.write(command=ClockCommand.CAPTURE)
        return self._card.CLOCK_LOW.get() | self._card.CLOCK_HIGH.get() << 32

    def set(self, nanoseconds: int) -> None:
        """Set the time.

        Raises
        ------
        ValueError
            If it is not a number of 64 bits.

        """
        if not 0 <= nanoseconds <= _MASK:
            raise ValueError(f"the clock counts 0 to 2**64 - 1 ns; it cannot be set to "
                             f"{nanoseconds}")
        self._order(ClockCommand.SET, nanoseconds)

    def adjust(self, nanoseconds: int) -> None:
        """Move the time on, or back if negative, in one step: none that passes is lost.

        Raises
        ------
        ValueError
            If it is not a signed number of 64 bits.

        """
        if not -1 << 63 <= nanoseconds < 1 << 63:
            raise ValueError(f"the clock can be adjusted by -2**63 to 2**63 - 1 ns, not by "
                             f"{nanoseconds}")
        self._order(ClockCommand.ADJUST, nanoseconds & _MASK)

    def rate(self, ppb: float) -> None:
        """Run so many parts per billion faster than nominal, or slower if negative.

        Parameters
        ----------
        ppb
            Minus to plus one billion; minus one billion stops the clock. The card rounds to a
            32nd binary digit of a nanosecond per cycle.

        Raises
        ------
        ValueError
            If it is out of range.

        """
        if not -_BILLION <= ppb <= _BILLION:
            raise ValueError(f"the clock's rate can be {-_BILLION} to {_BILLION} ppb off, not "
                             f"{ppb}")
        self._order(ClockCommand.RATE,
                    round(self._period * (1 + Fraction(ppb) / _BILLION) * (1 << 32)))

    def cycles(self, nanoseconds: float) -> int:
        """Return how many of the card's cycles so long a time is, rounded up."""
        return -int(-Fraction(nanoseconds).limit_denominator(1000) // self._period)

    def nanoseconds(self, cycles: int) -> float:
        """Return how long so many of the card's cycles take."""
        return float(cycles * self._period)

    def _order(self, command: ClockCommand, value: int) -> None:
        self._card.CLOCK_VALUE_LOW.write(value=value & 0xFFFFFFFF)
        self._card.CLOCK_VALUE_HIGH.write(value=value >> 32)
        self._card.CLOCK_COMMAND.write(command=command)
