"""Steering of the in-memory card: filters, flow rules, receive-side scaling, in this order.

It holds what the registers of block STEER set, and decides about one frame at a time. A rule that
is enabled is in place at once; the card takes a while.
"""

from __future__ import annotations

from dataclasses import dataclass

from pagering import abi
from pagering.abi import L3, L4, DropCause, HashType, SteeringMode, Transform
from pagering.dissect import Dissection
from pagering.filters import BROADCAST, is_group, multicast_hash
from pagering.toeplitz import entry_of, hash_input, toeplitz

__all__ = ["FakeSteering", "Steered"]

_ROWS = {"KEY": abi.KEY_WORDS, "INDIRECTION": abi.INDIRECTION_ROWS, "VLANS": abi.VLAN_ROWS,
         "ADDRESS_LOW": abi.ADDRESSES, "ADDRESS_HIGH": abi.ADDRESSES}
_IP = (L3.IPV4, L3.IPV6)
_WITH_PORTS = (L4.TCP, L4.UDP, L4.SCTP)


@dataclass(frozen=True)
class Steered:
    """Where a frame goes, and what steering found out about it."""

    queue: int
    cause: DropCause | None
    hash: int
    hash_type: HashType
    mark: int


class FakeSteering:
    """All state of block STEER and of CARD.STEERING.

    ``hashes`` is false on a card without block STEER: then nothing is set there.
    """

    def __init__(self, queues: int, hashes: bool = True) -> None:
        self.queues = queues
        self.hashes = hashes
        self.mode = SteeringMode.FIXED
        self.queue = self.last = self._turn = 0
        self._words = {register.name: register.reset for register in abi.STEER}
        self._tables: dict[str, list[dict[str, int]]] = {
            name: [abi.STEER[name].unpack(0) for _ in range(rows)] for name, rows in _ROWS.items()}
        self._rules = [0] * abi.RULES
        self._enabled: set[int] = set()

    # Frames

    def steer(self, found: Dissection) -> Steered:
        """Decide about one frame that came in whole."""
        # The turn moves on with every frame, in the other modes too.
        turn = self._turn
        self._turn = 0 if turn >= self.last else turn + 1
        value, hash_type = self.hash(found)
        queue = {SteeringMode.FIXED: self.queue, SteeringMode.ROUND_ROBIN: turn,
                 SteeringMode.RSS: self._tables["INDIRECTION"][entry_of(value)]["queue"]}[self.mode]
        rule = next((abi.RULE.unpack(self._rules[number]) for number in sorted(self._enabled)
                     if meets(found, abi.RULE.unpack(self._rules[number]))), None)
        if rule is not None and not rule["drop"]:
            queue = rule["queue"]
        cause = None
        if not self._takes_address(found.destination):
            cause = DropCause.MAC_FILTER
        elif not self._takes_vlan(found):
            cause = DropCause.VLAN_FILTER
        elif rule is not None and rule["drop"]:
            cause = DropCause.RULE
        return Steered(queue, cause, value, hash_type, rule["mark"] if rule is not None else 0)

    def hash(self, found: Dissection) -> tuple[int, HashType]:
        """Return the hash of a frame, and what it is of."""
        facts, rss = found.facts, abi.STEER["RSS"].unpack(self._words["RSS"])
        if facts.l3 not in _IP or not self.hashes:
            return 0, HashType.NONE
        ports = not facts.fragment and ((facts.l4 is L4.TCP and rss["tcp"] == 1)
                                        or (facts.l4 is L4.UDP and rss["udp"] == 1))
        hash_type = HashType.L4 if ports else HashType.L3
        size, flow = 4 if facts.l3 is L3.IPV4 else 16, found.flow
        key = b"".join(row["key"].to_bytes(4, "big") for row in self._tables["KEY"])
        return toeplitz(key, hash_input(
            hash_type, flow.source.to_bytes(size, "big"), flow.destination.to_bytes(size, "big"),
            flow.source_port, flow.destination_port, Transform(rss["transform"]))), hash_type

    def _takes_address(self, address: int) -> bool:
        settings = abi.STEER["FILTER"].unpack(self._words["FILTER"])
        rows = zip(self._tables["ADDRESS_HIGH"], self._tables["ADDRESS_LOW"], strict=True)
        if settings["promiscuous"] or any(
                high["valid"] and high["address"] << 32 | low["address"] == address
                for high, low in rows):
            return True
        if address == BROADCAST:
            return bool(settings["broadcast"])
        hashes = self._words["MULTICAST_1"] << 32 | self._words["MULTICAST_0"]
        return is_group(address) and bool(
            settings["all_multicast"] or hashes >> multicast_hash(address) & 1)

    def _takes_vlan(self, found: Dissection) -> bool:
        settings = abi.STEER["FILTER"].unpack(self._words["FILTER"])
        if not settings["vlan"]:
            return True
        if not found.facts.vlan:
            return bool(settings["untagged"])
        row, bit = divmod(found.facts.tci & 0xFFF, 32)
        return bool(self._tables["VLANS"][row]["vlans"] >> bit & 1)

    # Registers

    def read(self, name: str) -> dict[str, int]:
        """Return the fields of a register of block STEER."""
        place = abi.STEER["ROW"].unpack(self._words["ROW"])
        row, word = place["row"], place["word"]
        if name in _ROWS:
            table = self._tables[name]
            return table[row] if row < len(table) else abi.STEER[name].unpack(0)
        if name == "RULE_WORD":
            there = row < abi.RULES and word < abi.RULE_WORDS
            return {"value": self._rules[row] >> 32 * word & 0xFFFFFFFF if there else 0}
        if name == "RULE":
            return {"enable": int(row in self._enabled), "busy": 0}
        return abi.STEER[name].unpack(self._words[name])

    def write(self, name: str, fields: dict[str, int]) -> bool:
        """Set a register; return whether the value was acceptable."""
        place = abi.STEER["ROW"].unpack(self._words["ROW"])
        row, word = place["row"], place["word"]
        if name in _ROWS:
            fine = row < _ROWS[name] and (name != "INDIRECTION" or fields["queue"] < self.queues)
            if fine:
                self._tables[name][row] = fields
            return fine
        if name == "RULE_WORD":
            return self._set_rule_word(row, word, fields["value"])
        if name == "RULE":
            if row < abi.RULES:
                (self._enabled.add if fields["enable"] else self._enabled.discard)(row)
            return row < abi.RULES
        if name == "RSS" and fields["transform"] not in list(Transform):
            return False
        self._words[name] = abi.STEER[name].pack(**fields)
        return True

    def _set_rule_word(self, row: int, word: int, value: int) -> bool:
        if row >= abi.RULES or word >= abi.RULE_WORDS or row in self._enabled:
            return False
        last = word == abi.RULE_WORDS - 1
        if last and not self._possible(abi.RULE.unpack(value << 32 * word)):
            return False
        self._rules[row] = self._rules[row] & ~(0xFFFFFFFF << 32 * word) | value << 32 * word
        return True

    def _possible(self, rule: dict[str, int]) -> bool:
        address = rule["match_source"] or rule["match_destination"]
        ip = rule["match_l3"] and rule["l3"] in _IP
        return bool((ip or not address) and (rule["drop"] or rule["queue"] < self.queues))


def meets(found: Dissection, rule: dict[str, int]) -> bool:
    """Return whether a frame has all that a rule asks for."""
    flow, facts = found.flow, found.facts
    ports = facts.l4 in _WITH_PORTS and not facts.fragment
    address = (1 << 128) - 1 if rule["l3"] == L3.IPV6 else (1 << 32) - 1
    return all((
        not rule["match_l3"] or facts.l3 == rule["l3"],
        not rule["match_source"] or flow.source & address == rule["source"] & address,
        not rule["match_destination"]
        or flow.destination & address == rule["destination"] & address,
        not rule["match_source_port"] or (ports and flow.source_port == rule["source_port"]),
        not rule["match_destination_port"]
        or (ports and flow.destination_port == rule["destination_port"]),
        not rule["match_protocol"] or flow.protocol == rule["protocol"],
        not rule["match_vlan"] or (facts.vlan and facts.tci & 0xFFF == rule["vlan"]),
    ))
