"""The driver's RSS, flow rules and filters over the in-memory card; their texts and sentences."""

from __future__ import annotations

import ipaddress
import re
from collections import Counter

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether

from pagering import CardError, FlowRule, abi
from pagering.abi import L3, L4, DropCause, HashType, Transform
from pagering.card import Card
from pagering.dissect import dissect
from pagering.fake import FakeCard
from pagering.filters import BROADCAST, multicast_hash, parse_address
from pagering.flow_rules import parse_rule
from pagering.toeplitz import MICROSOFT_KEY, SYMMETRIC_KEY, hash_input, toeplitz
from rss_vectors import VECTORS

vectors = pytest.mark.parametrize("vector", VECTORS, ids=[vector[0] for vector in VECTORS])


def hashed(vector, key=MICROSOFT_KEY, transform=Transform.NONE, swapped=False):
    """Return the hash of a vector's addresses, and with its ports."""
    source, sport, destination, dport, _, _ = vector
    one, other = (ipaddress.ip_address(text).packed for text in (source, destination))
    if swapped:
        one, other, sport, dport = other, one, dport, sport
    return tuple(toeplitz(key, hash_input(kind, one, other, sport, dport, transform))
                 for kind in (HashType.L3, HashType.L4))


# The hash


@vectors
def test_the_published_vectors(vector):
    assert hashed(vector) == vector[4:]


@vectors
@pytest.mark.parametrize(("key", "transform"), [
    (SYMMETRIC_KEY, Transform.NONE), (MICROSOFT_KEY, Transform.XOR),
    (MICROSOFT_KEY, Transform.OR_XOR)])
def test_both_directions_hash_alike(vector, key, transform):
    assert hashed(vector, key, transform) == hashed(vector, key, transform, swapped=True)
    assert hashed(vector) != hashed(vector, swapped=True)


def test_the_symmetric_hashes_of_the_first_vector():
    assert hashed(VECTORS[0], SYMMETRIC_KEY) == (0x0A590A59, 0x9FCC9FCC)
    assert hashed(VECTORS[0], transform=Transform.XOR) == (0x887BD7BC, 0xAC2B58CA)
    assert hashed(VECTORS[0], transform=Transform.OR_XOR) == (0x277806FE, 0xA65524FA)


def test_the_ends_of_the_hash():
    assert toeplitz(MICROSOFT_KEY, bytes(36)) == 0
    assert toeplitz(MICROSOFT_KEY, b"\x80") == 0x6D5A56DA
    assert toeplitz(MICROSOFT_KEY, bytes(35) + b"\x01") == int.from_bytes(
        MICROSOFT_KEY, "big") >> 1 & 0xFFFFFFFF
    with pytest.raises(ValueError, match="a Toeplitz key for 36 bytes has at least 40, not 39"):
        toeplitz(MICROSOFT_KEY[1:], bytes(36))


# RSS


def web(host: int = 1, dport: int = 80) -> bytes:
    return bytes(Ether(dst="02:00:00:00:00:01") / IP(src=f"10.0.0.{host}", dst="10.1.0.1")
                 / TCP(sport=1024 + host, dport=dport)).ljust(60, b"\0")


def steered(fake: FakeCard, frame: bytes):
    return fake.state.steering.steer(dissect(frame))


def test_flows_are_spread_and_stay_together():
    fake = FakeCard(queues=4)
    card = Card(fake)
    card.steer_by_hash([0, 1, 3])
    assert card.rss.key == MICROSOFT_KEY
    assert card.rss.transform is Transform.NONE
    where = {host: steered(fake, web(host)).queue for host in range(1, 200)}
    counts = Counter(where.values())
    assert set(counts) == {0, 1, 3}
    assert min(counts.values()) > 40
    assert all(steered(fake, web(host)).queue == queue for host, queue in where.items())


@pytest.mark.parametrize("count", [1, 3, 31, 32])
def test_each_queue_has_four_rows_at_least(count):  # checklist 3
    card = Card(FakeCard(queues=64))
    card.rss.set_queues(range(count))
    rows = Counter(card.rss.table)
    assert set(rows) == set(range(count))
    assert min(rows.values()) >= 4
    assert max(rows.values()) - min(rows.values()) <= 1


