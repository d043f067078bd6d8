"""Cards that lack parser, steering, statistics or timestamps: what the driver says of it, and what
still works.
"""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from pagering import CardError, HeaderSplit, abi
from pagering.abi import L3, L4
from pagering.card import Card
from pagering.fake import FakeCard

FRAME = bytes(Ether(dst="02:00:00:00:00:01") / IP(src="10.0.0.1", dst="10.0.0.2") / TCP() / b"data")


@pytest.mark.parametrize(("use", "sentence"), [
    (lambda card: card.rss, "this card cannot spread flows; generate one with steering"),
    (lambda card: card.steer_by_hash([0]),
     "this card cannot spread flows; generate one with steering"),
    (lambda card: card.rules.add("-> drop"),
     "this card has no flow rules; generate one with steering"),
    (lambda card: card.filters.vlans, "this card has no filters; generate one with steering"),
])
def test_a_card_without_steering_says_so(use, sentence):
    card = Card(FakeCard(steering=False))
    with pytest.raises(CardError, match=f"^{sentence}$"):
        use(card)
    card.steer_round_robin([0, 1])
    card.reset()


def received(**lacks):
    """Send one frame through a card; return what the driver says of it."""
    fake = FakeCard(**lacks)
    with Card(fake) as card:
        queue = card.add_queue(card.add_pool())
        card.steer_to(queue)
        card.receive = True
        fake.inject(FRAME)
        with queue.recv() as burst:
            frame, = burst
            assert frame.tobytes() == FRAME
            return {name: getattr(frame, name) for name in (
                "l3", "l4", "header_length", "hash", "checksum", "checksum_ok", "ip_checksum_ok")}


def test_a_card_without_a_parser_knows_a_frame_s_bytes_alone():
    assert received(parser=False, steering=False) == {
        "l3": L3.OTHER, "l4": L4.OTHER, "header_length": None, "hash": 0, "checksum": 0,
        "checksum_ok": None, "ip_checksum_ok": None}


def test_a_card_without_steering_knows_all_but_the_hash():
    found, whole = received(steering=False), received()
    assert found == {**whole, "hash": 0}
    assert found["l4"] is L4.TCP
    assert found["checksum_ok"] is True


def test_a_card_without_a_parser_cannot_split():
    card = Card(FakeCard(parser=False, steering=False))
    pool = card.add_pool()
    with pytest.raises(CardError, match="cannot split frames; generate one with header split"):
        card.add_queue(pool, split=HeaderSplit(pool))
    registers = card.registers.queue(0)
    registers.HEADER_SPLIT.write(enable=1)
    assert card.faults()["register_value"] == 1
    assert registers.HEADER_SPLIT.get("enable") == 0


def test_a_fake_card_that_steers_has_a_parser():
    with pytest.raises(ValueError, match="a card that steers has a parser; leave out both"):
        FakeCard(parser=False)


def test_a_card_without_statistics_counts_what_it_must_and_says_what_it_does_not():
    fake = FakeCard(statistics=False)
    with Card(fake) as card:
        queue = card.add_queue(card.add_pool())
        card.steer_to(queue)
        card.receive = True
        fake.inject(FRAME)
        fake.inject(FRAME, bad=True)
        counters = card.counters()
        assert set(counters) == {name.lower() for name in abi.ESSENTIAL}
        assert (counters["frames_in"], counters["frames_delivered"],
                counters["drop_bad_frame"]) == (2, 1, 1)
        assert card.registers.stats.count("BYTES_IN") == 0
        for use, what in ((card.statistics, "by queue"), (queue.statistics, "by queue"),
                          (lambda: queue.delivered, "by queue"),
                          (lambda: queue.dropped, "by queue"),
                          (card.link_statistics, "bytes"), (card.rmon_statistics, "by size")):
            with pytest.raises(CardError, match=f"^this card does not count {what}; generate one "
                                                f"with statistics$"):
                use()


def test_a_card_without_timestamps_says_so():
    fake = FakeCard(timestamps=False)
    with Card(fake) as card:
        assert card.faults()["register_value"] == 0
        with pytest.raises(CardError, match="^this card has no clock; generate one with "
                                            "timestamps$"):
            card.clock.now()
        card.registers.card.CLOCK_COMMAND.write(command=abi.ClockCommand.SET)
        assert card.faults()["register_value"] == 1
        queue = card.add_queue(card.add_pool(), extended=True)
        card.steer_to(queue)
        card.receive = True
        fake.advance(1000)
        fake.inject(FRAME)
        with queue.recv() as (frame,):
            assert (frame.timestamp, frame.mark) == (0, 0)


def test_a_card_that_knows_nothing_of_frames_extends_no_completion():
    card = Card(FakeCard(parser=False, steering=False, timestamps=False))
    with pytest.raises(CardError, match="^this card cannot extend completions; generate one with "
                                        "timestamps or a parser$"):
        card.add_queue(card.add_pool(), extended=True)
    card.registers.queue(0).FORMAT.write(extended=1)
    assert card.faults()["register_value"] == 1
    assert card.registers.queue(0).FORMAT.get("extended") == 0
