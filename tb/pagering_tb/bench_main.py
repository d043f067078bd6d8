"""The simulation behind ``pagering bench``: counts cycles where they are spent, on the bus.

Frames come back to back for as long as a point is measured. The host polls all queues with the
shipped driver, compares every byte and returns what it took, so that returns are part of the load:
before the first point every page has been used, and from then on none is new.

How a figure is counted. The card writes completions in lines. The window of a point opens with the
last beat of a line and closes with the last beat of a later one, at which the card is just as far
ahead: as many bytes of frames are written whose completions are not. Between the two::

    cycles per frame = cycles from last beat to last beat / completions written

So the frames that a window counts were written inside it, every byte, and completed inside it, and
the card can neither start early nor leave work for later. The wire holds frames back to back before
the window, during it and after.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cocotb

from pagering import Card, RxQueue, abi
from pagering_hdl.config import CardConfig

from .bench import BenchOptions, CardBench, limit_wall_time
from .conservation import check_frames, check_pages, read_levels
from .scoreboard import Scoreboard, round_robin
from .sim_bench import JOB_VARIABLE
from .write_port import Burst

__all__ = ["Meter", "PointRun", "run"]

_PAGES_PER_POOL = 64
"""Few, so that they go round often; many more than are under way at any time."""
_RING_ENTRIES = 1024
_POLL_CYCLES = 64
_BURST_FRAMES = 64
_WARM_FRAMES = 128
_WARM_LATENCIES = 4
"""Frames and memory latencies that pass before a window opens."""
_WINDOWS_MAX = 4
"""A window that has grown so many times too long ends as it is; its row fails by its bytes."""


@dataclass
class Meter:
    """Sees every burst, and takes one window."""

    rings: Sequence[range]
    """Addresses of the completion rings."""
    frame_bytes: int
    cycles_due: int
    """Shortest window."""
    opens_after: int = 0
    """Completions before the window."""
    opens_at: int = 0
    """First cycle in which it may open."""
    start: int = 0
    end: int = 0
    completions: int = 0
    bursts: int = 0
    bytes: int = 0
    beats: int = 0
    returns: int = 0

    @property
    def done(self) -> bool:
        """Whether the window is closed."""
        return self.end != 0

    def see(self, burst: Burst, returns: int) -> None:
        """Take note of a burst; ``returns`` is how many tokens the host has written so far."""
        if self.done:
            return
        self.bursts += 1
        self.bytes += burst.bytes
        self.beats += burst.beats
        if not any(burst.address in ring for ring in self.rings):
            return
        self.completions += burst.bytes // abi.COMPLETION_BYTES
        ahead = self.bytes - self.completions * (self.frame_bytes + abi.COMPLETION_BYTES)
        cycle = burst.last_cycle
        if not self.start:
            if self.completions >= self.opens_after and cycle >= self.opens_at:
                self.start, self.returns = cycle, returns
                self.completions = self.bursts = self.bytes = self.beats = 0
            return
        # Counted from the opening of the window on, ``ahead`` is 0 when it is what it was then.
        late = cycle - self.start >= _WINDOWS_MAX * self.cycles_due
        if cycle - self.start >= self.cycles_due and (ahead == 0 or late):
            self.end, self.returns = cycle, returns - self.returns

    def figures(self) -> dict[str, float]:
        """Return what was found."""
        cycles, frames = self.end - self.start, self.completions
        return {"cycles": cycles, "frames": frames, "cycles_per_frame": cycles / frames,
                "bursts_per_frame": self.bursts / frames,
                "bus_bytes_per_frame": self.bytes / frames, "utilization": self.beats / cycles,
                "returns_per_frame": self.returns / frames}


class PointRun:
    """A card with its host, ready to be measured at one point after another.

    Parameters
    ----------
    bench : CardBench
        Not yet started.
    """

    def __init__(self, bench: CardBench) -> None:
        self.bench = bench
        self.card: Card
        self.queues: list[RxQueue] = []
        self.rings: list[range] = []
        self.over = False
        self._serial = 0
        bench.board = Scoreboard(round_robin(bench.config.queues))

    def open(self) -> None:
        """Bring the card up; driver code."""
        config, memory = self.bench.config, self.bench.memory
        self.card = card = Card(self.bench.transport)
        pages = max(_PAGES_PER_POOL, config.region_pages)
        pools = [card.add_pool(pages) for _ in range(config.pools)]
        for number in range(config.queues):
            before = set(memory.blocks)
            queue = card.add_queue(pools[number % config.pools], _RING_ENTRIES)
            (ring,) = set(memory.blocks) - before
            self.rings.append(range(ring.address, ring.end))
            self.queues.append(queue)
        card.steer_round_robin(self.queues)
        card.receive = True

    def host(self) -> None:
        """Receive, compare and return until it is over; driver code."""
        bench = self.bench
        while not self.over:
            for queue in self.queues:
                with queue.recv(_BURST_FRAMES) as burst:
                    for frame in burst:
                        bench.board.receive(queue.index, frame.tobytes())
                        if frame.write_error:
                            bench.board.problem("a frame is marked as badly written")
            bench.sleep(_POLL_CYCLES)
            limit_wall_time()

    async def warm_up(self) -> None:
        """Use every page once."""
        config = self.bench.config
        pages = sum(pool.registered_by_host for pool in self.card.pools)
        takes_a_page = config.page_bytes if config.chunks > 1 else 64
        await self.bench.send(self._frame(takes_a_page) for _ in range(pages))
        await self.settle()

    async def measure(self, frame_bytes: int, latency: int, cycles: int) -> dict[str, Any]:
        """Measure one point over at least so many cycles."""
        bench = self.bench
        bench.port.latency = latency
        before = await self._losses()
        meter = Meter(self.rings, frame_bytes, cycles, opens_after=_WARM_FRAMES,
                      opens_at=bench.cycle + _WARM_LATENCIES * latency)

        def see(burst: Burst) -> None:
            meter.see(burst, sum(queue.stats.returns for queue in self.queues))
        bench.port.on_burst = see
        await bench.send(self._until(meter, frame_bytes))
        bench.port.on_burst = None
        await self.settle()
        after = await self._losses()
        return {"frame_bytes": frame_bytes, "memory_latency": latency, **meter.figures(),
                "lost": {name: count - before[name] for name, count in after.items()
                         if count != before[name]}}

    async def settle(self) -> None:
        """Wait until everything that was sent is with the host, and back."""
        await self.bench.sent()
        await self.bench.quiet(4 * _POLL_CYCLES + 2 * self.bench.port.latency)

    async def _losses(self) -> dict[str, int]:
        """Read how many frames were dropped and what went wrong, by name."""
        counters = await self.bench.driver(self.card.counters)
        return {name: count for name, count in counters.items()
                if name.startswith(("drop_", "fault_"))}

    async def close(self) -> list[str]:
        """Stop; return a sentence for everything that is not as it must be."""
        bench = self.bench
        counters = await bench.driver(self.card.counters)
        levels = await bench.driver(read_levels, self.card)
        problems = [*check_frames(counters, bench.board), *check_pages(levels)]
        await bench.driver(self.card.close)
        return [*problems, *bench.problems()]

    def _until(self, meter: Meter, size: int) -> Iterator[bytes]:
        while not meter.done:
            yield self._frame(size)

    def _frame(self, size: int) -> bytes:
        """Return a frame unlike all others."""
        self._serial += 1
        head = self._serial.to_bytes(8, "big")
        return (head + bytes((self._serial + n) & 0xFF for n in range(256)) * (size // 256 + 1)
                )[:size]


@cocotb.test()
async def run(dut: Any) -> None:
    """Measure the points of the job file."""
    job = json.loads(Path(os.environ[JOB_VARIABLE]).read_text(encoding="utf-8"))
    bench = CardBench(dut, CardConfig(**job["config"]), BenchOptions())
    points = PointRun(bench)
    await bench.start()
    await bench.driver(points.open)
    host = cocotb.start_soon(bench.driver(points.host))
    await points.warm_up()
    rows = [await points.measure(frame_bytes, latency, job["cycles"])
            for frame_bytes, latency in job["points"]]
    points.over = True
    await host
    problems = await points.close()
    Path(job["result"]).write_text(json.dumps({"rows": rows, "problems": problems}),
                                   encoding="utf-8")
