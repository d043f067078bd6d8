"""``python -m inside``: makes all checks."""

from __future__ import annotations

from .checks import CHECKS
from .report import run

for name, check in CHECKS.items():
    run(name, check)
