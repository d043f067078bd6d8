"""What a card sees of its host's accesses, and what no host of ours may do.

A store to a register must arrive once, as one word of 32 bits. The usual ways to store to memory do
not keep that: ``struct.pack_into`` may arrive as zeros before the value, a slice as bytes, or twice
(see :mod:`pagering.mapped_window`).
"""

from __future__ import annotations

from collections import Counter

from pagering import abi

__all__ = ["WHOLE_WORD", "StoreWatch"]

WHOLE_WORD = 0b1111
"""Strobes of a store of 32 bits."""

_MAY_COME_AGAIN = frozenset({
    abi.CARD.address("RESET"), abi.STEER.address("ROW"),
    *(abi.QUEUE.address("FORCE", queue) for queue in range(abi.QUEUES_MAX)),
    *(abi.USER.address("ARM", queue) for queue in range(abi.QUEUES_MAX))})
"""Commands that a driver may give twice in a row, and the name of a row."""


class StoreWatch:
    """Counts accesses by width, and notices stores in part and stores that come twice.

    Twice is right after each other, with no access between, the same word to the same place.

    Parameters
    ----------
    by_hand
        Registers are worked by hand, not by the driver: what is stored twice is meant so.

    Attributes
    ----------
    widths : Counter
        Accesses by ("read" or "write", bytes).

    """

    def __init__(self, by_hand: bool = False) -> None:
        self._by_hand = by_hand
        self.widths: Counter[tuple[str, int]] = Counter()
        self._last: tuple[int, int] | None = None
        self._problems: list[str] = []

    def load(self) -> None:
        """Count a load of a word."""
        self.widths["read", 4] += 1
        self._last = None

    def store(self, offset: int, value: int, strobes: int = WHOLE_WORD) -> None:
        """Count a store to the word at byte ``offset``; each strobe is a byte of it."""
        width = strobes.bit_count()
        self.widths["write", width] += 1
        if strobes != WHOLE_WORD:
            self._problems.append(f"a store of {width} bytes of the word at {offset:#x}")
        elif ((offset, value) == self._last and not self._by_hand
              and offset not in _MAY_COME_AGAIN):
            self._problems.append(f"{value:#x} was stored twice to {offset:#x}")
        self._last = offset, value

    def take_problems(self) -> list[str]:
        """Return a sentence for each that was wrong since the last call."""
        problems, self._problems = self._problems, []
        return problems
