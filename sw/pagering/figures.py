"""The file that a benchmark leaves its figures in."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pagering.errors import PageringError

__all__ = ["write_figures"]


def write_figures(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as JSON, one object each; make the folder if there is none.

    Raises
    ------
    PageringError
        If that is not possible.

    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise PageringError(f"{path} cannot be written: {error.strerror}; choose another place "
                            f"with --output") from error
