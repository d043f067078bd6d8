"""Hostile clients: 100,000 messages and more, of which none hurts the card or any memory.

Messages are true ones, ones with a few bits turned, ones with extreme numbers, truncated and
overlong ones, and garbage; with descriptors of memory, eventfds, pipes and files, of which they
should have had others or none. They go through the socket and the whole server, thousands of
connections; meanwhile frames come, so the card uses whatever memory it was told of. Pages around
what is mapped must keep what is in them.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import resource
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pagering import abi
from pagering.traffic import made_up_frames
from pagering.vfio_user_channel import Channel, ChannelClosed
from pagering.vfio_user_messages import (
    Command,
    DmaMap,
    DmaUnmap,
    Header,
    Irq,
    IrqSet,
    MessageFlag,
    Region,
    RegionAccess,
    Version,
    WriteCount,
    WriteEntry,
)
from pagering_hdl.config import CardConfig
from pagering_tb.library import LibraryCard
from pagering_tb.virtual.model_core import ModelCore
from pagering_tb.virtual.server import CardServer

PAGE = 4096
PAGES = 64
BLOCK = 1 << 32
GUARD = bytes((0xA5, 0x5A)) * (PAGE // 2)
MESSAGES = 100_000
COMPILED_MESSAGES = 20_000
EXTREMES = (0, 1, 2, 3, 4, 7, 8, 15, 16, PAGE - 1, PAGE, PAGE + 1, 1 << 20, (1 << 20) + 1, 1 << 31,
            (1 << 32) - 1, 1 << 32, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - PAGE,
            (1 << 64) - 1)


class Memory:
    """A client's file. Every other page of it is never mapped, and guarded."""

    def __init__(self) -> None:
        self.descriptor = os.memfd_create("fuzz", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.descriptor, PAGES * PAGE)
        for page in range(1, PAGES, 2):
            os.pwrite(self.descriptor, GUARD, page * PAGE)
        self.block = os.memfd_create("block", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        """Memory for a whole region, which has no guards."""
        os.ftruncate(self.block, PAGES * PAGE)

    def close(self) -> None:
        os.close(self.descriptor)
        os.close(self.block)

    def intact(self) -> bool:
        return all(os.pread(self.descriptor, PAGE, page * PAGE) == GUARD
                   for page in range(1, PAGES, 2))


class Attacker:
    """Makes messages.

    It maps the pages of its memory that are for it one by one, at the addresses that it uses.
    """

    def __init__(self, rng: random.Random, folder: Path, memory: Memory) -> None:
        self._rng = rng
        self.memory = memory
        (folder / "file").write_bytes(bytes(PAGE))
        self._odd = [os.open(folder / "file", os.O_RDWR), *os.pipe2(os.O_NONBLOCK),
                     os.eventfd(0), os.eventfd(0, os.EFD_NONBLOCK), os.open("/dev/null", os.O_RDWR)]
        self._eventfds = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(16)]
        self._kinds = [self._read, self._write, self._multi, self._map, self._unmap, self._irqs,
                       self._bring_up, self._other]

    def close(self) -> None:
        for descriptor in (*self._odd, *self._eventfds):
            os.close(descriptor)
        self.memory.close()

    def message(self) -> tuple[int, bytes, list[int]]:
        """Return a command, its body and its descriptors."""
        rng = self._rng
        command, body, descriptors = rng.choice(self._kinds)()
        chance = rng.random()
        # A mapping with turned bits would be of pages that are guarded: those are kept as they are.
        if chance < 0.3 and command != Command.DMA_MAP:
            data = bytearray(body or b"\0")
            for _ in range(rng.randrange(1, 4)):
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            body = bytes(data)
        elif chance < 0.4:
            body = body[:rng.randrange(len(body) + 1)]
        elif chance < 0.45:
            body += rng.randbytes(rng.randrange(1, 100))
        elif chance < 0.5:
            command = rng.randrange(1 << 16) if rng.random() < 0.5 else rng.randrange(20)
            command = Command.GET_INFO if command == Command.DMA_MAP else command
        elif chance < 0.55:
            descriptors = rng.choices(self._odd, k=rng.randrange(1, 16))
        return command, body, descriptors

    def _number(self) -> int:
        rng = self._rng
        return rng.choice(EXTREMES) if rng.random() < 0.7 else rng.getrandbits(64)

    def _region(self) -> int:
        return self._rng.choice((0, 0, 0, 2, Region.CONFIG, Region.CONFIG, 1, 8, 9, 0xFFFFFFFF))

    def _register(self) -> int:
        rng = self._rng
        block = rng.choice(abi.BLOCKS)
        return block.address(rng.choice(block.registers).name, rng.randrange(2))

    def _access(self) -> tuple[int, int, int]:
        rng = self._rng
        if rng.random() < 0.8:
            region = rng.choice((Region.BAR0, Region.CONFIG))
            offset = self._register() if region == Region.BAR0 else rng.randrange(256)
            return offset, region, 4
        return self._number(), self._region(), self._number() & 0xFFFFFFFF

    def _read(self) -> tuple[int, bytes, list[int]]:
        return Command.REGION_READ, bytes(RegionAccess(*self._access())), []

    def _value(self) -> bytes:
        """Return a word: often an address of mapped memory, as its upper or lower half."""
        rng = self._rng
        word = rng.choice((0, 1, 1, 2, 6, rng.getrandbits(32), rng.randrange(PAGES) << 13))
        return word.to_bytes(4, "little")

    def _write(self) -> tuple[int, bytes, list[int]]:
        rng = self._rng
        offset, region, count = self._access()
        data = self._value() if count == 4 else rng.randbytes(rng.randrange(300))
        return Command.REGION_WRITE, bytes(RegionAccess(offset, region, count)) + data, []

    def _multi(self) -> tuple[int, bytes, list[int]]:
        count = self._rng.randrange(6)
        body = bytes(WriteCount(count))
        for _ in range(count):
            offset, region, size = self._access()
            body += bytes(WriteEntry(offset, region, size, (ctypes.c_uint8 * 8)(*self._value())))
        return Command.REGION_WRITE_MULTI, body, []

    def _map(self) -> tuple[int, bytes, list[int]]:
        rng = self._rng
        if rng.random() < 0.7:
            return self._page(rng.randrange(0, PAGES, 2),
                              rng.choice((1, 2, 3, 3, 3, 0, 0xFFFFFFFF)))
        asked = DmaMap(32, self._number() & 0xFFFFFFFF, self._number(), self._number(),
                       self._number())
        return Command.DMA_MAP, bytes(asked), rng.choices(self._odd, k=rng.randrange(3))

    def _unmap(self) -> tuple[int, bytes, list[int]]:
        rng = self._rng
        if rng.random() < 0.7:
            return Command.DMA_UNMAP, bytes(DmaUnmap(24, 0, rng.randrange(PAGES) << 13, PAGE)), []
        asked = DmaUnmap(24, rng.choice((0, 0, 1, 2)), self._number(), self._number())
        return Command.DMA_UNMAP, bytes(asked), []

    def _irqs(self) -> tuple[int, bytes, list[int]]:
        rng = self._rng
        if rng.random() < 0.6:
            count = rng.randrange(6)
            asked = IrqSet(20, rng.choice((0x24, 0x24, 0x21, 0x22)), Irq.MSIX, rng.randrange(3),
                           count)
            return Command.SET_IRQS, bytes(asked), rng.sample(self._eventfds, count)
        asked = IrqSet(20, rng.getrandbits(6), rng.choice((0, 1, 2, 3, 4, 9)),
                       self._number() & 0xFFFFFFFF, self._number() & 0xFFFFFFFF)
        return Command.SET_IRQS, bytes(asked), rng.choices(self._odd, k=rng.randrange(3))

    def _bring_up(self) -> tuple[int, bytes, list[int]]:
        """Write what makes the card use memory."""
        return self._rng.choice(self.driver())

    def driver(self) -> list[tuple[int, bytes, list[int]]]:
        """Return what a driver sends: it maps memory, opens queue 0, and has frames come."""
        rng = self._rng

        def place() -> int:
            return rng.randrange(0, PAGES, 2) << 13
        writes = [(4, Region.CONFIG, 6)]
        writes += [(abi.REGION.address("REGION", slot), 0, place() | 1) for slot in range(1, 4)]
        writes += [(abi.CARD.address("REGION_HIGH"), 0, BLOCK >> 32),
                   (abi.REGION.address("REGION"), 0, 1)]
        writes += [(block.address(name), 0, word) for block, name, word in (
            (abi.POOL, "MIRROR_LOW", place() | 1), (abi.POOL, "CONTROL", 1),
            (abi.QUEUE, "RING_LOW", place()), (abi.QUEUE, "RETURN_LOW", place()),
            (abi.QUEUE, "RETURN_SIZE", rng.choice((4, 0x104))), (abi.QUEUE, "CONTROL", 1),
            (abi.USER, "RETURN_PRODUCED", 16), (abi.USER, "ARM", 0), (abi.CARD, "CONTROL", 1))]
        block = DmaMap(32, 3, 0, BLOCK, PAGES * PAGE)
        return [*(self._page(page, 3) for page in range(0, PAGES, 2)),
                (Command.DMA_MAP, bytes(block), [self.memory.block]), *(
            (Command.REGION_WRITE,
             bytes(RegionAccess(offset, region, 4)) + word.to_bytes(4, "little"), [])
            for offset, region, word in writes)]

    def _page(self, page: int, flags: int) -> tuple[int, bytes, list[int]]:
        """Map a page that is for it."""
        asked = DmaMap(32, flags, page * PAGE, page << 13, PAGE)
        return Command.DMA_MAP, bytes(asked), [self.memory.descriptor]

    def _other(self) -> tuple[int, bytes, list[int]]:
        rng = self._rng
        command = rng.choice((Command.GET_INFO, Command.GET_REGION_INFO, Command.GET_IRQ_INFO,
                              Command.VERSION, Command.DEVICE_RESET, Command.DMA_READ,
                              Command.DMA_WRITE))
        return command, rng.randbytes(rng.choice((0, 4, 16, 32, 40))), []


