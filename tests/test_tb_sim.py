"""``pagering sim`` from end to end: real frames, the real card, the shipped driver."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pagering.capture import read_frames, write_frames
from pagering.errors import CaptureError, PageringError
from pagering.sim_options import SimOptions
from pagering_tb.runner import build, simulate
from pagering_tb.shipped import SHIPPED
from pagering_tb.sim import card_config, run

Run = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def sim(tmp_path: Path) -> Run:
    """Run and return the exit status and ``report.json``."""
    def call(**options: Any) -> tuple[int, dict[str, Any]]:
        out = options.pop("out", tmp_path / "out")
        status = run(SimOptions(out=out, **options).validate(), Console(quiet=True))
        return status, json.loads((out / "report.json").read_text(encoding="utf-8"))
    return call


def some_frames(path: Path, count: int) -> Path:
    """Write the first frames of the shipped capture to a file."""
    capture = read_frames(SHIPPED)
    write_frames(path, capture.frames[:count], capture.timestamps_ns[:count])
    return path


def same_frames(one: Path, two: Path) -> bool:
    a, b = read_frames(one), read_frames(two)
    return a.frames == b.frames and a.timestamps_ns == b.timestamps_ns


@pytest.mark.slow
def test_shipped_capture_comes_through(sim: Run, tmp_path: Path) -> None:
    status, report = sim()
    assert (status, report["ok"], report["problems"]) == (0, True, [])
    assert report["frames_in"] == report["frames_delivered"] >= 2000
    assert sum(report["drops"].values()) == sum(report["faults"].values()) == 0
    assert report["pages"]["free"] == report["pages"]["registered"] == 1024
    assert same_frames(SHIPPED, tmp_path / "out" / "out.pcap")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "occupancy.png", "occupancy.svg", "out.pcap", "pages.trace.json", "report.json"]


@pytest.mark.slow
def test_split_headers_and_a_host_that_is_waited_for(sim: Run, tmp_path: Path) -> None:
    capture = some_frames(tmp_path / "in.pcap", 400)
    status, report = sim(pcap=capture, split_headers=100, hold=True, chunk_bytes=256, pages=64,
                         pools=2, host_delay=4000)
    assert (status, report["problems"], sum(report["drops"].values())) == (0, [], 0)
    assert same_frames(capture, tmp_path / "out" / "out.pcap")
    trace = json.loads((tmp_path / "out" / "pages.trace.json").read_text(encoding="utf-8"))
    pools = {event["pid"] for event in trace["traceEvents"] if event["ph"] == "X"}
    assert pools == {0, 1, 2}


@pytest.mark.slow
def test_moderation_saves_interrupts_and_loses_no_frame(sim: Run, tmp_path: Path) -> None:
    capture = some_frames(tmp_path / "in.pcap", 300)
    per_frame = []
    for moderation in ("0:0", "2:8", "50:16"):
        status, report = sim(pcap=capture, moderation=moderation)
        assert (status, report["frames_delivered"]) == (0, 300)
        per_frame.append(report["interrupts_per_frame"])
    # 2 us are hardly longer than a frame with its neighbours; 16 frames are.
    assert per_frame[0] > per_frame[1] > 2 * per_frame[2] > 0


@pytest.mark.slow
def test_tokens_are_fetched_and_frames_dated_by_the_card(sim: Run, tmp_path: Path) -> None:
    capture = some_frames(tmp_path / "in.pcap", 300)
    status, report = sim(pcap=capture, returns="pull", timestamps=True, host_delay=2000)
    assert (status, report["problems"], report["frames_delivered"]) == (0, [], 300)
    assert report["fetched"] == report["returns"] > 0
    sent, got = read_frames(capture), read_frames(tmp_path / "out" / "out.pcap")
    assert got.frames == sent.frames
    assert got.timestamps_ns[0] >= sent.timestamps_ns[0]
    # Back to back at 8 bytes in 8 ns, however late the host comes to read them.
    for data, before, after in zip(got.frames, got.timestamps_ns, got.timestamps_ns[1:],
                                   strict=False):
        assert 0 <= after - before - 8 * -(-len(data) // 8) <= 8 * 64


@pytest.mark.slow
def test_slow_host_loses_frames_but_counts_them(sim: Run, tmp_path: Path) -> None:
    capture = some_frames(tmp_path / "in.pcap", 600)
    status, report = sim(pcap=capture, queues=2, pools=1, pages=64, host_delay=30_000)
    assert (status, report["problems"]) == (0, [])
    assert report["drops"]["no_page"] > 100
    assert report["frames_delivered"] + sum(report["drops"].values()) == 600
    assert report["pages"]["peak"] <= 64
    assert len(read_frames(tmp_path / "out" / "out.pcap").frames) == report["frames_delivered"]


@pytest.mark.slow
def test_small_chunks_lifo_stalls_and_one_queue(sim: Run, tmp_path: Path) -> None:
    capture = some_frames(tmp_path / "in.pcap", 400)
    status, report = sim(pcap=capture, bus_bits=256, queues=3, pools=2, pages=128, policy="lifo",
                         page_bytes=16384, chunk_bytes=512, stalls=0.3, latency=0, seed=9,
                         steering="fixed:2")
    assert (status, report["problems"]) == (0, [])
    assert [queue["frames_delivered"] for queue in report["per_queue"]] == [0, 0, 400]
    assert [queue["statistics"]["rx-packets"] for queue in report["per_queue"]] == [0, 0, 400]
    assert report["link"]["rx_packets"] == sum(report["sizes"].values()) == 400
    assert same_frames(capture, tmp_path / "out" / "out.pcap")


@pytest.mark.slow
def test_waves_come_with_a_view(sim: Run, tmp_path: Path) -> None:
    status, _ = sim(pcap=some_frames(tmp_path / "in.pcap", 20), waves=True)
    assert status == 0
    view = (tmp_path / "out" / "waves.gtkw").read_text(encoding="utf-8")
    assert '[dumpfile] "waves.fst"' in view
    assert "pagering_rx.m_axi_wdata[63:0]" in view
    trace = (tmp_path / "out" / "waves.fst").read_bytes()
    assert b"m_axi_wdata" in hierarchy(trace)


def hierarchy(trace: bytes) -> bytes:
    """Return the names in an FST file: blocks of type, length and contents; type 6 is LZ4."""
    at = 0
    while at < len(trace):
        size = int.from_bytes(trace[at + 1:at + 9], "big")
        if trace[at] == 6:
            text = unpack_lz4(trace[at + 17:at + 1 + size])
            assert len(text) == int.from_bytes(trace[at + 9:at + 17], "big")
            return text
        at += 1 + size
    raise AssertionError("the trace has no hierarchy")


def unpack_lz4(block: Sequence[int]) -> bytes:
    """Undo LZ4, by its format description."""
    out, at = bytearray(), 0

    def length(code: int) -> int:
        nonlocal at
        total, more = code, code == 15
        while more:
            total, more, at = total + block[at], block[at] == 255, at + 1
        return total

    while at < len(block):
        token, at = block[at], at + 1
        count = length(token >> 4)
        out += bytes(block[at:at + count])
        at += count
        if at < len(block):
            distance, at = block[at] | block[at + 1] << 8, at + 2
            for _ in range(length(token & 15) + 4):
                out.append(out[-distance])
    return bytes(out)


@pytest.mark.slow
def test_runs_that_go_wrong_end(tmp_path: Path) -> None:
    from benches.sim_stuck import OPTIONS
    result = simulate(build(card_config(OPTIONS)), "benches.sim_stuck", run_dir=tmp_path).check()
    assert len(result.passed) == 3


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus Verilog is not installed")
def test_icarus_agrees(sim: Run, tmp_path: Path) -> None:
    capture = some_frames(tmp_path / "in.pcap", 100)
    reports = []
    for simulator in ("verilator", "icarus"):
        status, report = sim(pcap=capture, simulator=simulator, out=tmp_path / simulator)
        assert status == 0
        reports.append({key: report[key] for key in ("cycles", "write_beats", "pages", "returns")})
    assert reports[0] == reports[1]


def test_bad_input_ends_before_anything_is_built(tmp_path: Path) -> None:
    path = tmp_path / "text.pcap"
    path.write_text("not a capture")
    with pytest.raises(CaptureError):
        run(SimOptions(pcap=path, out=tmp_path / "out"), Console(quiet=True))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("make", [Path.touch, lambda path: path.mkdir(mode=0o500)])
def test_unwritable_output_is_one_sentence(tmp_path: Path, make: Callable[[Path], None]) -> None:
    out = tmp_path / "out"
    make(out)
    if out.is_dir() and os.access(out, os.W_OK):
        pytest.skip("this user may write everywhere")
    with pytest.raises(PageringError, match=f"^{out} takes no results: .*; choose another folder"):
        run(SimOptions(out=out), Console(quiet=True))
