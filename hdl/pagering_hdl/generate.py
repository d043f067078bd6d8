"""Writes the card as one self-contained Verilog file."""

from __future__ import annotations

from pathlib import Path

from amaranth.back import verilog as backend

from .config import CardConfig
from .top import Top

__all__ = ["MODULE", "verilog", "write"]

MODULE = "pagering_rx"
"""Name of the Verilog module."""


def verilog(config: CardConfig) -> str:
    """Return the Verilog text of a card. The same configuration gives the same text."""
    top = Top(config)
    return backend.convert(top, name=MODULE, ports=list(top.ports.values()), emit_src=False,
                           strip_internal_attrs=True)


def write(config: CardConfig, path: Path) -> None:
    """Write the Verilog text of a card to ``path``."""
    path.write_text(verilog(config))
