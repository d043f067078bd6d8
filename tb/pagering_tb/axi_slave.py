"""What the bench's AXI read and write slaves share: stalls, errors on demand, and a delay line."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import cocotb
from cocotb.simtime import get_sim_time
from cocotb.triggers import Event, Timer
from cocotbext.axi import AxiResp

__all__ = ["LATENCY_MIN", "DelayLine", "ErrorRule", "ErrorRules", "Stalls", "hold_back",
           "random_pauses"]

LATENCY_MIN = 2
"""The model samples at one edge and drives at the next: no response can be sooner."""


@dataclass(frozen=True)
class Stalls:
    """How often each channel holds back, as a probability per cycle."""

    address: float = 0.0
    data: float = 0.0
    response: float = 0.0


@dataclass
class ErrorRule:
    """Answer the bursts whose address ``matches`` with ``response``; their data is not moved."""

    matches: Callable[[int], bool]
    remaining: int | None = 1
    response: int = int(AxiResp.SLVERR)
    hits: int = field(default=0)


class ErrorRules(list[ErrorRule]):
    """Rules in the order of their making; of those that match, the first one counts."""

    def response(self, address: int) -> int:
        """Return how a burst is answered, and note which rule said so."""
        for rule in self:
            if rule.remaining != 0 and rule.matches(address):
                rule.hits += 1
                if rule.remaining is not None:
                    rule.remaining -= 1
                return rule.response
        return int(AxiResp.OKAY)


def random_pauses(rng: random.Random, probability: float) -> Iterator[bool]:
    """Yield forever whether to pause in this cycle."""
    while True:
        yield rng.random() < probability


def hold_back(channel: Any, rng: random.Random, probability: float) -> None:
    """Let a channel pause at random from now on."""
    channel.pause = False
    channel.set_pause_generator(random_pauses(rng, probability) if probability else None)


class DelayLine:
    """Sends each item when it is due, never before the one ahead of it.

    Parameters
    ----------
    send
        Takes an item.
    period : int
        Clock period in simulator steps.
    """

    def __init__(self, send: Callable[[Any], Awaitable[None]], period: int) -> None:
        self._send, self._period = send, period
        self._due: deque[tuple[int, Any]] = deque()
        self._wake = Event()
        cocotb.start_soon(self._deliver())

    def __len__(self) -> int:
        return len(self._due)

    def put(self, cycle: int, item: Any) -> None:
        """Have an item arrive in a cycle."""
        # Half a cycle early: the channel then drives at the edge before the one that is due.
        due = (2 * cycle - 3) * self._period // 2
        self._due.append((max(due, self._due[-1][0]) if self._due else due, item))
        self._wake.set()

    def clear(self) -> None:
        """Forget all items."""
        self._due.clear()

    async def _deliver(self) -> None:
        while True:
            while not self._due:
                self._wake.clear()
                await self._wake.wait()
            due, item = self._due[0]
            ahead = due - int(get_sim_time("step"))
            if ahead > 0:
                await Timer(ahead, "step")
            if self._due and self._due[0][1] is item:  # a reset may have emptied the line
                self._due.popleft()
                await self._send(item)
