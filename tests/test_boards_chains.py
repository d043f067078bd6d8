"""Chains of logic in a netlist: how long, through what, and where they cannot be counted."""

from __future__ import annotations

from typing import Any

import pytest

from pagering.errors import PageringError
from pagering_boards.chains import Chain, Chains
from pagering_boards.layout import Area, Layout


def cell(kind: str, parameters: dict[str, str] | None = None,
         **connections: list[int | str]) -> dict[str, Any]:
    return {"type": kind, "parameters": parameters or {}, "connections": connections}


def netlist(**extra: dict[str, Any]) -> dict[str, Any]:
    """A register of ``gate``, two tables, a register of ``ring``, and what else a test needs."""
    cells = {
        "[gate]gate.full_TRELLIS_FF_Q": cell("TRELLIS_FF", CLK=[1], DI=[9], Q=[2]),
        "[gate]gate.good_LUT4_Z": cell("LUT4", A=[2], B=["0"], Z=[3]),
        "[ring]ring.ready_LUT4_Z": cell("LUT4", C=[3], D=[8], Z=[4]),
        "[ring]ring.level_TRELLIS_FF_Q": cell("TRELLIS_FF", CLK=[1], CE=[4], DI=[2], Q=[8]),
    }
    return {"modules": {"dut": {"cells": cells | extra}, "LUT4": {"cells": {}}}}


def test_the_longest_chain_of_each_pair_of_blocks_comes_with_its_way() -> None:
    enable, data = Chains(netlist())
    # A register's 0.5, two tables of 0.24 with wires of 0.65, and the wire to the enable.
    assert enable == Chain(2.93, 2, "gate", "ring", "CE",
                           ["gate.full", "gate.good", "ring.ready", "ring.level"])
    assert (data.ns, data.levels, data.port, data.path) == (0.6, 0, "DI", ["gate.full",
                                                                         "ring.level"])


def test_a_carry_is_quick_from_cell_to_cell_and_slow_at_both_ends() -> None:
    [into] = (chain for chain in Chains(netlist(**{
        "add": cell("CCU2C", A0=[2], COUT=[10]), "more": cell("CCU2C", CIN=[10], COUT=[11]),
        "last": cell("CCU2C", CIN=[11], S0=[12]),
        "[sum]sum.total_TRELLIS_FF_Q": cell("TRELLIS_FF", DI=[12], Q=[13])}))
        if chain.sink == "sum")
    assert into.levels == 3
    assert into.ns == pytest.approx(0.5 + 1.1 + 0.06 + 0.4 + 0.1, abs=0.01)


@pytest.mark.parametrize(("mode", "ns"), [("NOREG", 5.0), ("OUTREG", 1.0)])
def test_a_block_memory_is_slow_unless_it_has_a_register_at_its_output(mode: str,
                                                                       ns: float) -> None:
    found = {chain.source: chain for chain in Chains(netlist(**{
        "[fifo]fifo.store": cell("DP16KD", {"REGMODE_A": mode}, DOA0=[20], ADB3=[2]),
        "[pages]pages.x_TRELLIS_FF_Q": cell("TRELLIS_FF", DI=[20], Q=[21])}))
        if chain.sink in {"pages", "fifo"}}
    assert found["fifo"].ns == ns
    assert (found["gate"].port, found["gate"].ns) == ("ADB", 1.35)


def test_a_memory_of_tables_is_read_like_a_table_and_written_like_a_register() -> None:
    found = {(chain.source, chain.port): chain.ns for chain in Chains(netlist(**{
        "[lines]lines.rows.0.0": cell("TRELLIS_DPR16X4", RAD=[2], DO=[30], DI=[8], WRE=["1"]),
        "[lines]lines.x_TRELLIS_FF_Q": cell("TRELLIS_FF", DI=[30], Q=[31])}))
        if chain.sink == "lines"}
    assert found == {("gate", "DI"): 1.49, ("ring", "DI"): 1.25}


def test_logic_that_feeds_itself_is_one_sentence() -> None:
    with pytest.raises(PageringError,
                       match=r"logic feeds itself without a register: gate\.a, gate\.b"):
        Chains(netlist(**{"[gate]gate.a_LUT4_Z": cell("LUT4", A=[41], Z=[40]),
                          "[gate]gate.b_LUT4_Z": cell("LUT4", A=[40], Z=[41])}))


def test_netlist_alone_says_what_it_will_take_up() -> None:
    found = Layout.unplaced(netlist(**{
        "[ring]ring.sum_CCU2C": cell("CCU2C"), "[ring]ring.rows": cell("TRELLIS_DPR16X4"),
        "[fifo]fifo.store": cell("DP16KD"), "in.a": cell("TRELLIS_FF", Q=[50])}))
    assert found.area == Area(comb=2 + 2 + 6, ff=2, bram=1, ram=6)
    assert found.blocks == {"ring": Area(comb=9, ff=1, ram=6), "gate": Area(comb=1, ff=1),
                            "fifo": Area(bram=1)}
    assert not found.path
