"""What happens to a card beside its control plane: frames, tokens, the weather on the buses.

:class:`~storm.traffic.Traffic` does these.
"""

from __future__ import annotations

from dataclasses import dataclass

from .operation import Operation

__all__ = [
    "Arm", "BusError", "Events", "Flush", "Forge", "Frames", "Gaps", "Gate", "Host", "Memory",
    "Misuse", "ReadError", "Run", "Settle",
]


@dataclass(frozen=True)
class Frames(Operation):
    """Put ``count`` frames on the wire; go on as soon as there is room for them.

    ``sizes`` picks a mix of lengths, the longer the fewer; of 64 frames ``bad`` are marked bad and
    ``holes`` malformed.
    """

    count: int
    sizes: int = 0
    bad: int = 0
    holes: int = 0


@dataclass(frozen=True)
class Run(Operation):
    """Let ``cycles`` pass."""

    cycles: int


@dataclass(frozen=True)
class Settle(Operation):
    """Wait until nothing is under way; hold the card's counters against the model."""


@dataclass(frozen=True)
class Host(Operation):
    """How the host behaves from now on.

    It looks at the rings every ``every`` cycles, keeps up to ``keep`` tokens, and returns the rest
    in order (``order`` 0), newest first (1) or at random (2); ``merge`` joins neighbours to one
    token, ``split`` returns parts; ``pull`` leaves them in return rings, where there are any. It
    tells how far it has read unless it is ``lazy``.
    """

    every: int = 20
    keep: int = 0
    order: int = 0
    merge: bool = False
    split: bool = False
    lazy: bool = False
    pull: bool = True


@dataclass(frozen=True)
class Forge(Operation):
    """Return something wrong: a stale token (0), or one of a token's fields changed (1 to 4).

    ``pull`` leaves it in the return ring, if there is one.
    """

    kind: int
    pick: int = 0
    count: int = 1
    pull: bool = False


@dataclass(frozen=True)
class Arm(Operation):
    """Arm the interrupt of a queue, at what the host has read less ``behind``."""

    queue: int
    behind: int = 0


@dataclass(frozen=True)
class Gate(Operation):
    """Whether to receive, what to do when full, which lengths to take."""

    receive: bool = True
    drop_when_full: bool = False
    minimum: int = 1
    maximum: int = 0xFFFF


@dataclass(frozen=True)
class Flush(Operation):
    """Set the time after which completions leave in a line that is not full."""

    cycles: int


@dataclass(frozen=True)
class Events(Operation):
    """Clear events, enable some."""

    clear: int
    enable: int


@dataclass(frozen=True)
class Memory(Operation):
    """How the host's memory behaves: latency, and stalls of its channels in eighths."""

    latency: int = 4
    jitter: int = 0
    address: int = 0
    data: int = 0
    response: int = 0


@dataclass(frozen=True)
class Gaps(Operation):
    """Idle cycles on the wire, in eighths."""

    eighths: int


@dataclass(frozen=True)
class BusError(Operation):
    """After ``skip`` more write bursts, answer ``count`` with an error."""

    skip: int
    count: int = 1


@dataclass(frozen=True)
class ReadError(Operation):
    """Leave up to ``count`` tokens in a return ring, if there is one, and let a read of it fail.

    The read is the one after ``skip`` others, if there are so many; its tokens are the host's
    again.
    """

    queue: int
    count: int = 1
    skip: int = 0


@dataclass(frozen=True)
class Misuse(Operation):
    """Write a register as one must not: the card counts it and does nothing."""

    kind: int
    index: int = 0
