"""The driver's :class:`~pagering.transport.Transport` over a simulated card.

Registers go through cocotbext-axi's AXI-Lite master, DMA memory is the bench's
:class:`~pagering_tb.host_memory.HostMemory`, interrupts are the card's ``irq`` lines. Every method
blocks its caller, which must run in :meth:`pagering_tb.bench.CardBench.driver`. The driver's own
code takes no simulated time; its register accesses and waits do.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Sequence
from typing import Any

import cocotb
from cocotb.triggers import Event, First, Timer, ValueChange
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp

from pagering.errors import CardError
from pagering.transport import DmaMemory

from .driver_thread import in_simulation
from .host_memory import HostMemory

__all__ = ["CocotbTransport"]

POSTED_MAX = 16
"""Writes that may be under way before the next one waits, as in a CPU's write buffer."""


class CocotbTransport:
    """Reach the card under simulation.

    Parameters
    ----------
    dut : HierarchyObject
        The card, with ports ``s_axil_*``, ``irq``, ``clk`` and ``rst``.
    memory : HostMemory
        Where DMA memory comes from.
    """

    def __init__(self, dut: Any, memory: HostMemory) -> None:
        self._dut = dut
        self._memory = memory
        self._bus = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
        self._posted: deque[Event] = deque()
        self._raised = [False] * len(dut.irq)
        self._interrupts = [Event() for _ in self._raised]
        self.interrupts = [0] * len(dut.irq)
        """Rising edges of each line."""
        self.reads = 0
        self.writes = 0
        self.write_errors = 0
        """Posted writes that were answered with an error. A real host never hears of those."""
        self.closed = False
        cocotb.start_soon(self._watch_interrupts())

    def read32(self, offset: int) -> int:
        """Read one register."""
        return in_simulation(self.read32_async(offset))

    def write32(self, offset: int, value: int) -> None:
        """Post one register write."""
        in_simulation(self._post(offset, struct.pack("<I", value)))

    def write_tokens(self, offset: int, tokens: Sequence[int]) -> None:
        """Post one write per token to successive words, back to back."""
        if tokens:
            in_simulation(self._post(offset, struct.pack(f"<{len(tokens)}I", *tokens)))

    def allocate(self, size: int, align: int = 4096) -> DmaMemory:
        """Allocate guarded DMA memory."""
        return self._memory.allocate(size, align)

    def wait_interrupt(self, vector: int, timeout: float | None = None) -> bool:
        """Wait for a rising edge of ``irq[vector]`` that no earlier call has reported."""
        return in_simulation(self.wait_interrupt_async(vector, timeout))

    def close(self) -> None:
        """Let all posted writes reach the card."""
        if not self.closed:
            self.closed = True
            in_simulation(self.flush())

    async def read32_async(self, offset: int) -> int:
        """As :meth:`read32`, for code that is itself a coroutine."""
        _check(offset)
        await self.flush()
        self.reads += 1
        answer = await self._bus.read(offset, 4)
        if answer.resp != AxiResp.OKAY:
            raise CardError(f"the card answered the read of register 0x{offset:05x} with "
                            f"{AxiResp(answer.resp).name}")
        return int.from_bytes(answer.data, "little")

    async def write32_async(self, offset: int, value: int) -> None:
        """As :meth:`write32`, for code that is itself a coroutine."""
        await self._post(offset, struct.pack("<I", value))

    async def wait_interrupt_async(self, vector: int, timeout: float | None = None) -> bool:
        """As :meth:`wait_interrupt`, for code that is itself a coroutine."""
        if not self._raised[vector]:
            waiting = self._interrupts[vector].wait()
            if timeout is None:
                await waiting
            else:
                # Whole nanoseconds, and never zero: time must pass in a polling loop.
                await First(waiting, Timer(max(1, round(timeout * 1e9)), "ns"))
        raised, self._raised[vector] = self._raised[vector], False
        return raised

    async def flush(self) -> None:
        """Wait until the card has answered every posted write."""
        while self._posted:
            await self._take_answer()

    async def _post(self, offset: int, data: bytes) -> None:
        _check(offset)
        while len(self._posted) >= POSTED_MAX:
            await self._take_answer()
        self.writes += len(data) // 4
        self._posted.append(self._bus.init_write(offset, data))

    async def _take_answer(self) -> None:
        # It stays in line until it is answered: another reader must not overtake it meanwhile.
        event = self._posted[0]
        await event.wait()
        if self._posted and self._posted[0] is event:
            self._posted.popleft()
            answer: Any = event.data
            if answer is None or answer.resp != AxiResp.OKAY:  # None: flushed by a reset
                self.write_errors += 1

    async def _watch_interrupts(self) -> None:
        irq = self._dut.irq
        changed = ValueChange(irq)
        before = 0
        while True:
            level = int(irq.value) if irq.value.is_resolvable else 0
            rising, before = level & ~before, level
            for vector, event in enumerate(self._interrupts if rising else ()):
                if rising >> vector & 1:
                    self._raised[vector] = True
                    self.interrupts[vector] += 1
                    event.set()
                    event.clear()
            await changed


def _check(offset: int) -> None:
    if offset % 4:
        raise ValueError(f"register offset 0x{offset:x} is not a multiple of 4")
