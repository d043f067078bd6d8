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
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cocotb.simtime import get_sim_time
from cocotbext.axi import AxiBurstType, AxiResp, AxiSlaveWrite, AxiWriteBus

from .axi_slave import LATENCY_MIN, DelayLine, ErrorRule, ErrorRules, Stalls, hold_back
from .host_memory import HostMemory

__all__ = ["Burst", "WritePort"]

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


class _Refused(Exception):
    """Stops the base class from taking a beat; it answers with an error then."""


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
        self._rules = ErrorRules()
        self._burst = Burst(0, 0, 0)
        self._broken: str | None = None
        super().__init__(AxiWriteBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst)
        # The base class runs the channels; these three taps see every item on its way.
        self._next_address, self.aw_channel.recv = self.aw_channel.recv, self._address
        self._next_data, self.w_channel.recv = self.w_channel.recv, self._data
        self._due = DelayLine(self.b_channel.send, period)
        self.b_channel.send = self._respond
        self.b_channel.queue_occupancy_limit = -1
        self.log.setLevel(logging.ERROR)  # it would warn of each refused beat
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
            hold_back(channel, self._rng, probability)

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
        burst.response = self._rules.response(address)
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
        self._due.put(burst.last_cycle + self.latency + extra, item)

    def _object(self, what: str) -> None:
        if self._broken is None:
            self._broken = what
            self.memory.report(what, self._burst.address)

    def _handle_reset(self, state: bool) -> None:
        if state:
            self._due.clear()
            self._burst = Burst(0, 0, 0)
        super()._handle_reset(state)
