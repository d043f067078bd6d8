"""The compiled card: the shipped driver on it, and what it must survive."""

from __future__ import annotations

import mmap
import os
import select
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pagering import Card, RxQueue, abi
from pagering.capture import read_frames, write_frames
from pagering.errors import CardError, CardGone
from pagering.rx_queue import RxQueue as Queue
from pagering.traffic import made_up_frames
from pagering_hdl.config import CardConfig
from pagering_tb.library import AccessError, LibraryCard
from pagering_tb.library.build import build_library
from pagering_tb.library.transport import LibraryTransport
from pagering_tb.shipped import SHIPPED
from test_sw_cli import run

pytestmark = pytest.mark.slow
FRAMES = [frame for frame, _ in zip(made_up_frames(5), range(60), strict=False)]
LONG = 10_000_000
"""More cycles than any test needs."""


@pytest.fixture
def card() -> Iterator[LibraryCard]:
    card = LibraryCard(CardConfig())
    yield card
    card.close()


@pytest.fixture
def transport(card: LibraryCard) -> Iterator[LibraryTransport]:
    transport = LibraryTransport(card)
    yield transport
    transport.close()


def opened(transport: LibraryTransport, **options: object) -> tuple[Card, RxQueue]:
    """Return a card that receives everything on one queue."""
    card = Card(transport)
    queue = card.add_queue(card.add_pool(256), **options)  # type: ignore[arg-type]
    card.steer_to(0)
    card.receive = True
    return card, queue


def received(queue: Queue, count: int) -> list[bytes]:
    """Wait for so many frames; return them, and their pages."""
    frames: list[bytes] = []
    while len(frames) < count:
        with queue.recv(timeout=20) as burst:
            assert burst, f"{len(frames)} of {count} frames came"
            frames += map(bytes, burst)
    return frames


def test_the_self_test_passes() -> None:
    status, text, errors = run("selftest", "--device", "library")
    assert (status, errors) == (0, ""), text
    assert "every byte right" in text
    assert "skipped" not in text


def test_the_shipped_capture_goes_through(tmp_path: Path) -> None:
    out = tmp_path / "out.pcap"
    status, text, errors = run("rx", "-d", f"library:pcap={SHIPPED},rate=line", "--queues", "1",
                               "-q", "-w", str(out))
    assert (status, errors) == (0, "")
    frames = read_frames(SHIPPED).frames
    assert text.startswith(f"{len(frames)} frames, {sum(map(len, frames))} bytes received\n0 ")
    assert read_frames(out).frames == frames


@pytest.mark.parametrize("returns", ["push", "pull"])
def test_pages_go_round(transport: LibraryTransport, returns: str) -> None:
    card, queue = opened(transport, returns=returns)
    with card:
        for _ in range(10):
            for frame in FRAMES:
                transport.send(frame)
            assert received(queue, len(FRAMES)) == FRAMES
        assert card.drops() == dict.fromkeys(card.drops(), 0)
        counters = transport.card.counters
    assert counters.frames == 10 * len(FRAMES) > queue.pool.registered_by_host
    assert counters.write_bytes > counters.frames * 60
    assert (counters.blocked, counters.refused) == (0, 0)
    assert (counters.read_bytes > 0) == (returns == "pull")


def test_the_harness_compiles_without_a_warning() -> None:
    built = build_library(CardConfig())
    assert built.library.parent.with_suffix(".log").read_text(encoding="utf-8") == ""


def test_registers_and_their_errors(card: LibraryCard) -> None:
    assert card.read32(abi.CARD.address("ID")) == abi.ID_VALUE
    scratch = abi.CARD.address("SCRATCH")
    card.write32(scratch, 0x1234_5678)
    assert card.read32(scratch) == 0x1234_5678
    with pytest.raises(AccessError, match="the card answered the read of register 0x0fffc with"):
        card.read32(0x0FFFC)
    with pytest.raises(AccessError, match="the card answered the write of register 0x00000 with"):
        card.write32(0, 1)
    with pytest.raises(CardError, match="1 words at offset 0x2 are not aligned words of the"):
        card.read32(2)
    with pytest.raises(CardError, match="2 words at offset 0xffffc are not aligned words of the"):
        card.write_words(0xFFFFC, [1, 2])