def test_more_queues_than_the_table_serves_are_refused():
    card = Card(FakeCard(queues=64))
    for queues in (range(33), ()):
        with pytest.raises(ValueError, match=r"serves 1 to 32 queues, 4 rows each at least; not"):
            card.rss.set_queues(queues)
    with pytest.raises(ValueError, match="there is no queue 64"):
        card.rss.set_queues([0, 64])
    with pytest.raises(ValueError, match="an RSS key has 40 bytes, not 39"):
        card.rss.key = bytes(39)
    with pytest.raises(ValueError, match="the indirection table has 128 rows, not 3"):
        card.rss.table = [0, 1, 2]


def test_which_protocols_hash_their_ports():
    fake = FakeCard()
    card = Card(fake)
    assert card.rss.ports_of == {L4.TCP, L4.UDP}
    card.rss.ports_of = [L4.UDP]
    assert steered(fake, web()).hash_type is HashType.L3
    card.rss.transform = Transform.XOR
    assert card.rss.ports_of == {L4.UDP}
    with pytest.raises(ValueError, match="hashes ports of TCP and UDP, not of SCTP"):
        card.rss.ports_of = [L4.SCTP, L4.TCP]


# Rules


def test_a_rule_wins_and_the_lowest_number_first():
    fake = FakeCard()
    card = Card(fake)
    card.steer_by_hash([0])
    assert card.rules.add("tcp dst port 80 -> queue 1 mark 5") == 0
    assert card.rules.add(FlowRule(queue=None, l3=L3.IPV4), 9) == 9
    assert card.rules.add("-> queue 3") == 1
    assert (steered(fake, web()).queue, steered(fake, web()).mark) == (1, 5)
    assert steered(fake, web(dport=81)).queue == 3
    card.rules.delete(1)
    assert steered(fake, web(dport=81)).cause is DropCause.RULE
    assert dict(card.rules) == {0: parse_rule("dst port 80 tcp -> queue 1 mark 5"),
                                9: parse_rule("ip -> drop")}
    card.rules.clear()
    assert not card.rules
    assert steered(fake, web()).queue == 0


@pytest.mark.parametrize(("text", "rule"), [
    ("tcp dst port 80 -> queue 2", FlowRule(queue=2, protocol=6, destination_port=80)),
    ("udp src 10.0.0.1 src port 0x35 vlan 5 -> drop mark 9", FlowRule(
        protocol=17, source=ipaddress.ip_address("10.0.0.1"), source_port=53, vlan=5, mark=9)),
    ("ip6 dst fe80::1 proto 89->queue 0", FlowRule(
        queue=0, l3=L3.IPV6, destination=ipaddress.ip_address("fe80::1"), protocol=89)),
    ("arp -> queue 1", FlowRule(queue=1, l3=L3.ARP)), ("-> drop", FlowRule()),
])
def test_rules_as_text(text, rule):
    assert parse_rule(text) == rule
    assert FlowRule.unpack(rule.pack()) == rule


@pytest.mark.parametrize(("text", "complaint"), [
    ("tcp queue 1", "it has no ->; write what to match -> queue N, or -> drop"),
    ("tcp -> ", "behind -> comes queue N, or drop"),
    ("tcp -> queue", "a number must follow queue"),
    ("tcp -> queue 1 2", "nothing may follow but mark N; '2' does"),
    ("tcp port 80 -> drop", "'port' is nothing to match"),
    ("tcp udp -> drop", "it names protocol twice"),
    ("src port x -> drop", "a number must follow src port"),
    ("src 10.0.0 -> drop", "an IP address, or port and a number, must follow src, not '10.0.0'"),
    ("src 10.0.0.1 dst ::1 -> drop", "a rule is of one family, not of IPV4 and IPV6"),
    ("dst port 65536 -> drop", "destination port is 0 to 65535, not 65536"),
    ("vlan 4096 -> drop", "vlan is 0 to 4095, not 4096"),
    ("-> queue 64", "queue is 0 to 63, not 64"),
])
def test_what_is_wrong_with_a_text(text, complaint):
    with pytest.raises(ValueError, match=re.escape(
            f"flow rule {text.strip()!r}: {complaint}") + "$"):
        parse_rule(text)


def test_rules_that_cannot_be_added():
    card = Card(FakeCard(queues=4))
    with pytest.raises(ValueError, match="there is no queue 4"):
        card.rules.add("-> queue 4")
    with pytest.raises(ValueError, match="numbered 0 to 63; there is no number 64"):
        card.rules.add("-> drop", 64)
    for _ in range(abi.RULES):
        card.rules.add("vlan 1 -> drop")
    with pytest.raises(CardError, match="flow rule 7 is in place already; delete it first"):
        card.rules.add("-> drop", 7)
    with pytest.raises(CardError, match="all 64 flow rules are in place; delete one first"):
        card.rules.add("-> drop")
    with pytest.raises(KeyError):
        Card(FakeCard()).rules.delete(0)
    card.reset()
    assert len(card.rules) == 0
    assert card.rules.add("-> drop") == 0


