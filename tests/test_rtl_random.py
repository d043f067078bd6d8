"""The whole card against a reference model, at random, with traffic in flight (see ``storm``).

Hypothesis writes programs: frames, returns good and bad, drains, resets, regions that come and go,
steering, register writes, stalls, bus errors. The model judges every burst on the bus as it
happens, and all counters whenever the card is at rest. Here some thousand frames go through each
card; ``make storm`` takes 200,000. ``PAGERING_STORM_SEED`` chooses other programs,
``PAGERING_STORM_FRAMES`` how many frames go through each card. ``make sabotage`` puts the test
itself on trial: faults that it has to find.

A failure prints the seed and the shortest program that fails, and leaves it in a file. To run that
program again, and nothing else::

    PAGERING_REPLAY=program.json make test ARGS="-n 0 tests/test_rtl_random.py -k replay"
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import pytest

from pagering_tb.runner import build_verilog
from storm.job import CARDS, build, storm
from storm.sabotage import SABOTAGES, sabotaged_verilog

SHORT = 16
"""Operations that are enough to show any of the faults."""
FRAMES = int(os.environ.get("PAGERING_STORM_FRAMES", "4000"))
SEED = int(os.environ.get("PAGERING_STORM_SEED", "1"))


@pytest.mark.slow
@pytest.mark.parametrize("card", CARDS)
def test_whatever_happens_the_card_does_what_the_model_allows(card: str, tmp_path: Path) -> None:
    outcome = storm(build(CARDS[card]), CARDS[card], tmp_path, seed=SEED, frames=FRAMES)
    logging.info("%s, seed %d: %s", card, SEED, outcome)
    assert not outcome.complaint(CARDS[card], tmp_path / "replay.json")
    assert outcome.frames >= FRAMES
    assert outcome.reached["FRAMES_DELIVERED"] > FRAMES // 8


@pytest.fixture(scope="session")
def sabotaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the packed card with every fault in it, all switched off."""
    text = sabotaged_verilog(json.dumps(CARDS["packed"]), tmp_path_factory.mktemp("sabotaged"))
    return build_verilog(text.replace("$finish;", ""))


@pytest.mark.sabotage
@pytest.mark.parametrize("number", range(len(SABOTAGES)), ids=[f.name for f in SABOTAGES])
def test_a_fault_is_found_and_shown_by_a_short_program(
        number: int, sabotaged: Path, tmp_path: Path) -> None:
    outcome = storm(sabotaged, CARDS["packed"], tmp_path, seed=SEED, frames=40_000,
                    sabotage=number)
    logging.info("%s: %s after %s", SABOTAGES[number].name, outcome.result.failed, outcome)
    assert not outcome.result.ok, "the fault was not found"
    assert outcome.program, outcome.result.tail
    # Some show as soon as the card is set up: their program is empty.
    assert len(json.loads(outcome.program)) <= SHORT, outcome.program


@pytest.mark.sabotage
def test_a_card_with_all_faults_switched_off_is_right(sabotaged: Path, tmp_path: Path) -> None:
    outcome = storm(sabotaged, CARDS["packed"], tmp_path, seed=SEED, frames=1500)
    assert not outcome.complaint(CARDS["packed"], tmp_path / "replay.json")


@pytest.mark.slow
def test_replay(tmp_path: Path) -> None:
    path = os.environ.get("PAGERING_REPLAY")
    if not path:
        pytest.skip("PAGERING_REPLAY names no program")
    told = json.loads(Path(path).read_text(encoding="utf-8"))
    program = tmp_path / "replayed.json"
    program.write_text(json.dumps(told["program"]), encoding="utf-8")
    storm(build(told["card"]), told["card"], tmp_path, replay=str(program)).result.check()
