"""Flow rules: frames that meet one go to its queue, or are dropped, whatever their hash says.

A rule is an object, or a line of text: ``tcp dst 10.0.0.1 dst port 80 -> queue 2 mark 7``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pagering import abi
from pagering.abi import L3
from pagering.errors import CardError
from pagering.polling import wait_until
from pagering.registers import RegisterMap

__all__ = ["FlowRule", "FlowRules", "parse_rule"]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132, "icmp": 1, "icmp6": 58}
_FAMILIES = {"ip": L3.IPV4, "ip6": L3.IPV6, "arp": L3.ARP}


@dataclass(frozen=True)
class FlowRule:
    """What a frame must have, and what then happens to it. What is None is not looked at.

    Raises
    ------
    ValueError
        With a sentence, if the rule cannot be.

    """

    queue: int | None = None
    """Where the frame goes; None drops it."""
    source: Address | None = None
    destination: Address | None = None
    source_port: int | None = None
    """A fragment has no port to match."""
    destination_port: int | None = None
    protocol: int | None = None
    """IP protocol number."""
    l3: L3 | None = None
    """Follows from an address."""
    vlan: int | None = None
    """Of the outer tag; an untagged frame has none."""
    mark: int = 0
    """Goes to the frame's completion, if that is an extended one."""

    def __post_init__(self) -> None:
        for name, limit in (("source_port", 1 << 16), ("destination_port", 1 << 16),
                            ("protocol", 1 << 8), ("vlan", 1 << 12), ("mark", 1 << 16),
                            ("queue", abi.QUEUES_MAX)):
            value = getattr(self, name)
            if value is not None and not 0 <= value < limit:
                raise ValueError(f"{name.replace('_', ' ')} is 0 to {limit - 1}, not {value}")
        families = {L3.IPV4 if address.version == 4 else L3.IPV6
                    for address in (self.source, self.destination) if address is not None}
        if self.l3 is not None:
            families.add(self.l3)
        if len(families) > 1:
            raise ValueError(f"a rule is of one family, not of "
                             f"{' and '.join(sorted(family.name for family in families))}")
        for family in families:
            object.__setattr__(self, "l3", family)

    def pack(self) -> int:
        """Return the rule as :data:`pagering.abi.RULE` has it."""
        fields: dict[str, int] = {}
        for name in ("source", "destination", "source_port", "destination_port", "protocol",
                     "l3", "vlan"):
            value = getattr(self, name)
            fields |= {f"match_{name}": value is not None, name: int(value or 0)}
        return abi.RULE.pack(queue=self.queue or 0, drop=self.queue is None, mark=self.mark,
                             **fields)

    @classmethod
    def unpack(cls, word: int) -> FlowRule:
        """Return the rule that the card holds."""
        fields = abi.RULE.unpack(word)
        known: dict[str, int] = {
            name: fields[name] for name in ("source_port", "destination_port", "protocol", "vlan")
            if fields[f"match_{name}"]}
        l3 = L3(fields["l3"]) if fields["match_l3"] else None
        kind = ipaddress.IPv4Address if l3 is L3.IPV4 else ipaddress.IPv6Address
        source, destination = (kind(fields[name]) if fields[f"match_{name}"] else None
                               for name in ("source", "destination"))
        return cls(queue=None if fields["drop"] else fields["queue"], l3=l3, source=source,
                   destination=destination, mark=fields["mark"], **known)


