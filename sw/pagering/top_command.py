"""``pagering top``: queues, pools and drops of a card, live, while its frames are received."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pagering.devices import Device
from pagering.receive_session import ReceiveSession
from pagering.snapshot import Snapshot, take

__all__ = ["screen", "watch"]


def watch(device: Device, *, queues: int | None = None, seconds: float | None = None,
          interval: float = 0.5, console: Console | None = None) -> int:
    """Receive, and show what happens, until ``seconds`` are over or somebody stops it; return 0.

    Raises
    ------
    PageringError
        If the card cannot be opened.

    """
    console = console or Console()
    begun = time.monotonic()
    end = float("inf") if seconds is None else begun + seconds
    with (ReceiveSession(device, queues) as session,
          Live(console=console, auto_refresh=False) as live,
          contextlib.suppress(KeyboardInterrupt)):
        before, then = take(session.card), begun
        while then < end:
            while (now := time.monotonic()) < min(end, then + interval):
                rest = min(end, then + interval) - now
                if not session.turn(lambda _: None, rest):
                    time.sleep(rest)  # there is still something to look at
            after = take(session.card)
            live.update(screen(device.name, before, after, now - then), refresh=True)
            before, then = after, now
    return 0


def screen(name: str, before: Snapshot, after: Snapshot, seconds: float) -> Group:
    """Return what is shown of two moments, so many seconds apart."""
    arrived = (after.card["frames_in"] - before.card["frames_in"]) / max(seconds, 1e-9)
    title = Text.assemble((name, "bold"), f"   {arrived:,.0f} frames/s on the wire, "
                          f"{after.card['frames_in']:,} so far")
    parts: list[Text | Table] = [title, _queues(before, after, seconds), _pools(after)]
    for what, style, was, now in (("drops", "yellow", before.drops, after.drops),
                                  ("faults", "red", before.faults, after.faults)):
        if any(now.values()):
            parts.append(_causes(what, style, was, now, seconds))
    return Group(*parts)


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _queues(before: Snapshot, after: Snapshot, seconds: float) -> Table:
    table = _table("queue", "frames/s", "Mb/s", "frames", "dropped", "unread", "pages held")
    for index, now in after.queues.items():
        was = before.queues.get(index, now)

        def rate(name: str, now: Mapping[str, int] = now, was: Mapping[str, int] = was) -> float:
            return (now.get(name, 0) - was.get(name, 0)) / max(seconds, 1e-9)

        table.add_row(str(index), f"{rate('rx-packets'):,.0f}",
                      f"{8e-6 * rate('rx-bytes'):,.2f}", f"{now.get('rx-packets', 0):,}",
                      f"{now.get('rx-hw-drops', 0):,}", str(now["unread"]),
                      str(now["pages-held"]))
    return table


def _pools(after: Snapshot) -> Table:
    table = _table("pool", "pages", "on the ring", "with the host", "peak", "")
    for index, row in after.pools.items():
        table.add_row(str(index), f"{row['registered']:,}", f"{row['free']:,}",
                      f"{row['outstanding']:,}", f"{row['peak']:,}",
                      Text("low", style="yellow") if row["low"] else "")
    return table


def _causes(what: str, style: str, before: Mapping[str, int], after: Mapping[str, int],
            seconds: float) -> Table:
    table = _table(what, "count", "each second")
    for name, count in after.items():
        if count:
            rate = (count - before.get(name, 0)) / max(seconds, 1e-9)
            table.add_row(Text(name, style=style), f"{count:,}", f"{rate:,.0f}")
    return table
