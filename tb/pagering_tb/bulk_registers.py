"""A fast AXI4-Lite manager: see :mod:`pagering_tb.bulk_ports`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from cocotb.triggers import Event

from .bulk_output import Output

__all__ = ["BulkRegisters"]

POSTED_MAX = 16
"""Register writes that may wait for their answers."""


class BulkRegisters:
    """Writes registers in order and reads them; a read waits for all writes before it."""

    def __init__(self, dut: Any) -> None:
        self._awready, self._wready, self._bvalid, self._bresp = (
            dut.s_axil_awready, dut.s_axil_wready, dut.s_axil_bvalid, dut.s_axil_bresp)
        self._arready, self._rvalid, self._rdata, self._rresp = (
            dut.s_axil_arready, dut.s_axil_rvalid, dut.s_axil_rdata, dut.s_axil_rresp)
        (self._awaddr, self._awvalid, self._wdata, self._wstrb, self._wvalid, self._araddr,
         self._arvalid, self._bready, self._rready) = (
            Output(getattr(dut, f"s_axil_{name}")) for name in (
                "awaddr", "awvalid", "wdata", "wstrb", "wvalid", "araddr", "arvalid", "bready",
                "rready"))
        self._writes: deque[tuple[int, int, Callable[[], None] | None]] = deque()
        self._now: tuple[int, int, Callable[[], None] | None] | None = None
        self._reads: deque[tuple[int, list[int], Event]] = deque()
        self._reading = False
        self._unanswered = 0
        self._empty = Event()
        self.write_errors = 0
        """Writes that were answered with an error."""
        self.read_errors = 0
        """Reads that were answered with an error."""
        self.clear()

    @property
    def waiting(self) -> int:
        """Writes that were not answered yet."""
        return len(self._writes) + (self._now is not None) + self._unanswered

    def clear(self) -> None:
        """Forget everything, as a reset of the whole bench does."""
        self._writes.clear()
        self._now = None
        self._unanswered = 0
        for output, level in ((self._awvalid, 0), (self._wvalid, 0), (self._arvalid, 0),
                              (self._bready, 1), (self._rready, 1), (self._wstrb, 15)):
            output.set(level)

    def write(self, offset: int, value: int, taken: Callable[[], None] | None = None) -> None:
        """Post a write; ``taken`` is called when the card has taken it."""
        self._writes.append((offset, value, taken))

    async def flush(self) -> None:
        """Wait until every write was answered."""
        while self.waiting:
            self._empty.clear()
            await self._empty.wait()

    async def read(self, offset: int) -> int:
        """Read a register, after all writes so far."""
        answer: list[int] = []
        done = Event()
        self._reads.append((offset, answer, done))
        await done.wait()
        return answer[0]

    def step(self) -> None:
        """Do what a clock edge asks for."""
        if self._unanswered or self._now is not None:
            self._end_write()
        if self._writes and self._now is None and not self._reading and (
                self._unanswered < POSTED_MAX):
            self._now = self._writes.popleft()
            self._awaddr.set(self._now[0])
            self._wdata.set(self._now[1])
            self._awvalid.set(1)
            self._wvalid.set(1)
        if self._reads:
            self._read_step()

    def _end_write(self) -> None:
        if int(self._bvalid.value):
            self._unanswered -= 1
            self.write_errors += int(self._bresp.value) != 0
        if self._now is not None:
            if self._awvalid.level and int(self._awready.value):
                self._awvalid.set(0)
            if self._wvalid.level and int(self._wready.value):
                self._wvalid.set(0)
            if not self._awvalid.level and not self._wvalid.level:
                taken, self._now = self._now[2], None
                self._unanswered += 1
                if taken is not None:
                    taken()
        if not self.waiting:
            self._empty.set()

    def _read_step(self) -> None:
        offset, answer, done = self._reads[0]
        if not self._reading:
            if not self.waiting:
                self._reading = True
                self._araddr.set(offset)
                self._arvalid.set(1)
            return
        if self._arvalid.level and int(self._arready.value):
            self._arvalid.set(0)
        if int(self._rvalid.value):
            self.read_errors += int(self._rresp.value) != 0
            answer.append(int(self._rdata.value))
            self._reading = False
            self._reads.popleft()
            done.set()
