"""The virtual card's function: configuration space, memory, interrupts, and what it answers."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import resource
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pagering import abi
from pagering import pci_config as pci
from pagering.errors import CardError, CardGone, PageringError
from pagering.traffic import made_up_frames
from pagering.vfio_user import VfioUserCard
from pagering.vfio_user_channel import Channel, ChannelClosed
from pagering.vfio_user_client import VfioUserClient
from pagering.vfio_user_messages import (
    IRQS,
    REGIONS,
    Command,
    DmaMap,
    DmaUnmap,
    Header,
    Irq,
    IrqSet,
    IrqSetFlag,
    Region,
    RegionAccess,
    Version,
    WriteCount,
    WriteEntry,
)
from pagering_tb.paced_source import PacedSource
from pagering_tb.virtual.config_space import ConfigSpace
from pagering_tb.virtual.dma_space import DmaSpace
from pagering_tb.virtual.model_core import ModelCore
from pagering_tb.virtual.server import CardServer
from pagering_tb.virtual.sources import with_tag
from virtual_card import Wire, served

PAGE = 4096
COMMAND, SCRATCH = pci.COMMAND.offset, abi.CARD.address("SCRATCH")


# Configuration space


def capabilities(config: ConfigSpace) -> dict[int, int]:
    """Walk the list as an operating system does; return where each is."""
    at, found = config.read(pci.CAPABILITIES.offset, 1)[0], {}
    while at:
        identity, following = config.read(at, 2)
        assert at % 4 == 0
        assert identity not in found
        found[identity] = at
        at = following
    return found


def test_identity_and_capabilities_are_what_the_contract_says() -> None:
    config = ConfigSpace(5)
    assert struct.unpack("<HH", config.read(0, 4)) == (abi.PCI_VENDOR, abi.PCI_DEVICE)
    assert config.read(8, 4) == bytes([abi.PCI_REVISION]) + abi.PCI_CLASS.to_bytes(3, "little")
    found = capabilities(config)
    assert set(found) == {pci.PM, pci.MSIX, pci.EXPRESS}
    control, table, pba = struct.unpack("<HII", config.read(found[pci.MSIX] + 2, 10))
    assert control == 4
    assert table == abi.MSIX_TABLE | abi.MSIX_BAR
    assert pba == abi.MSIX_PBA | abi.MSIX_BAR
    device = int.from_bytes(config.read(found[pci.EXPRESS] + 4, 4), "little")
    assert device >> 28 & 1, "it has the function-level reset"


@pytest.mark.parametrize(("bar", "size"), [
    (abi.WINDOW_BAR, 1 << abi.WINDOW_ADDRESS_BITS), (abi.MSIX_BAR, abi.MSIX_BAR_BYTES)])
def test_a_bar_tells_its_size_and_keeps_its_address(bar: int, size: int) -> None:
    config, place = ConfigSpace(5), 0x10 + 4 * bar
    assert config.read(place, 1)[0] & 0xF == 4, "64 bits, not prefetchable"
    config.write(place, b"\xff" * 8)
    word = int.from_bytes(config.read(place, 8), "little")
    assert (1 << 64) - (word & ~0xF) == size
    config.write(place, (0x12_3450_0000 + size).to_bytes(8, "little"))
    assert int.from_bytes(config.read(place, 8), "little") == 0x12_3450_0000 + size | 4


def test_what_is_read_only_stays() -> None:
    config = ConfigSpace(5)
    before = config.read(0, 4096)
    config.write(0, b"\xff" * 4096)
    config.write(0, bytes(4096))
    after = bytearray(config.read(0, 4096))
    assert config.read(0, 4096)[:4] == before[:4]
    assert after == before, "all that can be written is 0 at first"


def test_switches() -> None:
    config = ConfigSpace(5)
    found = capabilities(config)
    assert not config.memory
    assert not config.bus_master
    config.write(COMMAND, bytes([6, 0]))
    assert config.memory
    assert config.bus_master
    config.write(found[pci.PM] + 4, b"\3")  # D3hot
    assert not config.memory
    assert not config.bus_master
    config.write(found[pci.PM] + 4, b"\1")  # D1, which there is not
    assert config.read(found[pci.PM] + 4, 1)[0] & 3 == 3
    config.write(found[pci.PM] + 4, b"\0")
    assert config.memory
    assert not config.write(found[pci.EXPRESS] + 8, b"\0\x7f")
    assert config.write(found[pci.EXPRESS] + 8, b"\0\x80"), "a function-level reset"
    assert config.read(found[pci.EXPRESS] + 8, 2) == b"\0\0"


# Memory


class Mapped(ModelCore):
    """Remembers what is mapped."""

    def __init__(self) -> None:
        super().__init__()
        self.now: dict[int, memoryview] = {}

    def map(self, address: int, memory: memoryview, writable: bool = True) -> None:
        super().map(address, memory, writable)
        self.now[address] = memory

    def unmap(self, address: int) -> None:
        super().unmap(address)
        del self.now[address]


@pytest.fixture
def memfd() -> Iterator[int]:
    descriptor = os.memfd_create("test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, 16 * PAGE)
    yield descriptor
    os.close(descriptor)


def refused(error: int, space: DmaSpace, *args: Any) -> None:
    before = len(space), space.files
    with pytest.raises(OSError, match=".") as caught:
        space.map(*args)
    assert caught.value.errno == error
    assert (len(space), space.files) == before


def test_a_file_is_mapped_once_however_many_of_its_pages_are(memfd: int) -> None:
    core = Mapped()
    space = DmaSpace(core)
    descriptors = len(os.listdir("/proc/self/fd"))
    for at in range(16):
        space.map(0x10000 + at * PAGE, PAGE, memfd, (15 - at) * PAGE, 3)
    assert (len(space), space.files, len(core.now)) == (16, 1, 16)
    assert len(os.listdir("/proc/self/fd")) <= descriptors + 1
    core.bus_master = True
    assert core._memory.write(0x10000 + PAGE - 2, b"abcd"), "over neighbouring mappings"
    assert os.pread(memfd, 2, 16 * PAGE - 2) == b"ab"
    assert os.pread(memfd, 2, 14 * PAGE) == b"cd"
    assert space.clear() == 16 * PAGE
    assert (len(space), space.files, len(core.now)) == (0, 0, 0)


def test_unmapping_takes_what_lies_within_and_splits_nothing(memfd: int) -> None:
    space = DmaSpace(Mapped())
    for at in (0, 4, 8):
        space.map(at * PAGE, 2 * PAGE, memfd, at * PAGE, 3)
    for first, pages in ((1, 1), (0, 1), (0, 5), (5, 8)):
        with pytest.raises(OSError, match="would split a mapping"):
            space.unmap(first * PAGE, pages * PAGE)
    assert len(space) == 3
    assert space.unmap(2 * PAGE, 2 * PAGE) == 0, "nothing there"
    assert space.unmap(0, 1 << 40) == 6 * PAGE
    with pytest.raises(OSError, match="are no range"):
        space.unmap(PAGE, 1 << 64)


def test_what_cannot_be_mapped(memfd: int, tmp_path: Path) -> None:
    space = DmaSpace(Mapped())
    space.map(4 * PAGE, 2 * PAGE, memfd, 0, 3)
    for pages in ((4, 1), (3, 2), (5, 1), (3, 4)):
        refused(errno.EEXIST, space, pages[0] * PAGE, pages[1] * PAGE, memfd, 0, 3)
    refused(errno.EINVAL, space, 0, 0, memfd, 0, 3)
    refused(errno.EINVAL, space, 0, 100, memfd, 0, 3)
    refused(errno.EINVAL, space, 8, PAGE, memfd, 0, 3)
    refused(errno.EINVAL, space, (1 << 64) - PAGE, 2 * PAGE, memfd, 0, 3)
    refused(errno.EINVAL, space, 0, PAGE, memfd, 16 * PAGE, 3)
    refused(errno.EINVAL, space, 0, PAGE, memfd, (1 << 64) - PAGE, 3)
    refused(errno.EINVAL, space, 0, PAGE, memfd, 0, 0)
    for descriptor in os.pipe():
        refused(errno.EINVAL, space, 0, PAGE, descriptor, 0, 3)
        os.close(descriptor)
    (tmp_path / "file").write_bytes(bytes(PAGE))
    with open(tmp_path / "file", "r+b") as file:
        refused(errno.EPERM, space, 0, PAGE, file.fileno(), 0, 3)
    unsealed = os.memfd_create("test")
    os.ftruncate(unsealed, PAGE)
    refused(errno.EPERM, space, 0, PAGE, unsealed, 0, 3)
    os.close(unsealed)
    reading = os.open(f"/proc/self/fd/{memfd}", os.O_RDONLY)
    refused(errno.EACCES, space, 0, PAGE, reading, 0, 3)
    space.map(0, PAGE, reading, 0, 1)
    os.close(reading)


def test_a_client_cannot_pull_memory_from_under_the_card(memfd: int) -> None:
    space = DmaSpace(Mapped())
    space.map(0, 16 * PAGE, memfd, 0, 3)
    with pytest.raises(PermissionError):
        os.ftruncate(memfd, 0)
    assert fcntl.fcntl(memfd, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK


def test_a_file_that_has_grown_is_mapped_anew(memfd: int) -> None:
    core = Mapped()
    space = DmaSpace(core)
    space.map(0, PAGE, memfd, 0, 3)
    os.ftruncate(memfd, 32 * PAGE)
    space.map(PAGE, PAGE, memfd, 31 * PAGE, 3)
    core.now[0][:1], core.now[PAGE][:1] = b"a", b"b"
    assert os.pread(memfd, 1, 0) + os.pread(memfd, 1, 31 * PAGE) == b"ab"
    assert space.unmap(0, PAGE) == PAGE
    assert space.files == 1
    space.clear()
    assert space.files == 0


def test_memory_without_a_descriptor_takes_up_its_addresses_only(memfd: int) -> None:
    core = Mapped()
    space = DmaSpace(core)
    space.map(0, PAGE, None, 0, 1)
    refused(errno.EEXIST, space, 0, PAGE, memfd, 0, 3)
    assert not core.now
    assert space.unreachable == PAGE
    assert space.unmap(0, PAGE) == PAGE


def test_memory_for_reading_is_not_written(memfd: int) -> None:
    core = Mapped()
    DmaSpace(core).map(0, PAGE, memfd, 0, 1)
    core.bus_master = True
    assert core._memory.read(0, 4) == bytes(4)
    assert not core._memory.write(0, b"no")


# Messages


@pytest.fixture
def card(tmp_path: Path) -> Iterator[tuple[VfioUserClient, CardServer, ModelCore]]:
    core = ModelCore()
    with served(tmp_path / "card", core) as server:
        client = VfioUserClient(str(tmp_path / "card"))
        yield client, server, core
        client.close()


Served = tuple[VfioUserClient, CardServer, ModelCore]


def fails(client: VfioUserClient, error: int, command: Command | int, body: bytes = b"",
          descriptors: tuple[int, ...] = ()) -> None:
    with pytest.raises(CardError) as caught:
        client.ask(Command(command), body, descriptors)
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == error


def test_what_the_function_has(card: Served) -> None:
    client, _, _ = card
    info = client.device_info()
    assert (info.flags, info.regions, info.irqs) == (3, REGIONS, IRQS) == (3, 9, 5)
    sizes = {region.name: client.region_info(region).size for region in Region}
    assert {name: size for name, size in sizes.items() if size} == {
        "BAR0": 1 << 20, "BAR2": 8192, "CONFIG": 4096}
    assert client.region_info(Region.BAR0).flags == 3, "no mmap: writes stay posted in QEMU"
    assert [client.irq_info(irq).count for irq in Irq] == [0, 0, 5, 0, 0]
    assert client.irq_info(Irq.MSIX).flags == 1, "no NORESIZE: QEMU would set all up anew"


def test_bars_answer_only_when_they_are_on(card: Served) -> None:
    client, server, _ = card
    assert client.read(Region.BAR0, 0, 4) == b"\xff" * 4
    client.write(Region.BAR0, SCRATCH, b"\1\2\3\4")
    client.write(Region.CONFIG, COMMAND, b"\2\0")
    assert int.from_bytes(client.read(Region.BAR0, 0, 4), "little") == abi.ID_VALUE
    assert client.read(Region.BAR0, SCRATCH, 4) == bytes(4)
    client.write(Region.BAR0, SCRATCH, b"\1\2\3\4")
    assert client.read(Region.BAR0, SCRATCH, 4) == b"\1\2\3\4"
    assert client.read(Region.BAR0, SCRATCH + 1, 2) == b"\2\3"
    assert client.read(Region.BAR0, SCRATCH - 4, 8)[4:] == b"\1\2\3\4"
    client.write(Region.CONFIG, 0x44, b"\3")  # D3hot
    assert client.read(Region.BAR0, SCRATCH, 4) == b"\xff" * 4
    client.write(Region.CONFIG, 0x44, b"\0")
    assert client.read(Region.BAR0, SCRATCH, 4) == b"\1\2\3\4", "sleep forgets nothing"
    assert server.function.accesses["read", 4] == 4


def test_both_kinds_of_reset_forget_all_but_memory(card: Served, memfd: int) -> None:
    client, server, core = card
    client.map_memory(0, PAGE, memfd, 0)
    for reset in (lambda: client.ask(Command.DEVICE_RESET),
                  lambda: client.write(Region.CONFIG, 0x68, b"\0\x80")):
        client.write(Region.CONFIG, COMMAND, b"\6\0")
        client.write(Region.BAR0, SCRATCH, b"\1\2\3\4")
        assert core.bus_master
        reset()
        assert not core.bus_master
        assert client.read(Region.CONFIG, COMMAND, 2) == b"\0\0"
        client.write(Region.CONFIG, COMMAND, b"\2\0")
        assert client.read(Region.BAR0, SCRATCH, 4) == bytes(4)
    assert len(server.function.dma) == 1


def test_several_writes_in_one_message(card: Served) -> None:
    client, server, _ = card
    client.write(Region.CONFIG, COMMAND, b"\2\0")
    flush = abi.CARD.address("FLUSH_TIMER")
    entries = [(SCRATCH, 0, b"abcd"), (flush, 0, b"\1\0\0\0"), (1 << 30, 0, b"lost"),
               (0, 9, b"lost"), (SCRATCH, 0, b"x"), (4, Region.CONFIG, b"\6\0")]
    body = bytes(WriteCount(len(entries)))
    for offset, region, data in entries:
        body += bytes(WriteEntry(offset, region, len(data), (ctypes.c_uint8 * 8)(*data)))
    assert client.ask(Command.REGION_WRITE_MULTI, body) == body[:8]
    assert client.read(Region.BAR0, SCRATCH, 4) == b"abcd"
    assert client.read(Region.BAR0, flush, 4) == b"\1\0\0\0"
    assert client.read(Region.CONFIG, COMMAND, 2) == b"\6\0"
    assert server.function.refused == 3
    fails(client, errno.EINVAL, Command.REGION_WRITE_MULTI, bytes(WriteCount(1 << 60)))
    long = bytes(WriteEntry(SCRATCH, 0, 9, (ctypes.c_uint8 * 8)(*b"whatever")))
    client.ask(Command.REGION_WRITE_MULTI, bytes(WriteCount(1)) + long)
    assert server.function.refused == 4
    assert client.read(Region.BAR0, SCRATCH, 4) == b"abcd"


@pytest.mark.parametrize(("command", "body"), [
    (Command.REGION_READ, bytes(RegionAccess(0, 0, 0))),
    (Command.REGION_READ, bytes(RegionAccess(0, 0, 1 << 20))),
    (Command.REGION_READ, bytes(RegionAccess((1 << 20) - 2, 0, 4))),
    (Command.REGION_READ, bytes(RegionAccess((1 << 64) - 4, 0, 8))),
    (Command.REGION_READ, bytes(RegionAccess(0, 1, 4))),
    (Command.REGION_READ, bytes(RegionAccess(0, 1 << 31, 4))),
    (Command.REGION_READ, b"short"),
    (Command.REGION_WRITE, bytes(RegionAccess(SCRATCH, 0, 4))),
    (Command.REGION_WRITE, bytes(RegionAccess(SCRATCH, 0, 4)) + b"more than four"),
    (Command.REGION_WRITE, bytes(RegionAccess(SCRATCH, 0, 2)) + b"ab"),
    (Command.REGION_WRITE, bytes(RegionAccess(SCRATCH + 2, 0, 4)) + b"abcd"),
    (Command.REGION_WRITE, bytes(RegionAccess(0, 0, 4096)) + bytes(4096)),
    (Command.GET_REGION_INFO, bytes(32).replace(b"\0\0\0\0", b"\x09\0\0\0")),
    (Command.GET_IRQ_INFO, bytes([0] * 8 + [5] + [0] * 7)),
    (Command.SET_IRQS, bytes(IrqSet(20, 0x24, Irq.MSIX, 5, 1))),
    (Command.SET_IRQS, bytes(IrqSet(20, 0x24, Irq.INTX, 0, 1))),
    (Command.SET_IRQS, bytes(IrqSet(20, 0x24, 77, 0, 1))),
    (Command.SET_IRQS, bytes(IrqSet(20, 0x21, Irq.MSIX, 0xFFFFFFFF, 0xFFFFFFFF))),
    (Command.SET_IRQS, bytes(IrqSet(20, 0x09, Irq.MSIX, 0, 1))),
    (Command.DMA_UNMAP, bytes(DmaUnmap(24, 2, PAGE, PAGE))),
    (Command.DMA_UNMAP, bytes(DmaUnmap(24, 0, 0, 0))),
    (Command.DMA_MAP, bytes(DmaMap(32, 3, 0, 0, 0))),
], ids=str)
def test_messages_that_make_no_sense(card: Served, command: Command, body: bytes) -> None:
    client, _, _ = card
    client.write(Region.CONFIG, COMMAND, b"\2\0")
    fails(client, errno.EINVAL, command, body)
    assert client.read(Region.BAR0, SCRATCH, 4) == bytes(4)


def test_commands_that_are_none_or_come_at_the_wrong_time(card: Served) -> None:
    client, _, _ = card
    fails(client, errno.ENOTSUP, Command.DMA_READ, bytes(16))
    fails(client, errno.EPROTO, Command.VERSION, bytes(Version(0, 0)) + b"{}\0")
    fails(client, errno.ENOTSUP, Command.DMA_UNMAP, bytes(DmaUnmap(24, 1, 0, PAGE)))


@pytest.mark.parametrize(("body", "error"), [
    (b"", errno.EINVAL), (bytes(Version(1, 0)), errno.EPROTONOSUPPORT),
    (bytes(Version(0, 0)) + b"[]\0", errno.EINVAL), (bytes(Version(0, 0)) + b"{\0", errno.EINVAL),
    (bytes(Version(0, 0)) + b"\xff\0", errno.EINVAL),
    (bytes(Version(0, 0)) + b"[" * 4000, errno.EINVAL),
    (bytes(Version(0, 0)) + b"1" * 4000, errno.EINVAL),
    (bytes(Version(0, 0)) + b"{}" + b" " * 9000, errno.EINVAL),
    (bytes(Version(0, 0)), 0), (bytes(Version(0, 9)) + b'{"capabilities": 5}\0', 0)])
def test_versions_and_offers(tmp_path: Path, body: bytes, error: int) -> None:
    with served(tmp_path / "card"), socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(tmp_path / "card"))
        channel = Channel(sock)
        channel.send(1, Command.GET_INFO, bytes(16))
        early = channel.receive()
        assert early is not None
        assert early.header.error == errno.EPROTO
        channel.send(2, Command.VERSION, body)
        answer = channel.receive()
        assert answer is not None
        assert (answer.header.id, answer.header.error) == (2, error)
        if not error:
            offer = json.loads(answer.body[4:].rstrip(b"\0"))["capabilities"]
            assert offer["write_multiple"]
            assert offer["max_msg_fds"] == 16


# Interrupts


def eventfd() -> int:
    return os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)


def test_vectors_signal_what_they_are_told_to_if_the_function_is_a_bus_master(
        card: Served) -> None:
    client, server, _ = card
    signalled = [eventfd() for _ in range(5)]
    client.set_eventfds(Irq.MSIX, signalled)
    assert server.function.vectors.connected == 5

    def fire(first: int, count: int) -> list[int]:
        client.ask(Command.SET_IRQS, bytes(IrqSet(
            20, IrqSetFlag.TRIGGER | IrqSetFlag.NO_DATA, Irq.MSIX, first, count)))
        return raised()

    def raised() -> list[int]:
        found = []
        for vector, descriptor in enumerate(signalled):
            try:
                os.eventfd_read(descriptor)
                found.append(vector)
            except BlockingIOError:
                pass
        return found
    assert fire(0, 5) == []
    client.write(Region.CONFIG, COMMAND, b"\6\0")
    assert fire(1, 3) == [1, 2, 3]
    client.ask(Command.SET_IRQS, bytes(IrqSet(
        20, IrqSetFlag.TRIGGER | IrqSetFlag.BOOLS, Irq.MSIX, 1, 3)) + b"\1\0\1")
    assert raised() == [1, 3]
    client.ask(Command.SET_IRQS, bytes(IrqSet(
        20, IrqSetFlag.TRIGGER | IrqSetFlag.EVENTFDS, Irq.MSIX, 2, 2)))
    assert fire(0, 5) == [0, 1, 4]
    os.eventfd_write(signalled[0], (1 << 64) - 2)
    assert fire(0, 1) == [0], "a full one stops nobody"
    client.ask(Command.SET_IRQS, bytes(IrqSet(
        20, IrqSetFlag.TRIGGER | IrqSetFlag.NO_DATA, Irq.MSIX, 0, 0)))
    assert server.function.vectors.connected == 0
    for descriptor in signalled:
        os.close(descriptor)


def test_only_eventfds_that_cannot_block_the_card_are_taken(card: Served) -> None:
    client, server, _ = card
    one = bytes(IrqSet(24, 0x24, Irq.MSIX, 0, 1))
    blocking, good, (read, write) = os.eventfd(0), eventfd(), os.pipe()
    for descriptor in (blocking, read, write):
        fails(client, errno.EINVAL, Command.SET_IRQS, one, (descriptor,))
    fails(client, errno.EINVAL, Command.SET_IRQS, one, (good, good))
    fails(client, errno.EINVAL, Command.SET_IRQS, bytes(IrqSet(28, 0x24, Irq.MSIX, 0, 2)),
          (good, blocking))
    assert server.function.vectors.connected == 0
    for descriptor in (blocking, good, read, write):
        os.close(descriptor)


def test_the_interrupt_table_keeps_what_is_written(card: Served) -> None:
    client, _, _ = card
    client.write(Region.CONFIG, COMMAND, b"\2\0")
    assert client.read(Region.BAR2, 0, 16) == bytes(12) + b"\1\0\0\0", "masked at first"
    client.write(Region.BAR2, 64, bytes(range(16)))
    assert client.read(Region.BAR2, 64, 16) == bytes(range(16))
    client.write(Region.BAR2, 76, b"\xff" * 8)  # over the last entry's end
    assert client.read(Region.BAR2, 76, 8) == b"\xff" * 4 + bytes(4)
    client.write(Region.BAR2, abi.MSIX_PBA, b"\xff" * 8)
    assert client.read(Region.BAR2, abi.MSIX_PBA, 8) == bytes(8)


# The server


def test_a_quiet_card_costs_no_time(tmp_path: Path) -> None:
    source = PacedSource(made_up_frames(), 1000)
    with served(tmp_path / "card", source=source):
        transport = VfioUserCard(str(tmp_path / "card"))
        time.sleep(0.05)
        before = resource.getrusage(resource.RUSAGE_SELF)
        time.sleep(0.5)
        after = resource.getrusage(resource.RUSAGE_SELF)
        assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.05
        transport.close()


def test_a_client_that_stops_in_the_middle_of_a_message_stops_nobody(tmp_path: Path) -> None:
    wire = Wire()
    with served(tmp_path / "card", source=wire):
        for part in (1, 15, 16, 20):
            whole = bytes(Header(1, Command.VERSION, 40, 0, 0)) + bytes(24)
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(str(tmp_path / "card"))
                sock.sendall(whole[:part])
                with pytest.raises(CardError, match="in use by another driver"):
                    VfioUserCard(str(tmp_path / "card"))
        VfioUserCard(str(tmp_path / "card")).close()


def test_a_client_that_reads_no_answers_is_asked_for_no_more(tmp_path: Path) -> None:
    with served(tmp_path / "card") as server, socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(tmp_path / "card"))
        sock.setblocking(False)
        channel = Channel(sock)
        channel.send(1, Command.VERSION, bytes(Version(0, 0)))
        asked, most = 0, 0
        ask = bytes(RegionAccess(0, Region.CONFIG, 4096))
        end = time.monotonic() + 1
        while time.monotonic() < end and not channel.unsent:
            channel.send(2, Command.REGION_READ, ask)
            asked += 1
            if server.session is not None:
                most = max(most, server.session.channel.unsent)
        assert channel.unsent, "it does not read any more"
        assert most <= 4096 + 32
        answers = 0
        while answers <= asked:  # the version's too
            channel.flush()
            answers += channel.receive() is not None
        assert asked > 100


def test_a_socket_that_is_taken(tmp_path: Path) -> None:
    with served(tmp_path / "card"), pytest.raises(PageringError, match="Address already in use"):
        CardServer(ModelCore(), str(tmp_path / "card"))
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / "left"))
    left.close()
    with served(tmp_path / "left"):
        VfioUserCard(str(tmp_path / "left")).close()
    with pytest.raises(PageringError, match="no socket can be made at .*: No such file"):
        CardServer(ModelCore(), str(tmp_path / "none" / "card"))


def test_descriptors_that_nobody_asked_for_are_closed(tmp_path: Path, memfd: int) -> None:
    with served(tmp_path / "card") as server:
        before = len(os.listdir("/proc/self/fd"))
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(tmp_path / "card"))
            channel = Channel(sock)
            for _ in range(20):
                channel.send(1, Command.GET_INFO, bytes(16), [memfd] * 16)
                assert channel.receive() is not None
            assert len(os.listdir("/proc/self/fd")) <= before + 2
            # More than a message may have, a byte at a time; then nothing more.
            with contextlib.suppress(OSError):
                for byte in bytes(Header(1, Command.GET_INFO, 32, 0, 0)):
                    socket.send_fds(sock, [bytes([byte])], [memfd] * 16)
            with pytest.raises(ChannelClosed):
                channel.receive()
        while server.session is not None:
            time.sleep(0.01)
        assert len(os.listdir("/proc/self/fd")) <= before


def test_a_card_that_breaks_ends_the_service_and_its_driver_knows(tmp_path: Path) -> None:
    class Brittle(ModelCore):
        broken = False

        def write32(self, offset: int, value: int) -> None:
            if offset == SCRATCH:
                self.broken = True
            super().write32(offset, value)

        @property
        def quiet(self) -> bool:
            self.reset()
            return super().quiet

        def reset(self) -> None:
            if self.broken:
                raise CardGone("the simulated card broke: an assertion failed")
            if not self.fake.writes:
                super().reset()

    server = CardServer(Brittle(), str(tmp_path / "card"))
    ended: list[str] = []

    def serve() -> None:
        try:
            server.serve()
        except CardGone as error:
            ended.append(str(error))
            server.close()
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    transport = VfioUserCard(str(tmp_path / "card"))
    transport.write32(SCRATCH, 1)
    thread.join(20)
    with pytest.raises(CardGone, match="is gone"):
        transport.read32(SCRATCH)
    transport.close()
    assert ended == ["the simulated card broke: an assertion failed"]
    assert not (tmp_path / "card").exists()


def test_vlan_tags_are_put_back() -> None:
    frame = bytes(range(64))
    aux = struct.pack("<IIIHHHH", 0x10, 64, 64, 0, 0, 0x2123, 0x88A8)
    assert with_tag(frame, aux) == frame[:12] + b"\x81\x00\x21\x23" + frame[12:]
    aux = struct.pack("<IIIHHHH", 0x50, 64, 64, 0, 0, 0x2123, 0x88A8)
    assert with_tag(frame, aux) == frame[:12] + b"\x88\xa8\x21\x23" + frame[12:]
    assert with_tag(frame, bytes(20)) == frame


def test_paced_frames_come_in_time_and_none_is_lost() -> None:
    frames = [bytes([at]) for at in range(50)]
    source, got = PacedSource(iter(frames), 1000), list[bytes]()
    room = False

    def send(frame: bytes) -> bool:
        if room:
            got.append(frame)
        return room
    begin = time.monotonic()
    source.feed(send)
    room = True
    while not source.ended:
        source.feed(send)
        time.sleep(source.seconds_to_next() or 0)
    assert got == frames
    assert 0.045 <= time.monotonic() - begin < 1.0
    assert source.seconds_to_next() is None
