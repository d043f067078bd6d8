"""The host's side of the card's AXI4 write port: cocotbext-axi as the judge, with a memory behind.

:class:`WritePort` is cocotbext-axi's write slave. What it adds:

* bytes go to :class:`~pagering_tb.host_memory.HostMemory`; a burst with a byte out of bounds gets
  DECERR and is a violation;
* a response becomes valid exactly ``latency`` cycles after the last beat of its burst was taken,
  whatever is in flight (a delay line: latency costs no throughput);
* stalls at random on each channel, and errors on demand;
* the rules of this card's bursts: INCR, full width, no longer than ``burst_bytes``, never across
  4 KiB, strobes without a hole, ``WLAST`` where it belongs;
* counts, and a hook that sees each finished burst.
"""

from __future__ import annotations

import logging
import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import cocotb
from cocotb.simtime import get_sim_time
from cocotb.triggers import Event, Timer
from cocotbext.axi import AxiBurstType, AxiResp, AxiSlaveWrite, AxiWriteBus

from .host_memory import HostMemory

__all__ = ["Burst", "ErrorRule", "Stalls", "WritePort", "random_pauses"]

LATENCY_MIN = 2
"""The model samples at one edge and drives at the next: no response can be sooner."""


@dataclass(frozen=True)
class Stalls:
    """How often each channel holds back, as a probability per cycle."""

    address: float = 0.0
    data: float = 0.0
    response: float = 0.0


@dataclass
class Burst:
    """One write burst, complete once its last beat was taken."""

    address: int
    beats: int
    size: int
    bytes: int = 0
    first_cycle: int = 0
    last_cycle: int = 0
    response: int = int(AxiResp.OKAY)
    taken: int = 0


@dataclass
class ErrorRule:
    """Answer the bursts whose address ``matches`` with ``response``; their data is not taken."""

    matches: Callable[[int], bool]
    remaining: int | None = 1
    response: int = int(AxiResp.SLVERR)
    hits: int = field(default=0)


class _Refused(Exception):
    """Stops the base class from taking a beat; it answers with an error then."""


def random_pauses(rng: random.Random, probability: float) -> Iterator[bool]:
    """Yield forever whether to pause in this cycle."""
    while True:
        yield rng.random() < probability


