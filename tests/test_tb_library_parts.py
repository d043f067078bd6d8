"""The parts of the card's library that need no card."""

from __future__ import annotations

import mmap
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pagering import abi
from pagering.devices import open_device
from pagering.errors import PageringError
from pagering_hdl.config import CardConfig
from pagering_tb.library.boundary import place, with_boundary
from pagering_tb.library.build import build_library
from pagering_tb.library.device import parse_config
from pagering_tb.library.pinned import PinnedBuffer
from pagering_tb.library.turns import Turns
from pagering_tb.library.wire_feed import WireFeed
from pagering_tb.simulators import SimulatorError

TEXT = """\
module \\pagering_rx.part (clk, a);
  input clk;
  wire clk;
  input a;
  always @(posedge clk) begin
    if ((a) === 1'b0) begin
      $display("Assertion failed in %m at %0t", $time);
      $finish;
    end
  end
endmodule

module pagering_rx(clk, a, b);
  input clk;
  wire clk;
  input [3:0] a;
  output b;
endmodule
"""


def test_the_boundary_holds_the_inputs_and_counts_both_edges() -> None:
    text = with_boundary(TEXT)
    assert "posedge" not in text
    assert "$display" not in text
    assert "  reg [3:0] a_held = 0;\n" in text
    assert "    a_held <= a;\n" in text
    assert "pagering_rx card(.clk(clk), .a(a_held), .b(b));" in text
    assert "module card(clk, a, b);" in text


def test_an_assertion_is_found_by_its_line() -> None:
    text = with_boundary(TEXT)
    line = text[:text.index("$finish")].count("\n") + 1
    assert place(text, line) == "pagering_rx.part"
    assert place(text, TEXT.count("\n")) == "pagering_rx"


def test_a_text_of_something_else_has_no_boundary() -> None:
    with pytest.raises(ValueError, match="the text has no module pagering_rx"):
        with_boundary("module card(clk); endmodule")


def test_a_missing_compiler_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(SimulatorError) as caught:
        build_library(CardConfig())
    assert str(caught.value) == (
        "there is no C++ compiler called c++, which the card's library is built with; on Debian: "
        "apt install g++")


def test_a_build_that_fails_names_its_log(monkeypatch: pytest.MonkeyPatch,
                                          tmp_path: Path) -> None:
    monkeypatch.setenv("PAGERING_CACHE", str(tmp_path))
    monkeypatch.setattr("pagering_tb.library.build.verilog_text",
                        lambda config, observed: "module pagering_rx(a);\n  nonsense;\nendmodule\n")
    with pytest.raises(SimulatorError, match=r"the card's library could not be built; the whole "
                                             r"log is in .*\.log\n(?s:.*)syntax error"):
        build_library(CardConfig())
    assert not list(tmp_path.rglob("built"))


@pytest.mark.parametrize("memory", [bytearray(b"abc"), memoryview(b"abcd")[:3], b"abc"])
def test_a_pinned_buffer_stays(memory: bytes | bytearray | memoryview) -> None:
    pinned = PinnedBuffer(memory, writable=False)
    assert pinned.size == 3
    assert pinned.address
    if isinstance(memory, bytearray):
        with pytest.raises(BufferError):
            memory.append(0)
        pinned.release()
        memory.append(0)
    pinned.release()


def test_what_is_read_only_is_not_pinned_for_writing() -> None:
    with pytest.raises(BufferError):
        PinnedBuffer(b"abc")
    with mmap.mmap(-1, 4096, prot=mmap.PROT_READ) as memory, pytest.raises(BufferError):
        PinnedBuffer(memory)


def test_turns_are_taken_in_turn() -> None:
    turns, order, done = Turns(), [], threading.Event()

    def keep_asking() -> None:
        while not done.is_set():
            with turns.taken():
                order.append("clock")
                time.sleep(0.001)

    thread = threading.Thread(target=keep_asking)
    thread.start()
    for _ in range(20):
        with turns.taken():
            order.append("driver")
        time.sleep(0.002)
    done.set()
    thread.join()
    # Whoever keeps asking has at most the turn under way and the one that it asked for before.
    runs = "".join(name[0] for name in order).split("d")
    assert max(map(len, runs[1:-1])) < 20
    assert order.count("driver") == 20


class Taker:
    """Takes frames as a card does."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.frames: list[bytes] = []

    def send(self, frame: bytes) -> bool:
        if len(self.frames) == self.room:
            return False
        self.frames.append(frame)
        return True


@pytest.fixture
def now() -> list[float]:
    return [5.0]


def feed(now: list[float], rate: float | None, count: int) -> WireFeed:
    frames: Iterator[bytes] = iter([bytes([number]) for number in range(count)])
    return WireFeed(frames, rate, lambda: now[0])


def receive(wire: WireFeed, on: bool = True) -> None:
    wire.note(abi.CARD.address("CONTROL"), abi.CARD["CONTROL"].pack(receive=on))


def test_frames_come_at_their_rate_while_the_card_receives(now: list[float]) -> None:
    wire, card = feed(now, 100, 9), Taker(99)
    assert wire.fill(card.send) is None, "the card does not receive"
    receive(wire)
    assert wire.fill(card.send) is not None
    assert len(card.frames) == 1
    now[0] += 0.035
    wire.fill(card.send)
    assert len(card.frames) == 4
    receive(wire, on=False)
    now[0] += 1
    assert wire.fill(card.send) is None
    receive(wire)
    now[0] += 0.055
    wire.fill(card.send)
    assert wire.over
    assert card.frames == [bytes([number]) for number in range(9)]


def test_what_the_card_does_not_take_comes_later(now: list[float]) -> None:
    wire, card = feed(now, None, 5), Taker(3)
    receive(wire)
    wire.fill(card.send)
    assert (len(card.frames), wire.over) == (3, False)
    card.room = 9
    wire.fill(card.send)
    assert card.frames == [bytes([number]) for number in range(5)]
    assert wire.over


def test_a_host_that_was_away_gets_no_flood(now: list[float]) -> None:
    wire, card = feed(now, 100, 200), Taker(999)
    receive(wire)
    now[0] += 1000
    wire.fill(card.send)
    assert len(card.frames) == 11


def test_settings_name_a_card() -> None:
    assert parse_config({}) == CardConfig()
    assert parse_config({"queues": "8", "parser": "no", "steering": "no", "header_split": "no"}) \
        == CardConfig(queues=8, parser=False, steering=False, header_split=False)


@pytest.mark.parametrize(("rest", "sentence"), [
    ("queues", "behind `library:` come settings like queues=8, with commas between, not 'queues'"),
    ("lanes=4", "a card has no setting lanes; it has bus_bits, queues, "),
    ("queues=many", "queues must be a number, not many"),
    ("queues=65", "queues must be 1 to 64, not 65"),
    ("parser=1", "parser must be yes or no, not 1"),
    ("rate=0", "rate must be frames a second, more than 0, or `line`, not 0"),
    ("rate=fast", "rate must be frames a second, more than 0, or `line`, not fast"),
    ("pcap=missing.pcap", "missing.pcap does not exist; give a pcap or pcapng file"),
])
def test_settings_that_name_none(rest: str, sentence: str) -> None:
    with pytest.raises(PageringError) as caught:
        open_device(f"library:{rest}")
    assert str(caught.value).startswith(sentence)
