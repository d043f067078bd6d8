"""Fast models around the card, for runs of many frames: one callback a clock cycle drives them all.

cocotbext-axi is the judge of the card's buses in most tests; its models take about a millisecond
for a frame. These take a few microseconds for a beat. They know only what this card uses: one id
each way, full-width bursts, whole words. That both kinds do the same is a test
(``tests/rtl/bulk.py``).

:class:`~pagering_tb.bulk_wire.BulkWire` sends frames,
:class:`~pagering_tb.bulk_memory.BulkMemory` takes write bursts,
:class:`~pagering_tb.bulk_reads.BulkReads` answers read bursts,
:class:`~pagering_tb.bulk_registers.BulkRegisters` writes and reads registers; :class:`BulkPorts`
clocks the four. All sample at a rising edge and drive behind it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from .bulk_memory import BulkMemory
from .bulk_reads import BulkReads
from .bulk_registers import BulkRegisters
from .bulk_wire import BulkWire

__all__ = ["BulkPorts"]


class BulkPorts:
    """The four models of a card, and its clock edge.

    Members
    -------
    cycle : int
        Clock edges so far.
    on_edge
        Called at each edge before the models.
    """

    def __init__(self, dut: Any, burst_bytes: int, seed: int = 1) -> None:
        self._edge = RisingEdge(dut.clk)
        rng = random.Random(seed)
        self.wire = BulkWire(dut, rng)
        self.memory = BulkMemory(dut, rng, burst_bytes)
        self.reads = BulkReads(dut, rng)
        self.registers = BulkRegisters(dut)
        self.cycle = 0
        self.rng = rng
        self.on_edge: Callable[[], None] = lambda: None
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        while True:
            await self._edge
            self.cycle += 1
            self.on_edge()
            self.wire.step()
            self.memory.step()
            self.reads.step()
            self.registers.step()

    def clear(self) -> None:
        """Forget everything, as a reset of the whole bench does."""
        self.wire.clear()
        self.memory.clear()
        self.reads.clear()
        self.registers.clear()
