"""How long chains of logic are from register to register, and through which blocks, by estimate.

Place and route takes minutes and names one critical path. The netlist of Yosys has all of them:
each table, carry and multiplexer between two registers has its delay in the data sheet, and the
wires between them are taken to be equally long. What that gives is within some 5 % of what is
routed, in seconds, and a list for every pair of blocks says what would be next in line. No part by
itself shows the chains that go through several parts, which are those of *ready* above all.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any

from pagering.errors import PageringError

from .layout import block_of, signal_of

__all__ = ["Chain", "Chains"]

_WIRE = 0.65
"""Nanoseconds from one cell to the next, on average over routed cards."""
_TABLE = 0.24
_CLOCK_TO_OUTPUT = 0.5
_MEMORY_TO_OUTPUT = 4.9
_MEMORY_REGISTER_TO_OUTPUT = 0.9
_SETUP = 0.1
_MEMORY_SETUP = 0.2

_LOGIC: Mapping[str, tuple[tuple[str, str, float], ...]] = {
    "LUT4": (("A B C D", "Z", _TABLE + _WIRE),),
    "PFUMX": (("ALUT BLUT", "Z", 0.15), ("C0", "Z", 0.2 + _WIRE)),
    "L6MUX21": (("D0 D1", "Z", 0.15), ("SD", "Z", 0.2 + _WIRE)),
    "CCU2C": (("A0 B0 C0 D0 A1 B1 C1 D1", "S0 S1 COUT", 0.45 + _WIRE), ("CIN", "S0 S1", 0.4),
              ("CIN", "COUT", 0.06)),
    "TRELLIS_DPR16X4": (("RAD", "DO", _TABLE + _WIRE),),
}
"""By type of cell: from which ports to which others, and how long that takes."""
_SINKS: Mapping[str, tuple[tuple[str, float], ...]] = {
    "TRELLIS_FF": (("DI", _SETUP), ("CE", _WIRE), ("LSR", _WIRE), ("M", _WIRE)),
    "TRELLIS_DPR16X4": (("DI WRE WAD", _WIRE + _SETUP),),
}
"""By type of cell: the ports that end a chain, and how long before the clock's edge it does."""
_MEMORY_INPUT = re.compile(r"(AD|DI|CE|OCE|WE|CS|RST)[AB]\d*")


@dataclass(frozen=True)
class Chain:
    """Logic between two registers."""

    ns: float
    levels: int
    """Cells on the way."""
    source: str
    """The block that it comes from."""
    sink: str
    port: str
    """What of the last register it goes into: its data, its enable, its reset."""
    path: list[str]
    """The signals on the way, both registers included."""


@dataclass
class _Net:
    """A wire: what drives it, when it is there, and through which net that was last."""

    driver: str
    ns: float
    before: int | None = None
    inputs: list[tuple[int, float]] = field(default_factory=list)


class Chains:
    """The chains of a netlist, the longest for each pair of blocks and kind of port.

    Parameters
    ----------
    netlist : Mapping
        What :func:`~pagering_boards.ecp5.synthesize` wrote.

    Raises
    ------
    PageringError
        If logic feeds itself without a register in between.
    """

    def __init__(self, netlist: Mapping[str, Any]) -> None:
        cells = max((module["cells"] for module in netlist["modules"].values()), key=len)
        self._nets: dict[int, _Net] = {}
        for name, cell in cells.items():
            self._add(name, cell)
        self._time()
        longest: dict[tuple[str, str, str], tuple[float, str, int]] = {}
        for name, port, net, setup in self._sinks(cells):
            found = (self._nets[net].ns + setup, name, net)
            key = (block_of(self._source(net)), block_of(name), port)
            longest[key] = max(longest.get(key, found), found)
        self._longest = sorted(longest.items(), key=lambda item: -item[1][0])

    def __iter__(self) -> Iterator[Chain]:
        """Iterate over them, the longest first."""
        for (source, sink, port), (ns, name, net) in self._longest:
            way = [*reversed(list(self._way(net)))]
            signals = [signal_of(self._nets[step].driver) for step in way] + [signal_of(name)]
            yield Chain(round(ns, 2), len(way) - 1, source, sink, port,
                        [signal for signal, _ in itertools.groupby(signals)])

    def _add(self, name: str, cell: Mapping[str, Any]) -> None:
        """Note the nets that a cell drives."""
        kind = cell["type"]
        for sources, outputs, delay in _LOGIC.get(kind, ()):
            for port in outputs.split():
                for net in _bits(cell, port):
                    start = _CLOCK_TO_OUTPUT if kind == "TRELLIS_DPR16X4" else 0.0
                    driven = self._nets.setdefault(net, _Net(name, start))
                    driven.inputs += [(bit, delay) for source in sources.split()
                                      for bit in _bits(cell, source)]
        if kind == "TRELLIS_FF":
            self._nets |= {net: _Net(name, _CLOCK_TO_OUTPUT) for net in _bits(cell, "Q")}
        elif kind == "DP16KD":
            for port in cell["connections"]:
                if port.startswith("DO"):
                    mode = cell["parameters"].get(f"REGMODE_{port[2]}")
                    start = _MEMORY_TO_OUTPUT if mode == "NOREG" else _MEMORY_REGISTER_TO_OUTPUT
                    self._nets |= {net: _Net(name, start) for net in _bits(cell, port)}

    def _time(self) -> None:
        """Find out when each net is there."""
        order = TopologicalSorter({number: [bit for bit, _ in net.inputs]
                                   for number, net in self._nets.items()})
        try:
            for number in order.static_order():
                net = self._nets.setdefault(number, _Net("", _CLOCK_TO_OUTPUT))
                for bit, delay in net.inputs:
                    if self._nets[bit].ns + delay > net.ns:
                        net.ns, net.before = self._nets[bit].ns + delay, bit
        except CycleError as error:
            around = sorted({signal_of(self._nets[net].driver) for net in error.args[1]})
            raise PageringError(f"logic feeds itself without a register: {', '.join(around)}") \
                from error

    def _sinks(self, cells: Mapping[str, Any]) -> Iterator[tuple[str, str, int, float]]:
        for name, cell in cells.items():
            ports = [(port, setup) for names, setup in _SINKS.get(cell["type"], ())
                     for port in names.split()]
            if cell["type"] == "DP16KD":
                ports = [(port, _WIRE + _MEMORY_SETUP) for port in cell["connections"]
                         if _MEMORY_INPUT.fullmatch(port)]
            for port, setup in ports:
                for net in _bits(cell, port):
                    if net in self._nets:
                        yield name, port.rstrip("0123456789"), net, setup

    def _way(self, net: int | None) -> Iterator[int]:
        """Iterate over the nets of a chain, from its end to its start."""
        while net is not None:
            yield net
            net = self._nets[net].before

    def _source(self, net: int) -> str:
        *_, first = self._way(net)
        return self._nets[first].driver


def _bits(cell: Mapping[str, Any], port: str) -> list[int]:
    """Return the nets at a port; constants are none."""
    return [bit for bit in cell["connections"].get(port, ()) if isinstance(bit, int)]
