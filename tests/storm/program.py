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

from hypothesis import strategies as st

__all__ = ["OPERATIONS", "Operation", "dump", "load", "programs"]


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
    token, ``split`` returns parts. It tells how far it has read unless it is ``lazy``.
    """

    every: int = 20
    keep: int = 0
    order: int = 0
    merge: bool = False
    split: bool = False
    lazy: bool = False


@dataclass(frozen=True)
class Forge(Operation):
    """Return something wrong: a stale token (0), or one of a token's fields changed (1 to 4)."""

    kind: int
    pick: int = 0
    count: int = 1


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
    """Enable a queue, once it is drained, on a pool with a ring of a size."""

    queue: int
    pool: int = 0
    log2: int = 6


@dataclass(frozen=True)
class PoolOff(Operation):
    """Disable a pool; ``wait`` until it is drained."""

    pool: int
    wait: bool = True


@dataclass(frozen=True)
class PoolOn(Operation):
    """Enable a pool, once it is drained."""

    pool: int
    lifo: bool = False


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
    """Send frames to one queue, or to the first ``queue + 1`` in turn."""

    queue: int
    turns: bool = False


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
    Limit, Quota, LowWater, Steer, Gate, Flush, Events, Memory, Gaps, BusError, Misuse, Reset)}

_SMALL = st.integers(0, 63)
_EIGHTHS = st.sampled_from((0, 0, 0, 1, 3, 6))
_FEW = st.sampled_from((65536, 65536, 65536, 65536, 65536, 65536, 0, 1, 2, 3, 5, 8, 12))


def _operations() -> st.SearchStrategy[Operation]:
    """Return one operation; those that bring frames are by far the most frequent."""
    frames = st.builds(
        Frames, count=st.sampled_from((1, 4, 16, 60, 120, 240)),
        sizes=st.sampled_from((0, 0, 0, 0, 0, 1, 2, 3)),
        bad=st.sampled_from((0, 0, 0, 4)), holes=st.sampled_from((0, 0, 0, 2)))
    others: tuple[st.SearchStrategy[Operation], ...] = (
        st.builds(Run, st.sampled_from((1, 7, 40, 150, 500))),
        st.builds(Settle),
        st.builds(Host, every=st.sampled_from((5, 20, 60)), keep=st.sampled_from((0, 0, 2, 9, 40)),
                  order=st.integers(0, 2), merge=st.booleans(), split=st.booleans(),
                  lazy=st.sampled_from((False, False, False, True))),
        *[st.builds(Forge, kind=st.integers(0, 4), pick=_SMALL, count=st.integers(1, 4))] * 6,
        st.builds(Arm, queue=_SMALL, behind=st.sampled_from((0, 0, 1))),
        st.builds(QueueOff, queue=_SMALL, wait=st.booleans()),
        st.builds(QueueOn, queue=_SMALL, pool=_SMALL, log2=st.integers(6, 8)),
        *[st.builds(QueueOn, queue=_SMALL, pool=_SMALL)] * 3,
        st.builds(PoolOff, pool=_SMALL, wait=st.booleans()),
        st.builds(PoolOn, pool=_SMALL, lifo=st.booleans()),
        *[st.builds(PoolOn, pool=_SMALL)] * 3,
        st.builds(Replace, pool=_SMALL, regions=st.integers(1, 2), lifo=st.booleans()),
        st.builds(Register, pool=_SMALL),
        st.builds(Limit, pool=_SMALL, pages=_FEW),
        st.builds(Quota, queue=_SMALL, pages=_FEW),
        st.builds(LowWater, pool=_SMALL, enter=st.integers(0, 12), more=st.integers(0, 4)),
        st.builds(Steer, queue=_SMALL, turns=st.sampled_from((False, True, True))),
        st.builds(Gate, receive=st.sampled_from((True, True, True, False)),
                  drop_when_full=st.booleans(), minimum=st.sampled_from((1, 1, 60)),
                  maximum=st.sampled_from((0xFFFF, 0xFFFF, 1518, 100))),
        *[st.builds(Gate)] * 3,
        st.builds(Flush, st.sampled_from((1, 16, 256))),
        st.builds(Events, clear=st.integers(0, 7), enable=st.integers(0, 7)),
        st.builds(Memory, latency=st.sampled_from((2, 4, 64, 250)),
                  jitter=st.sampled_from((0, 0, 30)),
                  address=_EIGHTHS, data=_EIGHTHS, response=_EIGHTHS),
        *[st.builds(Memory)] * 3,
        st.builds(Gaps, _EIGHTHS),
        st.builds(BusError, skip=st.integers(0, 60), count=st.integers(1, 2)),
        st.builds(Misuse, kind=st.integers(0, 4), index=_SMALL),
        st.builds(Reset),
    )
    # By number: one_of() would take the same strategy twice for one.
    table = (*[frames] * 24, *others)
    return st.integers(0, len(table) - 1).flatmap(table.__getitem__)


def programs() -> st.SearchStrategy[list[Operation]]:
    """Return programs, most of some dozens of operations."""
    # Lists of lists: a plain list would have six operations on average.
    return st.lists(st.lists(_operations(), max_size=12), min_size=1, max_size=12).map(
        lambda parts: [operation for part in parts for operation in part])


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
