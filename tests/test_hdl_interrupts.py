"""Interrupts: no completion goes unnoticed, whatever it races with; low before each firing."""

from __future__ import annotations

import random

import pytest

from hdl_streams import pulse, simulate
from pagering_hdl.interrupts import Interrupts
from pagering_hdl.layouts import Kind

WRAP = 1 << 17


class Card:
    """An interrupt unit, driven cycle by cycle."""

    def __init__(self, queues=4):
        self.dut = Interrupts(queues)

    def show(self, ctx, queue, produced, kind=Kind.SEGMENT):
        ctx.set(self.dut.visible, {"valid": 1, "kind": kind, "index": queue,
                                   "produced": produced % WRAP})

    def arm(self, ctx, queue, index):
        ctx.set(self.dut.arm, {"valid": 1, "queue": queue, "index": index % WRAP})

    async def tick(self, ctx):
        await ctx.tick()
        ctx.set(self.dut.visible.valid, 0)
        ctx.set(self.dut.arm.valid, 0)

    def fired(self, ctx, queue=0):
        return ctx.get(self.dut.fired) >> queue & 1

    def armed(self, ctx, queue=0):
        return ctx.get(self.dut.armed) >> queue & 1


def run(body, queues=4):
    card = Card(queues)

    async def bench(ctx):
        await ctx.tick().repeat(queues + 1)
        await body(ctx, card)
    simulate(card.dut, bench)


@pytest.mark.parametrize("distance", range(-3, 4))
def test_a_completion_and_an_arm_meet(distance):
    """The completion comes some cycles before or after the arming: it fires once, always."""
    async def body(ctx, card):
        for cycle in range(12):
            if cycle == 5:
                card.arm(ctx, 2, 0)
            if cycle == 5 + distance:
                card.show(ctx, 2, 1)
            await card.tick(ctx)
        assert card.fired(ctx, 2)
        assert not card.armed(ctx, 2)
    run(body)


def test_does_not_fire_for_what_the_host_has_read():
    async def body(ctx, card):
        card.show(ctx, 0, 5)
        await card.tick(ctx)
        card.arm(ctx, 0, 5)
        for _ in range(4):
            await card.tick(ctx)
            assert not card.fired(ctx)
        assert card.armed(ctx)
        card.show(ctx, 0, 6)
        await card.tick(ctx)
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
        await card.tick(ctx)
        await card.tick(ctx)
        assert card.fired(ctx, 1) == fires
    run(body)


def test_arming_again_is_seen_as_a_low_pulse():
    """Also when a completion is past the index already: low for a cycle, then high."""
    async def body(ctx, card):
        card.show(ctx, 0, 4)
        await card.tick(ctx)
        for index in range(3):
            card.arm(ctx, 0, index)
            await card.tick(ctx)
            assert not card.fired(ctx)
            await card.tick(ctx)
            assert card.fired(ctx)
    run(body)


def test_fired_masks_itself():
    async def body(ctx, card):
        card.arm(ctx, 0, 0)
        await card.tick(ctx)
        for produced in range(1, 6):
            card.show(ctx, 0, produced)
            await card.tick(ctx)
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
        await card.tick(ctx)
        await card.tick(ctx)
        assert card.fired(ctx, 3)
        ctx.set(card.dut.restart_index, 3)
        await pulse(ctx, card.dut.restart)
        assert not card.fired(ctx, 3)
        for cycle in range(8):
            if cycle == 4:
                card.arm(ctx, 3, 0)
            if cycle == 4 + distance:
                card.show(ctx, 3, 0, Kind.START_QUEUE)
            await card.tick(ctx)
            assert not card.fired(ctx, 3)
        assert card.armed(ctx, 3)
        card.show(ctx, 3, 1)
        await card.tick(ctx)
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
        ctx.set(card.dut.produced.addr, 1)
        assert ctx.get(card.dut.produced.data) == 0
    run(body)


def test_a_restart_cancels_a_firing_under_way():
    async def body(ctx, card):
        card.show(ctx, 0, 4)
        await card.tick(ctx)
        card.arm(ctx, 0, 1)
        await card.tick(ctx)
        await pulse(ctx, card.dut.restart)
        for _ in range(3):
            assert not card.fired(ctx)
            await card.tick(ctx)
    run(body)


@pytest.mark.parametrize("kind", [Kind.FENCE_QUEUE, Kind.FENCE_POOL, Kind.START_POOL])
def test_other_marks_do_nothing(kind):
    async def body(ctx, card):
        card.show(ctx, 0, 4)
        await card.tick(ctx)
        card.arm(ctx, 0, 4)
        await card.tick(ctx)
        card.show(ctx, 0, 0, kind)
        await card.tick(ctx)
        await card.tick(ctx)
        assert card.armed(ctx)
        assert not card.fired(ctx)
        assert ctx.get(card.dut.produced.data) == 4
    run(body)


@pytest.mark.parametrize("queues", [1, 3])
def test_random_against_the_rule(queues):
    """Armed, and something past the index visible: fired within two cycles, and not otherwise."""
    rng = random.Random(queues)

    async def body(ctx, card):
        produced, target = [0] * queues, [None] * queues
        since = [0] * queues
        for _ in range(600):
            if rng.random() < 0.5:
                queue = rng.randrange(queues)
                produced[queue] += rng.randrange(1, 5)
                card.show(ctx, queue, produced[queue])
            if rng.random() < 0.3:
                queue = rng.randrange(queues)
                target[queue] = produced[queue] - rng.choice((0, 0, 1, 9)) * (produced[queue] > 9)
                card.arm(ctx, queue, target[queue])
                since[queue] = 0
            await card.tick(ctx)
            for queue in range(queues):
                due = target[queue] is not None and produced[queue] > target[queue]
                since[queue] = since[queue] + 1 if due else 0
                if since[queue] >= 2:
                    assert card.fired(ctx, queue)
                elif not due:
                    assert not card.fired(ctx, queue)
    run(body, queues)