class Assault:
    """Connections of an attacker to a server, in turns with it.

    Attributes
    ----------
    messages, connections, mapped : int
        How many there were; and of mappings that the server has accepted.

    """

    def __init__(self, server: CardServer, attacker: Attacker, rng: random.Random) -> None:
        self.messages = self.connections = self.mapped = 0
        self._server, self._attacker, self._rng = server, attacker, rng
        self._frames = made_up_frames()

    def connect(self) -> None:
        """Connect, send messages while that is possible, and go without a word."""
        self.connections += 1
        rng = self._rng
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(self._server.path)
            sock.setblocking(False)
            channel = Channel(sock)
            if rng.random() < 0.95:
                channel.send(0, Command.VERSION, bytes(Version(0, 0)) + b"{}\0")
            with contextlib.suppress(ChannelClosed, OSError):
                for message in self._attacker.driver() if rng.random() < 0.5 else ():
                    channel.send(0, *message, flags=MessageFlag.NO_REPLY)
                self._serve(2)
                for _ in range(rng.randrange(1, 400)):
                    self._send(channel)
        self._serve(3)

    def _send(self, channel: Channel) -> None:
        rng, chance = self._rng, self._rng.random()
        command, body, descriptors = self._attacker.message()
        self.messages += 1
        if chance < 0.002:  # garbage instead of a header, and with it an end
            channel.socket.send(rng.randbytes(rng.randrange(1, 200)))
        elif chance < 0.004:  # a header alone, of whatever size
            channel.socket.send(bytes(Header(1, command, rng.getrandbits(21), 0, 0)))
        else:
            flags = rng.choice((0, 0, MessageFlag.NO_REPLY, MessageFlag.NO_REPLY,
                                MessageFlag.REPLY, rng.getrandbits(32)))
            channel.send(rng.getrandbits(16), command, body, descriptors, flags=flags,
                         error=rng.getrandbits(8))
        if rng.random() < 0.2:
            if self._server.function.receives:
                self._server.bring(next(self._frames))
            self._serve(1)
        self._drain(channel)

    def _serve(self, turns: int) -> None:
        for _ in range(turns):
            self._server.stop()  # whatever there is to do, it does not sleep
            self._server.turn()
            self.mapped = max(self.mapped, len(self._server.function.dma))

    @staticmethod
    def _drain(channel: Channel) -> None:
        while channel.receive() is not None:
            pass
        channel.flush()


