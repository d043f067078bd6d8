"""The tables of ``pagering bench``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

if TYPE_CHECKING:
    from .sim_bench import Delay, Row

__all__ = ["latency_table", "throughput_table"]


def _table(title: str, caption: str, *columns: str) -> Table:
    table = Table(title=title, caption=caption, box=box.SIMPLE_HEAD, padding=0)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _verdict(ok: bool, barred: bool) -> str:
    return "[red]no[/]" if not ok else "[green]ok[/]" if barred else ""


def throughput_table(rows: Sequence[Row]) -> Table:
    """Return a table of cycles per frame, and of what the host bus carries."""
    table = _table(
        "Cycles per frame, completions and page returns included",
        "bursts, bytes and returns: per frame. up, down: bytes on the link to the host and from "
        "it, beside the model of a card that fetches no descriptors",
        "bus", "queues", "chunk", "frame", "latency", "order", "cycles", "ideal", "ratio", "bar",
        "", "bursts", "bytes", "up", "model", "down", "model", "returns")
    before = None
    for row in rows:
        group = (row.bus_bits, row.queues, row.chunk_bytes, row.memory_latency)
        if before is not None and group != before:
            table.add_section()
        before = group
        table.add_row(
            str(row.bus_bits), str(row.queues), str(row.chunk_bytes), row.traffic,
            str(row.memory_latency), row.order, f"{row.cycles_per_frame:.2f}", f"{row.ideal:g}",
            f"{row.ratio:.3f}", f"{row.bar:g}" if row.bar else "",
            _verdict(row.ok, row.bar is not None), f"{row.bursts_per_frame:.2f}",
            f"{row.bus_bytes_per_frame:.1f}", f"{row.link_up_per_frame:.1f}",
            f"{row.link_up_model:.1f}", f"{row.link_down_per_frame:.1f}",
            f"{row.link_down_model:.1f}", f"{row.returns_per_frame:.2f}")
    return table


def latency_table(delays: Sequence[Delay]) -> Table:
    """Return a table of how long a frame alone takes."""
    table = _table("One frame alone: cycles from its last beat in to its completion's last beat",
                   "", "bus", "frame", "latency", "cycles", "bar", "")
    for delay in delays:
        table.add_row(str(delay.bus_bits), str(delay.frame_bytes), str(delay.memory_latency),
                      str(delay.cycles), str(delay.bar) if delay.bar else "",
                      _verdict(delay.ok, delay.bar is not None))
    return table
