"""The socket driver, and what may happen to it: cards that go, drivers that go, slow answers."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pagering import abi
from pagering import vfio_user_messages as messages
from pagering.card import Card
from pagering.errors import CardError, CardGone
from pagering.providers import LocalProvider
from pagering.rx_queue import RxQueue
from pagering.traffic import made_up_frames
from pagering.vfio_user import VfioUserCard
from pagering.vfio_user_channel import Channel, ChannelClosed, Message
from pagering.vfio_user_client import VfioUserClient
from pagering.vfio_user_messages import (
    MAJOR,
    MINOR,
    Command,
    Header,
    Irq,
    MessageFlag,
    Region,
    RegionAccess,
    Version,
)
from pagering_hdl.config import CardConfig
from pagering_tb.library import LibraryCard
from pagering_tb.paced_source import PacedSource
from pagering_tb.virtual.core import CardCore
from pagering_tb.virtual.model_core import ModelCore
from test_sw_cli import run
from virtual_card import ROOT, Wire, card_process, killed_at_last, served

ID = abi.CARD.address("ID")
SCRATCH = abi.CARD.address("SCRATCH")


def until(done: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 20
    while not done():
        assert time.monotonic() < end, what
        time.sleep(0.005)


# The card goes


def receive_for_ever(queue: RxQueue) -> None:
    while True:
        queue.recv(timeout=1.0).close()


def test_a_card_that_is_killed_costs_no_memory(tmp_path: Path) -> None:
    path = str(tmp_path / "card")
    with card_process(tmp_path / "card") as killed:
        transport = VfioUserCard(path)
        card = Card(transport)
        queue = card.add_queue(card.add_pool(), returns="auto")
        card.steer_to(0)
        card.receive = True
        burst = queue.recv(timeout=10.0)
        frame = burst[0].retain()
        data = bytes(frame)
        killed.kill()
        with pytest.raises(CardGone, match=f"the card at {path} is gone: "):
            receive_for_ever(queue)
        with pytest.raises(CardGone, match="is gone"):
            transport.read32(ID)
        assert bytes(frame) == data, "what was received can still be read"
        burst.close()
        card.close()
        assert transport._memory.live_bytes == card.capabilities.region_bytes, "the frame's"
        frame.release()
        assert transport._memory.live_bytes == 0, "and then all memory is free again"


def test_a_command_says_so_in_one_line(tmp_path: Path) -> None:
    with card_process(tmp_path / "card") as killed:
        VfioUserCard(str(tmp_path / "card")).close()
        timer = threading.Timer(1.0, killed.kill)
        timer.start()
        status, _, errors = run("rx", "-d", f"vfio-user:{tmp_path}/card", "-q")
        assert status == 2
        assert errors.startswith(f"pagering: the card at {tmp_path}/card is gone: ")
        assert errors.count("\n") == 1


def test_no_card_at_all(tmp_path: Path) -> None:
    assert run("selftest", "-d", f"vfio-user:{tmp_path}/none")[::2] == (
        2, f"pagering: no card is served at {tmp_path}/none: No such file or directory; start one "
           f"with pagering card --socket\n")
    assert run("selftest", "-d", "vfio-user")[::2] == (
        2, "pagering: --device vfio-user needs a socket: vfio-user:PATH\n")


# The driver goes


DRIVER = """
import sys
sys.path[:0] = {paths!r}
from pagering.card import Card
from pagering.vfio_user import VfioUserCard
card = Card(VfioUserCard({path!r}))
queue = card.add_queue(card.add_pool())
card.steer_to(0)
card.receive = True
while True:
    with queue.recv(timeout=60.0) as burst:
        print(len(burst), flush=True)
