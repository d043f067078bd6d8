"""Interrupts: no completion goes unnoticed, whatever it races with; low before each firing.

A queue is judged once a round, so what is due fires within ``LATE`` cycles.
"""

from __future__ import annotations

import random

import pytest

from hdl_streams import mirror, pulse, simulate
from pagering import abi
from pagering_hdl.interrupts import Interrupts
from pagering_hdl.layouts import Kind
from pagering_hdl.queue_walk import ROUND_MIN

WRAP = 1 << 17
LATE = ROUND_MIN + 4
"""Cycles of a round, and of a verdict and what is made of it."""
UNIT = abi.MODERATION_CYCLES


class Card:
    """An interrupt unit, driven cycle by cycle."""

    def __init__(self, queues=4, time=0, completions=0):
        self.dut = Interrupts(queues)
        self.limits = {"time": time, "completions": completions}

    def show(self, ctx, queue, produced, kind=Kind.SEGMENT):
        ctx.set(self.dut.visible, {"valid": 1, "kind": kind, "index": queue,
                                   "produced": produced % WRAP})

    def arm(self, ctx, queue, index):
        ctx.set(self.dut.arm, {"valid": 1, "queue": queue, "index": index % WRAP})

    async def tick(self, ctx):
        await ctx.tick()
        ctx.set(self.dut.visible.valid, 0)
        ctx.set(self.dut.arm.valid, 0)

    async def wait(self, ctx, cycles=LATE):
        for _ in range(cycles):
            await self.tick(ctx)

    async def force(self, ctx, queue):
        ctx.set(self.dut.force_index, queue)
        await pulse(ctx, self.dut.force)

    async def produced(self, ctx, queue):
        """Return what the card shows of a queue when it looks at it next."""
        await self.tick(ctx)
        while ctx.get(self.dut.view.queue) != queue:
            await self.tick(ctx)
        return ctx.get(self.dut.view.produced)

    def fired(self, ctx, queue=0):
        return ctx.get(self.dut.fired) >> queue & 1

    def armed(self, ctx, queue=0):
        return ctx.get(self.dut.armed) >> queue & 1


def run(body, queues=4, **limits):
    card = Card(queues, **limits)

    async def bench(ctx):
        await ctx.tick().repeat(queues + 1)
        await body(ctx, card)
    simulate(card.dut, bench, tables=[mirror(card.dut.moderation, lambda queue: card.limits)])


@pytest.mark.parametrize("phase", range(ROUND_MIN))
@pytest.mark.parametrize("distance", [-12, -9, -8, *range(-5, 6), 8, 9])
def test_a_completion_and_an_arm_meet(distance, phase):  # checklist 15
    """The completion comes some cycles before or after the arming: it fires once, always."""
    async def body(ctx, card):
        await card.wait(ctx, phase)
        rises, before = 0, 0
        for cycle in range(25 + LATE):
            if cycle == 14:
                card.arm(ctx, 2, 0)
            if cycle == 14 + distance:
                card.show(ctx, 2, 1)
            await card.tick(ctx)
            rises += card.fired(ctx, 2) and not before
            before = card.fired(ctx, 2)
        assert rises == 1
        assert not card.armed(ctx, 2)
    run(body)


def test_does_not_fire_for_what_the_host_has_read():
    async def body(ctx, card):
        card.show(ctx, 0, 5)
        await card.tick(ctx)
        card.arm(ctx, 0, 5)
        for _ in range(3 * LATE):
            await card.tick(ctx)
            assert not card.fired(ctx)
        assert card.armed(ctx)
        card.show(ctx, 0, 6)
        await card.wait(ctx)
        assert card.fired(ctx)
    run(body)


@pytest.mark.parametrize(("index", "ahead", "fires"), [
    (0, 0, 0), (0, 1, 1), (0, 1 << 16, 1), (0, (1 << 16) + 1, 0), (WRAP - 3, 5, 1),
    (WRAP - 1, 1, 1), (WRAP - 1, 1 << 16, 1), (WRAP - 1, WRAP - 1, 0)])
def test_up_to_a_whole_ring_ahead(index, ahead, fires):
    async def body(ctx, card):
        card.show(ctx, 1, index + ahead)
        await card.tick(ctx)
        card.arm(ctx, 1, index)
        await card.wait(ctx)
        assert card.fired(ctx, 1) == fires
    run(body)


