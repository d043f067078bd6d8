"""What the checks say: a line of JSON each, on the serial port that is theirs."""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Callable

from pagering.errors import PageringError

__all__ = ["Failed", "require", "run"]


class Failed(Exception):
    """A check that did not find what it must."""


def require(good: bool, sentence: str) -> None:
    """Fail with this sentence unless something is so."""
    if not good:
        raise Failed(sentence)


def run(name: str, check: Callable[[], str]) -> None:
    """Make a check and write how it ended."""
    start = time.monotonic()
    try:
        good, text = True, check()
    except (Failed, PageringError) as error:
        good, text = False, str(error)
    except (ArithmeticError, AssertionError, AttributeError, LookupError, OSError, RuntimeError,
            TypeError, ValueError):
        good, text = False, traceback.format_exc()  # a mistake: where is what matters
    line = json.dumps({"check": name, "good": good, "text": text,
                       "seconds": round(time.monotonic() - start, 2)})
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
