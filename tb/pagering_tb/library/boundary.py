"""What the card's Verilog becomes for the library: as fast to simulate as it can be.

A model is evaluated in two passes: what depends on its inputs alone, then what a clock edge changes
and all that follows. Two changes make one pass a cycle of that:

* Registers around the inputs. What is set before an edge is seen by the card from that edge on, as
  from any synchronous neighbour, and no logic hangs on an input.
* Both edges of the clock count, so that there is none at which nothing happens.

Assertions say nothing: their line in the text is their name, see :func:`place`.
"""

from __future__ import annotations

import re

from pagering_hdl.generate import MODULE

__all__ = ["TOP", "place", "with_boundary"]

TOP = "card"
"""Name of the Verilog module."""
_PORT = re.compile(r"^  (input|output) (\[\d+:0\] )?(\w+);$", re.MULTILINE)
_CLOCK = "clk"
_DISPLAY = re.compile(r"^ *\$display\(\"Assertion failed.*\);$", re.MULTILINE)


def with_boundary(text: str) -> str:
    """Return the card's text with a top around it."""
    inside = re.search(rf"^module {MODULE}\(.*?^endmodule", text, re.DOTALL | re.MULTILINE)
    if inside is None:
        raise ValueError(f"the text has no module {MODULE}")
    ports = _PORT.findall(inside[0])
    inputs = [(width, name) for direction, width, name in ports
              if direction == "input" and name != _CLOCK]
    outputs = [(width, name) for direction, width, name in ports if direction == "output"]
    names = ", ".join([_CLOCK, *(name for _, name in (*inputs, *outputs))])
    joined = ", ".join([f".{_CLOCK}({_CLOCK})", *(f".{name}({name}_held)" for _, name in inputs),
                        *(f".{name}({name})" for _, name in outputs)])
    # As many lines as before: an assertion's place is the same in both texts.
    text = _DISPLAY.sub("", text).replace(f"posedge {_CLOCK}", f"edge {_CLOCK}")
    return "\n".join([
        text.rstrip("\n"), "", f"module {TOP}({names});", f"  input {_CLOCK};",
        *(f"  input {width}{name};\n  reg {width}{name}_held = 0;" for width, name in inputs),
        *(f"  output {width}{name};" for width, name in outputs),
        f"  always @(edge {_CLOCK}) begin",
        *(f"    {name}_held <= {name};" for _, name in inputs),
        "  end", f"  {MODULE} card({joined});", "endmodule", ""])


def place(text: str, line: int) -> str:
    """Say which module the line of a text is in."""
    before = text.splitlines()[:line]
    for found in reversed(before):
        if match := re.match(r"module \\?([^\s(]+)", found):
            return match[1]
    return MODULE
