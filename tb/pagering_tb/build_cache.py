"""What was built once, kept under the hash of everything that went in.

Several processes may ask for the same thing at the same moment: the first one makes it, the others
wait for it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .simulators import SimulatorError, version

if TYPE_CHECKING:
    from pagering_hdl.config import CardConfig

__all__ = ["cache_dir", "digest", "locked", "verilog_text", "write_atomically"]

_RECIPE = 3
"""Part of every hash; raised when the code changes how things are built."""


def cache_dir() -> Path:
    """Return where builds are kept.

    ``$PAGERING_CACHE``, else ``build/`` of the checkout, else the user's cache directory.
    """
    if chosen := os.environ.get("PAGERING_CACHE"):
        return Path(chosen).absolute()
    root = Path(__file__).resolve().parents[2]
    if (root / "pyproject.toml").is_file() and (root / "hdl").is_dir():
        return root / "build"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "pagering"


def verilog_text(config: CardConfig, observed: bool = False) -> str:
    """Return the card's Verilog, from the cache if nothing it is made from has changed.

    With ``observed`` it has the port of :class:`pagering_hdl.observed_top.ObservedTop`.
    """
    package = importlib.util.find_spec("pagering_hdl")
    contract = importlib.util.find_spec("pagering.abi")
    if package is None or package.origin is None or contract is None or contract.origin is None:
        raise SimulatorError("the card's sources are not installed; run `pip install -e .[sim]` "
                             "in the checkout")
    sources = [*sorted(Path(package.origin).parent.rglob("*.py")), Path(contract.origin)]
    key = digest("verilog", repr(config), *(("observed",) if observed else ()), version("amaranth"),
                 *(f"{path.name}\n{path.read_text(encoding='utf-8')}" for path in sources))
    kept = cache_dir() / "verilog" / f"{key}.v"
    with locked(kept):
        if not kept.exists():
            from pagering_hdl.generate import verilog  # slow to import: only when needed
            write_atomically(kept, verilog(config, observed))
        return kept.read_text(encoding="utf-8")


def digest(*parts: str) -> str:
    """Return a short name for everything that ``parts`` say."""
    found = hashlib.sha256(f"{_RECIPE}".encode())
    for part in parts:
        found.update(b"%d:" % len(part) + part.encode())
    return found.hexdigest()[:20]


def write_atomically(path: Path, text: str) -> None:
    """Write a file that nobody ever sees half written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a cache entry, across processes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path.with_name(f"{path.name}.lock"), "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
