"""The kernel's answers, kept as compressed text: one file for each trace.

The first line is a comment that names the kernel. The others are answers, and hold the trace.
"""

from __future__ import annotations

import lzma
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ANSWERS", "Recorded", "load", "save"]

ANSWERS = Path(__file__).parents[1] / "kernel" / "answers"


@dataclass(frozen=True)
class Recorded:
    """What a kernel answered to one trace."""

    kernel: str
    """Its release and version, as it tells them itself."""
    answers: tuple[str, ...]


def load(path: Path) -> Recorded:
    """Read a file.

    Raises
    ------
    ValueError
        If it does not name its kernel.
    """
    first, *answers = lzma.decompress(path.read_bytes()).decode("ascii").splitlines()
    if not first.startswith("# Linux "):
        raise ValueError(f"{path.name} does not say which kernel answered")
    return Recorded(first.removeprefix("# Linux "), tuple(answers))


def save(path: Path, recorded: Recorded) -> None:
    """Write a file."""
    text = "".join(f"{line}\n" for line in (f"# Linux {recorded.kernel}", *recorded.answers))
    path.write_bytes(lzma.compress(text.encode("ascii"), preset=9 | lzma.PRESET_EXTREME))
