"""The report balances its books, and its table and JSON say the same."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from pagering.errors import PageringError
from pagering_tb.report import Pages, QueueFigures, Report


@pytest.fixture
def report() -> Report:
    return Report(
        frames_in=1000, frames_delivered=990, drops={"NO_PAGE": 7, "RUNT": 3, "OVERSIZE": 0},
        bytes_in=500_000, bytes_delivered=495_000, cycles=66_000, clock_mhz=125.0, bus_bits=64,
        write_beats=63_360, pages=Pages(registered=256, free=250, outstanding=4, open=2, peak=99),
        returns=986, interrupts=198, faults={"RETURN_IDLE": 0}, wall_seconds=2.0,
        options={"queues": 2},
        per_queue=[QueueFigures(0, 500, 250_000, 10, 60), QueueFigures(
            1, 490, 245_000, 0, 39, {"rx-csum-bad": 12, "rx-hw-drop-overruns": 34})])


def rendered(report: Report) -> str:
    console = Console(file=io.StringIO(), width=100)
    console.print(report.render())
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_derived_figures(report: Report) -> None:
    assert report.cycles_per_frame == pytest.approx(66.0)
    assert report.gbps == pytest.approx(495_000 * 8 / (66_000 / 125e6) / 1e9)
    assert report.write_utilization == pytest.approx(0.96)
    assert report.cycles_per_second == pytest.approx(33_000)
    assert report.interrupts_per_frame == pytest.approx(0.2)


def test_run_of_nothing_divides_by_nothing() -> None:
    empty = Report()
    assert (empty.cycles_per_frame, empty.gbps, empty.write_utilization) == (0, 0, 0)
    assert empty.ok


def test_is_ok_only_if_the_books_balance(report: Report) -> None:
    assert report.ok
    assert "ok: every frame and every page is accounted for" in rendered(report)
    short = dataclasses.replace(report, frames_delivered=989)
    assert not short.ok
    assert list(short.imbalances()) == ["1000 frames came in, but 989 were delivered and 10 "
                                        "dropped"]
    leak = dataclasses.replace(report, pages=Pages(registered=256, free=250))
    assert list(leak.imbalances()) == ["256 pages are registered, but 250 are free, 0 outstanding "
                                       "and 0 being filled"]
    assert not dataclasses.replace(report, problems=["queue 1: frame 4 differs"]).ok


def test_json_has_every_figure(report: Report, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")
    report.problems.append("queue 1: frame 4 differs")
    report.write(path)
    figures = json.loads(path.read_text())
    for name in ("frames_in", "frames_delivered", "drops", "bytes_in", "bytes_delivered", "cycles",
                 "cycles_per_frame", "gbps", "clock_mhz", "write_utilization", "pages", "returns",
                 "interrupts", "interrupts_per_frame", "faults", "wall_seconds",
                 "cycles_per_second", "ok", "problems", "per_queue", "options", "link", "sizes"):
        assert name in figures, name
    assert figures["drops"] == {"NO_PAGE": 7, "RUNT": 3, "OVERSIZE": 0}
    assert figures["pages"]["peak"] == 99
    assert figures["per_queue"][1]["frames_delivered"] == 490
    assert figures["per_queue"][1]["statistics"]["rx-csum-bad"] == 12
    assert figures["ok"] is False
    assert figures["problems"] == ["queue 1: frame 4 differs"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.json"]


def test_unwritable_output_is_a_sentence(report: Report, tmp_path: Path) -> None:
    with pytest.raises(PageringError, match="cannot be written: No such file or directory"):
        report.write(tmp_path / "missing" / "report.json")


def test_table_names_causes_and_troubles(report: Report) -> None:
    report.problems.append("queue 1: frame 4 differs")
    text = rendered(report)
    for expected in ("no page 7, runt 3", "66.0 per frame, 7.50 Gb/s at 125 MHz", "96.0%",
                     "not ok: queue 1: frame 4 differs", "33,000 cycles/s", "of 256 registered",
                     "most pages held", "0.200 per frame"):
        assert expected in text, expected
    assert "oversize" not in text
