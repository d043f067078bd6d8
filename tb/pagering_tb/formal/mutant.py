"""Parts broken on purpose: a proof that does not notice proves nothing.

A mutant is one expression of one method, replaced. It is applied to the class for as long as a
design is being elaborated, and says clearly if the text that it replaces is no longer there.
"""

from __future__ import annotations

import contextlib
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pagering.errors import PageringError

__all__ = ["Mutant"]


@dataclass(frozen=True)
class Mutant:
    """A deliberate fault.

    Parameters
    ----------
    owner
        The class, or module, that has the function.
    function : :class:`str`
    old, new : :class:`str`
        Source text and what is put in its place; ``old`` occurs once.
    """

    owner: Any
    function: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.owner.__name__}.{self.function}: {self.old} -> {self.new}"

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Break the part while the context lasts.

        Raises
        ------
        PageringError
            If ``old`` does not occur exactly once.
        """
        original = getattr(self.owner, self.function)
        source = textwrap.dedent(inspect.getsource(original))
        found = source.count(self.old)
        if found != 1:
            raise PageringError(f"{self.owner.__name__}.{self.function} has {found} times the text "
                                f"{self.old!r} that a mutant replaces, not once")
        broken: dict[str, Any] = {}
        code = compile(source.replace(self.old, self.new), f"<mutant of {self.function}>", "exec")
        exec(code, original.__globals__, broken)
        setattr(self.owner, self.function, broken[self.function])
        try:
            yield
        finally:
            setattr(self.owner, self.function, original)
