"""Cocotb tests of the bench's own models, on the stand-in card of ``rtl.writer``."""

from __future__ import annotations

import os
import random
import time

import cocotb
import pytest
from cocotb.handle import HierarchyObject
from cocotb.triggers import RisingEdge, Timer

from pagering.errors import CardError
from pagering_hdl.config import CardConfig
from pagering_tb.axi_slave import Stalls
from pagering_tb.bench import BenchOptions, CardBench
from pagering_tb.driver_thread import SimulationEnded, in_simulation
from pagering_tb.host_memory import GUARD_BYTES, DmaBlock
from pagering_tb.write_port import Burst

BEATS = 4
ADDRESS, SHAPE, RESPONSES, IRQ = 0x08, 0x10, 0x14, 0x18


async def started(dut: HierarchyObject, **options: object) -> CardBench:
    """Return a bench around the stand-in card."""
    bench = CardBench(dut, CardConfig(bus_bits=len(dut.m_axi_wdata)),
                      BenchOptions(memory_bytes=1 << 24, **options))  # type: ignore[arg-type]
    await bench.start()
    return bench


async def aim(bench: CardBench, address: int, flags: int = 0, beats: int = BEATS) -> None:
    """Tell the stand-in where to write next."""
    await bench.transport.write32_async(SHAPE, beats - 1 | flags)
    await bench.transport.write32_async(ADDRESS, address & 0xFFFF_FFFF)
    await bench.transport.write32_async(ADDRESS + 4, address >> 32)
    await bench.transport.flush()


def payload(bench: CardBench, bursts: int, beats: int = BEATS) -> bytes:
    """Return random bytes for so many bursts."""
    return bench.rng.randbytes(bursts * beats * bench.config.bus_bytes)


def block(bench: CardBench, size: int) -> DmaBlock:
    """Allocate from the bench's memory."""
    return bench.memory.allocate(size)


async def finish(bench: CardBench) -> int:
    """Wait for the end of all traffic; return the stand-in's count of responses."""
    await bench.sent()
    assert await bench.quiet()
    return await bench.transport.read32_async(RESPONSES)


@cocotb.test()
async def bytes_arrive(dut: HierarchyObject) -> None:
    bench = await started(dut, stalls=Stalls(0.3, 0.2, 0.3), gaps=0.2, jitter=9)
    memory = block(bench, 65536)
    data = payload(bench, 64)
    await aim(bench, memory.address)
    await bench.send([data])
    assert await finish(bench) == 64
    assert memory.view[:len(data)] == data
    assert not any(memory.view[len(data):])
    assert bench.memory.bytes_written == len(data)
    assert (bench.port.bursts, bench.port.beats) == (64, 64 * BEATS)
    assert not bench.problems()


@cocotb.test()
async def partial_strobes_leave_the_rest_alone(dut: HierarchyObject) -> None:
    bench = await started(dut)
    memory = block(bench, 4096)
    memory.view[:] = b"\xEE" * 4096
    lanes = bench.config.bus_bytes
    await aim(bench, memory.address, beats=2)
    await bench.send([bytes(range(lanes + 3))])
    await finish(bench)
    assert memory.view[:lanes + 3] == bytes(range(lanes + 3))
    assert memory.view[lanes + 3:] == b"\xEE" * (4096 - lanes - 3)
    assert bench.memory.bytes_written == lanes + 3


@cocotb.test()
async def latency_is_exact(dut: HierarchyObject) -> None:
    bench = await started(dut)
    memory = block(bench, 65536)
    ends: list[int] = []
    answers: list[int] = []

    async def watch() -> None:
        while True:
            await RisingEdge(dut.clk)
            if dut.m_axi_wvalid.value and dut.m_axi_wready.value and dut.m_axi_wlast.value:
                ends.append(bench.cycle)
            if dut.m_axi_bvalid.value and dut.m_axi_bready.value:
                answers.append(bench.cycle)

    cocotb.start_soon(watch())
    for latency in (2, 3, 4, 64, 250):
        bench.port.latency = latency
        ends.clear()
        answers.clear()
        await aim(bench, memory.address)
        await bench.send([payload(bench, 60)])
        await finish(bench)
        assert len(ends) == 60
        assert {b - a for a, b in zip(ends, answers, strict=True)} == {latency}


@cocotb.test()
async def latency_costs_no_throughput(dut: HierarchyObject) -> None:
    bench = await started(dut, latency=250)
    memory = block(bench, 65536)
    await aim(bench, memory.address)
    await bench.send([payload(bench, 60)])
    await finish(bench)
    assert bench.port.first_beat is not None
    assert bench.port.last_beat - bench.port.first_beat + 1 == 60 * BEATS