def test_time_stands_still_when_nothing_happens(card: LibraryCard) -> None:
    assert card.quiet
    before = card.cycles
    start = time.monotonic()
    assert [card.run(LONG) for _ in range(100)] == [0] * 100
    assert time.monotonic() - start < 1
    assert card.cycles == before
    assert card.send(bytes(60))
    assert 0 < card.run(LONG) < 5000
    assert (card.waiting, card.counters.frames) == (0, 1)


def test_the_wire_is_bounded_and_paced() -> None:
    card = LibraryCard(CardConfig(), wire_frames=3)
    assert [card.send(bytes(64)) for _ in range(5)] == [True, True, True, False, False]
    assert card.waiting == 3
    card.run(LONG)
    assert card.waiting == 0
    card.set_gap(1000)
    for _ in range(3):
        card.send(bytes(64))
    before = card.cycles
    while card.waiting:
        card.run(1)
    assert 2000 + 3 * 8 <= card.cycles - before <= 2000 + 3 * 8 + 10
    with pytest.raises(ValueError, match="a frame has 1 to 65536 bytes, not 0"):
        card.send(b"")
    card.close()


def test_a_moderated_interrupt_comes_though_nothing_else_does(
        transport: LibraryTransport) -> None:
    card, queue = opened(transport)
    with card:
        queue.moderation = (300.0, 0)  # microseconds: fifty times what a card looks around
        assert not queue.arm()
        transport.send(FRAMES[0])
        assert transport.wait_interrupt(queue.index, 20)
        assert received(queue, 1) == FRAMES[:1]


def test_interrupts_reach_their_eventfds(card: LibraryCard) -> None:
    with pytest.raises(CardError, match="the card has interrupts 0 to 4, not 5"):
        card.interrupt(5, None)
    with pytest.raises(CardError, match="interrupt 1 cannot be signalled to descriptor 9999: it "
                                        "is not open"):
        card.interrupt(1, 9999)
    event = os.eventfd(0, os.EFD_NONBLOCK)
    card.interrupt(1, event)
    arm, force = abi.USER.address("ARM", 1), abi.QUEUE.address("FORCE", 1)
    for _ in range(2):
        card.write32(arm, 0)
        card.write32(force, 1)
        card.run(LONG)
    assert os.eventfd_read(event) == 2
    card.interrupt(1, None)
    card.write32(arm, 0)
    card.write32(force, 1)
    card.run(LONG)
    assert (card.interrupts(1), card.interrupts(0)) == (3, 0)
    assert not select.select([event], [], [], 0)[0]
    os.close(event)


def test_memory_that_is_taken_away_is_not_written(transport: LibraryTransport) -> None:
    card, queue = opened(transport)
    transport.send(FRAMES[0])
    assert received(queue, 1) == FRAMES[:1]
    ring = max(transport.card.mapped)  # mapped last
    memory = bytes(queue.ring.view)
    transport.unmap(ring)
    for frame in FRAMES[:20]:
        transport.send(frame)
    while not transport.card.quiet:
        time.sleep(0.01)
    counters = transport.card.counters
    assert counters.blocked > 0
    assert ring <= counters.last_blocked < ring + len(memory)
    assert bytes(queue.ring.view) == memory
    assert transport.read32(abi.CARD.address("ID")) == abi.ID_VALUE


def test_a_card_that_is_no_bus_master_reaches_nothing(transport: LibraryTransport) -> None:
    card, queue = opened(transport)
    memory = bytes(queue.ring.view)
    transport.card.bus_master = False
    assert not transport.card.bus_master
    for frame in FRAMES[:20]:
        transport.send(frame)
    while not transport.card.quiet:
        time.sleep(0.01)
    assert transport.card.counters.refused > 0
    assert transport.card.counters.blocked == 0
    assert bytes(queue.ring.view) == memory


def test_what_cannot_be_mapped(card: LibraryCard) -> None:
    memory = mmap.mmap(-1, 3 * 4096)
    card.map(0x10000, memory)
    for address in (0xE000, 0xF000, 0x10000, 0x12000):
        with pytest.raises(CardError, match=f"addresses from {address:#x} on are mapped already"):
            card.map(address, memory)
    with pytest.raises(CardError, match="4095 bytes at 0x20000 cannot be mapped: address and "
                                        "size must be multiples of 4096, within 64 bits"):
        card.map(0x20000, memoryview(memory)[1:4096])
    with pytest.raises(CardError, match="cannot be mapped"):
        card.map((1 << 64) - 4096, memory)
    with pytest.raises(CardError, match="nothing is mapped from 0x11000 on"):
        card.unmap(0x11000)
    with pytest.raises(BufferError):
        card.map(0x20000, bytes(4096))
    card.map(0x20000, bytes(4096), writable=False)
    card.map((1 << 64) - 3 * 4096, memory)
    with pytest.raises(BufferError):
        memory.close()
    card.unmap(0x10000)
    card.close()
    memory.close()


