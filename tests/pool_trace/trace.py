"""The text that traces are written in.

One operation a line: its name, then decimal numbers. ``#`` starts a comment. Pools are numbered
from 0. Pages, and references of them, wait in numbered slots. An operation that may fill a slot
expects it to be empty.

=========== ======================= ==============================================================
name        numbers                 what happens, and the result
=========== ======================= ==============================================================
create      P order size nid flags  Make pool P. ``max_len`` is a page. Flags: 1 map, 2 sync,
                                    4 owner (returns are direct), 8 count pages as Linux does even
                                    if they come back twice. Result ``ok``, or ``refused`` and
                                    the error.
alloc       P S                     Allocate a page into slot S. Result: the page, or ``none``.
allocs      P S n                   Allocate into n slots from S on. Result: pages, a hash of them.
frag        P S size                Cut a fragment. Result: page and offset.
fit         P S size                Fragment or whole page. Result: page, offset and size.
ref         S T                     Take one more pool reference, into slot T. Result ``ok``.
put         S size direct           Drop the slot's one reference; ``size`` may be -1.
puts        S n size direct         The same for n slots from S on.
bulk        S...                    Return up to 16 slots at once.
fragment    S n                     Make the slot's one reference n references.
split       S T                     Move one reference of slot S to slot T.
unref       S size direct           Drop all references of a slot, and return the page if none is
                                    left. Result: references left.
hold        S T                     Take a memory reference of the page of slot S, into slot T.
drop        T                       Drop it.
twice       S T                     Copy slot S to T: one of them will be one return too many.
forget      S                       Empty the slot; nothing else happens.
nid         P n                     Prefer memory node n.
user        P                       Register one more user.
destroy     P                       Give the pool up. Result: ``users``, ``left n`` or ``gone``.
tick        P                       Wait for the next attempt to release the rest. Result:
                                    ``left n``.
=========== ======================= ==============================================================

A page is named by when it entered its pool: the first is 1, and it is a new one if it enters again.

An answer is the operation, ``=`` and the result, and for each live pool ``|`` and its counters in
the order of :data:`COUNTERS`. After ``destroy`` the last three are not shown, since the pool's own
clock may change them at any time; a pool of which no slot has a page is not shown at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

__all__ = ["COUNTERS", "FLAG_COMPAT", "FLAG_MAP", "FLAG_OWNER", "FLAG_SYNC", "GONE_COUNTERS",
           "Operation", "answer_line", "parse"]

FLAG_MAP, FLAG_SYNC, FLAG_OWNER, FLAG_COMPAT = 1, 2, 4, 8

GONE_COUNTERS = ("alloc-fast", "alloc-slow", "alloc-slow-high-order", "alloc-empty",
                 "alloc-refill", "alloc-waive", "recycle-cached", "recycle-cache-full",
                 "recycle-ring", "recycle-ring-full", "recycle-released-refcnt")
"""The statistics: all that is shown of a pool that was destroyed."""
COUNTERS = (*GONE_COUNTERS, "inflight", "pages in the cache", "pages in the ring")
"""What is shown of each pool."""

_LENGTHS = {
    "create": 5, "alloc": 2, "allocs": 3, "frag": 3, "fit": 3, "ref": 2, "put": 3, "puts": 4,
    "fragment": 2, "split": 2, "unref": 3, "hold": 2, "drop": 1, "twice": 2, "forget": 1,
    "nid": 2, "user": 1, "destroy": 1, "tick": 1,
}


@dataclass(frozen=True)
class Operation:
    """One line of a trace."""

    name: str
    numbers: tuple[int, ...]

    def __str__(self) -> str:
        """The line."""
        return " ".join((self.name, *map(str, self.numbers)))


def parse(lines: Iterable[str]) -> Iterator[Operation]:
    """Read a trace, or the operations of recorded answers.

    Raises
    ------
    ValueError
        With a sentence that names the first line that is none.
    """
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].partition("=")[0].split()
        if not words:
            continue
        name, *rest = words
        try:
            numbers = tuple(map(int, rest))
        except ValueError:
            raise ValueError(f"line {number} has a word where a number must be: {line!r}") from None
        lengths = range(1, 17) if name == "bulk" else (_LENGTHS.get(name),)
        if len(numbers) not in lengths:
            raise ValueError(f"line {number} is no operation: {line!r}")
        yield Operation(name, numbers)


def answer_line(operation: Operation, result: str, pools: Iterable[Iterable[int]]) -> str:
    """Write an answer."""
    shown = "".join(" |" + "".join(f" {value}" for value in pool) for pool in pools)
    return f"{operation} = {result}{shown}"
