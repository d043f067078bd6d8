"""The whole card in simulation: each module of ``rtl`` on the cards that it is about.

A card costs a build, so there are few, chosen to differ in everything: width, chunks, pages, pools
and queues. One start of the simulator runs all tests of a module.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pagering_hdl.config import CardConfig
from pagering_tb.runner import build, simulate

CARDS: dict[str, dict[str, Any]] = {
    "64-bit": {},
    "packed": {"bus_bits": 128, "pools": 2, "chunk_bytes": 256, "pages": 64, "region_pages": 8},
    "512-bit": {"bus_bits": 512, "pools": 2, "chunk_bytes": 64, "pages": 256, "region_pages": 16},
    "64-queues": {"bus_bits": 256, "queues": 64, "pools": 64, "page_bytes": 65536,
                  "chunk_bytes": 1024, "pages": 256, "region_pages": 2},
    "smallest": {"queues": 1, "pools": 1, "pages": 256, "in_flight": 16, "parser": False,
                 "steering": False, "header_split": False, "pull_returns": False,
                 "pool_watch": False, "statistics": False, "timestamps": False},
}
RUNS = {
    "frames": ("64-bit", "packed", "512-bit", "64-queues", "smallest"),
    "drops": ("64-bit", "packed", "512-bit"),
    "counting": ("64-bit", "packed", "512-bit"),
    "returns": ("64-bit", "packed"),
    "pull": ("64-bit", "packed", "512-bit"),
    "registers": ("packed", "64-queues"),
    "lifecycle": ("64-bit", "packed"),
    "completions": ("64-bit", "512-bit"),
    "header_split": ("packed", "512-bit"),
    "hold": ("64-bit", "packed"),
    "interrupts": ("64-bit", "512-bit"),
    "timestamps": ("64-bit", "512-bit"),
    "soak": ("packed", "512-bit"),
    "tenants": ("packed",),
    "largest_ring": ("512-bit",),
    "dissection": ("64-bit", "packed", "512-bit"),
    "steering": ("64-bit", "512-bit"),
}
SEEDS = {"64-bit": (1, 2), "packed": (1, 2, 3, 4), "512-bit": (1, 2)}


def run(module: str, card: str, where: Path, **variables: str) -> None:
    """Build a card, run a module of tests on it, and raise if one of them fails."""
    options = CARDS[card]
    simulate(build(CardConfig(**options)), f"rtl.{module}", run_dir=where,
             extra={"PAGERING_TEST_CONFIG": json.dumps(options), **variables}).check()


@pytest.mark.slow
@pytest.mark.parametrize(("card", "module"), [
    (card, module) for module, cards in RUNS.items() for card in cards])
def test_card(card: str, module: str, tmp_path: Path) -> None:
    run(module, card, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("card", "seed"), [
    (card, seed) for card, seeds in SEEDS.items() for seed in seeds])
def test_card_and_twin_agree(card: str, seed: int, tmp_path: Path) -> None:
    run("twin", card, tmp_path, PAGERING_TWIN_SEED=str(seed))
