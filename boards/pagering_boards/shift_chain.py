"""Puts a synthesized design between two shift chains, so that only its own timing is seen.

A part of the card has hundreds of ports and no device has that many pins. Here every input comes
from a flip-flop and every output goes to one, and three pins remain: the clock, the first input's
data and the fold of all outputs. Nothing of the design can be optimized away, and every path in
it starts and ends at a flip-flop as it would between its neighbours.

Works on the netlist that Yosys writes as JSON, after synthesis: the design itself stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

__all__ = ["enclose"]

_XOR = "0110100110010110"
"""A lookup table's rows for A ^ B ^ C ^ D."""
_FOLDED = 3
"""Outputs that are folded by one lookup table."""

_ALWAYS = "1 "
"""A string; without the blank it would be a number in this format."""


class _Chain:
    """Adds cells to a netlist whose net numbers begin at ``first``."""

    def __init__(self, cells: dict[str, Any], clock: int, first: int) -> None:
        self.cells = cells
        self.clock = clock
        self._nets: Iterator[int] = iter(range(first, 1 << 30))

    def net(self) -> int:
        return next(self._nets)

    def flip_flop(self, name: str, data: int | str, output: int | None = None) -> int:
        """Add a flip-flop; return its output."""
        output = self.net() if output is None else output
        self._add(name, "TRELLIS_FF", {
            "GSR": "DISABLED", "CEMUX": _ALWAYS, "CLKMUX": "CLK", "LSRMUX": "LSR",
            "REGSET": "RESET", "SRMODE": "LSR_OVER_CE"}, {
                "CLK": self.clock, "DI": data, "LSR": "0"}, {"Q": output})
        return output

    def xor(self, name: str, nets: Sequence[int]) -> int:
        """Add a gate of up to four inputs; return its output."""
        output = self.net()
        inputs: dict[str, int | str] = dict.fromkeys("ABCD", "0")
        inputs.update(zip("ABCD", nets, strict=False))
        self._add(name, "LUT4", {"INIT": _XOR}, inputs, {"Z": output})
        return output

    def _add(self, name: str, kind: str, parameters: dict[str, str],
             inputs: dict[str, int | str], outputs: dict[str, int]) -> None:
        self.cells[name] = {
            "hide_name": 0, "type": kind, "parameters": parameters, "attributes": {},
            "port_directions": {**dict.fromkeys(inputs, "input"),
                                **dict.fromkeys(outputs, "output")},
            "connections": {port: [net] for port, net in (*inputs.items(), *outputs.items())},
        }


def enclose(netlist: dict[str, Any], top: str, rename: Callable[[str], str],
            clock: str = "clk") -> dict[str, Any]:
    """Return the netlist of a design with its chains: ports ``clk``, ``si`` and ``so``.

    Parameters
    ----------
    netlist : dict
        What ``write_json`` wrote of a flat design for an ECP5.
    top : str
        Its module.
    rename : Callable[[str], str]
        Gives each of its cells a new name, such as no cell of the chains has.
    clock : str
        The one input that no flip-flop drives.
    """
    module = netlist["modules"][top]
    ports = {name: port["bits"] for name, port in module["ports"].items()
             if port["direction"] == "output" or name != clock}
    cells = {rename(name): cell for name, cell in module["cells"].items()
             if cell["type"] != "$scopeinfo"}
    highest = max((bit for net in module["netnames"].values() for bit in net["bits"]
                   if isinstance(bit, int)), default=1)
    clock_net = module["ports"][clock]["bits"][0] if clock in module["ports"] else highest + 1
    chain = _Chain(cells, clock_net, highest + 2)
    data = first = chain.net()
    for name, bits in ports.items():
        if module["ports"][name]["direction"] == "input":
            for index, bit in enumerate(bits):
                data = chain.flip_flop(f"in.{name}.{index}", data, bit)
    captured = [chain.flip_flop(f"out.{name}.{index}", bit) for name, bits in ports.items()
                if module["ports"][name]["direction"] == "output"
                for index, bit in enumerate(bits)]
    fold = data
    for index in range(0, len(captured), _FOLDED):
        mixed = chain.xor(f"fold.{index}.gate", (fold, *captured[index:index + _FOLDED]))
        fold = chain.flip_flop(f"fold.{index}", mixed)
    return {"creator": netlist["creator"], "modules": {top: {
        "attributes": {"top": "1"}, "cells": cells,
        "ports": {"clk": {"direction": "input", "bits": [clock_net]},
                  "si": {"direction": "input", "bits": [first]},
                  "so": {"direction": "output", "bits": [fold]}},
        "netnames": module["netnames"],
    }}}
