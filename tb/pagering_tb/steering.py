"""How a run steers its frames: told to a card by the driver, and to a twin that foretells it."""

from __future__ import annotations

from pagering import Card, abi
from pagering.dissect import dissect
from pagering.fake import FakeCard
from pagering.sim_options import SimOptions

from .scoreboard import QueueOf

__all__ = ["expected_queue", "steer"]


def steer(card: Card, options: SimOptions) -> None:
    """Set up steering; blocking driver code."""
    queues = range(options.queues)
    match options.steering_mode:
        case abi.SteeringMode.ROUND_ROBIN:
            card.steer_round_robin(queues)
        case abi.SteeringMode.FIXED:
            card.steer_to(options.steering_queue)
        case abi.SteeringMode.RSS:
            card.steer_by_hash(queues, key=options.rss_key_bytes)
    for rule in options.rules:
        card.rules.add(rule)


def expected_queue(options: SimOptions) -> QueueOf:
    """Return what foretells the queue of each frame: the twin, set up by the same driver code."""
    fake = FakeCard(queues=options.queues)
    steer(Card(fake), options)

    def queue_of(frame: bytes) -> int | None:
        steered = fake.state.steering.steer(dissect(frame))
        return steered.queue if steered.cause is None else None
    return queue_of
