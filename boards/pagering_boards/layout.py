"""What a placed and routed design takes, and what limits its clock, block by block.

Every cell has the name of a signal of the design near it, with its place in the hierarchy in
front: that is how a cell belongs to a block. A block is a part of the engine, or of the part when
a part is looked at by itself. Logic between two parts counts to the one whose signal it is named
after, so the sums are exact and the borders are not.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Area", "Layout", "SlowPath", "block_of", "labelled", "signal_of"]

_LABEL = re.compile(r"\[(\w*)\](.*)", re.DOTALL)
_GENERATED = re.compile(
    r"_(TRELLIS_FF|LUT4|PFUMX|L6MUX21|CCU2C|DI|DO)_|_D[IO]$|\$(RAMW|DPRAM|CCU2|\w+MUX)_?")
"""Where a cell's own name begins, behind the signal's."""
_NUMBERING = re.compile(r"\$\d+|(\.\d+)+$|\[\d+\]$")
_OUTER = "engine."
"""The one instance that is no block: what is in it is."""
_CARRY = "$nextpnr_CCU2C"
"""Ends of carry chains, which nextpnr adds."""
_SIGNALS_KEPT = 200


@dataclass(frozen=True)
class Area:
    """Cells of the device.

    ``comb`` counts four-input tables: a carry cell is two of them; 16 x 4 bits of memory are four,
    and two more lie behind their write port. ``ram`` are all those of memories. ``bram`` counts
    memories of 18 kbit.
    """

    comb: int = 0
    ff: int = 0
    bram: int = 0
    ram: int = 0

    @classmethod
    def of(cls, kinds: Mapping[str, int]) -> Area:
        """Count cells by their type; a memory's write port takes up two tables."""
        ram = kinds["RAM"] + 2 * kinds["TRELLIS_RAMW"]
        return cls(kinds["TRELLIS_COMB"], kinds["TRELLIS_FF"], kinds["DP16KD"], ram)

    @classmethod
    def unplaced(cls, kinds: Mapping[str, int]) -> Area:
        """Count cells of a netlist, before they are packed."""
        ram = 6 * kinds["TRELLIS_DPR16X4"]
        return cls(kinds["LUT4"] + 2 * kinds["CCU2C"] + ram, kinds["TRELLIS_FF"], kinds["DP16KD"],
                   ram)


@dataclass(frozen=True)
class SlowPath:
    """The slowest way into a signal, in nanoseconds without the setup time."""

    signal: str
    ns: float


@dataclass(frozen=True)
class Layout:
    """One run of place and route."""

    fmax_mhz: float
    area: Area
    blocks: dict[str, Area]
    """By name, the largest first."""
    path: list[tuple[str, float]]
    """The critical path: each signal on its way and when it is there."""
    slow: list[SlowPath]
    """The slowest signals, the worst first."""

    @classmethod
    def measure(cls, placed: Mapping[str, Any], report: Mapping[str, Any]) -> Layout:
        """Read what nextpnr wrote: the placed netlist and its report."""
        counts: dict[str, Counter[str]] = {}
        [module] = placed["modules"].values()
        for name, cell in module["cells"].items():
            label = _LABEL.match(name)
            if label or name.startswith(_CARRY):
                kinds = counts.setdefault(label[1] if label else "", Counter())
                kinds[cell["type"]] += 1
                kinds["RAM"] += cell.get("parameters", {}).get("MODE") == "DPRAM"
        total: Counter[str] = sum(counts.values(), Counter())
        blocks = {name: Area.of(kinds) for name, kinds in counts.items()}
        [clock] = report["fmax"].values() or [{"achieved": 0.0}]
        return cls(
            fmax_mhz=round(clock["achieved"], 2), area=Area.of(total),
            blocks=dict(sorted(blocks.items(), key=lambda item: -item[1].comb)),
            path=_critical_path(report), slow=_slow_signals(report))

    @classmethod
    def unplaced(cls, netlist: Mapping[str, Any]) -> Layout:
        """Count the cells of what Yosys wrote; there is no clock and no path yet."""
        counts: dict[str, Counter[str]] = {}
        module = max(netlist["modules"].values(), key=lambda module: len(module["cells"]))
        for name, cell in module["cells"].items():
            if label := _LABEL.match(name):
                counts.setdefault(label[1], Counter())[cell["type"]] += 1
        blocks = {name: Area.unplaced(kinds) for name, kinds in counts.items()}
        return cls(fmax_mhz=0.0, area=Area.unplaced(sum(counts.values(), Counter())),
                   blocks=dict(sorted(blocks.items(), key=lambda item: -item[1].comb)),
                   path=[], slow=[])

    def to_json(self) -> str:
        """Return it as text."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Layout:
        """Return what :meth:`to_json` wrote."""
        found = json.loads(text)
        return cls(
            fmax_mhz=found["fmax_mhz"], area=Area(**found["area"]),
            blocks={name: Area(**area) for name, area in found["blocks"].items()},
            path=[(name, ns) for name, ns in found["path"]],
            slow=[SlowPath(**item) for item in found["slow"]])


def labelled(scopes: Collection[str]) -> Callable[[str], str]:
    """Return what puts a cell's block in front of its name.

    Parameters
    ----------
    scopes : Collection[str]
        Every instance of the design's hierarchy, by its path.
    """
    inner = {scope.removeprefix(_OUTER) for scope in scopes if scope + "." != _OUTER}

    def label(cell: str) -> str:
        block = cell.removeprefix(_OUTER).partition(".")[0]
        return f"[{_NUMBERING.sub('', block) if block in inner else ''}]{cell}"

    return label


def block_of(cell: str) -> str:
    """Return the block that a labelled cell belongs to; empty if it is in none."""
    label = _LABEL.match(cell)
    return label[1] if label else ""


def signal_of(cell: str) -> str:
    """Return the signal that a labelled cell is named after, with its place in the hierarchy."""
    label = _LABEL.match(cell)
    name = _GENERATED.split(label[2] if label else cell, maxsplit=1)[0]
    return _NUMBERING.sub("", name.removeprefix(_OUTER))


def _critical_path(report: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Return the signals on the path from flip-flop to flip-flop, each once."""
    found: list[tuple[str, float]] = []
    for path in report["critical_paths"]:
        if "<async>" in path["from"] or "<async>" in path["to"]:
            continue
        ns = 0.0
        for step in path["path"]:
            ns += step["delay"]
            name = signal_of(step["to"]["cell"])
            if found and found[-1][0] == name:
                found.pop()
            found.append((name, round(ns, 2)))
    return found


def _slow_signals(report: Mapping[str, Any]) -> list[SlowPath]:
    worst: dict[str, float] = {}
    for net in report["detailed_net_timings"]:
        for end in net["endpoints"]:
            if _LABEL.match(end["cell"]):
                name = signal_of(end["cell"])
                worst[name] = max(worst.get(name, 0.0), round(end["delay"][1], 2))
    ranked = sorted(worst.items(), key=lambda item: -item[1])[:_SIGNALS_KEPT]
    return [SlowPath(name, ns) for name, ns in ranked]
