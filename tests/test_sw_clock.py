"""The driver's clock over the in-memory card: set, adjusted, disciplined, and on frames."""

from __future__ import annotations

import pytest

from pagering.card import Card
from pagering.fake import FakeCard


@pytest.mark.parametrize("khz", [156_250, 125_000, 250_000, 322_265])
def test_runs_at_its_nominal_rate_from_the_start(khz: int) -> None:
    fake = FakeCard(clock_khz=khz)
    with Card(fake) as card:
        assert card.clock.now() == 0
        fake.advance(1000 * khz)
        # Rounding the rate to 2**-32 ns per cycle is all that can be lost.
        assert abs(card.clock.now() - 1_000_000_000) <= 1


def test_is_set_and_adjusted_and_wraps_nowhere_near_32_bits() -> None:
    fake = FakeCard(clock_khz=100_000)
    with Card(fake) as card:
        card.clock.set((5 << 32) - 5)
        fake.advance(1)
        assert card.clock.now() == (5 << 32) + 5
        card.clock.adjust(-10)
        assert card.clock.now() == (5 << 32) - 5
        card.clock.adjust(1 << 40)
        assert card.clock.now() == (1 << 40) + (5 << 32) - 5


@pytest.mark.parametrize("ppb", [1, -1, 1000, -123_456, 0.5, 250_000_000, 1_000_000_000])
def test_the_rate_changes_by_parts_per_billion(ppb: float) -> None:
    fake = FakeCard()
    with Card(fake) as card:
        card.clock.rate(ppb)
        fake.advance(156_250_000 * 10)
        assert abs(card.clock.now() - (10_000_000_000 + round(10 * ppb))) <= 1


def test_minus_one_billion_stops_it() -> None:
    fake = FakeCard()
    with Card(fake) as card:
        card.clock.rate(-1_000_000_000)
        card.clock.set(77)
        fake.advance(1_000_000)
        assert card.clock.now() == 77


def test_values_out_of_range_are_refused_with_a_sentence() -> None:
    with Card(FakeCard()) as card:
        with pytest.raises(ValueError, match="it cannot be set to -1"):
            card.clock.set(-1)
        with pytest.raises(ValueError, match="it cannot be set to 18446744073709551616"):
            card.clock.set(1 << 64)
        with pytest.raises(ValueError, match="not by 9223372036854775808"):
            card.clock.adjust(1 << 63)
        with pytest.raises(ValueError, match="ppb off, not 1000000001"):
            card.clock.rate(1_000_000_001)


def test_a_reset_starts_it_anew() -> None:
    fake = FakeCard(clock_khz=125_000)
    with Card(fake) as card:
        fake.advance(1000)
        card.reset()
        assert card.clock.now() == 0
        fake.advance(1000)
        assert card.clock.now() == 8000


def test_frames_are_stamped_in_order_across_32_bits() -> None:
    fake = FakeCard(clock_khz=1_000_000)
    with Card(fake) as card:
        queue = card.add_queue(card.add_pool(), extended=True)
        card.steer_to(queue)
        card.receive = True
        card.clock.set((1 << 32) - 20)
        for _ in range(4):
            fake.advance(10)
            fake.inject(bytes(5000))
        with queue.recv() as burst:
            stamps = [frame.timestamp for frame in burst]
        assert stamps == [(1 << 32) - 20 + 10 * n for n in range(1, 5)]
        assert card.clock.now() == stamps[-1]


@pytest.mark.parametrize(("khz", "nanoseconds", "cycles"), [
    (156_250, 6.4, 1), (156_250, 6.5, 2), (156_250, 1000, 157), (125_000, 1000, 125), (1000, 1, 1),
    (250_000, 0, 0)])
def test_cycles_of_a_time_round_up(khz: int, nanoseconds: float, cycles: int) -> None:
    with Card(FakeCard(clock_khz=khz)) as card:
        assert card.clock.cycles(nanoseconds) == cycles