@cocotb.test()
async def stray_writes_are_caught(dut: HierarchyObject) -> None:
    bench = await started(dut)
    memory = block(bench, 4096)
    size = BEATS * bench.config.bus_bytes
    for address, bad in ((memory.address + 4096, 1), (memory.address - size, 2),
                         (memory.address, 2), (0, 3), (bench.memory.base + (1 << 24), 4)):
        await aim(bench, address)
        await bench.send([payload(bench, 1)])
        responses = await finish(bench)
        assert len(bench.memory.violations) == bad, address
        assert responses >> 16 == (address != memory.address)
        assert responses & 0xFFFF == 1
    assert bench.memory.violations[0].address == memory.address + 4096
    assert "stray write" in str(bench.memory.violations[0])
    assert not bench.memory.check_guards()


@cocotb.test()
async def write_after_unmap_is_caught(dut: HierarchyObject) -> None:
    bench = await started(dut)
    memory = block(bench, 4096)
    await aim(bench, memory.address)
    memory.free()
    memory.free()
    await bench.send([payload(bench, 1)])
    await finish(bench)
    assert len(bench.memory.violations) == 1
    assert bench.memory.bytes_written == 0


@cocotb.test()
async def broken_guard_is_found(dut: HierarchyObject) -> None:
    bench = await started(dut)
    memory = block(bench, 100)
    bench.memory.view(memory.end + 3, 1)[0] ^= 1
    (text,) = bench.memory.check_guards()
    assert "guard after" in text
    assert f"0x{memory.end + 3:x}" in text
    bench.memory.view(memory.end + 3, 1)[0] ^= 1
    bench.memory.view(memory.address - GUARD_BYTES, 1)[0] ^= 1
    assert "guard before" in bench.problems()[0]


@cocotb.test()
async def errors_on_demand(dut: HierarchyObject) -> None:
    bench = await started(dut)
    memory = block(bench, 65536)
    size = BEATS * bench.config.bus_bytes
    rule = bench.port.inject_error(lambda address: address >= memory.address + 4 * size, count=2)
    seen: list[Burst] = []
    bench.port.on_burst = seen.append
    data = payload(bench, 10)
    await aim(bench, memory.address)
    await bench.send([data])
    responses = await finish(bench)
    assert (responses & 0xFFFF, responses >> 16) == (10, 2)
    assert rule.hits == 2
    assert [burst.response for burst in seen] == [0] * 4 + [2] * 2 + [0] * 4
    assert memory.view[:4 * size] == data[:4 * size]
    assert memory.view[4 * size:6 * size] == bytes(2 * size)
    assert memory.view[6 * size:10 * size] == data[6 * size:]
    assert not bench.problems()


@cocotb.test()
async def long_and_fixed_bursts_are_objected_to(dut: HierarchyObject) -> None:
    bench = await started(dut)
    memory = block(bench, 65536)
    long = bench.config.burst_bytes // bench.config.bus_bytes + 1
    await aim(bench, memory.address, beats=long)
    await bench.send([payload(bench, 1, long)])
    await finish(bench)
    await aim(bench, memory.address, flags=0x200)
    await bench.send([payload(bench, 1)])
    await finish(bench)
    texts = [v.what for v in bench.memory.violations]
    assert "longer than 256" in texts[0]
    assert "not INCR" in texts[1]


@cocotb.test(expect_error=AssertionError)
async def page_crossing_is_objected_to(dut: HierarchyObject) -> None:
    bench = await started(dut)
    memory = block(bench, 65536)
    await aim(bench, memory.address + 4096 - bench.config.bus_bytes)
    await bench.send([payload(bench, 1)])
    await finish(bench)


@cocotb.test(expect_error=AssertionError)
async def wrong_last_is_objected_to(dut: HierarchyObject) -> None:
    bench = await started(dut)
    memory = block(bench, 65536)
    await aim(bench, memory.address, flags=0x100)
    await bench.send([payload(bench, 1)])
    await finish(bench)


@cocotb.test()
async def registers_from_a_blocking_driver(dut: HierarchyObject) -> None:
    bench = await started(dut)
    transport = bench.transport

    def host() -> None:
        assert transport.read32(0) == 0x50475247
        for value in range(100, 140):
            transport.write32(4, value)
        assert transport.read32(4) == 139
        transport.write_tokens(ADDRESS, [0x1234, 0x5])
        assert (transport.read32(ADDRESS), transport.read32(ADDRESS + 4)) == (0x1234, 0x5)
        transport.write_tokens(ADDRESS, [])
        assert transport.write_errors == 0
        transport.write32(0x40, 1)
        with pytest.raises(CardError, match="register 0x00020 with SLVERR"):
            transport.read32(0x20)
        assert transport.write_errors == 1
        transport.close()

    await bench.driver(host)


