"""Samples where the pages are while a run goes on, for its picture and its progress bar.

The counts are read from the card's registers, over the register bus: that takes nothing from the
path of the frames. One sample is spread over as many reads as it has counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import cocotb

from pagering import Card, abi

from .bench import CardBench, limit_wall_time
from .picture import Samples

__all__ = ["Sampler"]

_SAMPLES = 400
"""About how many there are to be in a run."""
_CYCLES_PER_READ = 25
"""At most one register read in so many cycles, to keep the simulation fast."""


class Sampler:
    """Takes samples until it is stopped.

    Parameters
    ----------
    bench : CardBench
        Whose card.
    card : Card
        Its driver, with all pools and queues open.
    expected_cycles : int
        About how long the run will be.
    progress : Path | None
        A file that gets one line of JSON with each sample.
    """

    def __init__(self, bench: CardBench, card: Card, expected_cycles: int,
                 progress: Path | None = None) -> None:
        self.samples = Samples()
        self._bench = bench
        self._progress = progress
        self._pools = [pool.index for pool in card.pools]
        self._queues = [queue.index for queue in card.queues]
        self._registered = sum(pool.registered_by_host for pool in card.pools)
        reads = 2 * len(self._pools) + len(self._queues)
        self._every = max(expected_cycles // _SAMPLES, reads * _CYCLES_PER_READ)
        self._task = cocotb.start_soon(self._run())

    def stop(self) -> None:
        """Take no more samples."""
        self._task.cancel()

    @property
    def peak_held(self) -> dict[int, int]:
        """Most pages that each queue held in any sample."""
        columns: Iterator[tuple[int, ...]] = zip(*self.samples.held, strict=True)
        peaks = [max(column) for column in columns] or [0] * len(self._queues)
        return dict(zip(self._queues, peaks, strict=True))

    async def _run(self) -> None:
        while True:
            await self._sample()
            await self._bench.cycles(self._every)

    async def _sample(self) -> None:
        bench = self._bench
        cycle = bench.cycle
        free = await self._read(abi.POOL, "FREE", self._pools)
        outstanding = await self._read(abi.POOL, "OUTSTANDING", self._pools)
        held = await self._read(abi.QUEUE, "HELD", self._queues)
        self.samples.add(cycle, free, held, sum(outstanding))
        limit_wall_time()
        if self._progress is not None:
            board = bench.board
            line = {"done": board.received + board.missing, "cycle": cycle, "free": sum(free),
                    "registered": self._registered}
            with open(self._progress, "a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")

    async def _read(self, block: abi.Block, name: str, indices: list[int]) -> list[int]:
        return [await self._bench.transport.read32_async(block.address(name, index))
                for index in indices]
