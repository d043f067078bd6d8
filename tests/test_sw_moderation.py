"""Interrupt moderation over the in-memory card: by time, by number, forced, and while asleep."""

from __future__ import annotations

import pytest

from pagering import abi
from pagering.card import Card
from pagering.fake import FakeCard
from pagering.rx_queue import RxQueue


def opened(**options: int) -> tuple[FakeCard, RxQueue]:
    fake = FakeCard(region_pages=64, **options)
    card = Card(fake)
    queue = card.add_queue(card.add_pool())
    card.steer_to(queue)
    card.receive = True
    return fake, queue


def arm(fake: FakeCard, index: int = 0) -> None:
    fake.write32(abi.USER.address("ARM"), index)


def raised(fake: FakeCard) -> bool:
    state = fake.state.raised
    was, state[0] = state[0], False
    return was


def test_without_moderation_the_first_completion_interrupts() -> None:
    fake, queue = opened()
    assert queue.moderation == (0, 0)
    arm(fake)
    fake.inject(b"x")
    assert raised(fake)


def test_waits_for_so_many_completions_past_the_armed_index() -> None:
    fake, queue = opened()
    queue.moderation = (0, 3)
    fake.inject(b"x")
    arm(fake, 1)
    for expected in (False, False, True, False):
        fake.inject(b"x")
        assert raised(fake) is expected
    arm(fake, 1)
    assert raised(fake), "those that are there already count"


def test_waits_so_long_after_the_first_completion() -> None:
    fake, queue = opened(clock_khz=128_000)
    queue.moderation = (10, 0)
    assert queue.moderation == (10, 0)
    arm(fake)
    fake.advance(100_000)
    assert not raised(fake), "nothing waits"
    fake.inject(b"x")
    fake.advance(1279)
    assert not raised(fake)
    fake.inject(b"x")
    fake.advance(1)
    assert raised(fake)
    arm(fake, 2)
    fake.advance(100_000)
    assert not raised(fake), "they are read"


@pytest.mark.parametrize(("frames", "cycles"), [(4, 0), (1, 1280)])
def test_whichever_comes_first(frames: int, cycles: int) -> None:
    fake, queue = opened(clock_khz=128_000)
    queue.moderation = (10, 4)
    arm(fake)
    for _ in range(frames):
        assert not raised(fake)
        fake.inject(b"x")
    fake.advance(cycles)
    assert raised(fake)


def test_time_is_rounded_up_to_what_the_card_counts() -> None:
    _, queue = opened(clock_khz=156_250)
    queue.moderation = (1, 2)
    assert queue.moderation == (pytest.approx(2 * 128 * 6.4e-3), 2)
    queue.moderation = (0.8192, 0)
    assert queue.moderation == (pytest.approx(0.8192), 0)


@pytest.mark.parametrize(("limits", "sentence"), [
    ((3355, 0), "an interrupt waits 0 to 3354.624 microseconds, not 3355"),
    ((-1, 0), "microseconds, not -1"),
    ((0, 4096), "waits for 0 to 4095 completions, not 4096"),
    ((0, -1), "completions, not -1"),
])
def test_values_out_of_range_are_refused(limits: tuple[float, int], sentence: str) -> None:
    _, queue = opened()
    with pytest.raises(ValueError, match=sentence):
        queue.moderation = limits
    assert queue.moderation == (0, 0)


def test_force_interrupts_now_or_when_armed_and_once() -> None:
    fake, queue = opened()
    queue.moderation = (1000, 0)
    arm(fake)
    queue.force_interrupt()
    assert raised(fake)
    queue.force_interrupt()
    assert not raised(fake), "it is masked"
    arm(fake)
    assert raised(fake)
    arm(fake)
    assert not raised(fake)


def test_a_sleeping_host_is_woken_by_moderated_completions() -> None:
    fake, queue = opened()
    queue.moderation = (50, 0)
    fake.on_wait = lambda vector: fake.inject(b"late")
    with queue.recv(timeout=0.01) as burst:
        assert [bytes(frame) for frame in burst] == [b"late"]
