"""The bench: a card, its host and its wire, ready for tests and for ``pagering sim`` alike.

:class:`CardBench` holds the clock and the models around the card. The card's driver is the shipped
one: blocking code that :meth:`CardBench.driver` runs in turns with the simulation. ::

    bench = CardBench(dut, config)
    await bench.start()

    def host() -> None:
        with Card(bench.transport) as card: ...

    await bench.driver(host)
"""

from __future__ import annotations

import faulthandler
import logging
import math
import os
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from cocotb.clock import Clock
from cocotb.simtime import convert, get_sim_time
from cocotb.triggers import ClockCycles, Timer
from cocotbext.axi import AxiStreamBus, AxiStreamFrame, AxiStreamSource

from pagering_hdl.config import CardConfig

from .axi_slave import Stalls, random_pauses
from .cocotb_transport import CocotbTransport
from .driver_thread import in_simulation, run_blocking
from .host_memory import HostMemory
from .read_port import ReadPort
from .scoreboard import Scoreboard
from .write_port import WritePort

__all__ = ["WIRE_QUEUE_FRAMES", "BenchOptions", "CardBench", "limit_wall_time"]

T = TypeVar("T")

WIRE_QUEUE_FRAMES = 32
"""Frames that wait on the wire before :meth:`CardBench.send` waits."""
_WALL_LIMIT = "PAGERING_WALL_LIMIT"


@dataclass(frozen=True)
class BenchOptions:
    """How the world around the card behaves.

    Parameters
    ----------
    clock_mhz : float
        Clock of the card.
    latency, jitter : int
        Cycles from the end of a write burst to its response, or from a read to its data, and how
        many more at random.
    stalls : Stalls
        How often the memory holds back each of its channels.
    gaps : float
        Probability of an idle cycle on the wire.
    memory_bytes : int
        Address space of the host's DMA memory.
    seed : int
        Of everything that is random.
    """

    clock_mhz: float = 250.0
    latency: int = 4
    jitter: int = 0
    stalls: Stalls = Stalls()
    gaps: float = 0.0
    memory_bytes: int = 1 << 30
    seed: int = 1


