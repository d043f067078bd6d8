"""The fast bus models and cocotbext-axi's see the same card: see ``rtl.bulk``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pagering_hdl.config import CardConfig
from pagering_tb.runner import build, simulate
from test_rtl_card import CARDS


def observe(card: str, test: str, where: Path) -> dict[str, Any]:
    """Run one of the tests; return what it wrote down."""
    options, output = CARDS[card], where / f"{test}.json"
    simulate(build(CardConfig(**options)), "rtl.bulk", testcase=test, run_dir=where, extra={
        "PAGERING_TEST_CONFIG": json.dumps(options), "PAGERING_BULK_OUTPUT": str(output)}).check()
    found: dict[str, Any] = json.loads(output.read_text(encoding="utf-8"))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("card", ["64-bit", "packed", "512-bit"])
def test_fast_models_do_what_those_of_cocotbext_axi_do(card: str, tmp_path: Path) -> None:
    judge = observe(card, "with_cocotbext_axi", tmp_path)
    assert judge["counters"]["FRAMES_DELIVERED"] > 80
    assert judge["counters"]["FRAMES_IN"] == 120
    fast = observe(card, "with_bulk_ports", tmp_path)
    # Small frames share a burst while the bus is busy: a cycle here or there may part two.
    assert fast.pop("bursts") == pytest.approx(judge.pop("bursts"), rel=0.05)
    assert fast == judge
    # Stalls and latency move everything in time, and nothing else.
    stalled = observe(card, "with_bulk_ports_that_stall", tmp_path)
    assert stalled["cycles"] > judge["cycles"]
    # But a line of completions that leaves in two parts takes a beat more.
    beats = [counters.pop("WRITE_BEATS") for counters in (stalled["counters"], judge["counters"])]
    assert beats[0] == pytest.approx(beats[1], rel=0.05)
    for name in ("counters", "region 0", "region 1", "region 2", "region 3", "ring"):
        assert stalled[name] == judge[name], name
