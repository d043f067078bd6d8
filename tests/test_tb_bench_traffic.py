"""What ``pagering bench`` sends: frames that are what they claim to be, and reach every queue."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from pagering import Card
from pagering.fake import FakeCard
from pagering_tb.bench_traffic import Traffic


@pytest.mark.parametrize("size", [64, 65, 1518, 9018])
def test_a_frame_is_udp_as_scapy_reads_it(size: int) -> None:
    traffic = Traffic(4, random.Random(1))
    frame = traffic.frame(size)
    assert len(frame) == size
    packet = Ether(frame)
    assert packet[IP].len == size - 14
    assert packet[UDP].len == size - 34
    claimed = packet[IP].chksum
    del packet[IP].chksum
    assert Ether(bytes(packet))[IP].chksum == claimed


def test_no_frame_is_like_another() -> None:
    traffic = Traffic(4, random.Random(1))
    assert len({traffic.frame(64) for _ in range(1000)}) == 1000


@pytest.mark.parametrize("queues", [1, 4, 8])
def test_every_queue_gets_its_share(queues: int) -> None:
    traffic = Traffic(queues, random.Random(1))
    share = Counter(traffic.queue_of(traffic.frame(64)) for _ in range(2000))
    assert all(share[queue] > 2000 / queues / 2 for queue in range(queues))
    assert all(traffic.queue_of(traffic.frame(64, queue)) == queue for queue in range(queues))


def test_rules_decide_for_the_flows_that_meet_one() -> None:
    traffic = Traffic(8, random.Random(1))
    assert traffic.queues[:64:4] == [number % 8 for number in range(0, 64, 4)]
    card = Card(FakeCard(queues=8))
    traffic.steer(card, range(8))
    assert len(card.rules) == 64
