"""A fast AXI4 memory, as far as writes go: see :mod:`pagering_tb.bulk_ports`."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .axi_slave import Stalls
from .bulk_output import Output

__all__ = ["BulkBurst", "BulkMemory"]

PAGE_BYTES = 4096
"""No AXI burst crosses a multiple of this."""


@dataclass
class BulkBurst:
    """A write burst of the card."""

    address: int
    beats: int
    pieces: list[tuple[int, bytearray]] = field(default_factory=list)
    """What it writes, and where: runs of bytes."""
    taken: int = 0
    last_cycle: int = 0
    response: int = 0
    due: int = 0


class BulkMemory:
    """Takes write bursts; answers each ``latency`` cycles after its last beat.

    What a burst writes can be seen in memory only from its answer on: whoever does not wait for
    that is found out.

    Members
    -------
    latency, jitter : int
        As of :class:`~pagering_tb.bench.BenchOptions`.
    stalls : Stalls
        How often each channel holds back.
    on_taken, on_answered
        Called with each burst when its last beat was taken, and when its answer goes out.
        ``on_taken`` may set ``response``.
    problems : list of str
        Rules of the bus that were broken.
    """

    def __init__(self, dut: Any, rng: random.Random, burst_bytes: int) -> None:
        self._rng = rng
        self._burst_bytes = burst_bytes
        self._width = len(dut.m_axi_wstrb)
        self._awvalid, self._awaddr, self._awlen = (
            dut.m_axi_awvalid, dut.m_axi_awaddr, dut.m_axi_awlen)
        self._wvalid, self._wdata, self._wstrb, self._wlast = (
            dut.m_axi_wvalid, dut.m_axi_wdata, dut.m_axi_wstrb, dut.m_axi_wlast)
        self._bready = dut.m_axi_bready
        self._awready, self._wready, self._bvalid, self._bresp = (
            Output(getattr(dut, f"m_axi_{name}"))
            for name in ("awready", "wready", "bvalid", "bresp"))
        self.latency, self.jitter = 4, 0
        self.stalls = Stalls()
        self.on_taken: Callable[[BulkBurst], None] = lambda burst: None
        self.on_answered: Callable[[BulkBurst], None] = lambda burst: None
        self.problems: list[str] = []
        self.beats = 0
        self._cycle = 0
        self._last_due = 0
        self._addressed: deque[BulkBurst] = deque()
        self._early: deque[tuple[int, int, int]] = deque()
        self._unanswered: deque[BulkBurst] = deque()
        self._stalled: dict[str, tuple[int, ...]] = {}
        self.clear()

    @property
    def idle(self) -> bool:
        """Whether every burst has been answered."""
        return not self._addressed and not self._unanswered and not self._bvalid.level

    def clear(self) -> None:
        """Forget everything, as a reset of the whole bench does."""
        self._addressed.clear()
        self._early.clear()
        self._unanswered.clear()
        self._stalled.clear()
        self._last_due = 0
        self._bvalid.set(0)

    def step(self) -> None:
        """Do what a clock edge asks for."""
        self._cycle += 1
        if int(self._awvalid.value):
            self._take_address()
        if int(self._wvalid.value):
            self._take_data()
        while self._early and self._addressed:
            self._join()
        if self._bvalid.level and int(self._bready.value):
            self._bvalid.set(0)
        if self._unanswered and not self._bvalid.level:
            self._answer()
        stalls = self.stalls
        self._awready.set(not stalls.address or self._rng.random() >= stalls.address)
        self._wready.set(not stalls.data or self._rng.random() >= stalls.data)

    def _stable(self, channel: str, payload: tuple[int, ...], taken: bool) -> None:
        before = self._stalled.pop(channel, payload)
        if before != payload:
            self.problems.append(f"{channel} changed while it waited: {before} to {payload}")
        if not taken:
            self._stalled[channel] = payload

    def _take_address(self) -> None:
        address, beats = int(self._awaddr.value), int(self._awlen.value) + 1
        taken = bool(self._awready.level)
        if not taken or self._stalled:
            self._stable("AW", (address, beats), taken)
        if not taken:
            return
        size = beats * self._width
        start = address - address % self._width
        if size > max(self._burst_bytes, self._width) or (
                start // PAGE_BYTES != (start + size - 1) // PAGE_BYTES):
            self.problems.append(f"burst of {beats} beats at 0x{address:x}")
        self._addressed.append(BulkBurst(address, beats))

    def _take_data(self) -> None:
        taken = bool(self._wready.level)
        data, strobes, last = int(self._wdata.value), int(self._wstrb.value), int(
            self._wlast.value)
        if not taken or self._stalled:
            self._stable("W", (data, strobes, last), taken)
        if not taken:
            return
        self.beats += 1
        self._early.append((data, strobes, last))

    def _join(self) -> None:
        """Give beats to their bursts: data may come before its address."""
        data, strobes, last = self._early.popleft()
        burst = self._addressed[0]
        self._take_beat(burst, data, strobes)
        if last != (burst.taken == burst.beats):
            self.problems.append(f"WLAST is {last} at beat {burst.taken} of {burst.beats}")
        if burst.taken == burst.beats:
            self._addressed.popleft()
            burst.last_cycle = self._cycle
            extra = self._rng.randint(0, self.jitter) if self.jitter else 0
            burst.due = self._last_due = max(self._cycle + self.latency + extra - 1,
                                             self._last_due)
            self.on_taken(burst)
            self._unanswered.append(burst)

    def _take_beat(self, burst: BulkBurst, data: int, strobes: int) -> None:
        lowest = strobes & -strobes
        if not strobes or strobes & (strobes + lowest):
            self.problems.append(f"strobes 0x{strobes:x} at 0x{burst.address:x}")
        skipped = max(0, lowest.bit_length() - 1)
        # Bytes lie in their own lanes. A beat that goes on where the last one ended is one run.
        start = burst.address - burst.address % self._width + burst.taken * self._width + skipped
        data_bytes = data.to_bytes(self._width, "little")[skipped:strobes.bit_length()]
        burst.taken += 1
        if burst.pieces:
            first, run = burst.pieces[-1]
            if first + len(run) == start:
                run += data_bytes
                return
        burst.pieces.append((start, bytearray(data_bytes)))

    def _answer(self) -> None:
        stalls, burst = self.stalls, self._unanswered[0]
        if burst.due > self._cycle or (
                stalls.response and self._rng.random() < stalls.response):
            return
        self._unanswered.popleft()
        self.on_answered(burst)
        self._bresp.set(burst.response)
        self._bvalid.set(1)
