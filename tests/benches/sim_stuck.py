"""Runs of ``pagering sim`` on hosts that misbehave, as cocotb tests."""

from __future__ import annotations

import random
from typing import Any

import cocotb

from pagering.capture import Capture
from pagering.sim_options import SimOptions
from pagering_tb import sim_main
from pagering_tb.bench import BenchOptions, CardBench
from pagering_tb.sim import card_config
from pagering_tb.sim_main import SimRun

OPTIONS = SimOptions(queues=2, pools=2, pages=64)


def new_run(dut: Any, frames: list[bytes], **options: Any) -> SimRun:
    """Return a run of these frames."""
    return SimRun(CardBench(dut, card_config(OPTIONS), BenchOptions(**options)), OPTIONS,
                  Capture(frames, [0] * len(frames)))


@cocotb.test()
async def memory_that_never_answers_ends_the_run(dut: Any) -> None:
    sim_main._PATIENCE_CYCLES = 20_000
    run = new_run(dut, [bytes(60)] * 200, latency=10**9)
    figures = await run.run()
    assert figures["frames_delivered"] == 0
    assert "nothing happened for 20,000 cycles" in figures["problems"][0]
    assert "received" in figures["problems"][0]


@cocotb.test()
async def wrong_byte_is_a_problem(dut: Any) -> None:
    rng = random.Random(1)
    run = new_run(dut, [rng.randbytes(100) for _ in range(50)])

    def spoil(burst: Any) -> None:
        if burst.bytes == 100 and run.bench.port.bursts > 20:  # of data, not of completions
            run.bench.memory.view(burst.address + 3, 1)[0] ^= 0x10
            run.bench.port.on_burst = None

    opened = run.open

    def open_and_spoil() -> None:
        opened()
        run.bench.port.on_burst = spoil

    run.open = open_and_spoil  # type: ignore[method-assign]
    figures = await run.run()
    assert any("differs from what was sent at byte 3" in text for text in figures["problems"])
    assert figures["frames_delivered"] == 50


@cocotb.test()
async def all_is_well(dut: Any) -> None:
    rng = random.Random(2)
    figures = await new_run(dut, [rng.randbytes(rng.randint(1, 9000)) for _ in range(60)],
                            gaps=0.2, jitter=30).run()
    assert figures["problems"] == []
    assert figures["frames_delivered"] == 60
