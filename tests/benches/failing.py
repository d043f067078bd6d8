"""One test that passes and one that fails, for the runner's own tests."""

from __future__ import annotations

import cocotb
from cocotb.handle import HierarchyObject
from cocotb.triggers import Timer


@cocotb.test()
async def passes(dut: HierarchyObject) -> None:
    await Timer(10, "ns")


@cocotb.test()
async def fails(dut: HierarchyObject) -> None:
    await Timer(10, "ns")
    raise AssertionError("what the test found")