class FlowRules(Mapping[int, FlowRule]):
    """The card's rules by number. Of those that a frame meets, the lowest number wins."""

    def __init__(self, registers: RegisterMap, queues: int, timeout: float) -> None:
        self._steer = registers.steer
        self._queues = queues
        self._timeout = timeout
        self._numbers: set[int] = set()

    def add(self, rule: FlowRule | str, number: int | None = None) -> int:
        """Put a rule in place; return its number.

        A rule comes into effect whole. To change one, delete it and add another: in between,
        frames go where the other rules or the hash send them.

        Parameters
        ----------
        rule
            A rule, or its text as of :func:`parse_rule`.
        number
            Which of the 64; the first free one if left out.

        Raises
        ------
        ValueError
            If the rule or its number is none.
        CardError
            If the number is taken, none is left, or the card does not finish.

        """
        rule = parse_rule(rule) if isinstance(rule, str) else rule
        if rule.queue is not None and rule.queue >= self._queues:
            raise ValueError(f"the card has queues 0 to {self._queues - 1}; there is no queue "
                             f"{rule.queue}")
        number = self._free(number)
        word = rule.pack()
        for at in range(abi.RULE_WORDS):
            self._steer.ROW.write(row=number, word=at)
            self._steer.RULE_WORD.write(value=word >> 32 * at & 0xFFFFFFFF)
        self._steer.RULE.write(enable=1)
        wait_until(lambda: self._steer.RULE.read() == {"enable": 1, "busy": 0},
                   f"the card has flow rule {number} in place", "reset the card", self._timeout)
        self._numbers.add(number)
        return number

    def delete(self, number: int) -> None:
        """Take a rule off, at once.

        Raises
        ------
        KeyError
            If there is no rule of this number.

        """
        self._select(number)
        self._steer.RULE.write(enable=0)
        self._numbers.discard(number)

    def clear(self) -> None:
        """Take all rules off."""
        for number in list(self):
            self.delete(number)

    def forget(self) -> None:
        """Know that the card has been reset, and has no rules any more."""
        self._numbers.clear()

    def __getitem__(self, number: int) -> FlowRule:
        self._select(number)
        word = 0
        for at in range(abi.RULE_WORDS):
            self._steer.ROW.write(row=number, word=at)
            word |= self._steer.RULE_WORD.get() << 32 * at
        return FlowRule.unpack(word)

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self._numbers))

    def __len__(self) -> int:
        return len(self._numbers)

    def _select(self, number: int) -> None:
        if number not in self._numbers:
            raise KeyError(number)
        self._steer.ROW.write(row=number)

    def _free(self, number: int | None) -> int:
        if number is not None and not 0 <= number < abi.RULES:
            raise ValueError(f"flow rules are numbered 0 to {abi.RULES - 1}; there is no number "
                             f"{number}")
        if number in self._numbers:
            raise CardError(f"flow rule {number} is in place already; delete it first")
        left = [free for free in range(abi.RULES) if free not in self._numbers]
        if not left:
            raise CardError(f"all {abi.RULES} flow rules are in place; delete one first")
        return left[0] if number is None else number


def parse_rule(text: str) -> FlowRule:
    """Read a rule such as ``udp src 10.0.0.1 dst port 53 vlan 5 -> queue 1 mark 9``.

    Left of the arrow, in any order: ``ip``, ``ip6``, ``arp``, ``tcp``, ``udp``, ``sctp``,
    ``icmp``, ``icmp6``, ``proto N``, ``src ADDRESS``, ``dst ADDRESS``, ``src port N``,
    ``dst port N``, ``vlan N``; nothing stands for every frame. Right of it: ``queue N`` or
    ``drop``, then ``mark N`` if wanted.

    Raises
    ------
    ValueError
        With a sentence that names the rule and what is wrong with it.

    """
    left, arrow, right = text.partition("->")
    try:
        if not arrow:
            raise ValueError("it has no ->; write what to match -> queue N, or -> drop")
        return FlowRule(**_matches(left.split()), **_action(right.split()))
    except ValueError as error:
        raise ValueError(f"flow rule {text.strip()!r}: {error}") from None


def _matches(words: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def note(name: str, value: Any) -> None:
        if name in found:
            raise ValueError(f"it names {name.replace('_', ' ')} twice")
        found[name] = value
    while words:
        word = words.pop(0)
        if word in _FAMILIES:
            note("l3", _FAMILIES[word])
        elif word in _PROTOCOLS:
            note("protocol", _PROTOCOLS[word])
        elif word in ("proto", "vlan"):
            note({"proto": "protocol"}.get(word, word), _number(word, words))
        elif word in ("src", "dst"):
            name = {"src": "source", "dst": "destination"}[word]
            if words[:1] == ["port"]:
                note(f"{name}_port", _number(f"{word} {words.pop(0)}", words))
            else:
                note(name, _address(word, words))
        else:
            raise ValueError(f"{word!r} is nothing to match")
    return found


def _action(words: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    match words[:1]:
        case ["queue"]:
            del words[0]
            found["queue"] = _number("queue", words)
        case ["drop"]:
            del words[0]
        case _:
            raise ValueError("behind -> comes queue N, or drop")
    if words[:1] == ["mark"]:
        del words[0]
        found["mark"] = _number("mark", words)
    if words:
        raise ValueError(f"nothing may follow but mark N; {words[0]!r} does")
    return found


def _number(what: str, words: list[str]) -> int:
    try:
        return int(words.pop(0), 0)
    except (IndexError, ValueError):
        raise ValueError(f"a number must follow {what}") from None


def _address(what: str, words: list[str]) -> Address:
    word = words.pop(0) if words else ""
    try:
        return ipaddress.ip_address(word)
    except ValueError:
        raise ValueError(f"an IP address, or port and a number, must follow {what}, not "
                         f"{word!r}") from None
