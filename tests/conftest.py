"""What all tests share: the source folders on the path, and builds of stand-in cards."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[1]
for folder in (_ROOT / name for name in ("tests", "boards", "tb", "hdl", "sw")):
    # The checkout's own sources come before any installed copy, in simulation processes too.
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


@pytest.fixture(scope="session")
def writer_build() -> Callable[[int], Path]:
    """Build the stand-in card of ``rtl.writer`` for a bus width."""
    from pagering_tb.runner import build_verilog
    from rtl.writer import writer_verilog

    def build(bus_bits: int) -> Path:
        return build_verilog(writer_verilog(bus_bits))
    return build


@pytest.fixture(autouse=True)
def _stores_are_watched() -> Iterator[None]:
    """No test may store part of a word to an in-memory card, or the same twice."""
    from stores import watched

    with watched():
        yield


@pytest.fixture(autouse=True)
def _wall_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """No simulation of a test may run for ever."""
    if "PAGERING_WALL_LIMIT" not in os.environ:
        monkeypatch.setenv("PAGERING_WALL_LIMIT", "600")
