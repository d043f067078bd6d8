"""Completions: lines of four, or of two extended ones, phases, flushing; never torn."""

from __future__ import annotations

import cocotb
from cocotb.handle import HierarchyObject
from cocotb.triggers import RisingEdge
from cocotbext.axi import AxiStreamFrame

from pagering import abi
from pagering_tb.write_port import Burst

from .rig import Rig, is_visible, opened


class Lines:
    """Watches the writes to completion rings; checks that none straddles 64 bytes."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.seen: list[tuple[int, int, int]] = []
        """Queue, completions, cycle of the last beat."""
        rig.bench.port.on_burst = self._note

    def _note(self, burst: Burst) -> None:
        for number, queue in self.rig.queues.items():
            if queue.ring.address <= burst.address < queue.ring.end:
                start, stride = burst.address, queue.stride
                assert burst.bytes % stride == 0
                assert start % stride == 0 or self.rig.config.bus_bytes > 16
                count = burst.bytes // stride
                assert 1 <= count <= 64 // stride
                first, last = start // 64, (start // 16 * 16 + burst.bytes - 1) // 64
                assert first == last, "a line straddles 64 bytes"
                self.seen.append((number, count, burst.last_cycle))


@cocotb.test()
@cocotb.parametrize(log2=(6, 7), extended=(False, True))
async def the_phase_turns_with_each_pass_over_the_ring(  # checklist 17
        dut: HierarchyObject, log2: int, extended: bool) -> None:
    rig = await opened(dut, log2=log2, extended=extended)
    lines = Lines(rig)
    rig.host(0, every=20)
    count = (3 << log2) + 5
    frames = [rig.frame(rig.rng.randint(1, 100)) for _ in range(count)]
    await rig.pour(frames)
    await rig.stop_hosts()
    assert rig.queues[0].frames == frames
    assert await rig.get(abi.QUEUE, "PRODUCED") == count
    assert sum(n for _, n, _ in lines.seen) == count
    await rig.check()


@cocotb.test()
async def the_index_wraps_with_the_ring_of_65536(dut: HierarchyObject) -> None:
    rig = await opened(dut)
    await rig.write(abi.QUEUE, "CONTROL", 0, enable=0)
    await rig.settle()
    queue = await rig.add_queue(0, log2=16)
    await rig.flush()
    assert await rig.get(abi.QUEUE, "CONTROL") == 1
    frames = [rig.frame(64) for _ in range(9)]
    await rig.send(*frames)
    queue.poll()
    assert queue.frames == frames
    await queue.take()
    await rig.check()


@cocotb.test()
async def four_leave_as_one_write_under_load_and_one_alone_when_idle(
        dut: HierarchyObject) -> None:
    rig = await opened(dut, log2=8)
    lines = Lines(rig)
    rig.host(0, every=20)
    for _ in range(3):
        await rig.send(rig.frame(64))
    assert [count for _, count, _ in lines.seen] == [1, 1, 1], "idle: at once, alone"
    del lines.seen[:]
    await rig.pour([rig.frame(64) for _ in range(133)])
    counts = [count for _, count, _ in lines.seen]
    assert sum(counts) == 133
    assert counts.count(4) >= 25, f"mostly whole lines under load: {counts}"
    await rig.stop_hosts()
    await rig.check()


@cocotb.test()
async def a_completion_waits_two_timer_periods_at_most(dut: HierarchyObject) -> None:
    rig = await opened(dut, log2=8)
    period = 512
    await rig.write(abi.CARD, "FLUSH_TIMER", cycles=period)
    await rig.steer(1)
    lines = Lines(rig)
    rig.host(1, every=20)
    busy = True

    async def load() -> None:
        while busy:
            await rig.bench.send_raw(AxiStreamFrame(rig.frame(1000)))
    traffic = cocotb.start_soon(load())
    await rig.bench.cycles(2000)
    for _ in range(3):
        del lines.seen[:]
        await rig.steer(0)
        await rig.bench.cycles(2000 // rig.config.bus_bytes)
        await rig.steer(1)
        start = rig.bench.cycle
        # Its data needs to get through the FIFO and the bus first: the frames before it.
        slack = rig.config.fifo_beats + 500
        await rig.bench.cycles(2 * period + slack)
        assert any(number == 0 for number, _, _ in lines.seen), "flushed though the card is busy"
        assert max(at for n, _, at in lines.seen if n == 0) - start <= 2 * period + slack
        assert not await rig.get(abi.CARD, "STATUS") & 2, "the card was busy all the time"
    busy = False
    await traffic
    await rig.settle()
    await rig.stop_hosts()
    await rig.check()


@cocotb.test()
@cocotb.parametrize(period=(0, 1, 2))
async def any_flush_timer_delivers_everything(dut: HierarchyObject, period: int) -> None:
    rig = await opened(dut, log2=7)
    await rig.write(abi.CARD, "FLUSH_TIMER", cycles=period)
    await rig.round_robin(3)
    Lines(rig)
    rig.host(every=20)
    frames = [rig.frame(rig.rng.randint(1, 400)) for _ in range(200)]
    await rig.pour(frames)
    await rig.stop_hosts()
    for number in range(3):
        assert rig.queues[number].frames == frames[number::3]
    await rig.check()


@cocotb.test()
@cocotb.parametrize(extended=(False, True))
async def a_completion_is_never_seen_torn(  # checklist 18
        dut: HierarchyObject, extended: bool) -> None:
    """Beat by beat as the bus carries them: where the phase is new, all else is final."""
    rig = await opened(dut, log2=6, extended=extended)
    seen: list[bytes] = []
    watch_ring(rig, seen)
    rig.host(0, every=20)
    frames = [rig.frame(rig.rng.randint(1, 5000)) for _ in range(100)]
    await rig.pour(frames)
    await rig.stop_hosts()
    queue = rig.queues[0]
    produced = await rig.get(abi.QUEUE, "PRODUCED")
    assert len(seen) == produced
    for index in range(produced - 64, produced):
        at = (index & 63) * queue.stride
        assert seen[index] == queue.ring.view[at:at + queue.stride]
    assert queue.frames == frames
    await rig.check()


def watch_ring(rig: Rig, seen: list[bytes]) -> None:
    """Look at queue 0's ring in each cycle, and so after each beat; note what a new phase shows."""
    queue = rig.queues[0]

    async def run() -> None:
        while True:
            await RisingEdge(rig.dut.clk)
            while is_visible(rig, len(seen)):
                at = (len(seen) & (1 << queue.log2) - 1) * queue.stride
                seen.append(bytes(queue.ring.view[at:at + queue.stride]))
    cocotb.start_soon(run())


@cocotb.test()
async def each_queue_has_completions_of_its_own_kind(dut: HierarchyObject) -> None:
    rig = await opened(dut, log2=7)
    await rig.write(abi.QUEUE, "CONTROL", 1, enable=0)
    await rig.settle()
    await rig.add_queue(1, 0, 7, extended=True)
    await rig.round_robin(2)
    lines = Lines(rig)
    rig.host(every=20)
    frames = [rig.frame(64) for _ in range(400)]
    await rig.pour(frames)
    await rig.stop_hosts()
    for number, most in ((0, 4), (1, 2)):
        assert rig.queues[number].frames == frames[number::2]
        assert max(count for queue, count, _ in lines.seen if queue == number) == most
    await rig.check()
