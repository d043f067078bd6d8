"""What the model knows only within bounds, and how drops are explained by it.

While traffic is in flight nobody outside can tell which frame was decided before a register write
and which after it. So a setting is known as the set of its values since the card was last at rest,
and a frame that did not come out has a set of causes under which it may have been dropped. The
card's counters must then be possible: :func:`explain`.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Generic, TypeVar

__all__ = ["Knob", "explain"]

T = TypeVar("T")


class Knob(Generic[T]):
    """A setting of the card: its value now, and all it had since the card was last at rest."""

    def __init__(self, value: T) -> None:
        self.values = [value]

    @property
    def now(self) -> T:
        """The value written last."""
        return self.values[-1]

    def set(self, value: T) -> None:
        """Note a write that is on its way."""
        if value != self.values[-1]:
            self.values.append(value)

    def settle(self) -> None:
        """The card is at rest: the past is over."""
        del self.values[:-1]


def explain(counted: Mapping[str, int], possible: Iterable[frozenset[str]]) -> str | None:
    """Return None if what was counted can be explained, else a sentence.

    Parameters
    ----------
    counted : Mapping[str, int]
        Events under each cause.
    possible : Iterable[frozenset[str]]
        For each event that must have happened, the causes that it may have had.
    """
    groups = Counter(possible)
    due, found = sum(groups.values()), sum(counted.values())
    shown = {name: n for name, n in counted.items() if n}
    if due != found:
        return f"{due} were due under some cause, but {shown or 'none'} were counted"
    causes = sorted({name for group in groups for name in group})
    for name, number in shown.items():
        if name not in causes:
            return f"{number} were counted under {name}, which was not possible"
    # Hall's condition: events that can only be in some of the causes must have room there.
    for size in range(len(causes)):
        for some in map(frozenset, itertools.combinations(causes, size)):
            confined = sum(n for group, n in groups.items() if group <= some)
            room = sum(counted.get(name, 0) for name in some)
            if confined > room:
                return (f"{confined} could only be under {', '.join(sorted(some)) or 'no cause'}, "
                        f"but {shown} were counted")
    return None
