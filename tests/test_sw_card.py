"""Bring-up, pools, steering, events and shutdown of the driver, over the in-memory card."""

from __future__ import annotations

from typing import Any

import pytest

from pagering import abi
from pagering.abi import Event, Policy
from pagering.card import Card
from pagering.errors import CardError, PoolError
from pagering.fake import FakeCard
from pagering.fake_memory import FakeMemory


class Crooked(FakeCard):
    """A card that answers some reads wrongly, or hands out crooked memory."""

    def __init__(self, lies: dict[int, int] | None = None, skew: int = 0, **options: Any) -> None:
        super().__init__(**options)
        self.lies = lies or {}
        self.skew = skew
        self.log: list[tuple[int, int]] = []

    def read32(self, offset: int) -> int:
        return self.lies.get(offset, super().read32(offset))

    def write32(self, offset: int, value: int) -> None:
        self.log.append((offset, value))
        super().write32(offset, value)

    def allocate(self, size: int, align: int = 4096) -> FakeMemory:
        memory = super().allocate(size, align)
        memory._address += self.skew
        return memory


def _address(block: abi.Block, name: str) -> int:
    return block.address(name)


# Bring-up


def test_the_card_is_identified_before_anything_is_written() -> None:
    fake = Crooked({_address(abi.CARD, "ID"): 0xFFFFFFFF})
    with pytest.raises(CardError, match="no Pagering card: it identifies as 0xffffffff"):
        Card(fake)
    assert not fake.log


def test_another_major_version_is_refused_and_another_minor_taken() -> None:
    at = _address(abi.CARD, "VERSION")
    with pytest.raises(CardError, match="card speaks version 3"):
        Card(Crooked({at: 0x30000}))
    Card(Crooked({at: 0x20007})).close()


def test_sizes_that_the_contract_forbids_are_refused() -> None:
    with pytest.raises(CardError, match="reports sizes that the contract forbids"):
        Card(Crooked({_address(abi.CARD, "CAP_COUNTS"): 0}))


def test_capabilities_are_read_in_bytes() -> None:
    with Card(FakeCard(chunk_bytes=512, region_pages=16)) as card:
        caps = card.capabilities
        assert (caps.page_bytes, caps.chunk_bytes, caps.chunks) == (4096, 512, 8)
        assert (caps.region_pages, caps.region_bytes) == (16, 65536)
        assert (caps.queues, caps.pools, caps.regions) == (4, 2, 4)


def test_a_reset_is_waited_for_but_not_for_ever() -> None:
    Card(FakeCard(reset_polls=20)).close()
    stuck = Crooked({_address(abi.CARD, "STATUS"): 1})
    with pytest.raises(CardError, match=r"until the card has reset itself, in vain; power-cycle"):
        Card(stuck, timeout=0.01)


def test_no_reset_under_open_pools() -> None:
    with Card(FakeCard()) as card:
        card.add_pool()
        with pytest.raises(CardError, match="close them first"):
            card.reset()


# Pools


def test_a_pool_costs_one_write_for_each_region() -> None:
    fake = FakeCard()
    with Card(fake) as card:
        pool = card.add_pool(16, policy=Policy.LIFO, limit=10, low_water=(2, 4))
        assert [fake.writes[abi.REGION.address("REGION", s)] for s in range(3)] == [1, 1, 0]
        assert (pool.registered, pool.free, pool.outstanding, pool.peak) == (16, 16, 0, 0)
        assert card.registers.pool(0).LIMIT.get() == 10
        assert card.registers.pool(0).LOW_WATER.read() == {"enter": 2, "exit": 4}
        assert card.registers.pool(0).CONTROL.read() == {"enable": 1, "policy": Policy.LIFO}
        assert not pool.low_water
        assert pool.stats.inflight == 16


def test_loading_regions_are_waited_for() -> None:
    with Card(FakeCard(load_polls=30)) as card:
        assert card.add_pool().free == 8


@pytest.mark.parametrize(("arguments", "error", "sentence"), [
    ({"pages": 12}, ValueError, "a multiple of 8 pages, one region each; 12 is none"),
    ({"pages": 0}, ValueError, "0 is none"),
    ({"pages": 40}, CardError, "room for 32 more pages, not 40; close a pool or ask for fewer"),
    ({"limit": -1}, ValueError, "limit is 0 to 65536 pages, not -1"),
    ({"limit": 65537}, ValueError, "not 65537"),
    ({"low_water": (4, 3)}, ValueError, "low water needs 0 <= enter <= exit <= 8 pages"),
    ({"low_water": (0, 9)}, ValueError, "not 0 and 9"),
])
def test_pool_parameters_are_refused_with_a_sentence(
        arguments: dict[str, Any], error: type[Exception], sentence: str) -> None:
    fake = FakeCard()
    with Card(fake) as card:
        with pytest.raises(error, match=sentence):
            card.add_pool(**arguments)
        assert fake.mapped_bytes == 0


