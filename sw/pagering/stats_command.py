"""``pagering stats``: receive for a while, and print all that was counted."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping

from rich import box
from rich.console import Console
from rich.table import Table

from pagering.devices import Device
from pagering.receive_session import ReceiveSession
from pagering.snapshot import Snapshot, prometheus, take

__all__ = ["count", "table"]

FORMS = ("table", "json", "prometheus")


def count(device: Device, *, queues: int | None = None, seconds: float = 1.0,
          form: str = "table", console: Console | None = None) -> int:
    """Receive for so many seconds, or until the device's frames are over; print; return 0.

    Opening a card resets it: the counts begin at 0.

    Raises
    ------
    PageringError
        If the card cannot be opened.

    """
    console = console or Console()
    with ReceiveSession(device, queues) as session:
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end and session.turn(lambda _: None, end - now):
            pass
        found = take(session.card)
    if form == "table":
        console.print(table(found))
    else:
        text = (json.dumps(found.to_json(), indent=1) + "\n" if form == "json"
                else prometheus(found))
        console.file.write(text)
    return 0


def table(found: Snapshot) -> Table:
    """Return everything that is not zero."""
    shown = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    for name in ("of", "what", "count"):
        shown.add_column(name, justify="right" if name == "count" else "left", no_wrap=True)
    groups: list[tuple[str, Mapping[str, int]]] = [
        ("card", found.card), ("dropped", found.drops), ("faults", found.faults),
        ("link", found.link), ("bytes with FCS", found.sizes),
        *((f"queue {index}", row) for index, row in found.queues.items()),
        *((f"pool {index}", row) for index, row in found.pools.items())]
    for group, values in groups:
        rows = [(name, value) for name, value in values.items() if value]
        for at, (name, value) in enumerate(rows):
            shown.add_row("" if at else group, name, f"{value:,}", end_section=at == len(rows) - 1)
    return shown