def test_an_address_of_the_other_family_is_not_met():
    """::10.0.0.1 and 10.0.0.1 are the same number, but not the same address."""
    fake = FakeCard()
    card = Card(fake)
    card.rules.add("src 10.0.0.1 -> drop")
    assert steered(fake, web(1)).cause is DropCause.RULE
    assert steered(fake, bytes(Ether() / IPv6(src="::10.0.0.1", dst="::1") / UDP())).cause is None


# Filters


def test_filters_after_reset_take_everything():
    card = Card(FakeCard())
    assert (card.filters.promiscuous, card.filters.broadcast, card.filters.untagged) == (True,) * 3
    assert not card.filters.all_multicast
    assert card.filters.vlans is None
    assert card.filters.addresses == frozenset()


def test_addresses_that_stay_keep_their_rows():
    fake = FakeCard()
    card = Card(fake)
    card.filters.promiscuous = card.filters.broadcast = False
    card.filters.addresses = [f"02:00:00:00:00:{n:02x}" for n in range(8)]
    writes = fake.writes[abi.STEER.address("ADDRESS_HIGH")]
    card.filters.addresses = [0x020000000009, *range(0x020000000001, 0x020000000008)]
    assert fake.writes[abi.STEER.address("ADDRESS_HIGH")] == writes + 3
    assert card.filters.addresses == {0x020000000009, *range(0x020000000001, 0x020000000008)}
    assert steered(fake, web()).cause is None
    for other in ("02:00:00:00:00:00", "01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff"):
        assert steered(fake, bytes(Ether(dst=other) / IP())).cause is DropCause.MAC_FILTER
    with pytest.raises(CardError, match="the card knows 8 addresses, not 9"):
        card.filters.addresses = range(9)


def test_groups_by_hash():
    fake = FakeCard()
    card = Card(fake)
    card.filters.promiscuous = False
    card.filters.set_groups(["01:00:5e:00:00:01", 0x3333FF000001])
    assert steered(fake, bytes(Ether(dst="01:00:5e:00:00:01") / IP())).cause is None
    assert steered(fake, bytes(Ether(dst="01:00:5e:00:00:02") / IP())).cause is not None
    card.filters.all_multicast = True
    assert steered(fake, bytes(Ether(dst="01:00:5e:00:00:02") / IP())).cause is None
    with pytest.raises(ValueError, match="020000000001 is no group address"):
        card.filters.set_groups(["02:00:00:00:00:01"])


def test_the_multicast_hash_is_that_of_other_cards():
    """By Linux' ether_crc: the register shifts left, over each byte's bits from the lowest on."""
    for address in (0x01005E000001, 0x3333FF123456, BROADCAST, 0):
        crc = 0xFFFFFFFF
        for byte in address.to_bytes(6, "big"):
            for bit in range(8):
                feedback = (crc >> 31 ^ byte >> bit) & 1
                crc = crc << 1 & 0xFFFFFFFF ^ (0x04C11DB7 if feedback else 0)
        assert multicast_hash(address) == crc >> 26


def test_vlans():
    fake = FakeCard()
    card = Card(fake)
    tagged = bytes(Ether() / Dot1Q(vlan=4095) / IP())
    card.filters.vlans = [1, 100, 4095]
    card.filters.untagged = False
    assert card.filters.vlans == {1, 100, 4095}
    assert steered(fake, tagged).cause is None
    assert steered(fake, web()).cause is DropCause.VLAN_FILTER
    card.filters.vlans = []
    assert steered(fake, tagged).cause is DropCause.VLAN_FILTER
    card.filters.vlans = None
    assert steered(fake, tagged).cause is None
    with pytest.raises(ValueError, match="VLANs are 0 to 4095; there is no 4096"):
        card.filters.vlans = [4096]


@pytest.mark.parametrize("text", ["02:00:00:00:00", "02:00:00:00:00:0g", "2:0:0:0:0:1", 1 << 48])
def test_what_is_no_mac_address(text):
    with pytest.raises(ValueError, match="six pairs of hexadecimal digits, not"):
        parse_address(text)