"""


CORES: dict[str, Callable[[], CardCore]] = {
    "model": lambda: ModelCore(region_pages=64), "rtl": lambda: LibraryCard(CardConfig())}
over_both_cores = pytest.mark.parametrize(
    "kind", ["model", pytest.param("rtl", marks=pytest.mark.slow)])


@over_both_cores
def test_drivers_that_are_killed_leave_nothing_behind(tmp_path: Path, kind: str) -> None:
    core, log = CORES[kind](), list[str]()
    wire = Wire()
    text = DRIVER.format(paths=[str(ROOT / "sw")], path=str(tmp_path / "card"))
    with served(tmp_path / "card", core, wire, log) as server:
        descriptors = len(os.listdir("/proc/self/fd"))
        for turn in range(3):
            with killed_at_last(subprocess.Popen([sys.executable, "-c", text],
                                                 stdout=subprocess.PIPE)) as driver:
                assert driver.stdout is not None
                until(lambda: server.function.receives, "the driver receives")
                wire.put(bytes(60))
                assert driver.stdout.readline() == b"1\n"
                for _ in range(20):
                    wire.put(bytes(60))
                driver.send_signal(signal.SIGKILL)
            until(lambda: server.session is None, "the card has noticed")
            assert sum(text.startswith("client gone") for text in log) == turn + 1
            assert len(server.function.dma) == server.function.dma.files == 0
            assert server.function.vectors.connected == 0
            assert not core.bus_master
            assert not server.function.receives
        del driver
        assert len(os.listdir("/proc/self/fd")) <= descriptors
        with Card(VfioUserCard(str(tmp_path / "card"))) as card:
            assert not card.receive
            assert card.counters()["frames_in"] == 0, "the card was reset"
    if isinstance(core, ModelCore):
        assert not core.fake.stray_writes


@over_both_cores
def test_a_function_level_reset_under_traffic(tmp_path: Path, kind: str) -> None:
    core, frames = CORES[kind](), made_up_frames()
    with served(tmp_path / "card", core, PacedSource(frames, None)) as server:
        transport = VfioUserCard(str(tmp_path / "card"))
        for _ in range(3):
            lost = Card(transport)
            receive_some(lost)
            transport._client.write(Region.CONFIG, 0x68, b"\0\x80")
            with pytest.raises(CardError, match="identifies as 0xffffffff"):
                Card(transport)
            now = bytes(lost.pools[0].region_view(lost.pools[0].slots[0]))
            time.sleep(0.05)
            assert bytes(lost.pools[0].region_view(lost.pools[0].slots[0])) == now, "it is quiet"
            assert not server.function.receives
            transport._set_command(memory=1, bus_master=1)
        with Card(transport) as card:
            assert not card.receive
            receive_some(card)
            assert not sum(card.faults().values())


def receive_some(card: Card) -> None:
    """Open a queue and receive 300 frames."""
    queue = card.add_queue(card.add_pool(), returns="auto")
    card.steer_to(0)
    card.receive = True
    got = 0
    while got < 300:
        with queue.recv(timeout=20.0) as burst:
            assert burst
            got += len(burst)


@over_both_cores
def test_a_card_that_receives_nothing_costs_no_time(tmp_path: Path, kind: str) -> None:
    with (served(tmp_path / "card", CORES[kind](), Wire()),
          Card(VfioUserCard(str(tmp_path / "card"))) as card):
        queue = card.add_queue(card.add_pool())
        queue.arm()
        card.steer_to(0)
        card.receive = True
        time.sleep(0.3)
        before = time.process_time()
        time.sleep(0.5)
        assert time.process_time() - before < 0.05


def test_a_driver_that_comes_again_at_once_is_let_in(tmp_path: Path) -> None:
    with served(tmp_path / "card"):
        for _ in range(50):
            VfioUserCard(str(tmp_path / "card")).close()


def test_a_second_driver_is_told_that_there_is_one(tmp_path: Path) -> None:
    path = str(tmp_path / "card")
    with served(tmp_path / "card"):
        first = VfioUserCard(path)
        first.write32(SCRATCH, 7)
        for _ in range(10):
            with pytest.raises(CardError, match=f"the card at {path} is in use by another driver; "
                                                f"end that one first"):
                VfioUserCard(path)
        assert first.read32(SCRATCH) == 7, "the first one has noticed nothing"
        first.close()
        second = VfioUserCard(path)
        assert second.read32(SCRATCH) == 0
        second.close()


# Slow and strange answers


def test_an_answer_may_take_its_time_but_not_for_ever(tmp_path: Path) -> None:
    class Slow(ModelCore):
        delay = 0.0

        def read32(self, offset: int) -> int:
            time.sleep(self.delay)
            return super().read32(offset)

    core = Slow()
    with served(tmp_path / "card", core):
        transport = VfioUserCard(str(tmp_path / "card"), timeout=1.0)
        core.delay = 0.5
        assert transport.read32(ID) == abi.ID_VALUE
        memory = transport.allocate(4096)
        core.delay = 1.5
        with pytest.raises(CardError, match=r"has not answered for 1 s; end its process, for it "
                                            r"may still write to memory") as caught:
            transport.read32(ID)
        assert not isinstance(caught.value, CardGone)
        core.delay = 0.0
        with pytest.raises(CardError, match="has not answered"):
            transport.read32(SCRATCH)  # not the late answer to the first question
        with pytest.raises(CardError, match="has not answered"):
            memory.free()
        assert transport._memory.live_bytes == 4096, "the card may still write there"
        transport.close()


@contextmanager
def acting(path: Path, act: Callable[[Channel, Message], None]) -> Iterator[None]:
    """Serve one client, badly."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        caller, _ = listener.accept()
        channel = Channel(caller)
        try:
            while (message := channel.receive()) is not None:
                act(channel, message)
        except (ChannelClosed, OSError):
            pass
        channel.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield
    thread.join(20)
    listener.close()
    assert not thread.is_alive()


def answer(channel: Channel, message: Message, body: bytes = b"", error: int = 0) -> None:
    channel.send(message.header.id, message.header.command, body, error=error,
                 flags=MessageFlag.REPLY | (MessageFlag.ERROR if error else 0))


def agree(channel: Channel, message: Message) -> bool:
    if message.header.command == Command.VERSION:
        answer(channel, message, bytes(Version(MAJOR, MINOR)) + b"{}\0")
        return True
    return False


