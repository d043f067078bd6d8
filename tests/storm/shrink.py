"""Makes a program that fails short: first fewer operations, then plainer ones.

Any operation can be taken out of a program, and any of its fields set to a plain value, so this is
delta debugging over the list. It is done after Hypothesis has found a program, in place of its own
shrinking: that knows nothing of operations, and stops when its time is over rather than when the
program is short.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence

from .operation import Operation

__all__ = ["Shrinker", "plainer"]

Program = list[Operation]


def plainer(operation: Operation) -> Iterator[Operation]:
    """Return operations that are like another, but for one field that is plainer; best first."""
    for field in dataclasses.fields(operation):
        value = getattr(operation, field.name)
        plain = field.default if field.default is not dataclasses.MISSING else 0
        if value == plain:
            continue
        smaller = (1, value // 16, value // 4, value // 2) if plain == 0 else ()
        for other in dict.fromkeys((plain, *smaller)):
            # A count of 0 would be no operation at all.
            if (other or field.name != "count") and (other == plain or other < value):
                yield dataclasses.replace(operation, **{field.name: other})


class Shrinker:
    """Takes from a program what it does not need to fail.

    Parameters
    ----------
    fails : Callable[[Sequence[Operation]], bool]
        Runs a program.
    runs : int
        How many programs to run at most.
    """

    def __init__(self, fails: Callable[[Sequence[Operation]], bool], runs: int = 400) -> None:
        self._fails = fails
        self.runs = runs

    def _try(self, program: Program) -> bool:
        self.runs -= 1
        return self.runs >= 0 and self._fails(program)

    def shortest(self, program: Sequence[Operation]) -> Program:
        """Return a program that fails, and of which no operation can be taken out."""
        found, before = list(program), None
        while found != before and self.runs > 0:
            before = found
            found = self._plain(self._fewer(found))
        return found

    def _fewer(self, program: Program) -> Program:
        """Take out runs of operations, long ones first; from the end, as what fails is there."""
        size = len(program)
        while size:
            end = len(program)
            while end > 0:
                start = max(0, end - size)
                rest = program[:start] + program[end:]
                if self._try(rest):
                    program = rest
                end = start
            size //= 2
        return program

    def _plain(self, program: Program) -> Program:
        """Make each operation as plain as it can be."""
        for at in range(len(program)):
            again = True
            while again:
                again = False
                for operation in plainer(program[at]):
                    other = [*program[:at], operation, *program[at + 1:]]
                    if self._try(other):
                        program, again = other, True
                        break
        return program
