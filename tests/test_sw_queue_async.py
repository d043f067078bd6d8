"""Awaiting frames: woken by the interrupt's eventfd, other tasks run meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from pagering import abi
from pagering.card import Card
from pagering.errors import CardError
from pagering.fake import FakeCard
from pagering.rx_queue import RxQueue
from pagering.transport import EventfdTransport, Transport


@dataclass
class Host:
    fake: FakeCard
    card: Card
    queue: RxQueue


@asynccontextmanager
async def host(**options: Any) -> AsyncIterator[Host]:
    fake = FakeCard(region_pages=64, **options)
    card = Card(fake)
    queue = card.add_queue(card.add_pool())
    card.receive = True
    yield Host(fake, card, queue)
    card.close()
    assert not fake.state.raised._descriptors, "closed with the card"


def run(task: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(task, 20))


def test_a_task_sleeps_until_frames_come() -> None:
    async def main() -> None:
        async with host() as it:
            turns = 0

            async def wire() -> None:
                nonlocal turns
                for number in range(5):
                    await asyncio.sleep(0.002)
                    turns += 1
                    it.fake.inject(bytes([number]) * 60)

            sender = asyncio.create_task(wire())
            got: list[bytes] = []
            arms = 0
            while len(got) < 5:
                if len(got) % 2:
                    with await it.queue.recv_arrays_async() as arrays:
                        got += [bytes(view) for view in arrays.views()]
                else:
                    with await it.queue.recv_async() as burst:
                        got += [bytes(frame) for frame in burst]
                arms += 1
            await sender
            assert got == [bytes([number]) * 60 for number in range(5)]
            assert turns == 5
            assert it.fake.writes[abi.USER.address("ARM")] == arms, "one for each sleep"
    run(main())


def test_what_is_there_is_taken_without_sleeping() -> None:
    async def main() -> None:
        async with host() as it:
            it.fake.inject(b"x")
            with await it.queue.recv_async() as burst:
                assert len(burst) == 1
            assert not it.fake.writes[abi.USER.address("ARM")]
            it.fake.inject(b"x")
            assert await it.queue.wait_async()
            it.queue.recv().close()
    run(main())


def test_nothing_comes_in_time() -> None:
    async def main() -> None:
        async with host() as it:
            assert not await it.queue.wait_async(0.01)
            with await it.queue.recv_async(timeout=0.01) as burst:
                assert len(burst) == 0
            # An interrupt is left that polling was faster than: it is no completion.
            it.fake.inject(b"x")
            it.queue.recv().close()
            assert it.fake.state.raised[0]
            assert not await it.queue.wait_async(0.01)
    run(main())


def test_blocking_and_awaiting_share_the_interrupt() -> None:
    async def main() -> None:
        async with host() as it:
            assert not await it.queue.wait_async(0.001)
            it.fake.on_wait = lambda vector: it.fake.inject(b"y")
            assert it.queue.wait(0.01)
            it.fake.on_wait = None
            it.queue.recv().close()
            assert not await it.queue.wait_async(0.001), "the blocking wait took it"
    run(main())


def test_closing_the_queue_wakes_its_task() -> None:
    async def main() -> None:
        async with host() as it:
            waiting = asyncio.create_task(it.queue.recv_async())
            await asyncio.sleep(0.005)
            with pytest.raises(CardError, match="a task waits for queue 0 already"):
                await it.queue.wait_async()
            it.queue.close()
            with pytest.raises(CardError, match="queue 0 is closed"):
                await waiting
            with pytest.raises(CardError, match="queue 0 is closed"):
                await it.queue.wait_async()
    run(main())


def test_a_task_can_be_cancelled() -> None:
    async def main() -> None:
        async with host() as it:
            waiting = asyncio.create_task(it.queue.wait_async())
            await asyncio.sleep(0.005)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            it.fake.inject(b"x")
            with await it.queue.recv_async() as burst:
                assert len(burst) == 1
    run(main())


class Deaf:
    """A transport without eventfds."""

    def __init__(self, fake: FakeCard) -> None:
        for name in ("read32", "write32", "write_tokens", "allocate", "wait_interrupt", "close"):
            setattr(self, name, getattr(fake, name))


def test_a_transport_without_eventfds() -> None:
    async def main() -> None:
        transport = Deaf(FakeCard())
        assert isinstance(transport, Transport)
        assert not isinstance(transport, EventfdTransport)
        with Card(transport) as card:
            queue = card.add_queue(card.add_pool())
            with pytest.raises(CardError, match="signals no interrupt by an eventfd"):
                await queue.wait_async()
    run(main())


def test_a_reset_lowers_the_eventfd_and_keeps_it() -> None:
    async def main() -> None:
        fake = FakeCard()
        descriptor = fake.interrupt_fd(0)
        fake.state.raised[0] = True
        fake.write32(abi.CARD.address("RESET"), 1)
        assert fake.interrupt_fd(0) == descriptor
        assert not fake.wait_interrupt(0)
        with pytest.raises(CardError, match="vectors 0 to 4, not 5"):
            fake.interrupt_fd(5)
        fake.close()
    run(main())