def test_a_third_pool_on_a_card_of_two_is_refused() -> None:
    with Card(FakeCard()) as card:
        card.add_pool()
        card.add_pool()
        with pytest.raises(CardError, match="the card has 2 pools and all are in use"):
            card.add_pool()


def test_crooked_memory_never_reaches_the_card() -> None:
    fake = Crooked(skew=4096)
    card = Card(fake)
    with pytest.raises(PoolError, match="aligned to 32768"):
        card.add_pool()
    assert card.registers.pool(0).REGISTERED.get() == 0
    card.close()
    assert fake.mapped_bytes == 0


def test_a_refused_region_gives_everything_back() -> None:
    fake = Crooked({_address(abi.REGION, "REGION"): 0})
    card = Card(fake, timeout=0.01)
    with pytest.raises(CardError, match="until region slot 0 is loaded, in vain; read the region"):
        card.add_pool()
    assert fake.mapped_bytes == 0
    assert card.pools == []


def test_page_view_is_the_chunks_of_a_token_and_nothing_else() -> None:
    with Card(FakeCard(chunk_bytes=1024)) as card:
        pool = card.add_pool()
        assert len(pool.page_view(abi.TOKEN.pack(page=3, first=1, last=2))) == 2048
        for wrong in ({"page": 8}, {"page": 0, "first": 2, "last": 1}, {"page": 0, "last": 4}):
            with pytest.raises(CardError, match="names no memory of pool 0"):
                pool.page_view(abi.TOKEN.pack(**wrong))


def test_a_closed_pool_frees_its_slots_for_the_next() -> None:
    fake = FakeCard()
    with Card(fake) as card:
        for _ in range(3):
            pool = card.add_pool(32)
            pool.close()
            pool.close()
        assert fake.mapped_bytes == 0
        assert card.add_pool(32).index == 0


def test_a_pool_that_a_queue_draws_from_cannot_be_closed() -> None:
    with Card(FakeCard()) as card:
        pool = card.add_pool()
        card.add_queue(pool)
        with pytest.raises(CardError, match="queue 0 still draws from pool 0; close it first"):
            pool.close()
        assert pool.registered == 8


# Queues


@pytest.mark.parametrize(("entries", "sentence"), [
    (100, "a power of two of entries, 64 to 65536; 100 is none"), (32, "32 is none"),
    (1 << 17, "131072 is none"), (0, "0 is none")])
def test_ring_sizes_are_checked(entries: int, sentence: str) -> None:
    with Card(FakeCard()) as card:
        pool = card.add_pool()
        with pytest.raises(ValueError, match=sentence):
            card.add_queue(pool, entries)


def test_queue_parameters_are_refused_with_a_sentence() -> None:
    with Card(FakeCard(queues=1)) as card:
        pool = card.add_pool()
        with pytest.raises(ValueError, match="a quota is 0 to 65536 pages, not -1"):
            card.add_queue(pool, quota=-1)
        with pytest.raises(ValueError, match="queues 0 to 0; there is no queue 7"):
            card.add_queue(pool, index=7)
        card.add_queue(pool)
        with pytest.raises(CardError, match="queue 0 is open already"):
            card.add_queue(pool, index=0)
        with pytest.raises(CardError, match="1 queues and all are in use"):
            card.add_queue(pool)
        with Card(FakeCard()) as other, pytest.raises(CardError, match="of another card"):
            other.add_queue(pool)


def test_a_queue_that_the_card_refuses_frees_its_ring() -> None:
    fake = Crooked({_address(abi.QUEUE, "CONTROL"): 0})
    card = Card(fake)
    pool = card.add_pool()
    before = fake.mapped_bytes
    with pytest.raises(CardError, match="refused to enable queue 0"):
        card.add_queue(pool)
    assert fake.mapped_bytes == before


# Traffic


