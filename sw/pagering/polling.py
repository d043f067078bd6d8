"""Waiting for the card, never for ever.

A wait fails only when both a number of looks and a time have passed: in a simulation each look
takes a long time, on a real card a thousand looks take none.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from pagering.errors import CardError, CardGone

__all__ = ["wait_drained", "wait_until"]

_LOOKS = 2000
_EAGER_LOOKS = 50
_PAUSE_S = 0.0005


def wait_until(done: Callable[[], bool], what: str, advice: str, timeout: float = 1.0) -> None:
    """Look until ``done`` returns true.

    Parameters
    ----------
    done
        Looks once.
    what
        What is waited for, as a clause: "queue 3 is drained".
    advice
        What to do if it does not come.
    timeout
        Seconds.

    Raises
    ------
    CardError
        If it did not come.

    """
    end = time.monotonic() + timeout
    looks = 0
    while not done():
        looks += 1
        if looks >= _LOOKS and time.monotonic() >= end:
            raise CardError(f"waited {timeout:g} s and {looks} looks until {what}, in vain; "
                            f"{advice}")
        if looks > _EAGER_LOOKS:
            time.sleep(_PAUSE_S)


def wait_drained(done: Callable[[], bool], what: str, timeout: float) -> None:
    """Wait as :func:`wait_until` does, until the card will write no more to some memory.

    A card that is gone is as good as drained.

    Raises
    ------
    CardError
        If the card is there and does not get so far: the memory must stay mapped.

    """
    with contextlib.suppress(CardGone):
        wait_until(done, what, "do not unmap its memory; reset the card", timeout)
