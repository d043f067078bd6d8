"""Both ways back from the driver's side, mirrors and the oldest page, on the in-memory card."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from pagering import abi
from pagering.card import Card
from pagering.card_pool import CardPool
from pagering.fake import FakeCard
from pagering.fake_memory import FakeMemory
from pagering.pool_watch import OldestPage
from pagering.returns import PULL_FROM, ReturnWay
from pagering.rx_queue import RxQueue

WINDOW = range(abi.USER.base + abi.RETURN_WINDOW, abi.USER.base + 4096)
DOORBELL = abi.USER.address("RETURN_PRODUCED")


class Host:
    """A card with one pool and one queue."""

    def __init__(self, returns: str = "push", ring: int = 64, **options: Any) -> None:
        self.fake = FakeCard(chunk_bytes=4096, region_pages=64, **options)
        self.card = Card(self.fake)
        self.pool: CardPool = self.card.add_pool(mirror=True)
        self.queue: RxQueue = self.card.add_queue(self.pool, ring, returns=returns)
        self.card.receive = True

    def receive(self, count: int) -> None:
        """Receive so many frames of a page each and return them in one burst."""
        for _ in range(count):
            assert self.fake.inject(bytes(2000)) is None
        with self.queue.recv(count) as burst:
            assert len(burst) == count

    def window_writes(self) -> int:
        return sum(self.fake.writes[offset] for offset in WINDOW)

    def end(self) -> None:
        """Close, and check that nothing went where it should not."""
        self.card.close()
        self.fake.check_guards()
        assert not self.fake.stray_writes
        assert not self.fake.stray_reads
        assert self.fake.mapped_bytes == 0


@pytest.fixture(params=[way.value for way in ReturnWay])
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    made = Host(request.param)
    yield made
    made.end()


def test_everything_comes_back_whichever_way(host: Host) -> None:
    rng, total = random.Random(1), 0
    for _ in range(60):
        count = rng.randint(1, 40)
        host.receive(count)
        total += count
        assert host.pool.free == host.pool.registered
    assert host.card.counters()["returns"] == host.queue.stats.returns == total
    assert host.queue.returns.pushed + host.queue.returns.pulled == total
    assert not sum(host.card.faults().values())


def test_push_is_one_write_for_each_token_and_rings_no_doorbell() -> None:
    host = Host("push")
    host.receive(30)
    assert host.window_writes() == 30
    assert host.fake.writes[DOORBELL] == 0
    host.end()


def test_pull_is_one_doorbell_for_each_burst_and_no_write_to_the_window() -> None:
    host = Host("pull")
    for count in (1, 30, 40):
        host.receive(count)
    assert host.window_writes() == 0
    assert host.fake.writes[DOORBELL] == 3
    host.end()


def test_auto_picks_by_the_size_of_the_burst() -> None:
    host = Host("auto")
    host.receive(PULL_FROM - 1)
    assert (host.queue.returns.pushed, host.queue.returns.pulled) == (PULL_FROM - 1, 0)
    host.receive(PULL_FROM)
    assert (host.queue.returns.pushed, host.queue.returns.pulled) == (PULL_FROM - 1, PULL_FROM)
    host.end()


def test_what_the_ring_has_no_room_for_is_pushed() -> None:
    host = Host("pull")
    ring = host.queue.returns._ring
    assert ring is not None
    # A card that is slow: its consumer index is where it was.
    ring._consumer[0] = (ring._produced - 60) % (1 << abi.CONSUMER_BITS)
    assert ring.waiting == 60
    host.receive(10)
    assert (host.queue.returns.pushed, host.queue.returns.pulled) == (6, 4)
    assert host.pool.free == host.pool.registered
    host.end()


def test_the_indices_run_on_when_a_queue_is_opened_again() -> None:
    host = Host("pull")
    host.receive(11)
    host.queue.close()
    host.queue = host.card.add_queue(host.pool, 64, returns="pull")
    host.receive(20)
    assert host.card.registers.queue(0).RETURN_CONSUMED.get() == 31
    assert host.pool.free == host.pool.registered
    host.end()


def test_a_closed_queue_leaves_no_ring_behind_and_takes_late_tokens() -> None:
    host = Host("pull")
    host.fake.inject(bytes(2000))
    frame = host.queue.recv(1)[0].retain()
    host.queue.close()
    assert host.card.registers.queue(0).RETURN_SIZE.read() == {"log2": 0, "mirror": 0}
    frame.release()
    assert host.pool.free == host.pool.registered
    host.end()


def test_another_way_is_refused_with_a_sentence() -> None:
    fake = FakeCard()
    card = Card(fake)
    with pytest.raises(ValueError, match="tokens are returned by push, pull, auto; 'carry' is "
                                         "none of them"):
        card.add_queue(card.add_pool(), returns="carry")
    card.close()
    assert fake.mapped_bytes == 0


@pytest.mark.parametrize("cycles", [15, 65536])
def test_a_mirror_period_out_of_range_is_refused_with_a_sentence(cycles: int) -> None:
    with Card(FakeCard()) as card, pytest.raises(ValueError, match=f"16 to 65535 cycles, not "
                                                                   f"{cycles}"):
        card.set_mirror_period(cycles)


# The in-memory card


def _ring(fake: FakeCard, log2: int, size: int | None = None) -> FakeMemory:
    memory = fake.allocate(size or (4 << log2) + 8)
    fake.write32(abi.QUEUE.address("RETURN_LOW"), memory.address & 0xFFFFF000)
    fake.write32(abi.QUEUE.address("RETURN_HIGH"), memory.address >> 32)
    fake.write32(abi.QUEUE.address("RETURN_SIZE"),
                 abi.QUEUE["RETURN_SIZE"].pack(log2=log2, mirror=1))
    return memory


def _enabled(log2: int, size: int | None = None) -> tuple[FakeCard, FakeMemory]:
    fake = FakeCard()
    memory = _ring(fake, log2, size)
    fake.write32(abi.QUEUE.address("CONTROL"), 1)
    return fake, memory


def _fault(fake: FakeCard, name: str) -> int:
    return fake.read32(abi.STATS.address(f"FAULT_{name}"))


@pytest.mark.parametrize(("index", "good"), [
    (0, True), (1, True), (16, True), (17, False), (0x1FFFF, False), (0x10000, False)])
def test_a_doorbell_moves_forward_and_not_past_the_ring(index: int, good: bool) -> None:
    fake, memory = _enabled(4)
    fake.write32(DOORBELL, index)
    assert _fault(fake, "REGISTER_VALUE") == (not good)
    assert fake.read32(abi.QUEUE.address("RETURN_CONSUMED")) == (index if good else 0)
    assert int.from_bytes(memory.view[64:], "little") == (index if good else 0)
    # The tokens in the ring are zeros: they name a page of no region.
    assert _fault(fake, "RETURN_PAGE") == (index if good else 0)


def test_a_disabled_queue_and_one_without_a_ring_refuse_doorbells() -> None:
    fake = FakeCard()
    fake.write32(DOORBELL, 1)
    fake.write32(abi.QUEUE.address("CONTROL"), 1)
    fake.write32(DOORBELL, 1)
    assert _fault(fake, "REGISTER_VALUE") == 2


@pytest.mark.parametrize("log2", [1, 2, 3, 17, 31])
def test_a_return_ring_of_another_size_is_refused(log2: int) -> None:
    fake = FakeCard()
    fake.write32(abi.QUEUE.address("RETURN_SIZE"), log2)
    assert _fault(fake, "REGISTER_VALUE") == 1
    assert fake.read32(abi.QUEUE.address("RETURN_SIZE")) == 0


def test_the_ring_of_a_running_queue_cannot_be_moved() -> None:
    fake, _ = _enabled(4)
    for name in ("RETURN_LOW", "RETURN_HIGH", "RETURN_SIZE"):
        fake.write32(abi.QUEUE.address(name), 0)
    assert _fault(fake, "REGISTER_VALUE") == 3


def test_lines_that_cannot_be_read_cost_their_tokens_and_a_fault_each() -> None:
    fake, _ = _enabled(6, size=64)
    fake.write32(DOORBELL, 40)
    assert _fault(fake, "RETURN_PAGE") == 16
    assert _fault(fake, "RETURN_READ") == 2
    assert len(fake.stray_reads) == 2
    assert fake.read32(abi.QUEUE.address("RETURN_CONSUMED")) == 40
    assert _fault(fake, "MIRROR_WRITE") == 1
    assert fake.read32(abi.CARD.address("EVENTS")) == (
        1 << abi.Event.FAULT | 1 << abi.Event.WRITE_ERROR)


# Mirrors and the oldest page


def test_cached_counts_are_read_without_a_register_and_follow_the_card() -> None:
    host = Host()
    for _ in range(5):
        host.fake.inject(bytes(2000))
        before = host.fake.access_widths["read", 4]
        free, out = host.pool.free_cached, host.pool.outstanding_cached
        assert host.fake.access_widths["read", 4] == before
        assert (free, out) == (host.pool.free, host.pool.outstanding)
    assert host.pool.outstanding_cached == 5
    host.end()


def test_a_pool_without_a_mirror_asks_the_card() -> None:
    with Card(FakeCard()) as card:
        pool = card.add_pool()
        assert pool.free_cached == pool.free == 8
        assert pool.outstanding_cached == 0


def test_the_mirror_of_a_pool_that_is_not_drained_cannot_be_moved() -> None:
    with Card(FakeCard()) as card:
        card.add_pool(mirror=True)
        for name in ("MIRROR_LOW", "MIRROR_HIGH"):
            getattr(card.registers.pool(0), name).write_word(0)
        assert card.faults()["register_value"] == 2


def test_the_oldest_page_is_named_until_it_comes_back() -> None:
    host = Host()
    assert host.pool.oldest() is None
    for _ in range(2):
        host.fake.inject(bytes(2000))
        host.fake.advance(10 * abi.AGE_CYCLES)
    leak, late = host.queue.recv(2)
    pages = [abi.TOKEN.unpack(frame.tokens[0])["page"] for frame in (leak, late)]
    assert host.pool.oldest() == OldestPage(pages[0], 20 * abi.AGE_CYCLES, 0)
    leak.release()
    assert host.pool.oldest() == OldestPage(pages[1], 10 * abi.AGE_CYCLES, 0)
    late.release()
    assert host.pool.oldest() is None
    host.end()
