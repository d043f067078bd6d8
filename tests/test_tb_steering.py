"""What a run expects of steering: the queue of each frame, foretold by the twin."""

from __future__ import annotations

import ipaddress

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether

from pagering.abi import HashType
from pagering.sim_options import SimOptions
from pagering.toeplitz import MICROSOFT_KEY, SYMMETRIC_KEY, hash_input, toeplitz
from pagering_tb.scoreboard import Scoreboard
from pagering_tb.steering import expected_queue


def frame(host: int, dport: int = 443) -> bytes:
    return bytes(Ether() / IP(src=f"10.0.0.{host}", dst="10.1.0.1") / TCP(sport=7, dport=dport))


def row(key: bytes, host: int) -> int:
    one, other = (ipaddress.ip_address(text).packed for text in (f"10.0.0.{host}", "10.1.0.1"))
    return toeplitz(key, hash_input(HashType.L4, one, other, 7, 443)) % 128


def test_each_in_turn_or_all_to_one() -> None:
    queue_of = expected_queue(SimOptions(queues=3, pools=3))
    assert [queue_of(frame(host)) for host in range(5)] == [0, 1, 2, 0, 1]
    assert expected_queue(SimOptions(steering="fixed:2"))(frame(1)) == 2


def test_by_hash_and_by_rule() -> None:
    for name, key in (("microsoft", MICROSOFT_KEY), ("symmetric", SYMMETRIC_KEY)):
        queue_of = expected_queue(SimOptions(steering="rss", rss_key=name, rules=(
            "tcp dst port 80 -> queue 3", "udp -> drop")))
        assert [queue_of(frame(host)) for host in range(50)] == [
            row(key, host) % 4 for host in range(50)]
        assert queue_of(frame(1, 80)) == 3
        assert queue_of(bytes(Ether() / IP() / UDP())) is None
        assert queue_of(bytes(Ether() / ARP())) == 0


def test_the_scoreboard_expects_nothing_of_what_a_rule_drops() -> None:
    board = Scoreboard(expected_queue(SimOptions(rules=("tcp -> drop",))))
    board.send(frame(1))
    board.send(bytes(Ether() / ARP()))
    assert (board.sent, board.rejected, board.lost) == (2, 1, 1)
    board.receive(1, bytes(Ether() / ARP()))
    assert not board.problems
    assert board.lost == 0
