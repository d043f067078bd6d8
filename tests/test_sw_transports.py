"""One driver, every transport that this machine has: the same suite over each.

The card is its software twin or its RTL, in this process or another one, reached directly or over a
vfio-user socket. (The kernel's VFIO needs a PCI device: the guest test has one.)
"""

from __future__ import annotations

import asyncio
import contextlib
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pagering import abi
from pagering.card import Card
from pagering.devices import Device
from pagering.errors import CardError
from pagering.fake import FakeCard
from pagering.mapped_providers import HugePageProvider
from pagering.mapping_provider import MappingProvider
from pagering.selftest import Verdict, check
from pagering.transport import EventfdTransport, MappingTransport, Transport
from pagering.vfio_user import VfioUserCard
from pagering_hdl.config import CardConfig
from pagering_tb.library import LibraryCard
from pagering_tb.library.transport import LibraryTransport
from pagering_tb.virtual.model_core import ModelCore
from virtual_card import Wire, served

FRAMES = [bytes([at]) * (60 + 17 * at) for at in range(40)]
Opener = Callable[[Path], contextlib.AbstractContextManager[Device]]


@contextlib.contextmanager
def in_memory(_: Path) -> Iterator[Device]:
    fake = FakeCard(region_pages=64)
    yield Device("memory", fake, fake.inject)


@contextlib.contextmanager
def model_behind_socket(folder: Path) -> Iterator[Device]:
    core = ModelCore(region_pages=64)
    wire = Wire()
    with served(folder / "card", core, wire):
        yield Device("socket", VfioUserCard(str(folder / "card")), wire.put)


@contextlib.contextmanager
def compiled(_: Path) -> Iterator[Device]:
    transport = LibraryTransport(LibraryCard(CardConfig()))
    yield Device("library", transport, transport.send)


@contextlib.contextmanager
def compiled_behind_socket(folder: Path) -> Iterator[Device]:
    wire = Wire()
    with served(folder / "card", LibraryCard(CardConfig()), wire):
        yield Device("library socket", VfioUserCard(str(folder / "card")), wire.put)


OPENERS: dict[str, Opener] = {"memory": in_memory, "socket": model_behind_socket}
SLOW_OPENERS: dict[str, Opener] = {"library": compiled, "library-socket": compiled_behind_socket}


@pytest.fixture(params=[*OPENERS, *(pytest.param(name, marks=pytest.mark.slow)
                                    for name in SLOW_OPENERS)])
def device(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Device]:
    with (OPENERS | SLOW_OPENERS)[request.param](tmp_path) as opened:
        yield opened
        opened.transport.close()


def send(device: Device, frame: bytes) -> None:
    assert device.send is not None
    device.send(frame)


def receive(card: Card, count: int, queue_index: int = 0) -> list[bytes]:
    found: list[bytes] = []
    queue = next(queue for queue in card.queues if queue.index == queue_index)
    while len(found) < count:
        with queue.recv(timeout=10.0) as burst:
            assert burst, f"{len(found)} of {count} frames came"
            found += [bytes(frame) for frame in burst]
    return found


def test_the_self_test_finds_nothing_wrong(device: Device) -> None:
    outcomes = list(check(device))
    assert {outcome.verdict for outcome in outcomes} == {Verdict.OK}, outcomes


@pytest.mark.parametrize("returns", ["push", "pull", "auto"])
def test_frames_come_whole_and_in_order(device: Device, returns: str) -> None:
    with Card(device.transport) as card:
        pool = card.add_pool()
        card.add_queue(pool, returns=returns)
        card.steer_to(0)
        card.receive = True
        for _ in range(4):  # more frames than pages: memory that goes back is used again
            for frame in FRAMES:
                send(device, frame)
            assert receive(card, len(FRAMES)) == FRAMES
        assert not sum(card.drops().values())
        assert not sum(card.faults().values())


def test_a_task_awaits_frames(device: Device) -> None:
    assert isinstance(device.transport, EventfdTransport)

    async def main() -> list[bytes]:
        with Card(device.transport) as card:
            queue = card.add_queue(card.add_pool())
            card.steer_to(0)
            card.receive = True
            found: list[bytes] = []

            async def wire() -> None:
                for frame in FRAMES[:5]:
                    await asyncio.sleep(0.002)
                    send(device, frame)

            sender = asyncio.create_task(wire())
            while len(found) < 5:
                with await queue.recv_async(timeout=10.0) as burst:
                    found += [bytes(frame) for frame in burst]
            await sender
            return found
    assert asyncio.run(asyncio.wait_for(main(), 60)) == FRAMES[:5]


def test_huge_pages_are_mapped(device: Device) -> None:
    transport = device.transport
    assert isinstance(transport, MappingTransport)
    with warnings.catch_warnings(), Card(transport) as card:
        warnings.simplefilter("ignore", RuntimeWarning)  # this machine may have none
        provider = HugePageProvider(1 << 21)
        queue = card.add_queue(card.add_pool(provider=MappingProvider(provider, transport)))
        card.steer_to(queue.index)
        card.receive = True
        for frame in FRAMES:
            send(device, frame)
        assert receive(card, len(FRAMES)) == FRAMES


def test_registers_that_are_none_are_refused(device: Device) -> None:
    transport: Transport = device.transport
    with pytest.raises(CardError):
        transport.read32(0xFFFC)
    with pytest.raises(CardError):
        transport.read32(1 << abi.WINDOW_ADDRESS_BITS)
    assert transport.read32(abi.CARD.address("ID")) == abi.ID_VALUE
