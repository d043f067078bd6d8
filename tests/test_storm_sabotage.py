"""The faults that ``make sabotage`` puts in: a rewritten card still has the text they replace."""

from __future__ import annotations

from pathlib import Path

import pytest

import pagering_hdl
from storm.sabotage import SABOTAGES, Sabotage


@pytest.mark.parametrize("fault", SABOTAGES, ids=lambda fault: fault.name)
def test_what_a_fault_replaces_is_in_the_card_once(fault: Sabotage) -> None:
    source = Path(pagering_hdl.__file__).parent / fault.file
    assert source.read_text(encoding="utf-8").count(fault.old) == 1
    assert "{hit}" in fault.new
