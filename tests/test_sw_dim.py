"""Dynamic moderation: the ladder step by step, on traffic that answers, and on the card."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagering.card import Card
from pagering.dim import (
    COMPLETION_LADDER,
    EVENT_LADDER,
    EVENTS_PER_LOOK,
    Climber,
    Load,
    ModerationTuner,
    State,
    Trend,
    compare,
)
from pagering.fake import FakeCard

BETTER, SAME, WORSE = Trend.BETTER, Trend.SAME, Trend.WORSE


@pytest.mark.parametrize(("now", "before", "trend"), [
    # bytes, packets, events in a millisecond
    ((0, 0, 0), (0, 0, 0), SAME),
    ((1, 1, 1), (0, 0, 0), BETTER),
    ((0, 0, 0), (100, 9, 9), WORSE),
    ((111, 9, 9), (100, 9, 9), BETTER),
    ((110, 9, 9), (100, 9, 9), SAME),
    ((89, 9, 9), (100, 9, 9), WORSE),
    ((89, 90, 1), (100, 9, 9), WORSE),
    ((100, 5, 1), (100, 0, 9), BETTER),
    ((100, 20, 99), (100, 10, 9), BETTER),
    ((100, 5, 1), (100, 10, 9), WORSE),
    ((100, 10, 5), (100, 10, 10), BETTER),
    ((100, 10, 15), (100, 10, 10), WORSE),
    ((100, 10, 11), (100, 10, 10), SAME),
    ((100, 10, 5), (100, 10, 0), SAME),
])
def test_bytes_count_before_packets_before_events(
        now: tuple[int, int, int], before: tuple[int, int, int], trend: Trend) -> None:
    assert compare(Load(*now), Load(*before)) is trend


def climb(trends: str, rungs: int = 5) -> tuple[list[int], list[State]]:
    """Feed + better, = same and - worse; return the rung and the state after each."""
    climber, bytes_ = Climber(rungs), 10**9
    rung, states = [], []
    for sign in trends:
        bytes_ = {"+": bytes_ * 2, "-": bytes_ // 2, "=": bytes_}[sign]
        climber.look(Load(bytes_, 1, 1))
        rung.append(climber.rung)
        states.append(climber.state)
    return rung, states


@pytest.mark.parametrize(("trends", "rungs"), [
    # The first traffic sets out from rung 1, downwards.
    ("+", [0]),
    # Down there is worse: up it goes as long as that helps, to the ladder's end.
    ("+-++++", [0, 1, 2, 3, 4, 4]),
    # Three up, the last was too far: one back, and there it rests while nothing changes.
    ("+-++-+====", [0, 1, 2, 3, 2, 2, 2, 2, 2, 2]),
    # One back is no better either: up again, and on to the end.
    ("+-++--+=", [0, 1, 2, 3, 2, 3, 4, 3]),
    # It rests at the bottom if nothing is better there.
    ("++==", [0, 0, 0, 0]),
])
def test_steps_by_hand(trends: str, rungs: list[int]) -> None:
    assert climb(trends)[0] == rungs


def test_at_rest_it_sets_out_again_when_traffic_changes() -> None:
    rungs, states = climb("+-++-+==" + "+")
    assert rungs[-2:] == [2, 1]
    assert states[-3:] == [State.ON_TOP, State.ON_TOP, State.DOWN]
    # At the bottom there is only up.
    rungs, states = climb("++=" + "-")
    assert rungs[-2:] == [0, 1]
    assert states[-2:] == [State.ON_TOP, State.UP]


def test_slow_changes_add_up_while_it_rests() -> None:
    climber = Climber(5)
    for load in (1000, 2000):
        climber.look(Load(load, 1, 1))
    assert (climber.rung, climber.state) == (0, State.ON_TOP)
    assert not climber.look(Load(2150, 1, 1))
    assert climber.look(Load(2300, 1, 1)), "15 % more than when it came, 7 % more than before"


def test_after_ten_steps_without_rest_it_is_tired_for_as_many_looks() -> None:
    # Whatever it does is no better: it goes to and fro between two rungs.
    rungs, states = climb("+" + "=" * 30)
    tired = [at for at, state in enumerate(states) if state is State.TIRED]
    assert tired == [*range(10, 20), 30]
    assert len({*rungs[10:20]}) == 1
    assert states[20] in (State.UP, State.DOWN)


@given(st.text("+-=", max_size=200), st.integers(1, 6))
def test_it_moves_by_one_rung_and_stays_on_the_ladder(trends: str, rungs: int) -> None:
    places, states = climb(trends, rungs)
    before = min(1, rungs - 1)
    for place, state in zip(places, states, strict=True):
        assert 0 <= place < rungs
        assert abs(place - before) <= 1
        assert place == before or state in (State.UP, State.DOWN)
        before = place


def settle(load: Callable[[int], Load], looks: int = 60) -> Climber:
    """Let a climber find its place in traffic that depends on its rung."""
    climber = Climber(5)
    for _ in range(looks):
        climber.look(load(climber.rung))
    return climber


@pytest.mark.parametrize("best", range(5))
def test_it_finds_the_rung_with_the_highest_throughput(best: int) -> None:
    climber = settle(lambda rung: Load(1_000_000 >> abs(rung - best), 1000, 10))
    assert (climber.rung, climber.state) == (best, State.ON_TOP)


def test_steady_traffic_gets_the_fewest_interrupts() -> None:
    climber = settle(lambda rung: Load(1_000_000, 1000, 1000 // EVENT_LADDER[rung][0]))
    assert (climber.rung, climber.state) == (4, State.ON_TOP)


# On a queue


@pytest.mark.parametrize("ladder", [EVENT_LADDER, COMPLETION_LADDER])
def test_a_queue_climbs_the_ladder_and_interrupts_less(  # checklist 16
        ladder: tuple[tuple[int, int], ...]) -> None:
    fake = FakeCard(region_pages=64, regions=1, pools=1, queues=1)
    card = Card(fake)
    queue = card.add_queue(card.add_pool(), 1024)
    card.receive = True
    clock_khz, gap = card.capabilities.clock_khz, 800  # 195 frames in a millisecond
    tuner = queue.adapt_moderation(ladder, now=lambda: fake.state.cycle * 1_000_000 // clock_khz)
    assert queue.moderation == pytest.approx(ladder[1], rel=0.2)

    def traffic(vector: int) -> None:
        for _ in range(1000):
            if fake.state.raised[vector]:
                return
            fake.inject(bytes(60))
            fake.advance(gap)

    fake.on_wait = traffic
    frames, bursts = 0, []
    for _ in range(8 * EVENTS_PER_LOOK):
        assert queue.wait(1)
        with queue.recv(1024) as burst:
            frames += len(burst)
            bursts.append(len(burst))
    assert (tuner.climber.rung, tuner.climber.state) == (4, State.ON_TOP)
    assert queue.moderation == pytest.approx(ladder[4], rel=0.2)
    assert max(bursts[:10]) < min(bursts[-10:])
    assert frames == queue.stats.frames == queue.delivered
    queue.moderation = (0, 0)
    for _ in range(2 * EVENTS_PER_LOOK):
        queue.wait(1)
        queue.recv(1024).close()
    assert queue.moderation == (0, 0), "it is the caller's again"
    card.close()


def test_the_first_interrupt_only_starts_the_clock() -> None:
    times = iter(range(0, 10**9, 10**6))
    tuner = ModerationTuner(now=lambda: next(times))
    changes = [tuner.interrupted(count, 60 * count) for count in range(1 + EVENTS_PER_LOOK)]
    assert changes == [False] * EVENTS_PER_LOOK + [True]
    assert tuner.limits == EVENT_LADDER[0]


@pytest.mark.parametrize(("ladder", "sentence"), [
    ((), "at least one rung, not none"),
    (((1, 1), (4000, 1)), "microseconds, not 4000"),
    (((1, 4096),), "completions, not 4096"),
])
def test_ladders_that_the_card_cannot_climb(ladder: tuple[tuple[int, int], ...],
                                            sentence: str) -> None:
    with Card(FakeCard()) as card:
        queue = card.add_queue(card.add_pool())
        with pytest.raises(ValueError, match=sentence):
            queue.adapt_moderation(ladder)
        assert queue.moderation == (0, 0)
