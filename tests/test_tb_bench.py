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
from pagering_tb import sim_bench
from pagering_tb.bench_meter import Meter
from pagering_tb.bench_model import LinkModel, ideal
from pagering_tb.bench_plan import IMIX, PLAN, QUICK_PLAN, Job, Point
from pagering_tb.return_bench import ReturnJob, judge_returns
from pagering_tb.sim_bench import bar, judge, judge_delay, run
from pagering_tb.write_port import Burst

RINGS = [range(0x1000, 0x2000), range(0x2000, 0x3000)]
POINT = Point((64,), 4)
JOB = Job(CardConfig(), (POINT,))
SIZES = (64, 128, 256, 512, 1024, 1518, 9018)


def measured(**changes: Any) -> dict[str, Any]:
    return {"cycles": 20_000, "frames": 2000, "cycles_per_frame": 10.0, "bursts_per_frame": 1.25,
            "data_bursts_per_frame": 1.0, "line_bursts_per_frame": 0.25,
            "bus_bytes_per_frame": 80.0, "link_bytes_per_frame": 80.0, "utilization": 1.0,
            "returns_per_frame": 1.0, "fetched_per_frame": 0.0,
            "commands_per_frame": 0.0, "lost": {}, **changes}


def feed(meter: Meter, *bursts: tuple[int, int, int]) -> None:
    """Show bursts of (address, bytes, cycle of the last beat); all frames have 64 bytes."""
    for address, size, cycle in bursts:
        line = [{"length": 64, "end": 1}] * (size // 16) if address < 0x9000 else []
        meter.see(Burst(address, -(-size // 8), 8, bytes=size, last_cycle=cycle), line,
                  tokens=cycle, fetched=0, writes=2 * cycle)


@pytest.mark.parametrize(("sizes", "bus_bits", "cycles"), [
    ((64,), 64, 10), ((1518,), 64, 192), ((65,), 64, 11), ((64,), 128, 5), ((64,), 256, 2.5),
    ((1518,), 512, 24.25), ((64, 128), 64, 14),
])
def test_ideal_is_the_beats_of_frame_and_completion(sizes: tuple[int, ...], bus_bits: int,
                                                    cycles: float) -> None:
    assert ideal(sizes, bus_bits) == cycles


def test_plan_covers_every_size_and_latency_at_every_width() -> None:  # checklist 23, 24
    measures = {(point, job.config.bus_bits) for job in PLAN if job.config.queues == 4
                and job.config.chunk_bytes == (64 if job.config.bus_bits >= 256 else 4096)
                for point in job.points}
    assert measures == {(Point(sizes, latency), bits) for latency in (4, 64, 250)
                        for sizes in (*((size,) for size in SIZES), IMIX)
                        for bits in (64, 128, 256, 512)}
    returns = {(point.order, job.config.bus_bits) for job in PLAN if job.config.queues == 8
               for point in job.points}
    assert returns == {(order, bits) for order in ("fifo", "lifo", "random")
                       for bits in (64, 128, 256, 512)}
    assert all(job.bars for job in (*PLAN, *QUICK_PLAN))
    assert {job.points[0].latency for job in PLAN if job.unloaded} == {4, 64, 250}


def test_imix_is_seven_to_four_to_one() -> None:
    assert [IMIX.count(size) for size in (64, 594, 1518)] == [7, 4, 1]
    assert Point(IMIX, 4).traffic == "IMIX"


@pytest.mark.parametrize(("bits", "size", "most"), [
    (64, 64, 1.02), (64, 9018, 1.02), (128, 64, 1.02), (256, 64, 1.05), (256, 9018, 1.05),
    (512, 64, 1.25), (512, 128, 1.25), (512, 256, 1.05), (512, 9018, 1.05),
])
def test_bar_depends_on_width_and_size(bits: int, size: int, most: float) -> None:
    assert bar(bits, Point((size,), 64)) == most


@pytest.mark.parametrize(("cycles", "ok"), [(10.0, True), (10.2, True), (10.21, False)])
def test_row_is_ok_up_to_its_bar(cycles: float, ok: bool) -> None:
    row = judge(JOB, POINT, measured(cycles_per_frame=cycles))
    assert (row.ok, row.ratio, row.bar) == (ok, round(cycles / 10, 4), 1.02)


def test_row_without_a_bar_is_only_reported() -> None:
    row = judge(Job(CardConfig(), (POINT,), bars=False), POINT, measured(cycles_per_frame=99.0))
    assert row.ok
    assert row.bar is None


def test_dropped_frames_fail_a_row() -> None:
    row = judge(JOB, POINT, measured(lost={"drop_no_page": 3}))
    assert not row.ok
    assert row.problems == ["3 drop_no_page"]


def test_frames_written_outside_the_window_fail_a_row() -> None:
    row = judge(JOB, POINT, measured(bus_bytes_per_frame=70.0, cycles_per_frame=9.0))
    assert not row.ok
    assert row.problems == ["70.00 bytes on the bus for each frame instead of 80"]


@pytest.mark.parametrize(("bits", "cycles", "ok"), [(64, 24, True), (64, 25, False),
                                                    (128, 99, True)])
def test_one_frame_alone_has_a_bar_at_64_bits(bits: int, cycles: int, ok: bool) -> None:
    row = judge_delay(Job(CardConfig(bus_bits=bits), ()),
                      {"frame_bytes": 64, "memory_latency": 4, "cycles": cycles})
    assert (row.ok, row.bar) == (ok, 24 if bits == 64 else None)


@pytest.mark.parametrize(("sizes", "up", "down"), [
    # receive.md section 6.2, U_B4 and D_B: pkt + nb (64 + 24) / 4, with MPS 256; (64 + 24) / 16.
    ((64,), 64 + 24 + 22, 5.5), ((1518,), 1520 + 6 * 24 + 22, 5.5),
    ((9018,), 9020 + 36 * 24 + 3 * 22, 3 * 5.5), ((64, 128), 96 + 24 + 22, 5.5),
])
def test_link_model_is_the_row_without_a_fetch(sizes: tuple[int, ...], up: float,
                                               down: float) -> None:
    model = LinkModel(CardConfig(), sizes)
    assert (model.up, model.down) == (up, down)


def test_a_row_says_where_the_link_carries_more_than_the_model() -> None:
    row = judge(JOB, POINT, measured())
    assert (row.link_up_per_frame, row.link_up_model) == (110, 110)
    assert (row.link_down_per_frame, row.link_down_model, row.explained) == (5.5, 5.5, "")
    row = judge(JOB, POINT, measured(data_bursts_per_frame=0.5, bursts_per_frame=0.75,
                                     commands_per_frame=0.1, returns_per_frame=0.25))
    assert (row.link_up_per_frame, row.link_down_per_frame) == (98, 4.175)
    assert row.explained == ("0.500 bursts of data instead of 1.000; 0.250 tokens instead of "
                             "1.000; 0.100 writes to tell how far it read")
    row = judge(JOB, POINT, measured(fetched_per_frame=1.0))
    assert (row.link_up_per_frame, row.link_down_per_frame) == (111.5, 5.5)
    assert row.explained == "1.000 tokens fetched, which takes requests"


def test_window_closes_when_the_card_is_as_far_ahead_as_it_was() -> None:
    meter = Meter(RINGS, cycles_due=50, opens_after=8, opens_at=30)
    feed(meter, (0x9000, 256, 5), (0x1000, 64, 10), (0x2000, 64, 20),  # not yet the time
         (0x2040, 64, 35),  # opens
         (0x9100, 256, 50), (0x1040, 64, 60),  # as far ahead, but too soon
         (0x9200, 256, 80), (0x9300, 256, 85), (0x1080, 64, 90),  # four frames further
         (0x2080, 32, 95), (0x9400, 64, 97), (0x20A0, 48, 99),  # closes
         (0x9500, 256, 100), (0x20D0, 16, 110))
    assert meter.done
    assert meter.figures() == {
        "cycles": 64, "frames": 13, "cycles_per_frame": 64 / 13, "bursts_per_frame": 8 / 13,
        "data_bursts_per_frame": 4 / 13, "line_bursts_per_frame": 4 / 13,
        "bus_bytes_per_frame": 80, "link_bytes_per_frame": 80, "fetched_per_frame": 0,
        "utilization": (13 * 80 / 8) / 64, "returns_per_frame": 64 / 13,
        "commands_per_frame": 64 / 13}


def test_window_of_a_card_that_only_completes_fails_by_its_bytes() -> None:
    meter = Meter(RINGS, cycles_due=50)
    feed(meter, *((0x1000 + 64 * number, 64, 10 * number) for number in range(1, 40)))
    assert meter.done
    row = judge(JOB, POINT, measured(**meter.figures()))
    assert not row.ok
    assert row.problems == ["16.00 bytes on the bus for each frame instead of 80"]


def test_output_that_cannot_be_written_is_said_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PageringError, match=r"bench\.json cannot be written: "):
        run(tmp_path / "file" / "bench.json")


@pytest.mark.slow
def test_bench_writes_its_rows_and_fails_for_one_over_its_bar(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, text = tmp_path / "new" / "bench.json", io.StringIO()
    # The bars themselves are for `make bench`: here one is out of reach and one always met.
    monkeypatch.setattr(sim_bench, "bar", lambda bits, point: 0.5 if point.sizes == (128,) else 9)
    plan = [Job(CardConfig(), (Point((64,), 4), Point(IMIX, 250)), cycles=2000, unloaded=True),
            Job(CardConfig(), (Point((128,), 64, "lifo"),), cycles=2000)]
    assert run(path, plan=plan, console=Console(file=text, width=160)) == 1
    *rows, first, second = json.loads(path.read_text())
    assert [(row["bus_bits"], row["traffic"], row["memory_latency"], row["bar"], row["ok"])
            for row in rows] == [(64, "64", 4, 9, True), (64, "IMIX", 250, 9, True),
                                 (64, "128", 64, 0.5, False)]
    for row in rows:
        assert row["problems"] == []
        assert row["cycles"] >= 2000
        assert row["ratio"] == pytest.approx(row["cycles_per_frame"] / row["ideal"], abs=1e-3)
        assert row["returns_per_frame"] == pytest.approx(1, abs=0.1)
    assert rows[0]["bus_bytes_per_frame"] == 80
    assert rows[0]["link_up_per_frame"] == rows[0]["link_up_model"] == 110
    assert [(row["kind"], row["memory_latency"], row["bar"]) for row in (first, second)] == [
        ("latency", 4, 24), ("latency", 250, 270)]
    assert first["cycles"] > 8
    assert second["cycles"] - first["cycles"] == 246
    assert "Cycles per frame" in text.getvalue()
    assert "One frame alone" in text.getvalue()


@pytest.mark.slow
def test_a_run_that_fails_takes_no_figures_of_others_with_it(tmp_path: Path) -> None:
    path, text = tmp_path / "bench.json", io.StringIO()
    point = Point((64,), 4, "random")
    plan = [Job(CardConfig(), (point,), bars=False, cycles=2000, returns=way)
            for way in ("pull", "pigeon")]
    with pytest.raises(PageringError, match=r"1 of 2 runs are missing .*; the first: .*pigeon"):
        run(path, plan=plan, console=Console(file=text, width=160))
    [row] = json.loads(path.read_text())
    assert (row["order"], row["problems"]) == ("random", [])
    assert "Cycles per frame" in text.getvalue()


def test_a_way_back_that_loses_tokens_fails_its_row() -> None:
    job = ReturnJob(CardConfig(), (("pull", 16, 64),))
    found = {"way": "pull", "burst_tokens": 16, "memory_latency": 64, "tokens": 64, "cycles": 80,
             "register_bytes": 16, "read_bytes": 256, "mirror_bytes": 8, "accepted": 64}
    row = judge_returns(job, found)
    assert row.ok
    assert (row.cycles_per_token, row.register_bytes_per_token, row.read_bytes_per_token,
            row.mirror_bytes_per_token) == (1.25, 0.25, 4, 0.125)
    row = judge_returns(job, {**found, "accepted": 63})
    assert not row.ok
    assert row.problems == ["63 of 64 tokens were accepted"]


@pytest.mark.slow
def test_both_ways_back_are_measured(tmp_path: Path) -> None:
    path, text = tmp_path / "bench.json", io.StringIO()
    ways = [ReturnJob(CardConfig(chunk_bytes=64), (("push", 64, 64), ("pull", 64, 64)))]
    assert run(path, ways=ways, console=Console(file=text, width=120)) == 0
    push, pull = json.loads(path.read_text())
    assert (push["way"], push["register_bytes_per_token"], push["read_bytes_per_token"],
            push["mirror_bytes_per_token"]) == ("push", 4, 0, 0)
    assert (pull["way"], pull["register_bytes_per_token"]) == ("pull", 4 / 64)
    assert pull["read_bytes_per_token"] == 4, "whole lines, each once"
    assert 0 < pull["mirror_bytes_per_token"] <= 0.5
    assert pull["cycles_per_token"] < 2
    assert "Cycles per token returned" in text.getvalue()
