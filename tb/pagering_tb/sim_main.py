"""The simulation behind ``pagering sim``: the shipped driver receives a capture.

One thread of driver code per queue receives, compares and returns; the bench feeds the wire. It
runs inside the simulator, told by the job file of :mod:`pagering_tb.sim`, and leaves
``out.pcap``, the trace of the pages and a result file: the fields of
:class:`~pagering_tb.report.Report` and the samples for the picture.
"""

from __future__ import annotations

import dataclasses
import json
import os
import time
from pathlib import Path
from typing import Any

import cocotb
from cocotb.task import Task
from cocotb.triggers import First

from pagering import Card, CardPool, HeaderSplit, Policy, RxQueue, abi
from pagering.capture import Capture, read_frames, write_frames
from pagering.errors import PageringError
from pagering.sim_options import SimOptions

from .axi_slave import LATENCY_MIN, Stalls
from .bench import BenchOptions, CardBench
from .conservation import PoolLevels, check_frames, check_pages, read_levels
from .page_trace import PageTrace
from .report import Pages, QueueFigures
from .sampler import Sampler
from .scoreboard import Scoreboard
from .shipped import SHIPPED
from .sim import JOB_VARIABLE, card_config
from .steering import expected_queue, steer
from .write_port import Burst

__all__ = ["SimRun", "run"]

_BURST_FRAMES = 64
_WAIT_CYCLES = 4096
"""How long a queue's thread sleeps before it looks whether the run is over."""
_PATIENCE_CYCLES = 200_000
"""With nothing received, sent or written for so long, the run is stuck."""


