"""``pagering synth``: what the card takes on a device, and how fast its clock may be.

Each configuration is synthesized and then placed and routed once for each seed, out of context:
:mod:`pagering_boards.shift_chain` says how. The figure of a configuration is the median clock.
Without a seed nothing is placed: areas are those of the netlist, and the clock is only estimated.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import statistics
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amaranth.back import rtlil
from amaranth.hdl import Fragment
from rich import box
from rich.console import Console
from rich.table import Table

from pagering.errors import PageringError
from pagering.figures import write_figures
from pagering_hdl.config import CardConfig
from pagering_hdl.engine import Engine
from pagering_hdl.register_window import RegisterWindow
from pagering_hdl.top import Top
from pagering_tb.runner import cache_dir

from .chains import Chain, Chains
from .ecp5 import DEVICE, TOP, place_and_route, require_tools, synthesize
from .layout import Layout

__all__ = ["PLAN", "REFERENCE", "SEEDS", "Plan", "Row", "design", "judge", "run"]

SEEDS = (1, 2, 3)
REFERENCE = CardConfig(pages=4096, region_pages=64, chunk_bytes=256)
"""64 bits, 4 queues, 4 pools, pages handed out in 16 chunks: everything switched on."""
_SLOWEST = 12
"""Rows that the tables of slow signals and long chains have."""
_CHAINS_KEPT = 200


@dataclass(frozen=True)
class Plan:
    """A configuration to synthesize, and what it must reach; without bars it is only reported."""

    name: str
    config: CardConfig
    part: str | None = None
    """One part of the card by itself, not the whole."""
    comb_bar: int | None = None
    mhz_bar: float | None = None


PLAN = (
    Plan("reference", REFERENCE, comb_bar=14_000, mhz_bar=156.25),
    Plan("smallest", CardConfig(queues=1, pools=1, pages=256, in_flight=16, parser=False,
                                steering=False, header_split=False, pull_returns=False,
                                pool_watch=False, statistics=False, timestamps=False),
         comb_bar=3_000),
)


@dataclass(frozen=True)
class Row:
    """One line of the table, one object of the JSON."""

    name: str
    device: str
    comb: int
    """Four-input tables, those of carry chains and memories (``ram``) included."""
    ram: int
    ff: int
    bram: int
    fmax_mhz: list[float]
    """For each seed."""
    median_mhz: float | None
    comb_bar: int | None
    mhz_bar: float | None
    ok: bool
    config: CardConfig
    layout: Layout
    """That of the seed with the median clock."""
    chains: list[Chain]
    """The longest of the netlist, each between two blocks, by estimate."""


def design(plan: Plan) -> str:
    """Return what is to be synthesized, for Yosys.

    Raises
    ------
    PageringError
        If the card has no part of that name.
    """
    if plan.part is None:
        top = Top(plan.config)
        return str(rtlil.convert(top, name=TOP, ports=list(top.ports.values()), emit_src=False))
    parts = {"window": RegisterWindow(plan.config), **Engine.parts(plan.config)}
    for part in parts.values():
        Fragment.get(part, None)  # Amaranth warns of a part that is made and not looked at
    if plan.part not in parts:
        raise PageringError(f"the card has no part {plan.part!r}; its parts are "
                            f"{', '.join(sorted(parts))}")
    return str(rtlil.convert(parts[plan.part], name=TOP, emit_src=False))


def judge(plan: Plan, netlist: Mapping[str, Any], layouts: Sequence[Layout]) -> Row:
    """Make a row of a netlist and the layouts of all seeds; without any, no clock is judged."""
    ranked = sorted(layouts, key=lambda layout: layout.fmax_mhz)
    middle = ranked[(len(ranked) - 1) // 2] if ranked else Layout.unplaced(netlist)
    median = statistics.median(layout.fmax_mhz for layout in layouts) if layouts else None
    area = middle.area
    return Row(
        name=plan.name, device=DEVICE, comb=area.comb, ram=area.ram, ff=area.ff, bram=area.bram,
        fmax_mhz=[layout.fmax_mhz for layout in layouts],
        median_mhz=None if median is None else round(median, 2),
        comb_bar=plan.comb_bar, mhz_bar=plan.mhz_bar, config=plan.config, layout=middle,
        chains=list(itertools.islice(Chains(netlist), _CHAINS_KEPT)),
        ok=((plan.comb_bar is None or area.comb <= plan.comb_bar)
            and (plan.mhz_bar is None or median is None or median >= plan.mhz_bar)))


def run(path: Path, parts: Sequence[str] = (), seeds: int = len(SEEDS),
        plan: Sequence[Plan] | None = None, console: Console | None = None,
        workers: int = 2) -> int:
    """Synthesize everything, print the tables, write the JSON; return 1 if a bar is missed, else 0.

    Parameters
    ----------
    parts : Sequence[str]
        Parts of the reference card to look at one by one, instead of whole cards.
    seeds : int
        Number of runs of place and route; none leaves it at the netlist.
    workers : int
        Runs at the same time.

    Raises
    ------
    PageringError
        If a tool is missing or fails, a part does not exist or the JSON cannot be written.
    """
    require_tools()
    console = console or Console()
    plan = plan or tuple(Plan(part, REFERENCE, part) for part in parts) or PLAN
    write_figures(path, [])  # find out now whether it can be written
    cache = cache_dir() / "synth"
    designs = [design(item) for item in plan]
    with ThreadPoolExecutor(workers) as pool:
        with console.status("synthesizing"):
            netlists = list(pool.map(lambda text: synthesize(text, cache), designs))
        with console.status("placing and routing"):
            layouts = list(pool.map(lambda job: place_and_route(*job),
                                    itertools.product(netlists, range(1, seeds + 1))))
    rows = [judge(item, json.loads(netlists[number].read_text(encoding="utf-8")),
                  layouts[number * seeds:(number + 1) * seeds])
            for number, item in enumerate(plan)]
    write_figures(path, [dataclasses.asdict(row) for row in rows])
    console.print(_table(rows))
    for row in rows if not parts else ():
        console.print(_blocks(row))
    for row in rows:
        if row.layout.path:
            console.print(_slow(row))
        console.print(_deep(row))
    console.print(f"\nThe figures are in {path}", style="dim", highlight=False, soft_wrap=True)
    return 0 if all(row.ok for row in rows) else 1


def _columns(title: str, *names: str, caption: str | None = None) -> Table:
    table = Table(title=title, caption=caption, box=box.SIMPLE_HEAD, padding=0,
                  min_width=64)
    for number, name in enumerate(names):
        table.add_column(name, justify="right" if number else "left", no_wrap=True)
    return table


def _table(rows: Sequence[Row]) -> Table:
    table = _columns(f"Synthesized for {DEVICE}", "", "LUT4", "of it RAM", "bar", "FF", "BRAM",
                     "MHz", "bar", "",
                     caption="MHz: median over the seeds; LUT4 with carry chains and memories")
    for row in rows:
        barred = row.comb_bar is not None or row.mhz_bar is not None
        verdict = "[red]no[/]" if not row.ok else "[green]ok[/]" if barred else ""
        clock = "" if row.median_mhz is None else f"{row.median_mhz:.1f}"
        table.add_row(row.name, str(row.comb), str(row.ram), f"{row.comb_bar or ''}", str(row.ff),
                      str(row.bram), clock, f"{row.mhz_bar or ''}", verdict)
    return table


def _blocks(row: Row) -> Table:
    table = _columns(f"{row.name}, block by block", "block", "LUT4", "of it RAM", "FF", "BRAM")
    for name, area in row.layout.blocks.items():
        table.add_row(name or "(between them)", str(area.comb), str(area.ram), str(area.ff),
                      str(area.bram))
    return table


def _slow(row: Row) -> Table:
    """Show the critical path, and the slowest ways into the other signals."""
    table = _columns(f"{row.name}: critical path, and what else is slow", "signal", "ns",
                     caption="when a signal is there, after the clock's edge")
    for signal, ns in row.layout.path:
        table.add_row(signal, f"{ns:.2f}")
    table.add_section()
    for slow in row.layout.slow[:_SLOWEST]:
        table.add_row(slow.signal, f"{slow.ns:.2f}")
    return table


def _deep(row: Row) -> Table:
    """Show the longest chains of logic, each between two blocks."""
    table = _columns(f"{row.name}: longest chains from block to block, by estimate", "from", "to",
                     "ns", "levels", caption="CE, LSR: what enables or resets the last register")
    for chain in row.chains[:_SLOWEST]:
        table.add_row(chain.source or "(between them)", f"{chain.sink}.{chain.port}",
                      f"{chain.ns:.1f}", str(chain.levels))
    return table