def test_another_version_and_another_device(tmp_path: Path) -> None:
    with (acting(tmp_path / "card", lambda channel, message: answer(
              channel, message, bytes(Version(7, 0)) + b"{}\0")),
          pytest.raises(CardError, match="speaks version 7 of vfio-user, not 0")):
        VfioUserCard(str(tmp_path / "card"))

    def other(channel: Channel, message: Message) -> None:
        if not agree(channel, message):
            answer(channel, message, bytes(16) + bytes.fromhex("86 80 0e 10"))
    with (acting(tmp_path / "other", other),
          pytest.raises(CardError, match="serves PCI function 8086:100e, no card of this")):
        VfioUserCard(str(tmp_path / "other"))


def test_answers_that_are_short_wrong_or_to_other_questions(tmp_path: Path) -> None:
    asked: list[Message] = []

    def act(channel: Channel, message: Message) -> None:
        if agree(channel, message):
            return
        if message.is_reply:
            asked.append(message)
            return
        match message.header.command:
            case Command.GET_IRQ_INFO:
                answer(channel, message, b"short")
            case Command.GET_REGION_INFO:
                answer(channel, message, error=errno.EINVAL)
            case Command.REGION_READ:
                # A late answer to something else, and a question of the card's, come first.
                channel.send(0x7777, message.header.command, b"late", flags=MessageFlag.REPLY)
                channel.send(5, Command.DMA_READ, bytes(16))
                answer(channel, message, bytes(RegionAccess(0, 0, 4)) + b"\1\0\0")
            case _:
                channel.socket.sendall(bytes(Header(1, 1, 3, MessageFlag.REPLY, 0)))
    with acting(tmp_path / "card", act):
        client = VfioUserClient(str(tmp_path / "card"))
        with pytest.raises(CardError, match="an answer has 5 bytes, fewer than a IrqInfo"):
            client.irq_info(Irq.MSIX)
        with pytest.raises(CardError, match="refused GET_REGION_INFO: Invalid argument"):
            client.region_info(Region.BAR0)
        with pytest.raises(CardError, match="answered a read of 4 bytes with 3"):
            client.read(Region.BAR0, 0, 4)
        with pytest.raises(CardGone, match="sent a message of 3 bytes; they have 16 to "):
            client.device_info()
        with pytest.raises(CardGone, match="sent a message of 3 bytes"):
            client.device_info()
        client.close()
    assert [(message.header.id, message.header.error) for message in asked] == [(5, errno.ENOTSUP)]


# Memory and interrupts


def test_memory_of_this_process_alone_cannot_be_mapped(tmp_path: Path) -> None:
    with served(tmp_path / "card"):
        transport = VfioUserCard(str(tmp_path / "card"))
        memory = LocalProvider().allocate_region(4096)
        with pytest.raises(CardError, match="is this process's alone; a card in another one needs "
                                            "shared memory, huge pages or a file"):
            transport.map_memory(memory)
        with pytest.raises(CardError, match="no 8589934592 bytes aligned to 4096 are left"):
            transport.allocate(1 << 33)
        with pytest.raises(CardError, match="the card has vectors 0 to 4, not 5"):
            transport.interrupt_fd(5)
        with pytest.raises(CardError, match="4294967296 written to 0x14 is not a 32-bit word"):
            transport.write32(SCRATCH, 1 << 32)
        transport.close()
        transport.close()


def test_every_register_access_is_of_32_bits(tmp_path: Path) -> None:
    """Runs of tokens are one message of the socket's, and as many accesses of the card's."""
    core, wire = ModelCore(region_pages=64), Wire()
    with served(tmp_path / "card", core, wire) as server, Card(
            VfioUserCard(str(tmp_path / "card"))) as card:
        queue = card.add_queue(card.add_pool())
        card.steer_to(0)
        card.receive = True
        for _ in range(30):
            wire.put(bytes(64))
        got = 0
        while got < 30:
            with queue.recv(timeout=10.0) as burst:
                got += len(burst)
        assert queue.returns.pushed == 30
        assert {width for _, width in core.fake.access_widths} == {4}
        assert {count for kind, count in server.function.accesses if kind == "read"} == {4}
        first = abi.USER.base + abi.RETURN_WINDOW
        tokens = [core.fake.writes[first + at] for at in range(0, abi.RETURN_WINDOW_BYTES, 4)]
        card.registers.card.STATUS.word()
        assert sum(tokens) <= 30
    assert sum(core.fake.writes[first + at]
               for at in range(0, abi.RETURN_WINDOW_BYTES, 4)) == 30, "each token once"


@pytest.mark.parametrize(("kind", "size"), [
    (messages.Header, 16), (messages.Version, 4), (messages.DmaMap, 32), (messages.DmaUnmap, 24),
    (messages.DeviceInfo, 16), (messages.RegionInfo, 32), (messages.IrqInfo, 16),
    (messages.IrqSet, 20), (messages.RegionAccess, 16), (messages.WriteCount, 8),
    (messages.WriteEntry, 24)])
def test_layouts_have_the_sizes_that_the_protocol_gives(kind: type[ctypes.Structure],
                                                        size: int) -> None:
    assert ctypes.sizeof(kind) == size
