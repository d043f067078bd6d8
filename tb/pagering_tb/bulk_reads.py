"""A fast AXI4 memory, as far as reads go: see :mod:`pagering_tb.bulk_ports`."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import Any

from .axi_slave import Stalls
from .bulk_memory import PAGE_BYTES
from .bulk_output import Output

__all__ = ["BulkReads"]

_DECERR = 3


class BulkReads:
    """Answers read bursts in order, each ``latency`` cycles after its address.

    Members
    -------
    latency, jitter : int
        As of :class:`~pagering_tb.bench.BenchOptions`.
    stalls : Stalls
        How often addresses and answers hold back.
    on_read
        Called with address and size when an answer begins: returns the bytes, or None for an
        error.
    problems : list of str
        Rules of the bus that were broken.
    """

    def __init__(self, dut: Any, rng: random.Random) -> None:
        self._rng = rng
        self._width = len(dut.m_axi_wstrb)
        self._arvalid, self._araddr, self._arlen, self._rready = (
            dut.m_axi_arvalid, dut.m_axi_araddr, dut.m_axi_arlen, dut.m_axi_rready)
        self._arready, self._rvalid, self._rdata, self._rresp, self._rlast = (
            Output(getattr(dut, f"m_axi_{name}"))
            for name in ("arready", "rvalid", "rdata", "rresp", "rlast"))
        self.latency, self.jitter = 4, 0
        self.stalls = Stalls()
        self.on_read: Callable[[int, int], bytes | None] = lambda address, size: bytes(size)
        self.problems: list[str] = []
        self._cycle = 0
        self._last_due = 0
        self._asked: deque[tuple[int, int, int]] = deque()
        self._beats: deque[tuple[int, int, bool]] = deque()
        self._stalled: tuple[int, int] | None = None
        self.clear()

    @property
    def idle(self) -> bool:
        """Whether every read has been answered."""
        return not self._asked and not self._beats and not self._rvalid.level

    def clear(self) -> None:
        """Forget everything, as a reset of the whole bench does."""
        self._asked.clear()
        self._beats.clear()
        self._stalled = None
        self._last_due = 0
        self._rvalid.set(0)

    def step(self) -> None:
        """Do what a clock edge asks for."""
        self._cycle += 1
        if int(self._arvalid.value):
            self._take_address()
        elif self._stalled is not None:
            self.problems.append("ARVALID fell while an address waited")
            self._stalled = None
        if self._rvalid.level and int(self._rready.value):
            self._rvalid.set(0)
        if not self._rvalid.level and (self._beats or self._asked):
            self._answer()
        stalls = self.stalls
        self._arready.set(not stalls.address or self._rng.random() >= stalls.address)

    def _take_address(self) -> None:
        address, beats = int(self._araddr.value), int(self._arlen.value) + 1
        if self._stalled not in (None, (address, beats)):
            self.problems.append(f"AR changed while it waited: {self._stalled} to "
                                 f"{(address, beats)}")
        self._stalled = None if self._arready.level else (address, beats)
        if not self._arready.level:
            return
        size = beats * self._width
        if address % self._width or address // PAGE_BYTES != (address + size - 1) // PAGE_BYTES:
            self.problems.append(f"read of {beats} beats at 0x{address:x}")
        extra = self._rng.randint(0, self.jitter) if self.jitter else 0
        self._last_due = max(self._cycle + self.latency + extra - 1, self._last_due)
        self._asked.append((address, size, self._last_due))

    def _answer(self) -> None:
        if not self._beats:
            address, size, due = self._asked[0]
            if due > self._cycle:
                return
            self._asked.popleft()
            self._fetch(address, size)
        if self.stalls.response and self._rng.random() < self.stalls.response:
            return
        word, response, last = self._beats.popleft()
        self._rdata.set(word)
        self._rresp.set(response)
        self._rlast.set(last)
        self._rvalid.set(1)

    def _fetch(self, address: int, size: int) -> None:
        data = self.on_read(address, size)
        response = 0 if data is not None else _DECERR
        for at in range(0, size, self._width):
            word = int.from_bytes((data or bytes(size))[at:at + self._width], "little")
            self._beats.append((word, response, at + self._width >= size))
