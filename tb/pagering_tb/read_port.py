"""The host's side of the card's AXI4 read port: cocotbext-axi as the judge, with a memory behind.

:class:`ReadPort` is cocotbext-axi's read slave. What it adds:

* bytes come from :class:`~pagering_tb.host_memory.HostMemory`; a read with a byte out of bounds
  gets DECERR and is a violation;
* the first beat becomes valid ``latency`` cycles after its address was taken, whatever is in flight
  (a delay line: latency costs no throughput), the others follow it;
* stalls at random on each channel, and errors on demand;
* the rules of this card's reads: INCR, full width, 64 aligned bytes;
* counts, and a hook that sees each read.
"""

from __future__ import annotations

import logging
import random
from collections import deque
from collections.abc import Callable
from typing import Any

import cocotb
from cocotb.simtime import get_sim_time
from cocotb.triggers import Event, Timer
from cocotbext.axi import AxiBurstType, AxiReadBus, AxiResp, AxiSlaveRead

from .host_memory import HostMemory
from .write_port import LATENCY_MIN, ErrorRule, Stalls, random_pauses

__all__ = ["READ_BYTES", "ReadPort"]

READ_BYTES = 64
"""Every read of this card."""


class ReadPort(AxiSlaveRead):
    """Answer the card's reads.

    Parameters
    ----------
    dut : HierarchyObject
        The card, with ports ``m_axi_*``, ``clk`` and ``rst``.
    memory : HostMemory
        Where the bytes come from.
    period : int
        Clock period in simulator steps.
    latency, jitter : int
        Cycles from an address to its first beat (at least 2), and how many more there may be.
    stalls : Stalls
        How often each channel holds back; ``response`` counts for nothing.
    rng : random.Random
        Decides on stalls and jitter.
    """

    def __init__(self, dut: Any, memory: HostMemory, *, period: int, latency: int = 4,
                 jitter: int = 0, stalls: Stalls | None = None,
                 rng: random.Random | None = None) -> None:
        self.memory = memory
        self.period = period
        self.latency = latency
        self.jitter = jitter
        self.on_read: Callable[[int], None] | None = None
        """Called with the address of each read."""
        self.reads = 0
        self.beats = 0
        self.error_responses = 0
        self._rng = rng or random.Random(0)
        self._rules: list[ErrorRule] = []
        self._response = int(AxiResp.OKAY)
        self._burst_due = 0
        self._due: deque[tuple[int, Any]] = deque()
        self._wake = Event()
        super().__init__(AxiReadBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst)
        # The base class runs the channels; these two taps see every item on its way.
        self._next_address, self.ar_channel.recv = self.ar_channel.recv, self._address
        self._send_data, self.r_channel.send = self.r_channel.send, self._delay
        self.r_channel.queue_occupancy_limit = -1
        self.log.setLevel(logging.CRITICAL)  # it would warn of each refused beat
        cocotb.start_soon(self._deliver())
        self.set_stalls(stalls or Stalls())

    @property
    def cycle(self) -> int:
        """The number of this clock cycle."""
        return int(get_sim_time("step")) // self.period

    @property
    def idle(self) -> bool:
        """Whether no read is under way."""
        return not self._due and self.r_channel.idle() and self.ar_channel.empty()

    def set_stalls(self, stalls: Stalls) -> None:
        """Hold back at random from now on."""
        for channel, probability in ((self.ar_channel, stalls.address),
                                     (self.r_channel, stalls.data)):
            channel.pause = False
            channel.set_pause_generator(
                random_pauses(self._rng, probability) if probability else None)

    def inject_error(self, matches: Callable[[int], bool] = lambda address: True,
                     count: int | None = 1, response: int = int(AxiResp.SLVERR)) -> ErrorRule:
        """Answer the next ``count`` reads whose address ``matches`` with an error (None: all)."""
        rule = ErrorRule(matches, count, response)
        self._rules.append(rule)
        return rule

    async def _address(self) -> Any:
        item = await self._next_address()
        address, beats, size = int(item.araddr), int(item.arlen) + 1, 1 << int(item.arsize)
        self.reads += 1
        if int(item.arburst) != AxiBurstType.INCR:
            self.memory.report("a read that is not INCR", address)
        if size != self.byte_lanes or beats * size != READ_BYTES or address % READ_BYTES:
            self.memory.report(f"a read of {beats} beats of {size} bytes", address)
        if self.on_read is not None:
            self.on_read(address)
        self._response = int(AxiResp.OKAY)
        for rule in self._rules:
            if rule.remaining != 0 and rule.matches(address):
                rule.hits += 1
                if rule.remaining is not None:
                    rule.remaining -= 1
                self._response = rule.response
                break
        extra = self._rng.randint(0, self.jitter) if self.jitter else 0
        # Half a cycle early, as in the write port: the channel drives at the next edge.
        latency = max(LATENCY_MIN, self.latency) + extra
        self._burst_due = (2 * (self.cycle + latency) - 3) * self.period // 2
        return item

    async def _read(self, address: int, length: int) -> bytes:
        found = self.memory.read(address, length)
        if found is None:
            self._response = int(AxiResp.DECERR)
            return bytes(length)
        return found

    async def _delay(self, item: Any) -> None:
        self.beats += 1
        if self._response != AxiResp.OKAY:
            item.rresp = AxiResp(self._response)
            item.rdata = (1 << 8 * self.byte_lanes) - 1
            self.error_responses += bool(item.rlast)
        due = self._burst_due
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
                await self._send_data(item)

    def _handle_reset(self, state: bool) -> None:
        if state:
            self._due.clear()
        super()._handle_reset(state)
