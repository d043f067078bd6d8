"""The packets of the random test: real ones, each sent many times with another source address.

The card does not look at the source MAC address, so what it finds in a packet stays the same.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import lru_cache

from packets import damaged, packet
from pagering.dissect import Dissection, dissect

__all__ = ["NUMBERED", "Template", "numbered", "templates"]

NUMBERED = slice(6, 10)
"""Where the number of a frame is: in its source address."""
_TEMPLATES = 64


@dataclass(frozen=True)
class Template:
    """A packet and what there is to find in it."""

    data: bytes
    found: Dissection


@lru_cache(1)
def templates() -> tuple[Template, ...]:
    """Return packets of every kind that the card knows, and some that are damaged."""
    rng = random.Random(1)
    made = []
    while len(made) < _TEMPLATES:
        data = packet(rng, longest=rng.choice((128, 256, 1514)))
        if len(made) % 8 == 7:
            data = damaged(rng, data)
        if len(data) >= NUMBERED.stop:
            made.append(Template(data, dissect(data)))
    return tuple(made)


def numbered(data: bytes, number: int) -> bytes:
    """Return a packet with a source address of its own."""
    return data[:NUMBERED.start] + number.to_bytes(4, "big") + data[NUMBERED.stop:]
