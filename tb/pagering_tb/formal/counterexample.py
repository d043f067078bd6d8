"""A way from reset to a violation, in a form that a person can follow."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table
from rich.text import Text

__all__ = ["Counterexample", "read_counterexample"]

_VARIABLE = re.compile(r"\$var wire (\d+) (\w+) (.+) \$end")
_ASSERTION = re.compile(r'attribute \\src "([^"]*)"(?:\n +attribute .*)*\n +cell \$assert .*\n'
                        r" +connect \\A (\S+)\n +connect \\EN (\S+)\n")


_HIDDEN = re.compile(r"clk$|dut\.|port__|goal\.|_")
"""What the specification does not name: the inside of the part, ports that look at memories."""


@dataclass(frozen=True)
class Counterexample:
    """Values of every signal in each step from reset, and which assertions the last one breaks."""

    signals: dict[str, list[int]]
    broken: list[str]
    """Places in the sources, as ``folder/file.py:line``."""

    @property
    def steps(self) -> int:
        """Steps from reset."""
        return max(map(len, self.signals.values()), default=0)

    def sentence(self, part: str, promise: str) -> str:
        """Say what failed."""
        places = " and ".join(map(_line, self.broken)) or "an assertion"
        return f"{part}: not always true that {promise}: after {self.steps} cycles {places} fails."

    def table(self) -> Table:
        """Return the signals step by step, in hexadecimal; a dot is the value of before.

        The part's ports and what the specification names, but for what is zero throughout.
        """
        shown = Table(box=None, pad_edge=False, header_style="bold")
        shown.add_column("signal")
        for step in range(1, self.steps + 1):
            shown.add_column(str(step), justify="right")
        for name, values in sorted(self.signals.items()):
            if not any(values) or _HIDDEN.match(name):
                continue
            cells = [f"{value:x}" if step == 0 or value != values[step - 1] else "."
                     for step, value in enumerate(values)]
            shown.add_row(Text(name), *cells)
        return shown


def read_counterexample(trace: Path, asserts: Path) -> Counterexample:
    """Read what yosys has left: the trace as VCD, and the assertion cells.

    Parameters
    ----------
    trace, asserts : :class:`pathlib.Path`
    """
    names: dict[str, str] = {}
    steps: list[dict[str, int]] = []
    for line in trace.read_text(encoding="utf-8").splitlines():
        if found := _VARIABLE.fullmatch(line):
            names[found[2]] = found[3]
        elif line.startswith("#"):
            steps.append({})
        elif steps and (found := re.fullmatch(r"b([01xz]+) (\w+)|([01xz])(v\d+)", line)):
            bits, code = (found[1], found[2]) if found[1] else (found[3], found[4])
            steps[-1][names[code]] = int(re.sub("[xz]", "0", bits), 2)
    steps = [step for step in steps if step]
    every = {name: [step.get(name, 0) for step in steps] for name in names.values()}
    broken = [place for place, holds, enabled in _ASSERTION.findall(
        asserts.read_text(encoding="utf-8"))
        if not _last(every, holds) and _last(every, enabled)]
    # Yosys marks a signal with a name in the sources by a backslash.
    signals = {name[1:]: values for name, values in every.items() if name.startswith("\\")}
    return Counterexample(signals, sorted(set(broken)))


def _last(signals: dict[str, list[int]], name: str) -> int:
    """Return the value of a wire in the last step."""
    if re.fullmatch(r"1'[01]", name):
        return int(name[-1])
    return signals.get(re.sub(r"[$:]", "_", name), [0])[-1]


def _line(place: str) -> str:
    """Return a place with what is written there, as far as it can be read."""
    file, _, line = place.rpartition(":")
    short = "/".join(Path(file).parts[-2:])
    try:
        text = Path(file).read_text(encoding="utf-8").splitlines()[int(line) - 1].strip()
    except (OSError, ValueError, IndexError):
        return f"{short}:{line}"
    return f"{short}:{line} ({text})"