class CardBench:
    """A simulated card with everything around it.

    Parameters
    ----------
    dut : HierarchyObject
        The top of the simulation.
    config : CardConfig
        What it was generated from.
    options : BenchOptions
        How its surroundings behave.
    """

    def __init__(self, dut: Any, config: CardConfig,
                 options: BenchOptions | None = None) -> None:
        self.dut = dut
        self.config = config
        self.options = options or BenchOptions()
        # An even number of picoseconds: both halves of the clock are whole.
        self.period_ps = 2 * round(500_000 / self.options.clock_mhz)
        self._step = int(convert(self.period_ps, "ps", to="step"))
        self.rng = random.Random(self.options.seed)
        self.memory = HostMemory(self.options.memory_bytes)
        self.memory.clock = lambda: self.cycle
        self.port: WritePort
        self.read_port: ReadPort
        self.source: AxiStreamSource
        self.transport: CocotbTransport
        self.board = Scoreboard()
        self.frames_sent = 0
        self.bytes_sent = 0

    @property
    def cycle(self) -> int:
        """The number of this clock cycle."""
        return int(get_sim_time("step")) // self._step

    async def start(self) -> None:
        """Start the clock, reset the card, connect the models."""
        limit_wall_time()
        dut, options = self.dut, self.options
        for name in ("s_axis_rx_tvalid", "m_axi_awready", "m_axi_wready", "m_axi_bvalid",
                     "m_axi_arready", "m_axi_rvalid",
                     "s_axil_awvalid", "s_axil_wvalid", "s_axil_bready", "s_axil_arvalid",
                     "s_axil_rready"):
            getattr(dut, name).value = 0
        dut.rst.value = 1
        Clock(dut.clk, self.period_ps, "ps").start()
        await ClockCycles(dut.clk, 4)
        self.port = WritePort(
            dut, self.memory, period=self._step, burst_bytes=self.config.burst_bytes,
            latency=options.latency, jitter=options.jitter, stalls=options.stalls,
            rng=random.Random(self.rng.random()))
        self.read_port = ReadPort(
            dut, self.memory, period=self._step, latency=options.latency, jitter=options.jitter,
            stalls=options.stalls, rng=random.Random(self.rng.random()))
        self.source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis_rx"), dut.clk, dut.rst)
        self.source.queue_occupancy_limit_frames = WIRE_QUEUE_FRAMES
        self.transport = CocotbTransport(dut, self.memory)
        self.set_gaps(options.gaps)
        _hush()
        dut.rst.value = 0
        await ClockCycles(dut.clk, 4)

    async def reset(self, cycles: int = 4) -> None:
        """Pull the reset pin, whatever is going on."""
        self.dut.rst.value = 1
        await ClockCycles(self.dut.clk, cycles)
        self.dut.rst.value = 0
        await ClockCycles(self.dut.clk, cycles)

    def set_gaps(self, probability: float) -> None:
        """Leave idle cycles on the wire with this probability from now on."""
        self.source.pause = False
        self.source.set_pause_generator(
            random_pauses(random.Random(self.rng.random()), probability) if probability else None)

    async def cycles(self, count: int) -> None:
        """Let time pass."""
        if count > 0:
            await Timer(count * self._step, "step")

    def sleep(self, cycles: int) -> None:
        """As :meth:`cycles`, for driver code."""
        in_simulation(self.cycles(cycles))

    async def driver(self, func: Callable[..., T], *args: object, **kwargs: object) -> T:
        """Run blocking driver code to its end."""
        return await run_blocking(func, *args, **kwargs)

    async def send(self, frames: Iterable[bytes], bad: Callable[[int], bool] | None = None) -> None:
        """Put frames on the wire, back to back unless there are gaps; wait while it is full.

        Returns when the last one is queued; :meth:`sent` waits until it has gone in.

        Parameters
        ----------
        frames : Iterable[bytes]
            Each at least one byte.
        bad : Callable[[int], bool]
            Says whether to mark the n-th of them as bad (tuser at its last beat).
        """
        for number, data in enumerate(frames):
            is_bad = bad is not None and bad(number)
            tuser = [0] * (len(data) - 1) + [1] if is_bad else 0
            self.board.send(data, is_bad)
            await self.send_raw(AxiStreamFrame(data, tuser=tuser))

    async def send_raw(self, frame: AxiStreamFrame) -> None:
        """Put one frame on the wire as it is, unknown to the scoreboard."""
        self.frames_sent += 1
        self.bytes_sent += len(frame.tdata)
        await self.source.send(frame)

    async def sent(self) -> None:
        """Wait until the card has taken the last beat of the last frame."""
        await self.source.wait()

    async def quiet(self, cycles: int = 200, limit: int = 1_000_000) -> bool:
        """Wait until the wire and the memory have been idle for ``cycles``; False at ``limit``."""
        end = self.cycle + limit
        beats, since = self.port.beats, self.cycle
        while self.cycle - since < cycles:
            if self.cycle >= end:
                return False
            await self.cycles(16)
            if (beats != self.port.beats or not self.port.idle or not self.read_port.idle
                    or not self.source.idle()):
                beats, since = self.port.beats, self.cycle
        return True

    def problems(self) -> list[str]:
        """Return a sentence for everything that the models found wrong."""
        return [*map(str, self.memory.violations), *self.memory.check_guards(),
                *self.board.problems]


def _hush() -> None:
    # The models describe every frame at INFO; the texts alone would halve the speed.
    for name in list(logging.root.manager.loggerDict):
        logger = logging.getLogger(name)
        if name.startswith("cocotb.") and logger.getEffectiveLevel() < logging.WARNING:
            logger.setLevel(logging.WARNING)


def limit_wall_time() -> None:
    """Stop this process, and say where it was, if it does not come here again in time.

    Driver code that spins without letting simulated time pass cannot be stopped from inside the
    simulation. ``$PAGERING_WALL_LIMIT`` says how many seconds there are.
    """
    limit = float(os.environ.get(_WALL_LIMIT, "0"))
    if limit and math.isfinite(limit):
        faulthandler.dump_traceback_later(limit, exit=True)
