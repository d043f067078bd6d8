"""Programs for the random test: what the world does to a card, as a list of small operations.

Every operation means something in any state of the card, whatever came before it: queues, pools and
tokens are named by numbers that the executor takes modulo what there is. So a program stays a
program when operations are taken out of it, which is how Hypothesis shrinks one.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["OPERATIONS", "Operation", "dump", "load"]


@dataclass(frozen=True)
class Operation:
    """One thing that happens."""


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
class Misuse(Operation):
    """Write a register as one must not: the card counts it and does nothing."""

    kind: int
    index: int = 0


@dataclass(frozen=True)
class Reset(Operation):
    """Reset the card through its register and set it up again."""


OPERATIONS: dict[str, type[Operation]] = {kind.__name__: kind for kind in (
    Frames, Run, Settle, Host, Forge, Arm, QueueOff, QueueOn, PoolOff, PoolOn, Replace, Register,
    Limit, Quota, LowWater, Steer, Hash, Spread, Rule, RuleOff, Filter, Accept, Hold, Moderate,
    Force, MirrorTimer, Gate, Flush, Events, Memory, Gaps, BusError, Misuse, Reset)}

def dump(program: Sequence[Operation]) -> str:
    """Return a program as JSON, an operation a line."""
    lines = (json.dumps({"op": type(operation).__name__, **dataclasses.asdict(operation)})
             for operation in program)
    return "[\n " + ",\n ".join(lines) + "\n]\n"


def load(text: str) -> list[Operation]:
    """Return the program that :func:`dump` wrote.

    Raises
    ------
    ValueError
        With a sentence, if it names an operation that does not exist, or fields that it lacks.
    """
    program = []
    for item in json.loads(text):
        name = item.pop("op", None)
        if name not in OPERATIONS:
            raise ValueError(f"there is no operation {name!r}; there are {', '.join(OPERATIONS)}")
        try:
            program.append(OPERATIONS[name](**item))
        except TypeError as error:
            raise ValueError(f"operation {name}: {error}") from error
    return program