@pytest.mark.parametrize("cycles", [1, 13, 100, 777])
def test_a_reset_under_traffic(cycles: int) -> None:
    card = LibraryCard(CardConfig())
    first = LibraryTransport(card)
    driver, queue = opened(first)
    for frame in FRAMES:
        first.send(frame)
    received(queue, 1)
    stopped = stop_clock(first)
    for frame in FRAMES:
        card.send(frame)
    card.run(cycles)
    assert card.waiting
    card.reset()
    assert (card.waiting, card.quiet) == (0, True)
    for memory in stopped:
        card.unmap(memory)
    blocked = card.counters.blocked
    second = LibraryTransport(card)
    driver, queue = opened(second)
    with driver:
        assert sum(driver.drops().values()) == 0, "the reset has kept nothing"
        for frame in FRAMES:
            second.send(frame)
        assert received(queue, len(FRAMES)) == FRAMES
        assert card.counters.blocked == blocked


def stop_clock(transport: LibraryTransport) -> list[int]:
    """Take the card out of a transport; return what is mapped for it."""
    transport.stop()
    return list(transport.card.mapped)


def test_two_cards_have_nothing_in_common(card: LibraryCard) -> None:
    other = LibraryCard(CardConfig(), latency=100)
    scratch = abi.CARD.address("SCRATCH")
    card.write32(scratch, 1)
    other.write32(scratch, 2)
    assert (card.read32(scratch), other.read32(scratch)) == (1, 2)
    cycles = card.cycles
    other.send(bytes(60))
    other.run(LONG)
    assert (card.cycles, card.counters.frames) == (cycles, 0)
    other.close()
    other.close()
    with pytest.raises(CardError, match="the simulated card is closed"):
        other.read32(scratch)
    assert card.read32(scratch) == 1


def test_a_capture_that_is_gone_through_ends(tmp_path: Path) -> None:
    source = tmp_path / "in.pcap"
    write_frames(source, FRAMES)
    status, text, _ = run("rx", "-d", f"library:pcap={source},latency=50", "-q")
    assert status == 0
    assert text.startswith(f"{len(FRAMES)} frames, ")


SABOTAGED = CardConfig(queues=1, pools=1, pages=64, region_pages=64, parser=False, steering=False,
                       header_split=False, pull_returns=False, pool_watch=False, statistics=False,
                       timestamps=False)


@pytest.fixture
def sabotage(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a statement that is run in every cycle into the text of a card."""
    from pagering_tb.library import build

    whole = build.with_boundary

    def put(statement: str) -> None:
        def sabotaged(text: str) -> str:
            before, card, rest = whole(text).partition("module pagering_rx(")
            return (before + card + rest.replace(
                "endmodule", f"  always @(edge clk) {statement}\nendmodule", 1))

        monkeypatch.setattr(build, "with_boundary", sabotaged)
    return put


def test_a_broken_assertion_is_an_error_and_not_the_end(sabotage: Callable[[str], None],
                                                        card: LibraryCard) -> None:
    sabotage("if (s_axil_wvalid && s_axil_wdata == 32'hdeadbeef) $finish;")
    scratch = abi.CARD.address("SCRATCH")
    sentence = r"the simulated card broke: an assertion failed in pagering_rx \(line \d+ of .*\)"
    broken = LibraryCard(SABOTAGED)
    broken.write32(scratch, 5)
    with pytest.raises(CardGone, match=sentence):
        broken.write32(scratch, 0xDEADBEEF)
    with pytest.raises(CardGone, match=sentence):
        broken.run(1)
    broken.close()
    transport = LibraryTransport(LibraryCard(SABOTAGED))
    memory = transport.allocate(100)
    time.sleep(0.1)  # the card has nothing to do: its clock stands still
    transport.write32(scratch, 0xDEADBEEF)
    with pytest.raises(CardGone, match=sentence):
        transport.wait_interrupt(0)
    with pytest.raises(CardGone, match=sentence):
        transport.read32(scratch)
    memory.free()
    transport.close()
    assert card.read32(abi.CARD.address("ID")) == abi.ID_VALUE
