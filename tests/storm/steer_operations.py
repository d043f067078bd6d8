"""What becomes of real packets: filters, flow rules, the hash and its table.

:class:`~storm.steer.Steer` does these.
"""

from __future__ import annotations

from dataclasses import dataclass

from .operation import Operation

__all__ = [
    "Accept", "Filter", "Hash", "Rule", "RuleOff", "Spread", "Steer",
]


@dataclass(frozen=True)
class Steer(Operation):
    """Send frames to one queue, or to the first ``queue + 1`` in turn, or by their hash.

    Whatever steers is set at once or, if ``quiet``, when the card is at rest: then it is known
    which frame goes by it.
    """

    queue: int
    turns: bool = False
    rss: bool = False
    quiet: bool = False


@dataclass(frozen=True)
class Hash(Operation):
    """Set what the hash is made of; ``key`` is the number of one."""

    transform: int = 0
    tcp: bool = True
    udp: bool = True
    key: int = 1
    quiet: bool = False


@dataclass(frozen=True)
class Spread(Operation):
    """Let ``count`` rows of the indirection table from ``first`` on name a queue."""

    first: int
    count: int
    queue: int
    quiet: bool = False


@dataclass(frozen=True)
class Rule(Operation):
    """Enable a flow rule for what packet ``pick`` is like, in the fields that ``match`` says."""

    number: int
    pick: int
    match: int = 0
    queue: int = 0
    drop: bool = False
    quiet: bool = False


@dataclass(frozen=True)
class RuleOff(Operation):
    """Disable a flow rule."""

    number: int
    quiet: bool = False


@dataclass(frozen=True)
class Filter(Operation):
    """Set which frames the card takes at all."""

    promiscuous: bool = True
    all_multicast: bool = False
    broadcast: bool = True
    vlan: bool = False
    untagged: bool = True
    quiet: bool = False


@dataclass(frozen=True)
class Accept(Operation):
    """Let the filters take what packet ``pick`` is like.

    By its exact address, in ``row`` (0); by the hash of it (1); by its VLAN (2).
    """

    kind: int
    pick: int
    row: int = 0
    quiet: bool = False