class WritePort(AxiSlaveWrite):
    """Take the card's write bursts.

    Parameters
    ----------
    dut : HierarchyObject
        The card, with ports ``m_axi_*``, ``clk`` and ``rst``.
    memory : HostMemory
        Where the bytes go.
    period : int
        Clock period in simulator steps.
    burst_bytes : int
        Longest burst that the card may issue.
    latency, jitter : int
        Cycles from the last beat to its response (at least 2), and how many more there may be.
    stalls : Stalls
        How often each channel holds back.
    rng : random.Random
        Decides on stalls and jitter.
    """

    def __init__(self, dut: Any, memory: HostMemory, *, period: int, burst_bytes: int,
                 latency: int = 4, jitter: int = 0, stalls: Stalls | None = None,
                 rng: random.Random | None = None) -> None:
        if latency < LATENCY_MIN:
            raise ValueError(f"write-response latency must be at least {LATENCY_MIN} cycles, "
                             f"not {latency}")
        self.memory = memory
        self.period = period
        self.burst_bytes = burst_bytes
        self.latency = latency
        self.jitter = jitter
        self.on_burst: Callable[[Burst], None] | None = None
        self.beats = 0
        self.bursts = 0
        self.error_responses = 0
        self.first_beat: int | None = None
        self.last_beat = 0
        self._rng = rng or random.Random(0)
        self._rules: list[ErrorRule] = []
        self._burst = Burst(0, 0, 0)
        self._broken: str | None = None
        self._due: deque[tuple[int, Any]] = deque()
        self._wake = Event()
        super().__init__(AxiWriteBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst)
        # The base class runs the channels; these three taps see every item on its way.
        self._next_address, self.aw_channel.recv = self.aw_channel.recv, self._address
        self._next_data, self.w_channel.recv = self.w_channel.recv, self._data
        self._send_response, self.b_channel.send = self.b_channel.send, self._respond
        self.b_channel.queue_occupancy_limit = -1
        self.log.setLevel(logging.ERROR)  # it would warn of each refused beat
        cocotb.start_soon(self._deliver())
        self.set_stalls(stalls or Stalls())

    @property
    def cycle(self) -> int:
        """The number of this clock cycle."""
        return int(get_sim_time("step")) // self.period

    @property
    def idle(self) -> bool:
        """Whether no burst and no response is under way."""
        return (not self._due and self._burst.taken == self._burst.beats
                and self.b_channel.idle() and self.w_channel.empty() and self.aw_channel.empty())

    def set_stalls(self, stalls: Stalls) -> None:
        """Hold back at random from now on."""
        for channel, probability in ((self.aw_channel, stalls.address),
                                     (self.w_channel, stalls.data),
                                     (self.b_channel, stalls.response)):
            channel.pause = False
            channel.set_pause_generator(
                random_pauses(self._rng, probability) if probability else None)

    def inject_error(self, matches: Callable[[int], bool] = lambda address: True,
                     count: int | None = 1, response: int = int(AxiResp.SLVERR)) -> ErrorRule:
        """Answer the next ``count`` bursts whose address ``matches`` with an error (None: all)."""
        rule = ErrorRule(matches, count, response)
        self._rules.append(rule)
        return rule

    def clear_errors(self) -> None:
        """Forget all rules of :meth:`inject_error`."""
        self._rules.clear()

    async def _address(self) -> Any:
        item = await self._next_address()
        address, beats, size = int(item.awaddr), int(item.awlen) + 1, 1 << int(item.awsize)
        self._burst = burst = Burst(address, beats, size)
        self._broken = None
        end = address - address % size + beats * size
        if int(item.awburst) != AxiBurstType.INCR:
            self._object("a burst that is not INCR")
        if size != self.byte_lanes:
            self._object(f"a burst of {size}-byte beats on a {self.byte_lanes}-byte bus")
        if beats * size > self.burst_bytes:
            self._object(f"a burst of {beats * size} bytes, longer than {self.burst_bytes}")
        if address // 4096 != (end - 1) // 4096:
            self._object(f"a burst of {beats * size} bytes across a 4 KiB boundary")
        for rule in self._rules:
            if rule.remaining != 0 and rule.matches(address):
                rule.hits += 1
                if rule.remaining is not None:
                    rule.remaining -= 1
                burst.response = rule.response
                break
        return item

    async def _data(self) -> Any:
        item = await self._next_data()
        burst, strobes = self._burst, int(item.wstrb)
        burst.taken += 1
        self.beats += 1
        if burst.taken == 1:
            burst.first_cycle = self.cycle
            if self.first_beat is None:
                self.first_beat = burst.first_cycle
        if bool(item.wlast) != (burst.taken == burst.beats):
            self._object("WLAST not at the last beat")
        if strobes & (strobes + (strobes & -strobes)):
            self._object(f"strobes with a hole (0x{strobes:x})")
        burst.bytes += strobes.bit_count()
        if burst.taken == burst.beats:
            burst.last_cycle = self.last_beat = self.cycle
        return item

    async def _write(self, address: int, data: bytes) -> None:
        burst = self._burst
        if burst.response != AxiResp.OKAY:
            raise _Refused
        if not self.memory.write(address, data):
            burst.response = int(AxiResp.DECERR)
            raise _Refused

    async def _respond(self, item: Any) -> None:
        burst = self._burst
        self.bursts += 1
        if burst.response != AxiResp.OKAY:
            self.error_responses += 1
            item.bresp = AxiResp(burst.response)
        if self.on_burst is not None:
            self.on_burst(burst)
        extra = self._rng.randint(0, self.jitter) if self.jitter else 0
        # Half a cycle early: the channel then drives at the edge before the one that is due.
        due = (2 * (burst.last_cycle + self.latency + extra) - 3) * self.period // 2
        if self._due:
            due = max(due, self._due[-1][0])
        self._due.append((due, item))
        self._wake.set()

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
                await self._send_response(item)

    def _object(self, what: str) -> None:
        if self._broken is None:
            self._broken = what
            self.memory.report(what, self._burst.address)

    def _handle_reset(self, state: bool) -> None:
        if state:
            self._due.clear()
            self._burst = Burst(0, 0, 0)
        super()._handle_reset(state)
