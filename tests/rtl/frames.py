"""Every length, tail, gap and stall: what goes in comes out, byte for byte, in order."""

from __future__ import annotations

import random
from typing import Any

import cocotb
from cocotb.handle import HierarchyObject
from cocotbext.axi import AxiStreamFrame

from pagering_tb.axi_slave import Stalls

from .rig import Rig

EDGES = (255, 256, 257, 511, 512, 513, 1024, 1514, 1518, 4095, 4096, 4097, 8191, 8192, 8193,
         9599, 9600)


async def through(dut: HierarchyObject, lengths: list[int], **options: Any) -> Rig:
    """Send frames of these lengths to all queues in turn and check every byte."""
    rig = Rig(dut, **options)
    await rig.start()
    queues, pools = rig.config.queues, rig.config.pools
    await rig.open([rig.config.regions // pools] * pools, [n % pools for n in range(queues)])
    await rig.round_robin(queues)
    rig.host(shuffle=True)
    frames = [rig.frame(length) for length in lengths]
    await rig.pour(frames, window=rig.config.page_bytes * 8)
    await rig.stop_hosts()
    for number, queue in rig.queues.items():
        assert queue.frames == frames[number::queues], f"queue {number}"
        assert not any(queue.errors)
    assert await rig.drops() == {}
    await rig.check()
    return rig


@cocotb.test()
async def every_length_arrives_byte_for_byte(dut: HierarchyObject) -> None:  # checklist 10
    await through(dut, [*range(1, 131), *EDGES, *reversed(EDGES), *range(130, 0, -1)])


@cocotb.test()
@cocotb.parametrize(latency=(2, 64, 250))
async def random_stalls_gaps_and_latency_change_nothing(dut: HierarchyObject,  # checklist 26
                                                        latency: int) -> None:
    rng = random.Random(latency)
    lengths = [rng.choice((rng.randint(1, 300), rng.randint(1, 9600))) for _ in range(40)]
    await through(dut, lengths, seed=latency, latency=latency, jitter=20, gaps=0.3,
                  stalls=Stalls(0.4, 0.4, 0.4))


@cocotb.test()
@cocotb.parametrize(channel=("address", "data", "response"))
async def one_slow_channel_changes_nothing(dut: HierarchyObject, channel: str) -> None:
    await through(dut, [64, 1, 65, 1514, 4097, 9600] * 3, stalls=Stalls(**{channel: 0.9}))


@cocotb.test()
async def a_null_last_beat_adds_nothing_to_its_frame(dut: HierarchyObject) -> None:
    rig = Rig(dut)
    await rig.start()
    await rig.open()
    lanes = rig.config.bus_bytes
    expected = []
    for beats in (1, 2, 5):
        data = rig.frame(beats * lanes)
        await rig.bench.send_raw(AxiStreamFrame(
            data + bytes(lanes), tkeep=[1] * len(data) + [0] * lanes))
        await rig.bench.send_raw(AxiStreamFrame(follower := rig.frame(lanes + 1)))
        expected += [data, follower]
    await rig.settle()
    await rig.queues[0].take()
    await rig.flush()
    assert await rig.drops() == {}
    assert rig.queues[0].frames == expected
    await rig.check()