def test_arming_again_is_seen_as_a_low_pulse():
    """Also when a completion is past the index already: low for a cycle at least, then high."""
    async def body(ctx, card):
        card.show(ctx, 0, 4)
        await card.tick(ctx)
        for index in (0, 1, 2, 3, 0, 1, 2, 3):
            card.arm(ctx, 0, index)
            await card.tick(ctx)
            assert not card.fired(ctx)
            await card.wait(ctx, LATE + index)
            assert card.fired(ctx)
    run(body)


def test_fired_masks_itself():
    async def body(ctx, card):
        card.arm(ctx, 0, 0)
        await card.tick(ctx)
        for produced in range(1, 6):
            card.show(ctx, 0, produced)
            await card.wait(ctx)
            assert card.fired(ctx)
            assert not card.armed(ctx)
    run(body)


@pytest.mark.parametrize("distance", range(-2, 3))
def test_a_start_before_any_completion_keeps_an_arm(distance):
    """The host may arm as soon as it has enabled the queue: the arm counts, the past does not."""
    async def body(ctx, card):
        card.show(ctx, 3, 9)
        await card.tick(ctx)
        card.arm(ctx, 3, 2)
        await card.wait(ctx)
        assert card.fired(ctx, 3)
        ctx.set(card.dut.restart_index, 3)
        await pulse(ctx, card.dut.restart)
        assert not card.fired(ctx, 3)
        for cycle in range(8 + LATE):
            if cycle == 4:
                card.arm(ctx, 3, 0)
            if cycle == 4 + distance:
                card.show(ctx, 3, 0, Kind.START_QUEUE)
            await card.tick(ctx)
            assert not card.fired(ctx, 3)
        assert card.armed(ctx, 3)
        card.show(ctx, 3, 1)
        await card.wait(ctx)
        assert card.fired(ctx, 3)
    run(body)


def test_a_restart_disarms():
    async def body(ctx, card):
        for queue in (0, 1):
            card.arm(ctx, queue, 0)
            await card.tick(ctx)
        ctx.set(card.dut.restart_index, 1)
        await pulse(ctx, card.dut.restart)
        assert (card.armed(ctx, 0), card.armed(ctx, 1)) == (1, 0)
        assert await card.produced(ctx, 1) == 0
    run(body)


@pytest.mark.parametrize("late", range(LATE))
def test_a_restart_cancels_a_firing_under_way(late):
    """Whatever the old ring held, an arm for the new one sees none of it."""
    async def body(ctx, card):
        card.show(ctx, 0, 4)
        await card.tick(ctx)
        card.arm(ctx, 0, 1)
        await card.wait(ctx, late)
        await pulse(ctx, card.dut.restart)
        card.arm(ctx, 0, 1)
        for _ in range(2 * LATE):
            await card.tick(ctx)
            assert not card.fired(ctx)
        assert card.armed(ctx)
    run(body)


@pytest.mark.parametrize("kind", [Kind.FENCE_QUEUE, Kind.FENCE_POOL, Kind.START_POOL])
def test_other_marks_do_nothing(kind):
    async def body(ctx, card):
        card.show(ctx, 0, 4)
        await card.tick(ctx)
        card.arm(ctx, 0, 4)
        await card.tick(ctx)
        card.show(ctx, 0, 0, kind)
        await card.wait(ctx)
        assert card.armed(ctx)
        assert not card.fired(ctx)
        assert await card.produced(ctx, 0) == 4
    run(body)


@pytest.mark.parametrize("count", [1, 2, 5, 4095])
def test_waits_for_so_many_completions(count):  # checklist 16
    async def body(ctx, card):
        card.show(ctx, 0, WRAP - 3)
        await card.tick(ctx)
        card.arm(ctx, 0, WRAP - 2)
        await card.tick(ctx)
        card.show(ctx, 0, WRAP - 2 + count - 1)
        for _ in range(4 * UNIT):
            await card.tick(ctx)
            assert not card.fired(ctx)
        card.show(ctx, 0, WRAP - 2 + count)
        await card.wait(ctx)
        assert card.fired(ctx)
        assert not card.armed(ctx)
    run(body, completions=count)


