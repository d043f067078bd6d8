"""Queues, pools and regions come and go, under limits; interrupts; resets.

:class:`~storm.control.Control` does these, but for the last.
"""

from __future__ import annotations

from dataclasses import dataclass

from .operation import Operation

__all__ = [
    "Force", "Hold", "Limit", "LowWater", "MirrorTimer", "Moderate", "PoolOff", "PoolOn",
    "QueueOff", "QueueOn", "Quota", "Register", "Replace", "Reset",
]


@dataclass(frozen=True)
class QueueOff(Operation):
    """Disable a queue; ``wait`` until it is drained."""

    queue: int
    wait: bool = True


@dataclass(frozen=True)
class QueueOn(Operation):
    """Enable a queue, once it is drained, on a pool with a ring of a size.

    A queue that is enabled is left alone, unless ``again``. ``extended`` completions; frames longer
    than ``threshold`` ``split``, with their headers in ``headers``; a return ring of a size of
    ``pull``, or none (0), and a ``mirror`` of how far it was read.
    """

    queue: int
    pool: int = 0
    log2: int = 6
    again: bool = False
    extended: bool = False
    split: bool = False
    headers: int = 0
    threshold: int = 0
    pull: int = 0
    mirror: bool = True


@dataclass(frozen=True)
class PoolOff(Operation):
    """Disable a pool; ``wait`` until it is drained."""

    pool: int
    wait: bool = True


@dataclass(frozen=True)
class PoolOn(Operation):
    """Enable a pool, once it is drained; with a ``mirror`` of its counts."""

    pool: int
    lifo: bool = False
    mirror: bool = True


@dataclass(frozen=True)
class Replace(Operation):
    """Drain a pool, unmap its memory, retire it, give it ``regions`` new ones."""

    pool: int
    regions: int = 1
    lifo: bool = False


@dataclass(frozen=True)
class Register(Operation):
    """Register one more region, if a slot is free."""

    pool: int


@dataclass(frozen=True)
class Limit(Operation):
    """Limit a pool to ``pages`` off its ring."""

    pool: int
    pages: int


@dataclass(frozen=True)
class Quota(Operation):
    """Limit a queue to ``pages`` off the ring."""

    queue: int
    pages: int


@dataclass(frozen=True)
class LowWater(Operation):
    """Set a pool's thresholds."""

    pool: int
    enter: int
    more: int = 0


@dataclass(frozen=True)
class Hold(Operation):
    """Let frames of a queue wait for memory, or be dropped."""

    queue: int
    hold: bool = True


@dataclass(frozen=True)
class Moderate(Operation):
    """Set when the interrupt of a queue fires."""

    queue: int
    time: int = 0
    completions: int = 0


@dataclass(frozen=True)
class Force(Operation):
    """Force the interrupt of a queue."""

    queue: int


@dataclass(frozen=True)
class MirrorTimer(Operation):
    """Set how often counts are mirrored."""

    cycles: int


@dataclass(frozen=True)
class Reset(Operation):
    """Reset the card through its register and set it up again."""
