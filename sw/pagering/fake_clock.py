"""The clock of the in-memory card: it stands still until a test lets time pass."""

from __future__ import annotations

from pagering.abi import ClockCommand

__all__ = ["FakeClock"]

_FRACTION_BITS = 32
_MASK = (1 << 64 + _FRACTION_BITS) - 1


class FakeClock:
    """Nanoseconds with a fraction, to which each cycle adds the rate."""

    def __init__(self) -> None:
        self.rate = 0
        """Added in each cycle, in units of 2**-32 ns."""
        self.captured = 0
        """As it was at the last ``CAPTURE``, in nanoseconds."""
        self._sum = 0

    @property
    def time(self) -> int:
        """Nanoseconds now."""
        return self._sum >> _FRACTION_BITS

    def advance(self, cycles: int) -> None:
        """Let cycles pass."""
        self._sum = self._sum + cycles * self.rate & _MASK

    def order(self, command: ClockCommand, value: int) -> None:
        """Do what the host asks; ``value`` is 64 bits."""
        match command:
            case ClockCommand.CAPTURE:
                self.captured = self.time
            case ClockCommand.SET:
                self._sum = value << _FRACTION_BITS
            case ClockCommand.ADJUST:
                self._sum = self._sum + (value << _FRACTION_BITS) & _MASK
            case ClockCommand.RATE:
                self.rate = value & (1 << 48) - 1
