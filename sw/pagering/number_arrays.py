"""Arrays of numbers as the receive path and pools use them: short, and many a second."""

from __future__ import annotations

from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

__all__ = ["Numbers", "Words", "constant"]

Words: TypeAlias = npt.NDArray[np.uint32]
"""Words of the card's: tokens, flags."""
Numbers: TypeAlias = npt.NDArray[np.intp]
"""What things are looked up by; of this type numpy does it without converting."""

_Kind = TypeVar("_Kind", bound=np.generic)


def constant(value: int, kind: type[_Kind]) -> npt.NDArray[_Kind]:
    """Return a number as an operand for short arrays: a scalar is converted anew each time."""
    return np.array(value, kind)
