"""The simulation behind ``pagering bench``: counts cycles where they are spent, on the bus.

Frames come back to back for as long as a point is measured, of flows in random order, which the
card steers by hash and by rules (:mod:`pagering_tb.bench_traffic`). The host polls all queues with
the shipped driver, compares every byte and returns what it took, so that returns are part of the
load: before the first point every page has been used, and from then on none is new.

How a figure is counted is in :mod:`pagering_tb.bench_meter`.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from pagering import Card, Frame, RxQueue, abi
from pagering_hdl.config import CardConfig

from .bench import BenchOptions, CardBench, limit_wall_time
from .bench_meter import Meter
from .bench_plan import Point
from .bench_traffic import Traffic
from .conservation import check_frames, check_pages, read_levels
from .scoreboard import Scoreboard
from .sim_bench import JOB_VARIABLE
from .write_port import Burst

__all__ = ["PointRun", "run"]

_PAGES_PER_POOL = 64
"""Few, so that they go round often; many more than are under way at any time."""
_RING_ENTRIES = 1024
_POLL_CYCLES = 64
_BURST_FRAMES = 256
_WARM_FRAMES = 128
_WARM_LATENCIES = 4
"""Frames and memory latencies that pass before a window opens."""


class PointRun:
    """A card with its host, ready to be measured at one point after another.

    Parameters
    ----------
    bench : CardBench
        Not yet started.
    returns : str
        Which way tokens go back: push or pull.
    """

    def __init__(self, bench: CardBench, returns: str) -> None:
        self.bench = bench
        self.returns = returns
        self.card: Card
        self.queues: list[RxQueue] = []
        self.rings: list[range] = []
        self.over = False
        self.order = "fifo"
        self.traffic = Traffic(bench.config.queues, bench.rng)
        bench.board = Scoreboard(self.traffic.queue_of)

    def open(self) -> None:
        """Bring the card up; driver code."""
        config = self.bench.config
        self.card = card = Card(self.bench.transport)
        pages = max(_PAGES_PER_POOL, config.region_pages)
        pools = [card.add_pool(pages) for _ in range(config.pools)]
        for number in range(config.queues):
            queue = card.add_queue(pools[number % config.pools], _RING_ENTRIES,
                                   returns=self.returns)
            self.rings.append(self._ring(number))
            self.queues.append(queue)
        self.traffic.steer(card, self.queues)
        card.receive = True

    def _ring(self, number: int) -> range:
        """Return where the card puts the completions of a queue; driver code."""
        registers = self.card.registers.queue(number)
        low, high = registers.RING_LOW.read(), registers.RING_HIGH.read()
        start = high["address"] << 32 | low["address"] << 12
        return range(start, start + _RING_ENTRIES * abi.COMPLETION_BYTES)

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
                    self._return(queue, list(burst))
            bench.sleep(_POLL_CYCLES)
            limit_wall_time()

    def _return(self, queue: RxQueue, frames: list[Frame]) -> None:
        """Give frames back in another order than that of their coming; driver code."""
        if self.order == "fifo":
            return  # as the end of a burst does it
        if self.order == "random":
            self.bench.rng.shuffle(frames)
        else:
            frames.reverse()
        queue.release(frames)

    async def warm_up(self) -> None:
        """Use every page once."""
        config = self.bench.config
        pages = sum(pool.registered_by_host for pool in self.card.pools)
        takes_a_page = config.page_bytes if config.chunks > 1 else 64
        await self.bench.send(self.traffic.frame(takes_a_page, number % config.queues)
                              for number in range(pages))
        await self.settle()

    async def measure(self, point: Point, cycles: int) -> dict[str, Any]:
        """Measure one point over at least so many cycles."""
        bench, latency = self.bench, point.latency
        bench.port.latency, self.order = latency, point.order
        before = await self._losses()
        meter = Meter(self.rings, cycles, opens_after=_WARM_FRAMES,
                      opens_at=bench.cycle + _WARM_LATENCIES * latency)

        def see(burst: Burst) -> None:
            meter.see(burst, self._completions(burst),
                      sum(queue.stats.returns for queue in self.queues),
                      sum(queue.returns.pulled for queue in self.queues), bench.transport.writes)
        bench.port.on_burst = see
        await bench.send(self._until(meter, point.sizes))
        bench.port.on_burst = None
        await self.settle()
        after = await self._losses()
        return {**meter.figures(), "lost": {
            name: count - before[name] for name, count in after.items() if count != before[name]}}

    async def delay(self, size: int, latency: int) -> dict[str, int]:
        """Measure how long a frame alone takes, from last beat in to last beat out."""
        bench, dut = self.bench, self.bench.dut
        bench.port.latency = latency
        out: list[int] = []

        def see(burst: Burst) -> None:
            if any(burst.address in ring for ring in self.rings):
                out.append(burst.last_cycle)
        bench.port.on_burst = see
        sending = cocotb.start_soon(bench.send([self.traffic.frame(size)]))
        edge = RisingEdge(dut.clk)
        while True:
            await edge
            if int(dut.s_axis_rx_tvalid.value) and int(dut.s_axis_rx_tready.value) and int(
                    dut.s_axis_rx_tlast.value):
                break
        last_in = bench.cycle
        await sending
        await self.settle()
        bench.port.on_burst = None
        return {"frame_bytes": size, "memory_latency": latency, "cycles": out[0] - last_in}

    def _completions(self, burst: Burst) -> list[dict[str, int]]:
        if not any(burst.address in ring for ring in self.rings):
            return []
        size = abi.COMPLETION_BYTES
        line = self.bench.memory.view(burst.address, burst.bytes)
        return [abi.COMPLETION.unpack(int.from_bytes(line[at:at + size], "little"))
                for at in range(0, burst.bytes, size)]

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

    def _until(self, meter: Meter, sizes: Sequence[int]) -> Iterator[bytes]:
        for size in itertools.cycle(sizes):
            if meter.done:
                return
            yield self.traffic.frame(size)


@cocotb.test()
async def run(dut: Any) -> None:
    """Measure the points of the job file."""
    job = json.loads(Path(os.environ[JOB_VARIABLE]).read_text(encoding="utf-8"))
    bench = CardBench(dut, CardConfig(**job["config"]), BenchOptions())
    points = PointRun(bench, job["returns"])
    await bench.start()
    await bench.driver(points.open)
    host = cocotb.start_soon(bench.driver(points.host))
    await points.warm_up()
    todo = [Point(**{**point, "sizes": tuple(point["sizes"])}) for point in job["points"]]
    delays = [await points.delay(64, latency) for latency in sorted({
        point.latency for point in todo})] if job["unloaded"] else []
    rows = [await points.measure(point, job["cycles"]) for point in todo]
    points.over = True
    await host
    problems = await points.close()
    Path(job["result"]).write_text(json.dumps({"rows": rows, "delays": delays,
                                               "problems": problems}), encoding="utf-8")
