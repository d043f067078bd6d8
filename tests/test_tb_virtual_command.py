"""``pagering card``: its options, its frames, and several cards at once."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pagering.capture import read_frames, write_frames
from pagering.errors import PageringError
from pagering.traffic import made_up_frames
from pagering_hdl.config import CardConfig
from pagering_tb.paced_source import PacedSource
from pagering_tb.virtual.command import card_config, frame_source
from pagering_tb.virtual.sources import InterfaceSource
from test_sw_cli import run
from virtual_card import ROOT, SOURCES, card_process, killed_at_last

FRAMES = [frame for frame, _ in zip(made_up_frames(3), range(100), strict=False)]


def test_settings_make_a_card() -> None:
    assert card_config(()) == CardConfig()
    assert card_config(["queues=8, bus_bits=128", "timestamps=no"]) == CardConfig(
        queues=8, bus_bits=128, timestamps=False)


@pytest.mark.parametrize(("setting", "sentence"), [
    ("colour=red", "a card has no setting colour; it has bus_bits, "),
    ("queues", "--config takes NAME=VALUE, not 'queues'"),
    ("parser=maybe", "parser must be yes or no, not maybe"),
    ("queues=0", "queues.*0")])
def test_settings_that_make_none(setting: str, sentence: str) -> None:
    with pytest.raises(PageringError, match=sentence):
        card_config([setting])


def test_where_frames_come_from(tmp_path: Path) -> None:
    write_frames(tmp_path / "in.pcap", FRAMES)
    source = frame_source(tmp_path / "in.pcap", None, "line")
    assert isinstance(source, PacedSource)
    got: list[bytes] = []
    source.feed(lambda frame: got.append(frame) or True)
    assert got == FRAMES
    assert source.ended
    for rate in ("0", "-1", "nan", "inf", "fast"):
        with pytest.raises(PageringError, match=f"--rate must be frames in a second or line, not "
                                                f"{rate}"):
            frame_source(None, None, rate)
    with pytest.raises(PageringError, match="--iface brings frames as they come; leave out"):
        frame_source(None, "eth0", "5")
    with pytest.raises(PageringError, match="--iface none0"):
        InterfaceSource("none0")
    assert run("card", "--socket", str(tmp_path / "card"), "--rate", "x")[::2] == (
        2, "pagering: --rate must be frames in a second or line, not x\n")


def test_cards_side_by_side_each_with_frames_of_its_own(tmp_path: Path) -> None:
    halves = {"one": FRAMES[:40], "two": FRAMES[40:]}
    for name, frames in halves.items():
        write_frames(tmp_path / f"{name}.pcap", frames)
    with (card_process(tmp_path / "one", pcap=tmp_path / "one.pcap") as first,
          card_process(tmp_path / "two", pcap=tmp_path / "two.pcap") as second,
          contextlib.ExitStack() as drivers_end):
        drivers = {name: drivers_end.enter_context(killed_at_last(subprocess.Popen(
            [sys.executable, "-m", "pagering.cli", "rx", "-d", f"vfio-user:{tmp_path}/{name}",
             "-q", "--queues", "1", "-c", str(len(frames)), "-w", str(tmp_path / f"{name}.out")],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(SOURCES)},
            stdout=subprocess.DEVNULL))) for name, frames in halves.items()}
        assert [driver.wait(60) for driver in drivers.values()] == [0, 0]
        for name, frames in halves.items():
            assert read_frames(tmp_path / f"{name}.out").frames == frames
        first.send_signal(signal.SIGINT)
        second.send_signal(signal.SIGTERM)
        assert (first.wait(20), second.wait(20)) == (0, 0)
    assert not (tmp_path / "one").exists()


def test_frames_of_an_interface_reach_a_driver() -> None:
    unshare = shutil.which("unshare")
    if unshare is None or shutil.which("ip") is None:
        pytest.skip("needs unshare and ip, to make a network namespace")
    own = [unshare, "--map-root-user", "--net"]
    if subprocess.run([*own, "ip", "link", "add", "pgr8", "type", "veth", "peer", "name", "pgr9"],
                      capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody make a network namespace with interfaces")
    ended = subprocess.run(
        [*own, sys.executable, str(ROOT / "tests" / "live_frames.py")], check=False, timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(SOURCES)}, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.slow
def test_the_benchmark_counts_frames_that_came_and_cycles_that_they_took(tmp_path: Path) -> None:
    status, text, errors = run("bench-card", "--quick", "-o", str(tmp_path / "figures.json"))
    assert status in (0, 1), errors  # how fast this machine is does not matter here
    rows = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert [row["returns"] for row in rows] == ["push", "pull", "auto"]
    for row in rows:
        assert row["frames"] > 256
        assert row["cycles"] > 8 * row["frames"], "each has 8 beats"
        assert row["card_seconds"] > 0
        assert f"{row['frames_per_second']:,.0f}" in text


@pytest.mark.slow
def test_the_command_serves_the_compiled_card(tmp_path: Path) -> None:
    write_frames(tmp_path / "in.pcap", FRAMES)
    command = [sys.executable, "-m", "pagering.cli"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(SOURCES)}
    with killed_at_last(subprocess.Popen(
            [*command, "card", "--socket", str(tmp_path / "card"), "--pcap",
             str(tmp_path / "in.pcap"), "--config", "queues=4"],
            env=environment, stderr=subprocess.PIPE, text=True)) as card:
        assert card.stderr is not None
        assert card.stderr.readline().startswith("serving a card with 4 queues at ")
        assert run("rx", "-d", f"vfio-user:{tmp_path}/card", "-q", "--queues", "1", "-c",
                   str(len(FRAMES)), "-w", str(tmp_path / "out.pcap"))[0] == 0
        card.send_signal(signal.SIGINT)
        assert card.wait(30) == 0
    assert read_frames(tmp_path / "out.pcap").frames == FRAMES
