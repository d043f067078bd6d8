"""Where a frame may go: filters, flow rules and receive-side scaling, by their software twins.

Each setting is a :class:`Knob` of its own: a frame that was under way while one changed may have
gone by its old value and by the new one of another.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from pagering import abi
from pagering.abi import L3, L4, DropCause, HashType, Transform
from pagering.dissect import Dissection, FlowKey
from pagering.fake_steering import meets
from pagering.filters import BROADCAST, is_group, multicast_hash
from pagering.toeplitz import KEY_BYTES, entry_of, hash_input, toeplitz
from pagering_hdl.config import CardConfig

from .knobs import Knob

__all__ = ["FilterState", "Hashing", "Steering", "rule_for"]


@dataclass(frozen=True)
class Hashing:
    """What the hash is made of; ``key`` is None while its words are being written."""

    transform: Transform = Transform.NONE
    tcp: bool = True
    udp: bool = True
    key: bytes | None = bytes(KEY_BYTES)


@dataclass(frozen=True)
class FilterState:
    """Which frames the card takes."""

    promiscuous: bool = True
    all_multicast: bool = False
    broadcast: bool = True
    vlan: bool = False
    untagged: bool = True
    multicast: int = 0
    """The group addresses' hashes that are taken, a bit each."""
    addresses: tuple[int | None, ...] = (None,) * abi.ADDRESSES
    vlans: frozenset[int] = frozenset()

    def takes_address(self, address: int) -> bool:
        """Return whether frames to a MAC address are taken."""
        if self.promiscuous or address in self.addresses:
            return True
        if address == BROADCAST:
            return self.broadcast
        return is_group(address) and (
            self.all_multicast or bool(self.multicast >> multicast_hash(address) & 1))

    def takes_vlan(self, tagged: bool, vlan: int) -> bool:
        """Return whether frames with such a tag, or with none, are taken."""
        return not self.vlan or (vlan in self.vlans if tagged else self.untagged)


Rules = tuple[tuple[int, int], ...]
"""Flow rules that are enabled: number and what ``RULE_WORD`` holds; lowest number first."""


@lru_cache(4096)
def _hash(hashing: Hashing, flow: FlowKey, l3: L3, l4: L4, fragment: bool) -> tuple[int, HashType]:
    if hashing.key is None or l3 not in (L3.IPV4, L3.IPV6):
        return 0, HashType.NONE
    ports = not fragment and (l4 is L4.TCP and hashing.tcp or l4 is L4.UDP and hashing.udp)
    kind = HashType.L4 if ports else HashType.L3
    size = 4 if l3 is L3.IPV4 else 16
    return toeplitz(hashing.key, hash_input(
        kind, flow.source.to_bytes(size, "big"), flow.destination.to_bytes(size, "big"),
        flow.source_port, flow.destination_port, hashing.transform)), kind


@lru_cache(4096)
def _met(rules: Rules, found: Dissection) -> dict[str, int] | None:
    for _, word in rules:
        rule = abi.RULE.unpack(word)
        if meets(found, rule):
            return rule
    return None


def rule_for(found: Dissection, match: int, **fields: int) -> int:
    """Return a flow rule that a frame meets; ``match`` has a bit for each field to look at."""
    flow, facts = found.flow, found.facts
    wanted = {name: match >> at & 1 for at, name in enumerate((
        "match_l3", "match_source", "match_destination", "match_source_port",
        "match_destination_port", "match_protocol", "match_vlan"))}
    if not wanted["match_l3"] or facts.l3 not in (L3.IPV4, L3.IPV6):
        wanted["match_source"] = wanted["match_destination"] = 0
    return abi.RULE.pack(
        source=flow.source, destination=flow.destination, source_port=flow.source_port,
        destination_port=flow.destination_port, protocol=flow.protocol, l3=facts.l3,
        vlan=facts.tci & 0xFFF, **wanted, **fields)


class Steering:
    """All settings of block STEER, and CARD.STEERING."""

    def __init__(self, config: CardConfig) -> None:
        self.config = config
        self.route: Knob[tuple[int, ...] | None] = Knob((0,))
        """The queues that frames go to, or None: by their hash."""
        self.hashing = Knob(Hashing())
        self.rows = [Knob(0) for _ in range(abi.INDIRECTION_ROWS)]
        self.filter = Knob(FilterState())
        self.rules: Knob[Rules] = Knob(())

    def set_rule(self, number: int, word: int | None) -> None:
        """Note that a rule is being enabled or disabled."""
        rules = dict(self.rules.now)
        if word is None:
            rules.pop(number, None)
        else:
            rules[number] = word
        self.rules.set(tuple(sorted(rules.items())))

    def hashes(self, found: Dissection) -> set[tuple[int, HashType]] | None:
        """Return what the hash of a frame may be, or None: anything."""
        facts = found.facts
        if any(hashing.key is None for hashing in self.hashing.values):
            return None
        return {_hash(hashing, found.flow, facts.l3, facts.l4, facts.fragment)
                for hashing in self.hashing.values}

    def _rules_met(self, found: Dissection) -> Iterator[dict[str, int] | None]:
        return (_met(rules, found) for rules in self.rules.values)

    def marks(self, found: Dissection) -> set[int]:
        """Return the marks that a frame may have got."""
        return {0 if rule is None else rule["mark"] for rule in self._rules_met(found)}

    def queues(self, found: Dissection) -> set[int]:
        """Return the queues that a frame may go to."""
        queues: set[int] = set()
        met = list(self._rules_met(found))
        queues.update(rule["queue"] for rule in met if rule is not None and not rule["drop"])
        if all(rule is not None and not rule["drop"] for rule in met):
            return queues
        for route in self.route.values:
            queues.update(self._by_hash(found) if route is None else route)
        return queues

    def _by_hash(self, found: Dissection) -> set[int]:
        hashes = self.hashes(found)
        rows = self.rows if hashes is None else [self.rows[entry_of(value)] for value, _ in hashes]
        return set(itertools.chain.from_iterable(row.values for row in rows))

    def drops(self, found: Dissection) -> tuple[set[str], bool]:
        """Return the causes under which a frame may have been dropped here, and if it must be."""
        facts = found.facts
        causes: set[str] = set()
        certain = False
        rules = list(self._rules_met(found))
        for cause, verdicts in (
                (DropCause.MAC_FILTER,
                 [not state.takes_address(found.destination) for state in self.filter.values]),
                (DropCause.VLAN_FILTER,
                 [not state.takes_vlan(facts.vlan, facts.tci & 0xFFF)
                  for state in self.filter.values]),
                (DropCause.RULE, [rule is not None and bool(rule["drop"]) for rule in rules])):
            if any(verdicts) and not certain:
                causes.add(cause.name)
            certain = certain or all(verdicts)
        return causes, certain

    def settle(self) -> None:
        """The card is at rest: the past is over."""
        for knob in (self.route, self.hashing, self.filter, self.rules, *self.rows):
            knob.settle()
