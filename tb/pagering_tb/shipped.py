"""The capture that comes with Pagering."""

from __future__ import annotations

from pathlib import Path

__all__ = ["SHIPPED"]

SHIPPED = Path(__file__).parent / "data" / "traffic.pcap"
""":mod:`pagering_tb.record_capture` made it."""
