"""The simulation behind ``--device sim``: does what its host asks for, one thing at a time.

It runs inside the simulator, told by the job file of :mod:`pagering_tb.sim_device`. While it waits
for the host no simulated time passes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Any

import cocotb

from pagering.errors import PageringError
from pagering_hdl.config import CardConfig

from .bench import CardBench
from .driver_thread import in_simulation
from .host_memory import DmaBlock, HostMemory
from .sim_device import JOB_VARIABLE, MEMORY_BYTES

__all__ = ["serve"]


class _Service:
    """What the host can ask for; driver code."""

    def __init__(self, bench: CardBench) -> None:
        self._bench = bench
        self._blocks: dict[int, DmaBlock] = {}
        transport = bench.transport
        self.calls: Mapping[str, Callable[..., object]] = {
            "read32": transport.read32, "write32": transport.write32,
            "write_tokens": transport.write_tokens, "allocate": self._allocate,
            "free": self._free, "wait_interrupt": self._wait_interrupt, "send": self._send,
            "base": lambda: bench.memory.base, "on_wire": bench.source.count,
            "problems": self._problems,
            "quiet": lambda: in_simulation(bench.quiet(limit=1000)),
        }

    def _allocate(self, size: int, align: int) -> int:
        block = self._bench.memory.allocate(size, align)
        self._blocks[block.address] = block
        return block.address

    def _free(self, address: int) -> None:
        self._blocks.pop(address).free()

    def _wait_interrupt(self, vector: int, cycles: int) -> bool:
        return self._bench.transport.wait_interrupt(
            vector, cycles * self._bench.period_ps * 1e-12)

    def _send(self, frame: bytes) -> None:
        in_simulation(self._bench.send([frame]))

    def _problems(self) -> list[str]:
        memory = self._bench.memory
        return [*map(str, memory.violations), *memory.check_guards()]


def _answer(service: _Service, connection: Connection[Any, Any]) -> None:
    """Do what is asked for until the host is gone."""
    while True:
        try:
            name, args = connection.recv()
        except (EOFError, OSError):
            return
        try:
            answer = True, service.calls[name](*args)
        except (PageringError, ValueError) as error:
            answer = False, str(error)
        connection.send(answer)


@cocotb.test()
async def serve(dut: Any) -> None:
    """Serve one host."""
    job = json.loads(Path(os.environ[JOB_VARIABLE]).read_text(encoding="utf-8"))
    bench = CardBench(dut, CardConfig(**job["config"]))
    folder = Path(job["folder"])
    with open(folder / "memory", "r+b") as shared:
        bench.memory = HostMemory(MEMORY_BYTES, shared=shared.fileno())
    bench.memory.clock = lambda: bench.cycle
    await bench.start()
    with Client(str(folder / "socket"), "AF_UNIX") as connection:
        await bench.driver(_answer, _Service(bench), connection)
