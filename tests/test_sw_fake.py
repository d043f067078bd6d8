"""The in-memory card keeps the contract: every drop cause, every fault, every count.

These tests use raw registers, so that what they find is the card's doing and not the driver's.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagering import abi
from pagering.abi import DropCause, Event, Fault
from pagering.errors import CardError
from pagering.fake import FakeCard
from pagering.fake_memory import FakeMemory
from pagering.registers import RegisterMap


class Host:
    """The least a host must do: one pool, some queues, registers by hand."""

    def __init__(self, queues: int = 2, regions: int = 1, **options: Any) -> None:
        self.card = FakeCard(queues=queues, **options)
        self.regs = RegisterMap(self.card)
        self.config = self.card.config
        self.regions = [self.register(slot, 0) for slot in range(regions)]
        self.regs.pool(0).CONTROL.write(enable=1)
        self.rings = [self.open_queue(queue) for queue in range(queues)]
        self.regs.card.CONTROL.write(receive=1)

    def register(self, slot: int, pool: int) -> FakeMemory:
        memory = self.card.allocate(self.config.region_bytes, self.config.region_bytes)
        self.regs.card.REGION_HIGH.write(address=memory.address >> 32)
        self.regs.region(slot).write(valid=1, pool=pool, address=memory.address >> 12 & 0xFFFFF)
        return memory

    def open_queue(self, queue: int, log2: int = 6, pool: int = 0) -> FakeMemory:
        ring = self.card.allocate(16 << log2)
        regs = self.regs.queue(queue)
        regs.POOL.write(index=pool)
        regs.RING_LOW.write(address=ring.address >> 12 & 0xFFFFF)
        regs.RING_HIGH.write(address=ring.address >> 32)
        regs.RING_SIZE.write(log2=log2)
        regs.CONTROL.write(enable=1)
        return ring

    def completion(self, queue: int, index: int, log2: int = 6) -> dict[str, int]:
        at = (index & (1 << log2) - 1) * 16
        return abi.COMPLETION.unpack(
            int.from_bytes(self.rings[queue].view[at:at + 16], "little"))

    def token(self, queue: int, index: int) -> int:
        return self.completion(queue, index)["token"]

    def give_back(self, queue: int, *tokens: int) -> None:
        self.card.write_tokens(self.regs.return_window(queue), tokens)

    def fault(self, fault: Fault) -> int:
        return self.regs.stats.count(f"FAULT_{fault.name}")

    def faults(self) -> int:
        return sum(self.fault(fault) for fault in Fault)

    def drop(self, cause: DropCause) -> int:
        return self.regs.stats.count(f"DROP_{cause.name}")

    def dropped(self, queue: int) -> int:
        counts = self.regs.user(queue).counts(abi.QUEUE_COUNTERS)
        return sum(count for name, count in counts.items() if name.startswith("DROP_"))

    def pool(self, name: str, index: int = 0) -> int:
        return int(getattr(self.regs.pool(index), name).get())

    def steer(self, queue: int) -> None:
        self.regs.card.STEERING.write(queue=queue)


# Drop causes


def test_a_frame_is_delivered_with_its_bytes_where_the_token_says() -> None:
    host = Host()
    assert host.card.inject(b"hello") is None
    done = host.completion(0, 0)
    assert (done["length"], done["start"], done["end"], done["phase"]) == (5, 1, 1, 1)
    page = abi.TOKEN.unpack(done["token"])["page"]
    assert bytes(host.regions[0].view[page * 4096:page * 4096 + 5]) == b"hello"
    assert host.regs.queue(0).PRODUCED.get() == 1
    assert host.regs.user(0).count("RX_PACKETS") == 1


@pytest.mark.parametrize(("cause", "length", "marks"), [
    (DropCause.BAD_FRAME, 100, {"bad": True}),
    (DropCause.RUNT, 59, {}),
    (DropCause.OVERSIZE, 1519, {}),
    (DropCause.MALFORMED, 100, {"malformed": True}),
    (DropCause.OVERFLOW, 100, {"overflow": True}),
])
def test_stream_faults_drop_under_their_own_cause_and_take_no_page(
        cause: DropCause, length: int, marks: dict[str, bool]) -> None:
    host = Host()
    host.regs.card.FRAME_LIMITS.write(minimum=60, maximum=1518)
    assert host.card.inject(bytes(length), **marks) is cause
    assert host.drop(cause) == host.regs.stats.FRAMES_IN.get() == 1
    assert host.pool("FREE") == host.pool("REGISTERED")
    assert host.dropped(0) == 0, "never reached a queue"


def test_longest_and_shortest_allowed_frames_pass() -> None:
    host = Host()
    host.regs.card.FRAME_LIMITS.write(minimum=60, maximum=1518)
    assert host.card.inject(bytes(60)) is host.card.inject(bytes(1518)) is None


def test_card_that_does_not_receive_drops_as_card_disabled() -> None:
    host = Host()
    host.regs.card.CONTROL.write(receive=0)
    assert host.card.inject(b"x") is DropCause.CARD_DISABLED


def test_disabled_queue_and_disabled_pool_have_their_own_causes() -> None:
    host = Host()
    host.regs.pool(0).CONTROL.write(enable=0)
    assert host.card.inject(b"x") is DropCause.POOL_DISABLED
    host.regs.queue(0).CONTROL.write(enable=0)
    assert host.card.inject(b"x") is DropCause.QUEUE_DISABLED
    assert host.dropped(0) == 2


def test_empty_ring_drops_as_no_page_even_if_part_of_the_frame_would_fit() -> None:
    host = Host(region_pages=2)
    assert host.card.inject(bytes(3 * 4096)) is DropCause.NO_PAGE
    assert host.pool("FREE") == 2, "a frame is admitted whole or not at all"
    assert host.card.inject(bytes(2 * 4096)) is None
    assert host.card.inject(b"x") is DropCause.NO_PAGE


@pytest.mark.parametrize(("cause", "limit", "quota"), [
    (DropCause.POOL_LIMIT, 2, 65536), (DropCause.QUEUE_QUOTA, 65536, 2),
    (DropCause.POOL_LIMIT, 2, 2)])
def test_limit_and_quota_bound_pages_off_the_ring(
        cause: DropCause, limit: int, quota: int) -> None:
    host = Host()
    host.regs.pool(0).LIMIT.write(pages=limit)
    host.regs.queue(0).QUOTA.write(pages=quota)
    assert [host.card.inject(b"x") for _ in range(3)] == [None, None, cause]
    host.give_back(0, host.token(0, 0))
    assert host.card.inject(b"x") is None
    assert host.regs.queue(0).HELD.get() == 2


def test_a_quota_binds_its_queue_only() -> None:
    host = Host()
    host.regs.queue(0).QUOTA.write(pages=0)
    assert host.card.inject(b"x") is DropCause.QUEUE_QUOTA
    host.steer(1)
    assert host.card.inject(b"x") is None


def test_full_completion_ring_drops_until_the_host_consumes() -> None:
    host = Host(region_pages=128)
    for _ in range(64):
        assert host.card.inject(b"x") is None
    assert host.card.inject(b"x") is DropCause.RING_FULL
    host.regs.user(0).CONSUMED.write(index=1)
    assert [host.card.inject(b"x") for _ in range(2)] == [None, DropCause.RING_FULL]


def test_causes_are_looked_for_in_the_order_of_the_contract() -> None:
    host = Host(region_pages=1)
    host.regs.pool(0).LIMIT.write(pages=1)
    host.card.inject(b"x")
    assert host.card.inject(b"x") is DropCause.NO_PAGE, "before the limit, which is met too"


# Placement


def test_small_frames_share_a_page_until_one_does_not_fit() -> None:
    host = Host(chunk_bytes=1024)
    for length in (100, 1025, 1024, 1):
        host.card.inject(bytes(length))
    got = [abi.TOKEN.unpack(host.token(0, i)) for i in range(4)]
    assert [(t["page"], t["first"], t["last"]) for t in got] == [
        (0, 0, 0), (0, 1, 2), (0, 3, 3), (1, 0, 0)]
    assert [host.completion(0, i)["last_of_page"] for i in range(4)] == [0, 0, 1, 0]


def test_a_frame_that_does_not_fit_closes_the_open_page() -> None:
    host = Host(chunk_bytes=1024)
    host.card.inject(bytes(3000))
    host.give_back(0, host.token(0, 0))
    assert host.pool("FREE") == 7, "open: the card may still put something there"
    host.card.inject(bytes(2000))
    assert host.pool("FREE") == 7, "one closed and back, one open"
    assert abi.TOKEN.unpack(host.token(0, 1))["page"] == 1


def test_a_quota_of_one_page_recovers_from_a_frame_that_does_not_fit() -> None:
    host = Host(chunk_bytes=1024)
    host.regs.queue(0).QUOTA.write(pages=1)
    host.card.inject(bytes(3000))
    host.give_back(0, host.token(0, 0))
    assert host.regs.queue(0).HELD.get() == 1, "the open page is the queue's even if empty"
    assert host.card.inject(bytes(2000)) is DropCause.QUEUE_QUOTA
    assert host.regs.queue(0).HELD.get() == 0, "refused, it still closed the page"
    assert host.card.inject(bytes(2000)) is None


def test_a_frame_for_a_queue_that_does_not_run_closes_nothing() -> None:
    host = Host(chunk_bytes=1024)
    host.card.inject(bytes(3000))
    host.steer(63)
    assert host.card.inject(bytes(2000)) is DropCause.QUEUE_DISABLED
    host.steer(0)
    host.card.inject(bytes(1000))
    assert abi.TOKEN.unpack(host.token(0, 1))["page"] == 0


def test_jumbo_takes_whole_pages_and_its_tail_stays_open() -> None:
    host = Host(chunk_bytes=1024)
    host.card.inject(b"s")
    host.card.inject(bytes(4096 + 1500))
    host.card.inject(b"t")
    got = [abi.TOKEN.unpack(host.token(0, i)) for i in range(4)]
    assert [(t["page"], t["first"], t["last"]) for t in got] == [
        (0, 0, 0), (1, 0, 3), (2, 0, 1), (2, 2, 2)]
    assert [(host.completion(0, i)["start"], host.completion(0, i)["end"]) for i in range(4)] == [
        (1, 1), (1, 0), (0, 1), (1, 1)]


def test_queues_never_share_an_open_page() -> None:
    host = Host(chunk_bytes=1024)
    host.regs.card.STEERING.write(mode=1, last=1)
    for _ in range(4):
        host.card.inject(b"x")
    pages = [[abi.TOKEN.unpack(host.token(q, i))["page"] for i in range(2)] for q in range(2)]
    assert pages == [[0, 0], [1, 1]]


def test_fifo_takes_the_oldest_page_and_lifo_the_newest() -> None:
    for policy, expected in ((abi.Policy.FIFO, 1), (abi.Policy.LIFO, 0)):
        host = Host(region_pages=4)
        host.regs.pool(0).CONTROL.write(enable=1, policy=policy)
        host.card.inject(b"x")
        host.give_back(0, host.token(0, 0))
        host.card.inject(b"x")
        assert abi.TOKEN.unpack(host.token(0, 1))["page"] == expected


@pytest.mark.parametrize("log2", [6, 8, 10])
def test_the_phase_turns_with_each_pass_over_the_ring(log2: int) -> None:
    host = Host(queues=1)
    host.regs.queue(0).CONTROL.write(enable=0)
    host.rings[0] = host.open_queue(0, log2)
    for index in range(3 << log2):
        host.card.inject(b"x")
        done = host.completion(0, index, log2)
        assert done["phase"] == 1 - (index >> log2 & 1)
        host.give_back(0, done["token"])
        host.regs.user(0).CONSUMED.write(index=index + 1)


# Returns


@pytest.mark.parametrize(("fault", "queue", "change"), [
    (Fault.RETURN_PAGE, 0, {"page": 0xFFFF}),
    (Fault.RETURN_PAGE, 0, {"page": 8}),
    (Fault.RETURN_CHUNK, 0, {"last": 4}),
    (Fault.RETURN_CHUNK, 0, {"first": 1, "last": 0}),
    (Fault.RETURN_OWNER, 1, {}),
    (Fault.RETURN_GENERATION, 0, {"generation": 9}),
    (Fault.RETURN_IDLE, 0, {"last": 1}),
])
def test_a_wrong_token_moves_one_fault_counter_and_nothing_else(
        fault: Fault, queue: int, change: dict[str, int]) -> None:
    host = Host(chunk_bytes=1024)
    host.card.inject(b"x")
    token = host.token(0, 0)
    before = [host.pool(name) for name in ("FREE", "OUTSTANDING", "REGISTERED", "PEAK")]
    host.give_back(queue, abi.TOKEN.pack(**{**abi.TOKEN.unpack(token), **change}))
    assert host.fault(fault) == host.faults() == 1
    assert host.regs.stats.RETURNS.get() == 0
    assert before == [host.pool(name) for name in ("FREE", "OUTSTANDING", "REGISTERED", "PEAK")]
    host.give_back(0, token)
    assert host.regs.stats.RETURNS.get() == 1, "the true token still counts"


def test_a_double_return_is_caught_before_and_after_the_page_is_used_again() -> None:
    host = Host(region_pages=1)
    host.card.inject(b"x")
    token = host.token(0, 0)
    host.give_back(0, token, token)
    assert host.fault(Fault.RETURN_IDLE) == 1
    host.card.inject(b"y")
    host.give_back(0, token)
    assert host.fault(Fault.RETURN_GENERATION) == 1
    assert host.pool("OUTSTANDING") == 1


def test_merged_and_partial_returns_free_the_page_with_its_last_chunk() -> None:
    host = Host(chunk_bytes=1024)
    for _ in range(4):
        host.card.inject(b"x")
    first = abi.TOKEN.unpack(host.token(0, 0))
    host.give_back(0, host.token(0, 3))
    assert (host.pool("FREE"), host.pool("OUTSTANDING")) == (7, 1)
    host.give_back(0, abi.TOKEN.pack(**{**first, "first": 0, "last": 2}))
    assert (host.pool("FREE"), host.pool("OUTSTANDING")) == (8, 0)
    assert (host.regs.stats.RETURNS.get(), host.regs.stats.RECYCLED.get()) == (2, 1)


def test_a_token_guessed_before_its_completion_is_refused() -> None:
    host = Host(defer_completions=True)
    host.card.inject(b"x")
    host.give_back(0, abi.TOKEN.pack(page=0, first=0, last=0, generation=2))
    assert host.fault(Fault.RETURN_IDLE) == 1
    host.card.release_completions()
    host.give_back(0, host.token(0, 0))
    assert host.regs.stats.RETURNS.get() == 1


def test_tokens_of_a_retired_region_are_dead_even_after_it_is_registered_again() -> None:
    host = Host()
    host.card.inject(b"x")
    token = host.token(0, 0)
    host.regs.pool(0).CONTROL.write(enable=0)
    host.regs.pool(0).RETIRE.write(retire=1)
    assert (host.pool("REGISTERED"), host.regs.queue(0).HELD.get()) == (0, 0)
    host.give_back(0, token)
    assert host.fault(Fault.RETURN_PAGE) == 1
    host.register(0, 0)
    host.give_back(0, token)
    assert host.fault(Fault.RETURN_GENERATION) == 1


# Registers


def test_region_requests_are_checked() -> None:
    host = Host()
    host.regs.region(1).write(valid=1, pool=0, address=1)
    assert host.fault(Fault.REGION_ALIGNMENT) == 1
    host.regs.region(0).write(valid=1, pool=0, address=0)
    host.regs.region(1).write(valid=1, pool=5, address=0)
    host.regs.region(1).write(valid=0)
    assert host.fault(Fault.REGION_REFUSED) == 3
    assert host.regs.region(1).get("valid") == 0
    assert host.pool("REGISTERED") == 8


def test_access_to_no_register_and_writes_to_read_only_ones_are_faults() -> None:
    host = Host()
    with pytest.raises(CardError, match="there is no register"):
        host.card.read32(0x3FC)
    with pytest.raises(CardError, match="not an aligned word"):
        host.card.read32(2)
    host.card.write32(0x3FC, 1)
    host.card.write32(abi.CARD.address("ID"), 1)
    assert host.fault(Fault.REGISTER_ACCESS) == 3
    assert host.regs.card.ID.get() == abi.ID_VALUE


def test_values_out_of_range_and_commands_at_the_wrong_time_are_ignored() -> None:
    host = Host()
    host.regs.pool(0).RETIRE.write(retire=1)
    host.regs.card.STEERING.write(mode=3)
    host.regs.queue(1).CONTROL.write(enable=0)
    host.regs.queue(1).RING_SIZE.write(log2=5)
    host.regs.queue(1).CONTROL.write(enable=1)
    host.regs.queue(1).RING_SIZE.write(log2=6)
    host.regs.queue(1).POOL.write(index=9)
    host.regs.queue(1).CONTROL.write(enable=1)
    assert host.fault(Fault.REGISTER_VALUE) == host.faults() == 4
    assert host.pool("REGISTERED") == 8
    assert host.regs.queue(1).CONTROL.get() == 0


def test_a_frame_steered_to_no_queue_is_dropped_as_queue_disabled() -> None:
    host = Host()
    host.steer(63)
    assert host.card.inject(b"x") is DropCause.QUEUE_DISABLED
    assert [host.dropped(queue) for queue in range(2)] == [0, 0]


def test_enabling_before_drained_is_refused_for_queue_and_pool() -> None:
    host = Host(defer_completions=True)
    host.card.inject(b"x")
    for regs in (host.regs.queue(0), host.regs.pool(0)):
        regs.CONTROL.write(enable=0)
        assert regs.STATUS.get("drained") == 0
        regs.CONTROL.write(enable=1)
        assert regs.CONTROL.get("enable") == 0
    assert host.fault(Fault.REGISTER_VALUE) == 2
    host.card.release_completions()
    for regs in (host.regs.queue(0), host.regs.pool(0)):
        assert regs.STATUS.get("drained") == 1
        regs.CONTROL.write(enable=1)
        assert regs.CONTROL.get("enable") == 1


def test_a_refused_pool_command_does_not_change_the_policy_either() -> None:
    host = Host(defer_completions=True)
    host.card.inject(b"x")
    host.regs.pool(0).CONTROL.write(enable=0)
    host.regs.pool(0).CONTROL.write(enable=1, policy=1)
    assert host.regs.pool(0).CONTROL.word() == 0
    assert host.fault(Fault.REGISTER_VALUE) == host.faults() == 1


def test_ring_and_pool_of_a_queue_are_locked_until_it_is_drained() -> None:
    host = Host(defer_completions=True)
    host.card.inject(b"x")
    regs = host.regs.queue(0)
    names = ("POOL", "RING_LOW", "RING_HIGH", "RING_SIZE")
    before = [getattr(regs, name).word() for name in names]
    for tried in range(2):
        for name in names:
            getattr(regs, name).write_word(0)
        assert host.fault(Fault.REGISTER_VALUE) == host.faults() == 4 * (tried + 1)
        assert [getattr(regs, name).word() for name in names] == before
        regs.CONTROL.write(enable=0)
    regs.QUOTA.write(pages=3)
    assert regs.QUOTA.get() == 3, "may change at any time"
    host.card.release_completions()
    regs.RING_SIZE.write(log2=7)
    assert regs.RING_SIZE.get() == 7


def test_peak_counts_since_the_pool_was_enabled() -> None:
    host = Host()
    for _ in range(3):
        host.card.inject(b"x")
    host.give_back(0, host.token(0, 0), host.token(0, 1))
    assert host.pool("PEAK") == 3
    host.regs.pool(0).CONTROL.write(enable=0)
    assert host.pool("PEAK") == 3
    host.regs.pool(0).CONTROL.write(enable=1)
    assert host.pool("PEAK") == 1, "one page is still out"
    for _ in range(2):
        host.card.inject(b"x")
    assert host.pool("PEAK") == 3


def test_write_only_registers_read_as_zero_and_scratch_holds_its_value() -> None:
    host = Host()
    host.regs.card.SCRATCH.write(value=0x12345678)
    assert host.regs.card.SCRATCH.get() == 0x12345678
    assert host.regs.user(0).ARM.word() == host.regs.card.RESET.word() == 0


def test_reset_clears_everything_and_old_tokens_stay_dead() -> None:
    host = Host(reset_polls=2)
    host.card.inject(b"x")
    token = host.token(0, 0)
    host.regs.card.RESET.write(reset=1)
    host.regs.queue(0).QUOTA.write(pages=1)
    assert host.pool("REGISTERED") == 0
    assert [host.regs.card.STATUS.get("resetting") for _ in range(3)] == [1, 1, 0]
    assert host.regs.queue(0).QUOTA.get() == 65536, "written while resetting: ignored"
    assert set(host.regs.counters().values()) == {0}
    host.register(0, 0)
    host.give_back(0, token)
    assert host.fault(Fault.RETURN_GENERATION) == 1


# Interrupts and events


def test_arming_fires_at_once_if_a_completion_is_there_else_at_the_next() -> None:
    host = Host()
    host.regs.user(0).ARM.write(index=0)
    assert not host.card.wait_interrupt(0)
    host.card.inject(b"x")
    assert host.card.wait_interrupt(0)
    host.card.inject(b"x")
    assert not host.card.wait_interrupt(0), "firing disarms"
    assert host.regs.queue(0).STATUS.read() == {"drained": 0, "armed": 0, "fired": 1}
    host.regs.user(0).ARM.write(index=1)
    assert host.card.wait_interrupt(0)
    host.regs.user(0).ARM.write(index=2)
    assert not host.card.wait_interrupt(0)
    assert host.regs.queue(0).STATUS.read() == {"drained": 0, "armed": 1, "fired": 0}
    assert not host.card.wait_interrupt(1), "another queue's vector"


def test_low_water_has_hysteresis_and_raises_an_event_without_a_packet() -> None:
    host = Host(region_pages=8)
    host.regs.pool(0).LOW_WATER.write(enter=6, exit=8)
    host.regs.card.EVENT_ENABLE.write(low_water=1)
    low = []
    for _ in range(2):
        host.card.inject(b"x")
        low.append(host.regs.pool(0).STATUS.get("low_water"))
    for index in range(2):
        host.give_back(0, host.token(0, index))
        low.append(host.regs.pool(0).STATUS.get("low_water"))
    assert low == [0, 1, 1, 0]
    assert host.regs.card.EVENTS.read()["low_water"] == 1
    assert host.card.wait_interrupt(host.config.queues)
    host.regs.card.EVENTS.write(low_water=1)
    assert host.regs.card.EVENTS.word() == 0
    host.regs.pool(0).LOW_WATER.write(enter=8, exit=9)
    assert host.regs.card.LOW_WATER_0.get() == 1
    assert host.card.wait_interrupt(host.config.queues)


def test_data_that_meets_no_memory_is_reported_with_its_completion() -> None:
    host = Host(burst_bytes=256)
    host.regions[0].free()
    assert host.card.inject(bytes(600)) is None
    assert host.completion(0, 0)["write_error"] == 1
    assert host.fault(Fault.DATA_WRITE) == 3, "one for each burst"
    assert host.regs.card.EVENTS.word() == 1 << Event.FAULT | 1 << Event.WRITE_ERROR
    assert host.card.stray_writes


def test_completion_that_meets_no_memory_is_a_fault() -> None:
    host = Host()
    host.rings[0].free()
    host.card.inject(b"x")
    assert host.fault(Fault.COMPLETION_WRITE) == host.faults() == 1
    assert host.regs.stats.FRAMES_DELIVERED.get() == 1


# The test card itself


def test_guards_notice_a_write_past_the_end() -> None:
    card = FakeCard()
    memory = card.allocate(10)
    card.check_guards()
    memory.guarded[-1] = 0
    with pytest.raises(CardError, match="guard bytes around the 10 bytes"):
        card.check_guards()


def test_a_token_run_must_stay_inside_one_window() -> None:
    host = Host()
    with pytest.raises(CardError, match="split the run"):
        host.card.write_tokens(host.regs.return_window(0) + 0x7FC, [0, 0])
    with pytest.raises(CardError, match="split the run"):
        host.card.write_tokens(0, [0])


@pytest.mark.parametrize(("options", "sentence"), [
    ({"page_bytes": 5000}, "page_bytes is 5000"), ({"chunk_bytes": 32}, "chunks, not 128"),
    ({"queues": 65}, "1 to 64 queues"), ({"pools": 0}, "1 to 64 pools"),
    ({"regions": 4, "region_pages": 32768}, "too many"),
    ({"page_bytes": 1024, "region_pages": 1}, "at least 4096 bytes")])
def test_sizes_that_make_no_card_are_refused(options: dict[str, int], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        FakeCard(**options)  # type: ignore[arg-type]


# Conservation


_STEPS = st.lists(st.one_of(
    st.tuples(st.just("frame"), st.integers(1, 14000), st.booleans()),
    st.tuples(st.just("return"), st.integers(0, 60), st.integers(0, 1)),
    st.tuples(st.just("forge"), st.integers(0, (1 << 32) - 1), st.integers(0, 1)),
    st.tuples(st.just("near"), st.integers(0, 60), st.integers(0, 31)),
    st.tuples(st.just("consume"), st.integers(0, (1 << 17) - 1), st.booleans()),
    st.tuples(st.just("queue"), st.integers(0, 1), st.booleans()),
    st.tuples(st.just("pool"), st.booleans(), st.booleans()),
    st.tuples(st.just("limits"), st.integers(0, 9), st.integers(0, 9)),
    st.tuples(st.just("show"), st.integers(0, 3), st.booleans()),
), max_size=60)


@settings(max_examples=60, deadline=None)
@given(_STEPS, st.sampled_from([512, 1024, 4096]), st.booleans())
def test_pages_and_frames_are_conserved_for_any_host(
        steps: list[tuple[str, int, int]], chunk: int, defer: bool) -> None:
    host = Host(chunk_bytes=chunk, defer_completions=defer)
    host.regs.card.STEERING.write(mode=1, last=1)
    state = host.card.state
    seen: list[tuple[int, int]] = []
    for what, one, two in steps:
        before = {(c.queue, c.tokens[-1]) for c in state.pending}
        if what == "frame":
            host.card.inject(bytes(one), bad=one % 13 == 0)
            seen += [(c.queue, c.tokens[-1]) for c in state.pending
                     if (c.queue, c.tokens[-1]) not in before]
            if not defer:
                seen += [(page.holder, abi.TOKEN.pack(page=n, last=host.config.chunks - 1,
                                                      generation=page.generation))
                         for n, page in enumerate(state.pages.pages[:8]) if page.outstanding]
        elif what == "return" and seen:
            queue, token = seen[one % len(seen)]
            host.give_back(queue if two else 1 - queue, token)
        elif what == "forge":
            host.give_back(two, one)
        elif what == "near" and seen:
            host.give_back(seen[one % len(seen)][0], seen[one % len(seen)][1] ^ 1 << two)
        elif what == "consume":
            host.regs.user(int(two)).CONSUMED.write(
                index=one if two else host.regs.queue(0).PRODUCED.get())
        elif what == "queue":
            host.regs.queue(one).CONTROL.write(enable=int(two))
        elif what == "pool":
            host.regs.pool(0).CONTROL.write(enable=int(one), policy=int(two))
        elif what == "limits":
            host.regs.pool(0).LIMIT.write(pages=one)
            host.regs.queue(0).QUOTA.write(pages=two)
        elif what == "show":
            host.card.release_completions(one)
        _check_conservation(host)
    host.card.release_completions()
    _check_conservation(host)
    assert not host.card.stray_writes
    host.card.check_guards()


def _check_conservation(host: Host) -> None:
    pages = host.card.state.pages
    ring = list(pages.pools[0].ring)
    assert len(set(ring)) == len(ring)
    for number, page in enumerate(pages.pages[:8]):
        off = page.open or bool(page.filling) or bool(page.outstanding)
        assert page.on_ring is (number in ring) is not off
        assert not page.filling & page.outstanding
    assert sum(pages.held) == 8 - len(ring)
    counters = host.regs.counters()
    waiting = sum(c.end for c in host.card.state.pending)
    drops = sum(value for name, value in counters.items() if name.startswith("DROP_"))
    assert counters["FRAMES_IN"] == counters["FRAMES_DELIVERED"] + drops + waiting
    if not waiting:
        open_pages = sum(page.open for page in pages.pages[:8])
        assert host.pool("FREE") + open_pages + host.pool("OUTSTANDING") == 8
