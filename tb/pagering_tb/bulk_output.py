"""How the fast models drive the card: see :mod:`pagering_tb.bulk_ports`."""

from __future__ import annotations

from typing import Any

__all__ = ["Output"]


class Output:
    """An input of the card that is written only when it changes."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle
        self.level = -1

    def set(self, value: int) -> None:
        if value != self.level:
            self.level = value
            self._handle.value = value