def test_steering_to_one_queue_and_round_robin() -> None:
    fake = FakeCard()
    with Card(fake) as card:
        pool = card.add_pool()
        queues = [card.add_queue(pool, 64) for _ in range(3)]
        card.receive = True
        assert card.receive
        card.steer_to(queues[2])
        fake.inject(b"x")
        assert [q.delivered for q in queues] == [0, 0, 1]
        card.steer_round_robin(queues)
        for _ in range(3):
            fake.inject(b"x")
        assert [q.delivered for q in queues] == [1, 1, 2]
        with pytest.raises(ValueError, match=r"queues 0 to n - 1, each once; got \[0, 2\]"):
            card.steer_round_robin([0, 2])
        with pytest.raises(ValueError, match="there is no queue 4"):
            card.steer_to(4)


def test_counters_drops_and_faults_have_the_names_of_the_contract() -> None:
    fake = FakeCard()
    with Card(fake) as card:
        fake.inject(b"x")
        fake.write32(0x3FC, 0)
        assert card.drops() == {c.name.lower(): int(c.name == "CARD_DISABLED")
                                for c in abi.DropCause}
        assert card.faults() == {f.name.lower(): int(f.name == "REGISTER_ACCESS")
                                 for f in abi.Fault}
        assert card.counters()["frames_in"] == card.counters()["drop_card_disabled"] == 1


# Events


def test_events_are_waited_for_and_cleared() -> None:
    fake = FakeCard()
    with Card(fake) as card:
        pool = card.add_pool(low_water=(6, 8))
        card.steer_to(card.add_queue(pool))
        card.receive = True
        card.enable_events(Event.LOW_WATER)
        assert card.wait_event(0.01) == frozenset()
        fake.on_wait = lambda vector: [fake.inject(b"x") for _ in range(2)]
        assert card.wait_event(0.01) == {Event.LOW_WATER}
        assert pool.low_water
        card.clear_events(Event.LOW_WATER)
        assert card.events() == frozenset()


def test_a_stale_interrupt_and_an_event_that_is_not_enabled_wake_nobody() -> None:
    fake = FakeCard()
    with Card(fake) as card:
        card.enable_events(Event.FAULT)
        fake.write32(0x3FC, 0)
        assert card.wait_event() == {Event.FAULT}
        card.clear_events()
        assert card.wait_event() == frozenset(), "the interrupt was of the cleared event"
        card.enable_events(Event.LOW_WATER)
        fake.write32(0x3FC, 0)
        assert card.wait_event() == frozenset()
        assert card.events() == {Event.FAULT}


# Shutdown


def test_close_drains_and_retires_before_it_unmaps() -> None:
    fake = Crooked(defer_completions=True)
    card = Card(fake, timeout=0.01)
    pool = card.add_pool()
    card.steer_to(card.add_queue(pool))
    card.receive = True
    fake.inject(b"x")
    mapped = fake.mapped_bytes
    with pytest.raises(CardError, match="until queue 0 is drained, in vain; do not unmap"):
        card.close()
    assert fake.mapped_bytes == mapped, "a write is under way: everything stays mapped"
    fake.log.clear()
    fake.release_completions()
    card.close()
    queue_off, pool_off = abi.QUEUE.address("CONTROL"), abi.POOL.address("CONTROL")
    order = [offset for offset, _ in fake.log
             if offset in (queue_off, pool_off, abi.POOL.address("RETIRE"))]
    assert order == [queue_off, pool_off, abi.POOL.address("RETIRE")]
    assert (fake.mapped_bytes, fake.closed) == (0, True)
    assert not fake.stray_writes
    fake.check_guards()


def test_close_again_does_nothing() -> None:
    fake = Crooked()
    card = Card(fake)
    card.close()
    fake.log.clear()
    card.close()
    assert not fake.log


def test_frames_after_close_are_dropped_and_write_nothing() -> None:
    fake = FakeCard()
    with Card(fake) as card:
        card.steer_to(card.add_queue(card.add_pool()))
        card.receive = True
    fake.inject(b"x")
    assert not fake.stray_writes


def test_all_register_accesses_of_a_session_are_32_bits_and_fault_free() -> None:
    fake = FakeCard(chunk_bytes=512)
    with Card(fake) as card:
        queue = card.add_queue(card.add_pool())
        card.steer_to(queue)
        card.receive = True
        fake.inject(bytes(9000))
        with queue.recv() as burst:
            assert len(burst) == 1
        faults = card.faults()
    assert {width for _, width in fake.access_widths} == {4}
    assert set(faults.values()) == {0}