@cocotb.test()
async def interrupts_are_latched(dut: HierarchyObject) -> None:
    bench = await started(dut)
    transport = bench.transport

    def host() -> None:
        assert not transport.wait_interrupt(0, 1e-6)
        transport.write32(IRQ, 1)
        transport.write32(IRQ, 0)
        transport.read32(0)
        assert not transport.wait_interrupt(1, 0.0)
        assert transport.wait_interrupt(0, 1e-6)
        assert not transport.wait_interrupt(0, 1e-6)
        transport.write32(IRQ, 3)
        assert transport.wait_interrupt(1)
        assert transport.wait_interrupt(0)

    start = bench.cycle
    await bench.driver(host)
    assert 500 <= bench.cycle - start < 600


@cocotb.test()
async def drivers_take_turns(dut: HierarchyObject) -> None:
    bench = await started(dut)
    trace: list[tuple[str, int]] = []

    def host(name: str, pause: int) -> None:
        for _ in range(5):
            bench.sleep(pause)
            trace.append((name, bench.cycle))

    a = cocotb.start_soon(bench.driver(host, "a", 10))
    b = cocotb.start_soon(bench.driver(host, "b", 15))
    await a
    await b
    start = trace[0][1] - 10
    assert [(name, cycle - start) for name, cycle in trace] == [
        ("a", 10), ("b", 15), ("a", 20), ("b", 30), ("a", 30), ("a", 40), ("b", 45), ("a", 50),
        ("b", 60), ("b", 75)]


@cocotb.test()
async def driver_errors_come_through(dut: HierarchyObject) -> None:
    bench = await started(dut)
    unwound = []

    def fails() -> None:
        bench.sleep(3)
        raise KeyError("from the driver")

    def waits() -> None:
        try:
            bench.transport.wait_interrupt(0)
        except SimulationEnded:
            unwound.append(True)
            raise

    with pytest.raises(KeyError, match="from the driver"):
        await bench.driver(fails)
    task = cocotb.start_soon(bench.driver(waits))
    await Timer(1, "us")
    task.cancel()
    await Timer(1, "us")
    assert unwound
    with pytest.raises(RuntimeError, match="CardBench.driver"):
        in_simulation(bench.cycles(1))


@cocotb.test()
async def reset_empties_the_models(dut: HierarchyObject) -> None:
    bench = await started(dut, latency=200)
    memory = block(bench, 65536)
    await aim(bench, memory.address)
    await bench.send([payload(bench, 4)])
    await bench.cycles(BEATS * 2 + 20)
    await bench.reset()
    await bench.cycles(300)
    data = payload(bench, 4)
    await aim(bench, memory.address)
    await bench.send([data])
    assert await finish(bench) == 4
    assert memory.view[:len(data)] == data


@cocotb.test()
async def digest_of_a_random_run(dut: HierarchyObject) -> None:
    """Write down what happened and when, for the test that runs this twice."""
    bench = await started(dut, stalls=Stalls(0.2, 0.2, 0.2), gaps=0.3, jitter=20,
                          seed=random.randrange(1 << 32))
    memory = block(bench, 65536)
    await aim(bench, memory.address)
    await bench.send([payload(bench, 32)])
    await finish(bench)
    with open(os.environ["DIGEST"], "w", encoding="utf-8") as file:
        file.write(f"{bench.cycle} {bench.port.last_beat} {hash(bytes(memory.view))}")


@cocotb.test()
async def speed(dut: HierarchyObject) -> None:
    """Say how fast the models are at full rate; a floor catches a tenfold loss."""
    bench = await started(dut)
    memory = block(bench, 1 << 20)
    beats = 12_800
    await aim(bench, memory.address, beats=256 // bench.config.bus_bytes)
    data = payload(bench, 1, beats // 8)
    cycle, begun = bench.cycle, time.perf_counter()
    for _ in range(8):
        await bench.send([data])
    await bench.sent()
    rate = (bench.cycle - cycle) / (time.perf_counter() - begun)
    dut._log.warning("%d cycles/s at %d bits", rate, bench.config.bus_bits)
    assert bench.cycle - cycle < beats + 50
    assert rate > 1000
