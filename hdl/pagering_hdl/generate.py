"""Writes the card as one self-contained Verilog file."""

from __future__ import annotations

import re
from pathlib import Path

from amaranth.back import verilog as backend

from .config import CardConfig
from .observed_top import ObservedTop
from .top import Top

__all__ = ["MODULE", "plain", "verilog", "write"]

MODULE = "pagering_rx"
"""Name of the Verilog module."""

_ASSERTION = re.compile(r"^( *)assert \((.*)\);$", re.MULTILINE)
_CONSTANT = re.compile(r"^( *)always @\*\n *(\S+(?: \[[^]]*\])?) = (\d+'h[0-9a-f]+);$",
                       re.MULTILINE)
_MESSAGE = re.compile(r"^( *)\$write\((.*)\);$", re.MULTILINE)


def plain(text: str) -> str:
    """Say the design's assertions in Verilog-2005, which every simulator takes.

    They end the simulation. Synthesis tools define SYNTHESIS and do not see them. An assertion
    about something that is X, as inputs are before a simulation sets them, does not fail.

    Constant parts of a signal get an initial value: a block that waits for a change of nothing
    never runs in some simulators.
    """
    text = _CONSTANT.sub(
        r"`ifndef SYNTHESIS\n"
        r"\1initial \2 = \3;\n"
        r"`endif\n"
        r"\g<0>", text)
    text = _MESSAGE.sub(r"\1$display(\2);", text)
    return _ASSERTION.sub(
        r"`ifndef SYNTHESIS\n"
        r"\1if ((\2) === 1'b0) begin\n"
        r'\1  $display("Assertion failed in %m at %0t", $time);\n'
        r"\1  $finish;\n"
        r"\1end\n"
        r"`endif", text)


def verilog(config: CardConfig, observed: bool = False) -> str:
    """Return the Verilog text of a card. The same configuration gives the same text.

    With ``observed`` it has the port of :class:`ObservedTop`.
    """
    top = (ObservedTop if observed else Top)(config)
    return plain(backend.convert(top, name=MODULE, ports=list(top.ports.values()),
                                 emit_src=False, strip_internal_attrs=True))


def write(config: CardConfig, path: Path) -> None:
    """Write the Verilog text of a card to ``path``."""
    path.write_text(verilog(config))
