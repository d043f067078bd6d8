"""The simulation behind the ways back of ``pagering bench``.

All tokens of a point are received first; then the wire is quiet and they go back, burst after burst
as fast as the driver's way takes them. A point ends when the card has counted the last one: it is
asked by a register, which takes some ten cycles, once for the whole point.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import cocotb

from pagering import Card
from pagering.returns import ReturnWay
from pagering_hdl.config import CardConfig

from .bench import BenchOptions, CardBench, limit_wall_time
from .return_bench import RETURN_JOB_VARIABLE
from .write_port import Burst

__all__ = ["ReturnRun", "run"]

_FRAME_BYTES = 64
_LOOKS = 2000


class ReturnRun:
    """A card with one queue, whose tokens come back by one way at a time.

    Parameters
    ----------
    bench : CardBench
        Started.
    tokens : int
        Of each point.
    """

    def __init__(self, bench: CardBench, tokens: int) -> None:
        self.bench = bench
        self.tokens = tokens
        self.card: Card
        self._written = 0
        bench.port.on_burst = self._see

    def _see(self, burst: Burst) -> None:
        self._written += burst.bytes

    def open(self) -> None:
        """Bring the card up; driver code."""
        self.card = Card(self.bench.transport)
        pages = -(-2 * self.tokens // self.card.capabilities.chunks)
        region = self.card.capabilities.region_pages
        self.pool = self.card.add_pool(-(-pages // region) * region)
        self.card.receive = True

    async def measure(self, way: str, burst: int, latency: int) -> dict[str, Any]:
        """Measure one point."""
        bench = self.bench
        bench.port.latency = bench.read_port.latency = latency
        queue = await bench.driver(self.card.add_queue, self.pool, 2 * self.tokens,
                                   returns=ReturnWay(way))
        await bench.send(bytes(_FRAME_BYTES) for _ in range(self.tokens))
        await bench.sent()
        await bench.quiet(200 + 2 * latency)
        found = await bench.driver(self._give_back, queue, burst)
        await bench.driver(queue.close)
        return {"way": way, "burst_tokens": burst, "memory_latency": latency, **found}

    def _give_back(self, queue: Any, burst: int) -> dict[str, int]:
        bench, card = self.bench, self.card
        limit_wall_time()
        received = queue.recv(self.tokens)
        tokens = [frame.tokens[0] for frame in received]
        before = card.registers.stats.count("RETURNS")
        read, self._written = bench.memory.bytes_read, 0
        writes, start = bench.transport.writes, bench.cycle
        for at in range(0, len(tokens), burst):
            queue.returns.put(tokens[at:at + burst])
        writes = bench.transport.writes - writes
        for _ in range(_LOOKS):
            accepted = card.registers.stats.count("RETURNS") - before
            if accepted == len(tokens):
                break
        cycles = bench.cycle - start
        bench.sleep(4 * 256 + 2 * bench.port.latency)  # the last write of the consumer index
        found = {"tokens": len(tokens), "accepted": accepted, "cycles": cycles,
                 "register_bytes": 4 * writes, "read_bytes": bench.memory.bytes_read - read,
                 "mirror_bytes": self._written}
        queue.finish(received, [])
        return found


@cocotb.test()
async def run(dut: Any) -> None:
    """Measure the points of the job file."""
    job = json.loads(Path(os.environ[RETURN_JOB_VARIABLE]).read_text(encoding="utf-8"))
    bench = CardBench(dut, CardConfig(**job["config"]), BenchOptions())
    await bench.start()
    points = ReturnRun(bench, job["tokens"])
    await bench.driver(points.open)
    rows = [await points.measure(*point) for point in job["points"]]
    faults = await bench.driver(points.card.faults)
    await bench.driver(points.card.close)
    problems = [f"{count} {name}" for name, count in faults.items() if count]
    Path(job["result"]).write_text(json.dumps(
        {"rows": rows, "problems": [*problems, *map(str, bench.memory.violations)]}),
        encoding="utf-8")