@pytest.mark.parametrize("time", [1, 2, 7])
@pytest.mark.parametrize("offset", [0, 50, 127])
def test_waits_so_long_after_the_first_completion(time, offset):  # checklist 16
    async def body(ctx, card):
        card.arm(ctx, 1, 0)
        await card.wait(ctx, 5 * UNIT + offset)
        assert not card.fired(ctx, 1), "nothing waits"
        # Again and again: the time is that of the first one past the index.
        for produced in range(1, 4):
            card.show(ctx, 1, produced)
            cycles = 0
            while not card.fired(ctx, 1):
                card.show(ctx, 1, produced)
                await card.tick(ctx)
                cycles += 1
            assert (time - 1) * UNIT <= cycles <= time * UNIT + LATE
            card.arm(ctx, 1, produced)
            await card.wait(ctx, 2 * UNIT)
            assert not card.fired(ctx, 1)
            assert card.armed(ctx, 1)
    run(body, time=time)


@pytest.mark.parametrize(("shown", "least", "most"), [(6, 0, LATE), (5, 3 * UNIT, 4 * UNIT + LATE)])
def test_whichever_limit_is_met_first(shown, least, most):
    async def body(ctx, card):
        card.arm(ctx, 2, 0)
        await card.tick(ctx)
        card.show(ctx, 2, shown)
        cycles = 0
        while not card.fired(ctx, 2):
            await card.tick(ctx)
            cycles += 1
        assert least <= cycles <= most
    run(body, time=4, completions=6)


def test_what_waits_when_the_host_arms_is_moderated_too():
    async def body(ctx, card):
        card.show(ctx, 0, 9)
        await card.wait(ctx, 5 * UNIT)
        card.arm(ctx, 0, 6)
        await card.wait(ctx, UNIT)
        assert not card.fired(ctx), "time counts from the arming"
        await card.wait(ctx, 2 * UNIT)
        assert card.fired(ctx)
    run(body, time=3, completions=4)


@pytest.mark.parametrize("phase", range(ROUND_MIN))
def test_force_fires_an_armed_interrupt_and_once(phase):
    async def body(ctx, card):
        await card.wait(ctx, phase)
        card.arm(ctx, 3, 0)
        await card.tick(ctx)
        await card.force(ctx, 3)
        await card.wait(ctx)
        assert card.fired(ctx, 3)
        card.arm(ctx, 3, 0)
        await card.wait(ctx, 2 * LATE)
        assert not card.fired(ctx, 3)
        assert card.armed(ctx, 3)
    run(body, time=9)


def test_a_force_of_a_masked_interrupt_waits_until_it_is_armed():
    async def body(ctx, card):
        for _ in range(2):
            await card.force(ctx, 3)
        await card.wait(ctx)
        assert not card.fired(ctx, 3)
        card.arm(ctx, 3, 0)
        await card.wait(ctx)
        assert card.fired(ctx, 3)
        card.arm(ctx, 3, 0)
        await card.wait(ctx)
        assert not card.fired(ctx, 3)
        await card.force(ctx, 2)
        ctx.set(card.dut.restart_index, 2)
        await pulse(ctx, card.dut.restart)
        card.arm(ctx, 2, 0)
        await card.wait(ctx, 2 * LATE)
        assert not card.fired(ctx, 2), "forgotten with the ring that it was for"
    run(body)


@pytest.mark.parametrize(("queues", "completions"), [(1, 0), (3, 0), (64, 0), (2, 3)])
def test_random_against_the_rule(queues, completions):
    """Armed, and enough past the index visible: fired within a round, and not otherwise."""
    rng = random.Random(queues)
    late = max(queues, ROUND_MIN) + 4
    least = max(1, completions)

    async def body(ctx, card):
        produced, target = [0] * queues, [None] * queues
        since = [0] * queues
        for _ in range(2000):
            if rng.random() < 0.1:
                queue = rng.randrange(queues)
                produced[queue] += rng.randrange(1, 5)
                card.show(ctx, queue, produced[queue])
            if rng.random() < 0.1:
                queue = rng.randrange(queues)
                target[queue] = produced[queue] - rng.choice((0, 0, 1, 9)) * (produced[queue] > 9)
                card.arm(ctx, queue, target[queue])
                since[queue] = 0
            await card.tick(ctx)
            for queue in range(queues):
                due = target[queue] is not None and produced[queue] - target[queue] >= least
                since[queue] = since[queue] + 1 if due else 0
                if since[queue] >= late:
                    assert card.fired(ctx, queue)
                elif not due:
                    assert not card.fired(ctx, queue)
    run(body, queues, completions=completions)
