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
from collections.abc import Callable
from typing import Any

from cocotb.simtime import get_sim_time
from cocotbext.axi import AxiBurstType, AxiReadBus, AxiResp, AxiSlaveRead

from .axi_slave import LATENCY_MIN, DelayLine, ErrorRule, ErrorRules, Stalls, hold_back
from .host_memory import HostMemory

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
        self._rules = ErrorRules()
        self._response = int(AxiResp.OKAY)
        self._first_beat = 0
        super().__init__(AxiReadBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst)
        # The base class runs the channels; these two taps see every item on its way.
        self._next_address, self.ar_channel.recv = self.ar_channel.recv, self._address
        self._due = DelayLine(self.r_channel.send, period)
        self.r_channel.send = self._delay
        self.r_channel.queue_occupancy_limit = -1
        self.log.setLevel(logging.CRITICAL)  # it would warn of each refused beat
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
            hold_back(channel, self._rng, probability)

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
        self._response = self._rules.response(address)
        extra = self._rng.randint(0, self.jitter) if self.jitter else 0
        self._first_beat = self.cycle + max(LATENCY_MIN, self.latency) + extra
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
        self._due.put(self._first_beat, item)

    def _handle_reset(self, state: bool) -> None:
        if state:
            self._due.clear()
        super()._handle_reset(state)
