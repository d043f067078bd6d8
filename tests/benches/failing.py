"""One test that passes, one that fails and one that breaks the design, for the runner's tests."""

from __future__ import annotations

import cocotb
from cocotb.handle import HierarchyObject
from cocotb.triggers import Timer

from pagering_hdl.config import CardConfig
from pagering_tb.bench import CardBench


@cocotb.test()
async def passes(dut: HierarchyObject) -> None:
    await Timer(10, "ns")


@cocotb.test()
async def fails(dut: HierarchyObject) -> None:
    await Timer(10, "ns")
    raise AssertionError("what the test found")


@cocotb.test()
async def breaks_an_assertion(dut: HierarchyObject) -> None:
    bench = CardBench(dut, CardConfig())
    await bench.start()
    await bench.transport.write32_async(4, 0xDEAD)
    await Timer(1, "us")
