"""The driver by itself: what importing it pulls in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_SW = Path(__file__).resolve().parents[1] / "sw"


def test_receiving_needs_nothing_but_the_standard_library() -> None:
    program = ("import sys; before = set(sys.modules); import pagering; "
               "loaded = {name.partition('.')[0] for name in set(sys.modules) - before}; "
               "print(sorted(loaded - set(sys.stdlib_module_names)))")
    done = subprocess.run([sys.executable, "-S", "-c", program], check=True, capture_output=True,
                          text=True, env={"PYTHONPATH": str(_SW)})
    assert done.stdout == "['pagering']\n"
