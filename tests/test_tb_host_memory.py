"""The bench's memory and write port: bounds, guards, latency, errors."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pagering.transport import DmaMemory
from pagering_tb.host_memory import HostMemory, HostMemoryError


def test_blocks_are_dma_memory() -> None:
    memory = HostMemory(1 << 22)
    block = memory.allocate(8192, 8192)
    assert isinstance(block, DmaMemory)
    assert block.address % 8192 == 0
    assert block.address >> 32
    assert block.view.nbytes == 8192
    assert not any(block.view)
    assert memory.write(block.address + 8, b"page")
    assert block.view[8:12] == b"page"
    assert memory.bytes_written == 4


@pytest.mark.parametrize(("offset", "size"), [(-1, 1), (4096, 1), (4095, 2), (-4, 8), (1 << 30, 1)])
def test_write_out_of_bounds_changes_nothing(offset: int, size: int) -> None:
    memory = HostMemory(1 << 22)
    memory.clock = lambda: 77
    block = memory.allocate(4096)
    assert not memory.write(block.address + offset, b"x" * size)
    (violation,) = memory.violations
    assert str(violation) == (f"cycle 77: stray write of {size} bytes at "
                              f"0x{block.address + offset:x}")
    assert not any(block.view)
    assert memory.check_guards() == []


def test_freed_block_takes_no_more() -> None:
    memory = HostMemory(1 << 22)
    one, two = memory.allocate(100), memory.allocate(100)
    assert memory.write(one.address, b"x")
    one.free()
    one.free()
    assert not memory.write(one.address, b"x")
    assert memory.write(two.address, b"x")
    assert memory.blocks == (two,)


def test_addresses_come_back_last() -> None:
    memory = HostMemory(1 << 20)
    first = memory.allocate(1 << 18)
    first.view[:3] = b"old"
    first.free()
    blocks = [memory.allocate(1 << 18) for _ in range(3)]
    assert blocks[-1].address == first.address
    assert len({block.address for block in blocks}) == len(blocks)
    assert not any(any(block.view) for block in blocks)
    with pytest.raises(HostMemoryError, match="more memory than 1 MiB"):
        memory.allocate(1 << 18)


def test_host_that_writes_over_a_guard_is_named() -> None:
    memory = HostMemory(1 << 20)
    block = memory.allocate(1000)
    memory.view(block.end, 1)[0] = 0
    where = f"0x{block.address:x}..0x{block.end:x} was written over at 0x{block.end:x}"
    assert memory.check_guards() == [f"guard after the block {where}"]
    with pytest.raises(HostMemoryError, match="guard after the block"):
        block.free()


@pytest.mark.parametrize(("size", "align"), [(0, 4096), (-4, 4096), (16, 0), (16, 24)])
def test_senseless_allocation_is_refused(size: int, align: int) -> None:
    with pytest.raises(ValueError, match=f"cannot allocate {size} bytes aligned to {align}"):
        HostMemory(1 << 20).allocate(size, align)


@pytest.mark.slow
@pytest.mark.parametrize("bus_bits", [64, 512])
def test_models(writer_build: Callable[[int], Path], bus_bits: int, tmp_path: Path) -> None:
    from pagering_tb.runner import simulate
    result = simulate(writer_build(bus_bits), "benches.host_models", run_dir=tmp_path,
                      extra={"DIGEST": os.devnull}).check()
    assert len(result.passed) == 18


@pytest.mark.slow
def test_same_seed_same_run(writer_build: Callable[[int], Path], tmp_path: Path) -> None:
    from pagering_tb.runner import simulate
    digests = []
    for number, seed in enumerate((5, 5, 6)):
        path = tmp_path / f"digest{number}"
        simulate(writer_build(64), "benches.host_models", seed=seed, run_dir=tmp_path,
                 testcase="digest_of_a_random_run", extra={"DIGEST": str(path)}).check()
        digests.append(path.read_text(encoding="utf-8"))
    assert digests[0] == digests[1] != digests[2]
