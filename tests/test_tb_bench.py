"""``pagering bench``: what counts as a cycle, what the bar says, and what the JSON holds."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pagering.errors import PageringError
from pagering_hdl.config import CardConfig
from pagering_tb.bench_main import Meter
from pagering_tb.sim_bench import BAR, PLAN, Job, ideal, judge, run
from pagering_tb.write_port import Burst

RINGS = [range(0x1000, 0x2000), range(0x2000, 0x3000)]
JOB = Job(CardConfig(), ((64, 4),), BAR)


def measured(**changes: Any) -> dict[str, Any]:
    return {"frame_bytes": 64, "memory_latency": 4, "cycles": 20_000, "frames": 2000,
            "cycles_per_frame": 10.0, "bursts_per_frame": 1.25, "bus_bytes_per_frame": 80.0,
            "utilization": 1.0, "returns_per_frame": 1.0, "lost": {}, **changes}


def feed(meter: Meter, *bursts: tuple[int, int, int]) -> None:
    """Show bursts of (address, bytes, cycle of the last beat)."""
    for address, size, cycle in bursts:
        meter.see(Burst(address, -(-size // 8), 8, bytes=size, last_cycle=cycle), returns=cycle)


@pytest.mark.parametrize(("frame_bytes", "bus_bits", "cycles"), [
    (64, 64, 10), (1518, 64, 192), (65, 64, 11), (64, 128, 5), (64, 256, 2.5), (1518, 512, 24.25),
])
def test_ideal_is_the_beats_of_frame_and_completion(frame_bytes: int, bus_bits: int,
                                                    cycles: float) -> None:
    assert ideal(frame_bytes, bus_bits) == cycles


def test_plan_covers_the_bar_of_every_size_and_latency() -> None:
    barred = {(point, job.config.bus_bits, job.config.queues)
              for job in PLAN if job.bar == 1.05 for point in job.points}
    assert barred == {((size, latency), 64, 4) for size in (64, 128, 256, 512, 1024, 1518)
                      for latency in (4, 64, 250)}
    assert {job.config.bus_bits for job in PLAN} == {64, 128, 256, 512}


@pytest.mark.parametrize(("cycles", "ok"), [(10.0, True), (10.5, True), (10.51, False)])
def test_row_is_ok_up_to_its_bar(cycles: float, ok: bool) -> None:
    row = judge(JOB, measured(cycles_per_frame=cycles))
    assert (row.ok, row.ratio, row.bar) == (ok, round(cycles / 10, 4), 1.05)


def test_row_without_a_bar_is_only_reported() -> None:
    row = judge(Job(CardConfig(bus_bits=512), ((64, 64),)), measured(cycles_per_frame=99.0))
    assert row.ok
    assert row.bar is None


def test_dropped_frames_fail_a_row() -> None:
    row = judge(JOB, measured(lost={"drop_no_page": 3}))
    assert not row.ok
    assert row.problems == ["3 drop_no_page"]


def test_frames_written_outside_the_window_fail_a_row() -> None:
    row = judge(JOB, measured(bus_bytes_per_frame=70.0, cycles_per_frame=9.0))
    assert not row.ok
    assert row.problems == ["70.00 bytes on the bus for each frame instead of 80"]


def test_window_closes_when_the_card_is_as_far_ahead_as_it_was() -> None:
    meter = Meter(RINGS, 64, cycles_due=50, opens_after=8, opens_at=30)
    feed(meter, (0x9000, 256, 5), (0x1000, 64, 10), (0x2000, 64, 20),  # not yet the time
         (0x2040, 64, 35),  # opens
         (0x9100, 256, 50), (0x1040, 64, 60),  # as far ahead, but too soon
         (0x9200, 256, 80), (0x9300, 256, 85), (0x1080, 64, 90),  # four frames further
         (0x2080, 32, 95), (0x9400, 64, 97), (0x20A0, 48, 99),  # closes
         (0x9500, 256, 100), (0x20D0, 16, 110))
    assert meter.done
    assert meter.figures() == {
        "cycles": 64, "frames": 13, "cycles_per_frame": 64 / 13, "bursts_per_frame": 8 / 13,
        "bus_bytes_per_frame": 80, "utilization": (13 * 80 / 8) / 64, "returns_per_frame": 64 / 13}


def test_window_of_a_card_that_only_completes_fails_by_its_bytes() -> None:
    meter = Meter(RINGS, 64, cycles_due=50)
    feed(meter, *((0x1000 + 64 * number, 64, 10 * number) for number in range(1, 40)))
    assert meter.done
    row = judge(JOB, measured(**meter.figures()))
    assert not row.ok
    assert row.problems == ["16.00 bytes on the bus for each frame instead of 80"]


def test_output_that_cannot_be_written_is_said_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PageringError, match=r"bench\.json cannot be written: "):
        run(tmp_path / "file" / "bench.json")


@pytest.mark.slow
def test_bench_writes_its_rows_and_fails_for_one_over_its_bar(tmp_path: Path) -> None:
    path, text = tmp_path / "new" / "bench.json", io.StringIO()
    plan = [Job(CardConfig(), ((64, 4), (64, 250)), BAR, cycles=2000),
            Job(CardConfig(), ((128, 64),), bar=0.5, cycles=2000)]
    assert run(path, plan=plan, console=Console(file=text, width=120)) == 1
    rows = json.loads(path.read_text())
    assert [(row["bus_bits"], row["frame_bytes"], row["memory_latency"], row["ideal"], row["bar"])
            for row in rows] == [(64, 64, 4, 10, 1.05), (64, 64, 250, 10, 1.05),
                                 (64, 128, 64, 18, 0.5)]
    assert [row["ok"] for row in rows] == [True, True, False]
    for row in rows:
        assert row["problems"] == []
        assert row["cycles"] >= 2000
        assert row["ratio"] == pytest.approx(row["cycles_per_frame"] / row["ideal"], abs=1e-3)
        assert 1 <= row["ratio"] <= 1.05
        assert row["bus_bytes_per_frame"] == row["frame_bytes"] + 16
        assert row["returns_per_frame"] == pytest.approx(1, abs=0.1)
    assert "Cycles per frame" in text.getvalue()
