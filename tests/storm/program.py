"""Programs for the random test: what the world does to a card, as a list of small operations."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

from . import control_operations, steer_operations, traffic_operations
from .operation import Operation

__all__ = ["OPERATIONS", "dump", "load"]

OPERATIONS: dict[str, type[Operation]] = {
    name: getattr(module, name)
    for module in (traffic_operations, control_operations, steer_operations)
    for name in module.__all__}


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
