"""The commands that open a card, on the in-memory one."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pagering.capture import read_frames, write_frames
from pagering.card import Card
from pagering.devices import Device, open_device
from pagering.errors import PageringError
from pagering.fake import FakeCard
from pagering.receive_session import ReceiveSession
from pagering.rx_command import receive
from pagering.snapshot import Snapshot, prometheus, take
from pagering.stats_command import table
from pagering.top_command import screen
from pagering.traffic import made_up_frames
from test_sw_cli import run

FRAMES = [frame for frame, _ in zip(made_up_frames(3), range(150), strict=False)]


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "in.pcap"
    write_frames(path, FRAMES)
    return path


def test_rx_writes_and_prints_what_came(capture: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.pcap"
    status, text, errors = run("rx", "--device", f"model:{capture}", "-w", str(out))
    assert (status, errors) == (0, "")
    lines = text.splitlines()
    assert lines[-3:] == [
        f"150 frames, {sum(map(len, FRAMES))} bytes received", "0 frames dropped by the card",
        f"150 frames written to {out}, 0 not, for the disk was too slow"]
    assert len(lines) == 153
    assert all(re.match(r"\d\d:\d\d:\d\d\.\d{6} [0-3] IP 198\.51\.100\.\d+\.\d+ > 203\.0\.113\."
                        r"\d+\.\d+: (tcp|udp), length \d+$", line) for line in lines[:150])
    found = read_frames(out)
    assert sorted(found.frames) == sorted(FRAMES), "in order only within a queue"
    assert min(found.timestamps_ns) > 1.6e18, "by the card's clock, which was set"


def test_rx_on_one_queue_keeps_the_order_and_stops_at_the_count(
        capture: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.pcap"
    status, text, _ = run("rx", "-d", f"model:{capture}", "--queues", "1", "-c", "70", "-q", "-w",
                          str(out))
    assert status == 0
    assert text.startswith(f"70 frames, {sum(map(len, FRAMES[:70]))} bytes received\n")
    assert read_frames(out).frames == FRAMES[:70]


def test_rx_stops_when_the_time_is_over() -> None:
    status, text, _ = run("rx", "--seconds", "0.1", "-q")
    assert status == 0
    assert re.match(r"\d+ frames, \d+ bytes received\n0 frames dropped by the card\n$", text)


def test_rx_counts_what_the_card_drops() -> None:
    fake = FakeCard(queues=1, pools=1, regions=1, region_pages=4)

    class Flood:
        """Brings more than there is memory for, once."""

        over = False

        def ended(self) -> bool:
            for _ in range(9):
                fake.inject(bytes(60))
            was, self.over = self.over, True
            return was

    text = io.StringIO()
    assert receive(Device("flood", fake, None, Flood().ended), count=4,
                   console=Console(file=text, width=200)) == 0
    assert "4 frames, 240 bytes received\n5 frames dropped by the card\n" in text.getvalue()
    assert fake.closed


def test_stats_in_three_forms(capture: Path) -> None:
    device = f"model:{capture}"
    status, text, _ = run("stats", "-d", device, "--json", "--seconds", "20")
    assert status == 0
    found = json.loads(text)
    assert found["card"]["frames_in"] == found["link"]["rx_packets"] == 150
    assert sum(queue["rx-packets"] for queue in found["queues"].values()) == 150
    assert found["pools"]["0"]["registered"] == 512
    status, text, _ = run("stats", "-d", device, "--seconds", "20")
    assert status == 0
    assert re.search(r"card +frames_in +150 *\n", text)
    status, text, _ = run("stats", "-d", device, "--prometheus", "--seconds", "20")
    assert "pagering_frames_in_total 150\n" in text
    assert run("stats", "--json", "--prometheus") == (
        2, "", "pagering: --json and --prometheus are two forms of the same; give one\n")


def snapshot(**options: Any) -> Snapshot:
    fake = FakeCard(**options)
    with ReceiveSession(Device("a card", fake), 2) as session:
        for frame in FRAMES:
            fake.inject(frame)
            session.poll(lambda _: None)
        fake.inject(b"x" * 60, bad=True)
        fake.write32(0, 1)
        return take(session.card)


def test_prometheus_text_obeys_its_grammar() -> None:
    text = prometheus(snapshot())
    assert text.endswith("\n")
    declared: dict[str, str] = {}
    seen: set[str] = set()
    family = ""
    for line in text.splitlines():
        if match := re.fullmatch(r"# HELP ([a-z_][a-z0-9_]*) [^\\\n]+", line):
            family = match[1]
            assert family not in declared, "a family comes in one piece"
            declared[family] = ""
        elif match := re.fullmatch(r"# TYPE ([a-z_][a-z0-9_]*) (counter|gauge)", line):
            assert match[1] == family
            declared[family] = match[2]
        else:
            sample = re.fullmatch(r'([a-z_][a-z0-9_]*)(\{[a-z]+="[^"\\\n]*"\})? (\d+)', line)
            assert sample, line
            assert sample[1] == family
            assert sample[0].rpartition(" ")[0] not in seen, "a sample comes once"
            seen.add(sample[0].rpartition(" ")[0])
    assert all((kind == "counter") == name.endswith("_total") for name, kind in declared.items())
    for line in ('pagering_drops_total{cause="bad_frame"} 1',
                 'pagering_faults_total{fault="register_access"} 1',
                 'pagering_frames_in_total 151',
                 'pagering_frames_by_size_total{bytes="64"} '):
        assert line in text


def test_a_card_without_statistics_tells_what_it_counts() -> None:
    found = snapshot(statistics=False)
    assert found.link == found.sizes == {}
    assert found.card["frames_in"] == 151
    assert set(found.queues[0]) == {"pages-held", "unread", "tokens-returned"}
    text = io.StringIO()
    Console(file=text, width=100).print(screen("a card", found, found, 1.0))
    assert prometheus(found).count("# TYPE") == prometheus(found).count("# HELP")


def test_the_screen_shows_rates_and_what_is_wrong() -> None:
    after = snapshot()
    nothing = {name: dict.fromkeys(row, 0) for name, row in after.queues.items()}
    before = Snapshot(dict.fromkeys(after.card, 0), dict.fromkeys(after.drops, 0),
                      dict.fromkeys(after.faults, 0), {}, {}, nothing, after.pools)
    text = io.StringIO()
    Console(file=text, width=100).print(screen("a card", before, after, 0.5))
    shown = text.getvalue()
    assert "a card   302 frames/s on the wire, 151 so far" in shown
    packets = after.queues[1]["rx-packets"]
    assert re.search(rf"\b1 +{2 * packets} +[\d.]+ +{packets} ", shown)
    assert re.search(r"bad_frame +1 +2\b", shown)
    assert re.search(r"register_access +1 +2\b", shown)
    assert "no_page" not in shown
    text.truncate(0)
    Console(file=text, width=100).print(table(after))
    assert "bad_frame" in text.getvalue()


def test_top_and_selftest_run() -> None:
    status, text, _ = run("top", "--seconds", "0.3", "--interval", "0.1")
    assert status == 0
    assert "frames/s on the wire" in text
    status, text, _ = run("selftest")
    assert status == 0
    assert "every byte right" in text


@pytest.mark.parametrize("command", ["rx", "top", "stats", "selftest"])
def test_devices_that_there_are_not(command: str) -> None:
    assert run(command, "--device", "card0") == (
        2, "", "pagering: --device must be model, sim, library, vfio-user, vfio or iommufd, with "
               "what it needs behind a colon, not card0\n")
    status, _, errors = run(command, "--device", "model:missing.pcap")
    assert (status, errors) == (
        2, "pagering: missing.pcap does not exist; give a pcap or pcapng file\n")


@pytest.mark.parametrize("count", [0, 5])
def test_queues_that_the_card_has_not(count: int) -> None:
    device = open_device("model")
    with pytest.raises(PageringError, match=f"--queues must be from 1 to 4, .* not {count}"):
        ReceiveSession(device, count)


class Plain:
    """A transport without eventfds."""

    def __init__(self, fake: FakeCard) -> None:
        self.read32, self.write32, self.write_tokens = fake.read32, fake.write32, fake.write_tokens
        self.allocate, self.wait_interrupt = fake.allocate, fake.wait_interrupt
        self.close = fake.close


@pytest.mark.parametrize("wrap", [lambda fake: fake, Plain])
def test_a_session_rests_until_any_queue_has_something(wrap: Callable[[FakeCard], Any]) -> None:
    fake = FakeCard()
    with ReceiveSession(Device("a card", wrap(fake)), 3) as session:
        session.rest(0.01)
        assert session.poll(lambda _: None) == 0
        fake.on_wait = lambda vector: vector == 2 and fake.inject(bytes(60))
        session.card.steer_to(2)
        if wrap is not Plain:
            fake.inject(bytes(60))
        session.rest(1)
        assert session.poll(lambda _: None) == 1


def test_opening_that_fails_closes_the_card(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeCard()

    def refuse(self: Card, *_: object, **__: object) -> None:
        raise PageringError("no")

    monkeypatch.setattr(Card, "add_queue", refuse)
    with pytest.raises(PageringError, match="no"):
        ReceiveSession(Device("a card", fake))
    assert fake.closed
    assert fake.mapped_bytes == 0
