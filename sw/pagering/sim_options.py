"""What one run of ``pagering sim`` is told: values, their ranges, and nothing that runs.

Standard library only: the command builds it, the simulation bench reads it, and ``report.json``
repeats it, each in its own process.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pagering import abi
from pagering.errors import PageringError
from pagering.flow_rules import parse_rule
from pagering.returns import ReturnWay
from pagering.rss import ROWS_PER_QUEUE_MIN
from pagering.toeplitz import KEY_BYTES, MICROSOFT_KEY, SYMMETRIC_KEY

__all__ = ["BUS_WIDTHS", "SIMULATORS", "SimOptions"]

BUS_WIDTHS = (64, 128, 256, 512)
SIMULATORS = ("verilator", "icarus")
_POLICIES = tuple(policy.name.lower() for policy in abi.Policy)


def _power_of_two(value: int) -> bool:
    return value > 0 and value & (value - 1) == 0


@dataclass(frozen=True)
class SimOptions:
    """One run. Sizes are in bytes, times in cycles of the card's clock, unless they say otherwise.

    A value out of range is no error before :meth:`validate` is called.
    """

    pcap: Path | None = None
    """The input; ``None`` is the shipped capture."""
    out: Path = Path("sim_out")
    """Folder for the results."""
    bus_bits: int = 64
    queues: int = 4
    pools: int = 4
    """Queue ``q`` draws from pool ``q % pools``."""
    pages: int = 1024
    """Pages of all pools together."""
    page_bytes: int = 4096
    chunk_bytes: int = 4096
    policy: str = "fifo"
    ring_entries: int = 1024
    """Completions in the ring of each queue."""
    latency: int = 64
    """From the last beat of a memory write to its response."""
    stalls: float = 0.0
    """Probability that the memory is not ready, in each cycle and on each channel."""
    host_delay: int = 0
    """How long the host holds each burst of frames before it returns their pages."""
    seed: int = 1
    waves: bool = False
    simulator: str = "verilator"
    clock_mhz: float = 125.0
    """The clock that Gb/s is reckoned at; it changes nothing in the simulation."""
    steering: str = "round-robin"
    """``round-robin``, ``rss``, or ``fixed:Q`` for all frames to queue Q."""
    rss_key: str = "microsoft"
    """``microsoft``, ``symmetric``, or 80 hexadecimal digits."""
    rules: tuple[str, ...] = ()
    """Flow rules as :func:`pagering.flow_rules.parse_rule` reads them, the strongest first."""
    moderation: str = "0:0"
    """``USECS:FRAMES``, when each queue interrupts; microseconds at ``clock_mhz``."""
    split_headers: int | None = None
    """Split frames of more bytes than this in headers and payload; ``None`` splits none."""
    hold: bool = False
    """A frame that finds no memory waits (else: it is dropped)."""
    timestamps: bool = False
    """Extended completions; ``out.pcap`` is dated by the card's clock."""
    returns: str = "push"
    """Which way tokens go back: ``push``, ``pull`` or ``auto``."""

    def validate(self) -> SimOptions:
        """Check every value; return ``self`` if all are in range.

        Raises
        ------
        PageringError
            Naming the option, what it takes and what it was.
        """
        self._one_of("--bus", self.bus_bits, BUS_WIDTHS)
        self._between("--queues", self.queues, 1, abi.QUEUES_MAX)
        self._between("--pools", self.pools, 1, min(abi.POOLS_MAX, self.queues),
                      "no more than --queues")
        self._power("--page-size", self.page_bytes, 4096, 65536)
        self._power("--chunk", self.chunk_bytes,
                    max(64, self.page_bytes // abi.CHUNKS_PER_PAGE_MAX), self.page_bytes)
        self._power("--pages", self.pages, max(2, self._pool_slots), 1 << abi.PAGE_ID_BITS)
        self._one_of("--policy", self.policy, _POLICIES)
        self._power("--ring", self.ring_entries, 1 << abi.RING_LOG2_MIN, 1 << abi.RING_LOG2_MAX)
        self._between("--latency", self.latency, 0, 100_000)
        self._between("--stalls", self.stalls, 0, 0.95)
        self._between("--host-delay", self.host_delay, 0, 10_000_000)
        self._between("--seed", self.seed, 0, 2**32 - 1)
        self._between("--clock", self.clock_mhz, 1, 2000, "MHz")
        if self.split_headers is not None:
            self._between("--split-headers", self.split_headers, 0, 65535)
            self._between("--pools", self.pools, 1, abi.POOLS_MAX - 1,
                          "headers that go apart take one more")
        self._one_of("--returns", self.returns, [way.value for way in ReturnWay])
        self._one_of("--simulator", self.simulator, SIMULATORS)
        self._steering()
        self._moderation()
        self._check_rules()
        return self

    @property
    def steering_mode(self) -> abi.SteeringMode:
        """How the card picks a queue."""
        return self._steering()[0]

    @property
    def steering_queue(self) -> int:
        """The queue of all frames, if ``fixed``; else 0."""
        return self._steering()[1]

    @property
    def moderation_limits(self) -> tuple[float, int]:
        """Microseconds and completions: what :attr:`pagering.RxQueue.moderation` is set to."""
        return self._moderation()

    @property
    def rss_key_bytes(self) -> bytes:
        """The key of the hash.

        Raises
        ------
        PageringError
            If ``rss_key`` names none.
        """
        known = {"microsoft": MICROSOFT_KEY, "symmetric": SYMMETRIC_KEY}
        if self.rss_key in known:
            return known[self.rss_key]
        try:
            key = bytes.fromhex(self.rss_key)
        except ValueError:
            key = b""
        if len(key) != KEY_BYTES:
            raise PageringError(f"--rss-key must be microsoft, symmetric or {2 * KEY_BYTES} "
                                f"hexadecimal digits, not {self.rss_key}")
        return key

    @property
    def region_pages(self) -> int:
        """Pages to register at a time: every pool gets regions, and the slots suffice."""
        return max(1, self.pages // abi.REGION_SLOTS_MAX, min(64, self.pages // self._pool_slots))

    @property
    def card_pools(self) -> int:
        """``pools``, and one for headers that go apart."""
        return self.pools + (self.split_headers is not None)

    @property
    def _pool_slots(self) -> int:
        """``card_pools``, rounded up to a power of two."""
        return 1 << max(0, self.card_pools - 1).bit_length()

    def to_json(self) -> str:
        """Return all values as JSON, for another process or a report."""
        return json.dumps(dataclasses.asdict(self), default=str, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> SimOptions:
        """Return what :meth:`to_json` was called on."""
        values = json.loads(text)
        pcap = values.pop("pcap")
        return cls(pcap=Path(pcap) if pcap else None, out=Path(values.pop("out")),
                   rules=tuple(values.pop("rules")), **values)

    def _steering(self) -> tuple[abi.SteeringMode, int]:
        if self.steering == "round-robin":
            return abi.SteeringMode.ROUND_ROBIN, 0
        if self.steering == "rss":
            return abi.SteeringMode.RSS, 0
        kind, _, queue = self.steering.partition(":")
        if kind == "fixed" and queue.isascii() and queue.isdigit() and int(queue) < self.queues:
            return abi.SteeringMode.FIXED, int(queue)
        raise PageringError(f"--steering must be round-robin, rss, or fixed:Q with a queue from "
                            f"0 to {self.queues - 1}, not {self.steering}")

    def _check_rules(self) -> None:
        if len(self.rules) > abi.RULES:
            raise PageringError(f"the card has room for {abi.RULES} flow rules, not "
                                f"{len(self.rules)}")
        most = abi.INDIRECTION_ROWS // ROWS_PER_QUEUE_MIN
        if self.steering == "rss" and self.queues > most:
            raise PageringError(f"--rss spreads over {most} queues at most, not {self.queues}")
        _ = self.rss_key_bytes
        for text in self.rules:
            try:
                rule = parse_rule(text)
            except ValueError as error:
                raise PageringError(str(error)) from None
            if rule.queue is not None and rule.queue >= self.queues:
                raise PageringError(f"flow rule {text!r}: the card has queues 0 to "
                                    f"{self.queues - 1}, not {rule.queue}")

    def _moderation(self) -> tuple[float, int]:
        unit = abi.MODERATION_CYCLES / self.clock_mhz
        most = [((1 << abi.QUEUE["MODERATION"][name].width) - 1) * scale
                for name, scale in (("time", unit), ("completions", 1))]
        usecs, _, frames = self.moderation.partition(":")
        with contextlib.suppress(ValueError):
            if 0 <= float(usecs) <= most[0] and 0 <= int(frames) <= most[1]:
                return float(usecs), int(frames)
        raise PageringError(f"--moderation must be USECS:FRAMES, up to {most[0]:g} microseconds "
                            f"and {most[1]:g} frames, not {self.moderation}")

    @staticmethod
    def _one_of(name: str, value: object, allowed: Iterable[object]) -> None:
        words = list(map(str, allowed))
        if str(value) not in words:
            raise PageringError(f"{name} must be {', '.join(words[:-1])} or {words[-1]}, "
                                f"not {value}")

    @staticmethod
    def _between(name: str, value: float, low: float, high: float, note: str = "") -> None:
        if not (math.isfinite(value) and low <= value <= high):
            raise PageringError(f"{name} must be from {low} to {high}{note and f' ({note})'}, "
                                f"not {value}")

    @staticmethod
    def _power(name: str, value: int, low: int, high: int) -> None:
        if not (_power_of_two(value) and low <= value <= high):
            raise PageringError(f"{name} must be a power of two from {low} to {high}, not {value}")
