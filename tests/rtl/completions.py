"""Completions: lines of four, phases, flushing; interrupts: auto-mask and arming without a race."""

from __future__ import annotations

import cocotb
from cocotb.handle import HierarchyObject
from cocotb.triggers import RisingEdge
from cocotbext.axi import AxiStreamFrame

from pagering import abi
from pagering_tb.write_port import Burst

from .rig import Rig


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


async def opened(dut: HierarchyObject, regions: int | None = None, log2: int = 6,
                 extended: bool = False, **options: object) -> Rig:
    rig = Rig(dut, **options)
    await rig.start()
    await rig.open((regions or rig.config.regions // 2,), log2=log2, extended=extended)
    return rig


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
async def an_interrupt_masks_itself_until_it_is_armed_again(dut: HierarchyObject) -> None:
    rig = await opened(dut)
    rises = await watch(rig)
    await rig.send(*[rig.frame(64) for _ in range(3)])
    assert rises[0] == 0, "never armed"
    for expected in (1, 2):
        rig.queues[0].poll()
        await rig.write(abi.USER, "ARM", 0, index_=rig.queues[0].head)
        await rig.settle()
        assert rises[0] == expected - 1, "nothing new"
        assert await rig.get(abi.QUEUE, "STATUS") == 2, "armed"
        for _ in range(4):
            await rig.send(rig.frame(64))
        assert rises[0] == expected, "one edge for each arming"
        assert await rig.get(abi.QUEUE, "STATUS") == 4, "fired, and masked"
    assert rises[1:] == [0] * rig.config.queues
    await rig.check()


async def watch(rig: Rig) -> list[int]:
    """Count the rising edges of each interrupt line from now on."""
    rises = [0] * (rig.config.queues + 1)

    async def run() -> None:
        before = int(rig.dut.irq.value)
        while True:
            await RisingEdge(rig.dut.clk)
            now = int(rig.dut.irq.value)
            for bit in range(len(rises)):
                rises[bit] += (now & ~before) >> bit & 1
            before = now
    cocotb.start_soon(run())
    return rises


@cocotb.test()
async def no_wake_up_is_lost_wherever_arming_meets_a_completion(dut: HierarchyObject) -> None:
    rig = await opened(dut)
    rises = await watch(rig)
    queue = rig.queues[0]
    late = 0
    for offset in range(64):
        queue.poll()
        index = queue.head
        # Sent first, armed ``offset`` cycles later: before, in or after the cycle of visibility.
        await rig.bench.send_raw(AxiStreamFrame(rig.frame(64)))
        await rig.bench.cycles(offset)
        late += bool(await_visible(rig, queue.head))
        await rig.write(abi.USER, "ARM", 0, index_=index)
        await rig.settle()
        assert rises[0] == offset + 1, f"armed {offset} cycles after the frame: {rises[0]} edges"
        assert await rig.get(abi.QUEUE, "STATUS") == 4
        await queue.take()
        await rig.flush()
    assert 0 < late < 64, "arming came before and after the completion"
    await rig.check()


def await_visible(rig: Rig, index: int) -> bool:
    """Return whether completion ``index`` of queue 0 is in memory now."""
    queue = rig.queues[0]
    at = (index & (1 << queue.log2) - 1) * 16
    phase = queue.ring.view[at + 15] >> 7
    return phase == 1 - (index >> queue.log2 & 1)


@cocotb.test()
async def the_event_vector_is_raised_by_enabled_events_only(dut: HierarchyObject) -> None:
    rig = await opened(dut)
    rises = await watch(rig)
    await rig.poke(0, 0)
    await rig.flush()
    assert rises[-1] == 0, "not enabled"
    await rig.write(abi.CARD, "EVENT_ENABLE", fault=1)
    await rig.flush()
    assert rises[-1] == 1, "it had happened already"
    await rig.poke(0, 0)
    await rig.flush()
    assert rises[-1] == 1, "still raised"
    await rig.write(abi.CARD, "EVENTS", fault=1)
    await rig.flush()
    assert not int(dut.irq.value) >> rig.config.queues
    await rig.queues[0].give(0xFFFF_FFFF)
    await rig.flush()
    assert rises[-1] == 2
    ring = rig.queues[0].ring
    await rig.write(abi.CARD, "EVENTS", fault=1)
    await rig.write(abi.CARD, "EVENT_ENABLE", write_error=1)
    rig.bench.port.inject_error(lambda address: not ring.address <= address < ring.end)
    await rig.send(rig.frame(64))
    assert rises[-1] == 3
    await rig.check({"REGISTER_ACCESS": 2, "RETURN_PAGE": 1, "DATA_WRITE": 1})


@cocotb.test()
async def arming_right_after_enabling_is_neither_lost_nor_early(dut: HierarchyObject) -> None:
    rig = await opened(dut, latency=200)
    await rig.send(*[rig.frame(64) for _ in range(5)])
    await rig.queues[0].take()
    await rig.write(abi.QUEUE, "CONTROL", 0, enable=0)
    await rig.steer(1)
    await rig.settle()
    rises = await watch(rig)
    # The card is busy with another queue's frames when queue 0 starts anew.
    await rig.bench.send([rig.frame(1500) for _ in range(8)])
    await rig.queues[0].enable()
    await rig.write(abi.USER, "ARM", 0, index_=0)
    await rig.settle()
    assert rises[0] == 0, "nothing of the new ring is visible"
    assert await rig.get(abi.QUEUE, "STATUS") == 2
    await rig.steer(0)
    await rig.send(rig.frame(64))
    assert rises[0] == 1
    await rig.check()
