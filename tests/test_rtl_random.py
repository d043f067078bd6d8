"""The whole card against a reference model, at random, with traffic in flight (see ``storm``).

Hypothesis writes programs: frames, returns good and bad, drains, resets, regions that come and go,
register writes, stalls, bus errors. The model judges every burst on the bus as it happens, and all
counters whenever the card is at rest. ``PAGERING_STORM_SEED`` chooses other programs,
``PAGERING_STORM_FRAMES`` how many frames go through each card.

A failure prints the seed and the shortest program that fails, and leaves it in a file. To run that
program again, and nothing else::

    PAGERING_REPLAY=program.json make test ARGS="-n 0 tests/test_rtl_random.py -k replay"
"""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pagering_hdl.config import CardConfig
from pagering_tb.runner import Result, build_verilog, simulate, verilog_text
from storm.sabotage import SABOTAGES, sabotaged_verilog

CARDS: dict[str, dict[str, Any]] = {
    "64-bit": {"pools": 2, "pages": 64, "region_pages": 8, "fifo_bytes": 16384},
    "packed": {"bus_bits": 128, "queues": 3, "pools": 2, "pages": 64, "region_pages": 8,
               "chunk_bytes": 256, "fifo_bytes": 16384},
    "512-bit": {"bus_bits": 512, "pools": 3, "pages": 64, "region_pages": 8, "chunk_bytes": 64},
}
SHARES = {"64-bit": 2, "packed": 3, "512-bit": 2}
"""Runs on each card, with seeds of their own."""
SHORT = 16
"""Operations that are enough to show any of the faults."""
FRAMES = int(os.environ.get("PAGERING_STORM_FRAMES", "10000"))
SEED = int(os.environ.get("PAGERING_STORM_SEED", "1"))


def storm_build(options: dict[str, Any]) -> Path:
    """Build a card whose assertions speak, but do not stop the simulation."""
    return build_verilog(verilog_text(CardConfig(**options)).replace("$finish;", ""))


def storm(where: Path, options: dict[str, Any], run_dir: Path, **job: Any) -> tuple[
        Result, dict[str, Any], str]:
    """Run programs on a build; return the result, the report, and the program that failed."""
    found, report = run_dir / "program.json", run_dir / "report.json"
    result = simulate(where, "storm.run", run_dir=run_dir, extra={
        "PAGERING_STORM_JOB": json.dumps({
            "config": options, "found": str(found), "report": str(report), **job})})
    told = json.loads(report.read_text(encoding="utf-8")) if report.exists() else {}
    return result, told, found.read_text(encoding="utf-8") if found.exists() else ""


def check(result: Result, options: dict[str, Any], program: str, run_dir: Path) -> None:
    """Fail with the shortest program, if one failed."""
    if not result.ok and program:
        kept = run_dir / "replay.json"
        kept.write_text(json.dumps({"card": options, "program": json.loads(program)}, indent=1),
                        encoding="utf-8")
        pytest.fail(f"{'; '.join(result.failed.values())}\n{program}\nPAGERING_REPLAY={kept} runs "
                    f"it again", pytrace=False)
    result.check()


@pytest.mark.slow
@pytest.mark.parametrize(("card", "seed"), [
    pytest.param(card, seed, id=f"{card}, seed {seed}") for card, shares in SHARES.items()
    for seed in range(1000 * SEED, 1000 * SEED + 100 * shares, 100)])
def test_whatever_happens_the_card_does_what_the_model_allows(
        card: str, seed: int, tmp_path: Path) -> None:
    options = CARDS[card]
    result, report, program = storm(storm_build(options), options, tmp_path, seed=seed,
                                    frames=FRAMES)
    logging.info("%s, seed %d: %s", card, seed, report)
    check(result, options, program, tmp_path)
    assert report["frames"] >= FRAMES
    reached = Counter(report["reached"])
    assert reached["FRAMES_DELIVERED"] > FRAMES // 8
    for name in (*(f"DROP_{name}" for name in (
            "BAD_FRAME", "MALFORMED", "OVERSIZE", "CARD_DISABLED", "POOL_DISABLED", "POOL_LIMIT",
            "QUEUE_QUOTA")),
            *(f"FAULT_{name}" for name in (
                "RETURN_IDLE", "REGISTER_ACCESS", "DATA_WRITE", "COMPLETION_WRITE"))):
        assert FRAMES < 20_000 or reached[name], f"no program led to {name}"


@pytest.fixture(scope="session")
def sabotaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the packed card with every fault in it, all switched off."""
    text = sabotaged_verilog(json.dumps(CARDS["packed"]), tmp_path_factory.mktemp("sabotaged"))
    return build_verilog(text.replace("$finish;", ""))


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(SABOTAGES)), ids=[f.name for f in SABOTAGES])
def test_a_fault_is_found_and_shown_by_a_short_program(
        number: int, sabotaged: Path, tmp_path: Path) -> None:
    result, report, text = storm(sabotaged, CARDS["packed"], tmp_path, seed=1, frames=40_000,
                                 sabotage=number)
    program = json.loads(text or "[]")
    logging.info("%s: %s after %s\n%s", SABOTAGES[number].name, result.failed, report, text)
    assert not result.ok, "the fault was not found"
    assert program, result.tail
    assert len(program) <= SHORT, text


@pytest.mark.slow
def test_a_card_with_all_faults_switched_off_is_right(sabotaged: Path, tmp_path: Path) -> None:
    storm(sabotaged, CARDS["packed"], tmp_path, seed=1, frames=3000)[0].check()


@pytest.mark.slow
def test_replay(tmp_path: Path) -> None:
    path = os.environ.get("PAGERING_REPLAY")
    if not path:
        pytest.skip("PAGERING_REPLAY names no program")
    told = json.loads(Path(path).read_text(encoding="utf-8"))
    program = tmp_path / "replayed.json"
    program.write_text(json.dumps(told["program"]), encoding="utf-8")
    result, _, _ = storm(storm_build(told["card"]), told["card"], tmp_path, replay=str(program))
    result.check()
