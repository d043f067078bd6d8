"""Runs all proofs, their covers and their mutants side by side, and prints what came of it."""

from __future__ import annotations

import functools
import importlib
import os
import pkgutil
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from pagering.errors import PageringError

from . import specs
from .mutant import Mutant
from .solver import Answer, Verdict, ask
from .specification import Specification

__all__ = ["Outcome", "Questions", "run", "specifications"]


@dataclass
class Outcome:
    """What is known of one specification."""

    kind: type[Specification]
    proof: Answer
    covers: dict[str, Answer] = field(default_factory=dict)
    mutants: dict[Mutant, Answer] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Seconds of a processor for all its questions, when they were asked."""
        answers = [self.proof, *self.covers.values(), *self.mutants.values()]
        return sum(answer.seconds for answer in answers)

    def problems(self) -> Iterator[str]:
        """Say what is not as it must be."""
        kind, proof = self.kind, self.proof
        if proof.verdict is Verdict.FAILS and proof.counterexample is not None:
            yield proof.counterexample.sentence(kind.part, kind.promise)
        elif proof.verdict is not Verdict.PROVEN:
            yield (f"{kind.part}: {kind.name()} is not proven: no violation is known, but "
                   f"{kind.steps} steps are not enough for induction.")
        if not self.covers:
            yield f"{kind.part}: {kind.name()} shows by no cover that it is not empty."
        if not self.mutants:
            yield f"{kind.part}: {kind.name()} has no mutant that it must notice."
        for name, answer in self.covers.items():
            if answer.verdict is not Verdict.FAILS:
                yield (f"{kind.part}: {kind.name()} may be an empty proof: '{name}' was not "
                       f"reached in {kind.reach} cycles.")
        for mutant, answer in self.mutants.items():
            if answer.verdict is not Verdict.FAILS:
                yield f"{kind.part}: {kind.name()} does not notice the mutant {mutant}."


def specifications() -> list[type[Specification]]:
    """Return every specification, by part."""
    found = []
    for module in pkgutil.iter_modules(specs.__path__, f"{specs.__name__}."):
        names = importlib.import_module(module.name)
        found += [getattr(names, name) for name in names.__all__]
    return sorted(found, key=lambda kind: (kind.part, kind.name()))


class Questions:
    """All that is asked about one specification, under way side by side.

    Parameters
    ----------
    kind : type of :class:`Specification`
    pool : :class:`ThreadPoolExecutor`
    keep : :class:`bool`
        Whether answers may come from the cache.
    """

    def __init__(self, kind: type[Specification], pool: ThreadPoolExecutor, *,
                 keep: bool = True) -> None:
        self.kind = kind
        specification = kind()
        self.text = specification.convert()
        self.ask = functools.partial(ask, own=kind.own, memories=kind.memories,
                                     unseen=kind.unseen)
        self.proof = pool.submit(self.ask, self.text, steps=kind.steps, keep=keep)
        search = functools.partial(self.ask, steps=kind.reach, from_reset=True, keep=keep)
        self.covers = {goal: pool.submit(search, kind().convert(goal), goal=True)
                       for goal in specification.covers}
        self.mutants: dict[Mutant, Future[Answer]] = {}
        for mutant in kind.mutants:
            with mutant.applied():
                self.mutants[mutant] = pool.submit(search, kind().convert())

    def outcome(self) -> Outcome:
        """Wait for all answers. A counterexample is sought anew, for answers are kept without."""
        found = self.proof.result()
        if found.verdict is not Verdict.PROVEN and found.counterexample is None:
            found = self.ask(self.text, steps=self.kind.steps, keep=False)
        return Outcome(self.kind, found,
                       {goal: asked.result() for goal, asked in self.covers.items()},
                       {mutant: asked.result() for mutant, asked in self.mutants.items()})


def run(names: Sequence[str] = (), *, keep: bool = True) -> int:
    """Prove everything, or what is named; print a table; return 0 if nothing is wrong.

    Parameters
    ----------
    names : sequence of :class:`str`
        Parts or specifications; none means all.
    keep : :class:`bool`
        Whether answers may come from the cache.
    """
    every = specifications()
    kinds = [kind for kind in every if not names or {kind.part, kind.name()} & {*names}]
    known = {name for kind in every for name in (kind.part, kind.name())}
    if unknown := [name for name in names if name not in known]:
        raise PageringError(f"there is no proof of {unknown[0]}; there are some of "
                            f"{', '.join(sorted({kind.part for kind in every}))}")
    console = Console()
    with ThreadPoolExecutor(os.cpu_count()) as pool, Progress(
            console=console, transient=True) as progress:
        # Elaboration is Python and quick; what takes time happens in processes of its own.
        asked = [Questions(kind, pool, keep=keep) for kind in kinds]
        outcomes = [questions.outcome()
                    for questions in progress.track(asked, description="Proving")]
    console.print(_table(outcomes))
    problems = [problem for outcome in outcomes for problem in outcome.problems()]
    for outcome in outcomes:
        if outcome.proof.counterexample is not None:
            console.print(outcome.proof.counterexample.table())
    for problem in problems:
        console.print(Text(problem, style="red"), soft_wrap=True)
    if not problems:
        seconds = sum(outcome.seconds for outcome in outcomes)
        console.print(f"All {len(outcomes)} are proven, no proof is empty, and every deliberate "
                      f"fault is noticed: {seconds:.0f} seconds of a processor.")
    return 1 if problems else 0


def _table(outcomes: Sequence[Outcome]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("part", no_wrap=True)
    table.add_column("always true", overflow="fold")
    table.add_column("method", no_wrap=True)
    table.add_column("result", no_wrap=True)
    for title in ("CPU s", "covers", "mutants"):
        table.add_column(title, justify="right", no_wrap=True)
    colours = {Verdict.PROVEN: "green", Verdict.FAILS: "red", Verdict.UNDECIDED: "yellow"}
    for outcome in outcomes:
        proof = outcome.proof
        table.add_row(
            outcome.kind.part, outcome.kind.promise,
            f"induction, k={proof.steps}",
            Text(proof.verdict.value, style=colours[proof.verdict]), f"{outcome.seconds:.1f}",
            _share(outcome.covers.values()), _share(outcome.mutants.values()))
    return table


def _share(answers: Collection[Answer]) -> str:
    """Return how many of the things that must be found have been."""
    found = [answer for answer in answers if answer.verdict is Verdict.FAILS]
    return f"{len(found)}/{len(answers)}"