class SimRun:
    """One run.

    Parameters
    ----------
    bench : CardBench
        Not yet started.
    options : SimOptions
        What to do.
    capture : Capture
        What goes in.
    progress : Path | None
        Where to tell how far it is.
    """

    def __init__(self, bench: CardBench, options: SimOptions, capture: Capture,
                 progress: Path | None = None) -> None:
        self.bench = bench
        self.options = options
        self.capture = capture
        self.progress = progress
        self.card: Card
        self.trace: PageTrace
        self.queues: list[RxQueue] = []
        self.received: list[tuple[int, bytes]] = []
        """Number on the wire, and bytes; a frame that was never sent comes last."""
        self.dates: dict[int, int] = {}
        """When the card saw a frame, by its number, if it told."""
        self.mirrored = 0
        """Bytes in which the card said how far it has read return rings."""
        self.over = False
        self.problems: list[str] = []
        bench.board = Scoreboard(expected_queue(options))

    def open(self) -> None:
        """Bring the card up; driver code."""
        options = self.options
        self.card = card = Card(self.bench.transport)
        share = options.pages // options.card_pools // options.region_pages * options.region_pages
        policy = Policy[options.policy.upper()]
        pools: list[CardPool] = [card.add_pool(share, policy=policy) for _ in range(options.pools)]
        split = None
        if options.split_headers is not None:
            split = HeaderSplit(card.add_pool(share, policy=policy), options.split_headers)
        self.queues = [card.add_queue(pools[number % options.pools], options.ring_entries,
                                      split=split, hold=options.hold,
                                      extended=options.timestamps, returns=options.returns)
                       for number in range(options.queues)]
        for queue in self.queues:
            queue.moderation = options.moderation_limits
        if options.timestamps and self.capture.frames:
            card.clock.set(self.capture.timestamps_ns[0])
        self._start_trace()
        steer(card, options)
        card.receive = True

    def _start_trace(self) -> None:
        """From now on, note what the card writes to pages."""
        card = self.card
        trace = self.trace = PageTrace(
            card.capabilities.page_bytes,
            {page: address for pool in card.pools for page, address in pool.addresses.items()},
            {page: pool.index for pool in card.pools for page in pool.addresses},
            self.options.clock_mhz)
        mirrors = {queue.returns.mirror_address for queue in self.queues}

        def wrote(burst: Burst) -> None:
            trace.wrote(burst.address, burst.first_cycle)
            self.mirrored += burst.bytes * (burst.address in mirrors)
        self.bench.port.on_burst = wrote

    def consume(self, queue: RxQueue) -> None:
        """Receive from one queue until the run is over; driver code.

        Frames are compared just before their pages go back: what the card wrote over a frame that
        the host still held would show.
        """
        bench = self.bench
        timeout = _WAIT_CYCLES * bench.period_ps * 1e-12
        while not self.over:
            with queue.recv(_BURST_FRAMES, timeout=timeout) as burst:
                now = bench.cycle
                for frame in burst:
                    for token, part in zip(frame.tokens, frame.segments, strict=True):
                        self.trace.delivered(token, queue.index, len(part), now)
                if len(burst):
                    bench.sleep(self.options.host_delay)
                for frame in burst:
                    data = frame.tobytes()
                    number = bench.board.receive(queue.index, data)
                    self.received.append((number if number is not None else 1 << 62, data))
                    # Headers that go apart bring timestamps too.
                    if self.options.timestamps and number is not None:
                        self.dates[number] = frame.timestamp or 0
                    if frame.write_error:
                        bench.board.problem(f"frame {bench.board.received} of queue {queue.index} "
                                            f"is marked as badly written")
            now = bench.cycle
            for frame in burst:
                for token in frame.tokens:
                    self.trace.returned(token, now)

    async def work(self) -> None:
        """Send everything, and wait until it has been received or counted as dropped."""
        bench = self.bench
        await bench.send(self.capture.frames)
        await bench.sent()
        while True:
            await bench.quiet()
            counters = await bench.driver(self.card.counters)
            drops = sum(counters[f"drop_{cause.name.lower()}"] for cause in abi.DropCause)
            if (counters["frames_in"] >= bench.board.sent
                    and counters["frames_delivered"] + drops >= counters["frames_in"]
                    and bench.board.received >= counters["frames_delivered"]):
                return

    async def watch(self) -> None:
        """Return when nothing has happened for too long."""
        bench = self.bench
        patience = _PATIENCE_CYCLES + 4 * self.options.host_delay
        before: tuple[int, ...] = ()
        since = bench.cycle
        while bench.cycle - since < patience:
            await bench.cycles(patience // 20)
            now = (bench.board.sent, bench.board.received, bench.port.beats)
            if now != before:
                before, since = now, bench.cycle

    async def run(self) -> dict[str, Any]:
        """Run to the end; return what was found."""
        bench = self.bench
        await bench.start()
        await bench.driver(self.open)
        begun, first_cycle = time.perf_counter(), bench.cycle
        beats = self.capture.bytes // bench.config.bus_bytes + 2 * len(self.capture.frames)
        sampler = Sampler(bench, self.card, beats, self.progress)
        consumers = [cocotb.start_soon(bench.driver(self.consume, queue))
                     for queue in self.queues]
        work, watch = cocotb.start_soon(self.work()), cocotb.start_soon(self.watch())
        await First(work.complete, watch.complete,
                    *(consumer.complete for consumer in consumers))
        wall = time.perf_counter() - begun
        await self._stop(work, consumers)
        sampler.stop()
        figures = await self._figures(sampler)
        figures["wall_seconds"] = wall
        figures["cycles"] = max(0, bench.port.last_beat - first_cycle)
        figures["problems"] = [*self.problems, *bench.problems()]
        return figures

    async def _stop(self, work: Task[None], consumers: list[Task[None]]) -> None:
        bench = self.bench
        broken = [task for task in consumers if task.done()]
        for task in broken:
            task.result()  # a driver's thread ends early by an exception only: this raises it
        if not work.done():
            board = bench.board
            status = await bench.transport.read32_async(abi.CARD.address("STATUS"))
            self.problems.append(
                f"nothing happened for {_PATIENCE_CYCLES:,} cycles: {board.sent} of "
                f"{len(self.capture.frames)} frames were sent and {board.received} received, "
                f"tready is {int(bench.dut.s_axis_rx_tready.value)}, wvalid is "
                f"{int(bench.dut.m_axi_wvalid.value)}, STATUS is 0x{status:x}")
            work.cancel()
        else:
            work.result()
        self.over = True
        for task in consumers:
            await task

    async def _figures(self, sampler: Sampler) -> dict[str, Any]:
        bench, card = self.bench, self.card
        counters = await bench.driver(card.counters)
        levels = await bench.driver(read_levels, card)
        own = await bench.driver(lambda: [queue.statistics() for queue in self.queues])
        link = await bench.driver(card.link_statistics)
        sizes = await bench.driver(card.rmon_statistics)
        self.problems += check_frames(counters, bench.board)
        self.problems += check_pages(levels)
        self._check_bytes()
        self._check_queues(own)
        peaks = sampler.peak_held
        try:
            await bench.driver(card.close)
        except PageringError as error:
            self.problems.append(f"the card could not be closed: {error}")
        return {
            "frames_in": bench.board.sent, "frames_delivered": bench.board.received,
            "drops": {cause.name.lower(): counters[f"drop_{cause.name.lower()}"]
                      for cause in abi.DropCause},
            "faults": {fault.name.lower(): counters[f"fault_{fault.name.lower()}"]
                       for fault in abi.Fault},
            "bytes_in": bench.bytes_sent, "bytes_delivered": bench.board.received_bytes,
            "interrupts": sum(bench.transport.interrupts[:-1]),
            "returns": counters["returns"],
            "fetched": sum(queue.returns.pulled for queue in self.queues),
            "write_beats": bench.port.beats,
            "pages": dataclasses.asdict(_pages(levels)),
            "per_queue": [dataclasses.asdict(QueueFigures(
                queue.index, queue.stats.frames, queue.stats.bytes, counts["rx-hw-drops"],
                peaks[queue.index], counts))
                for queue, counts in zip(self.queues, own, strict=True)],
            "link": link, "sizes": sizes,
            "samples": dataclasses.asdict(sampler.samples),
        }

    def _check_bytes(self) -> None:
        """Every byte that the card wrote was of a delivered frame or of a completion."""
        completions = sum(queue.stats.segments for queue in self.queues)
        each = abi.COMPLETION_BYTES + self.queues[0].extended * abi.EXTENSION_BYTES
        headers = sum(queue.stats.splits for queue in self.queues)
        due = self.bench.board.received_bytes + (completions - headers) * each + self.mirrored
        if self.bench.memory.bytes_written != due:
            self.problems.append(f"the card wrote {self.bench.memory.bytes_written} bytes, but "
                                 f"frames, completions and indices are {due}")

    def _check_queues(self, own: list[dict[str, int]]) -> None:
        """The card counts at each queue what came out of it."""
        for queue, counts in zip(self.queues, own, strict=True):
            counted = counts["rx-packets"], counts["rx-bytes"]
            if counted != (queue.stats.frames, queue.stats.bytes):
                self.problems.append(
                    f"queue {queue.index} received {queue.stats.frames} frames of "
                    f"{queue.stats.bytes} bytes, but the card counts {counted[0]} of {counted[1]}")


def _pages(levels: list[PoolLevels]) -> Pages:
    by_queue = {queue: pages for level in levels for queue, pages in level.held.items()}
    held = sum(by_queue.values())
    outstanding = sum(level.outstanding for level in levels)
    return Pages(registered=sum(level.registered for level in levels),
                 free=sum(level.free for level in levels), outstanding=outstanding,
                 open=held - outstanding, peak=sum(level.peak for level in levels))


@cocotb.test()
async def run(dut: Any) -> None:
    """Do what the job file says."""
    job = json.loads(Path(os.environ[JOB_VARIABLE]).read_text(encoding="utf-8"))
    options = SimOptions.from_json(job["options"])
    capture = read_frames(options.pcap or SHIPPED)
    bench = CardBench(dut, card_config(options), BenchOptions(
        clock_mhz=options.clock_mhz, latency=max(LATENCY_MIN, options.latency), seed=options.seed,
        stalls=Stalls(options.stalls, options.stalls, options.stalls)))
    simulation = SimRun(bench, options, capture, Path(job["progress"]))
    figures = await simulation.run()
    frames = sorted(simulation.received, key=lambda item: item[0])
    dates = [simulation.dates.get(number, capture.timestamps_ns[number])
             if number < len(capture.frames) else 0 for number, _ in frames]
    write_frames(Path(job["out"]) / "out.pcap", [data for _, data in frames], dates)
    simulation.trace.write(Path(job["out"]) / "pages.trace.json", bench.cycle)
    Path(job["result"]).write_text(json.dumps(figures), encoding="utf-8")