def counted(inner: Callable[..., Any], found: list[int]) -> Callable[..., Any]:
    def access(*args: Any) -> Any:
        answer = inner(*args)
        found[answer not in (None, False)] += 1
        return answer
    return access


@pytest.mark.slow
def test_no_message_hurts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(1)
    core = ModelCore(region_pages=1, regions=4)
    answers = {"read": [0, 0], "write": [0, 0]}  # of memory: those that failed, and the others
    for kind, found in answers.items():
        monkeypatch.setattr(core._memory, kind, counted(getattr(core._memory, kind), found))
    told: list[str] = []
    server = CardServer(core, str(tmp_path / "card"), log=told.append)
    attacker = Attacker(rng, tmp_path, Memory())
    assault = Assault(server, attacker, rng)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assault.connect()
    descriptors = len(os.listdir("/proc/self/fd"))
    while assault.messages < MESSAGES:
        assault.connect()
    assert attacker.memory.intact(), "a page that was never mapped was written"
    assert len(os.listdir("/proc/self/fd")) <= descriptors, "no descriptor stays"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10, "nor memory"
    # All of it did something:
    assert assault.connections > 200
    assert assault.mapped >= PAGES // 2
    assert min(answers["read"][1], *answers["write"]) > 50, answers
    assert len({text.partition(":")[0] for text in told}) > 10
    core.fake.stores.take_problems()  # this is no driver: it may store a word twice
    server.close()
    attacker.close()


@pytest.mark.slow
def test_nor_does_it_the_compiled_card(tmp_path: Path) -> None:
    """Its assertions hold whatever it is told, and it still works in the end."""
    rng = random.Random(2)
    core = LibraryCard(CardConfig())
    server = CardServer(core, str(tmp_path / "card"))
    attacker = Attacker(rng, tmp_path, Memory())
    assault = Assault(server, attacker, rng)
    while assault.messages < COMPILED_MESSAGES:
        assault.connect()
    assert attacker.memory.intact(), "a page that was never mapped was written"
    assert core.read32(abi.CARD.address("ID")) == abi.ID_VALUE
    assert core.counters.blocked > 10, "it was told of memory that there is not"
    assert any(os.pread(attacker.memory.block, PAGES * PAGE, 0)), "frames came"
    server.close()
    attacker.close()
