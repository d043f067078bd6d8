"""What the card counts: every cause apart, every size in its place, nothing lost or counted twice.

The counters are held against what the test sent and received and against what the bench saw on the
bus, never against each other alone.
"""

from __future__ import annotations

from collections import Counter

import cocotb
from cocotb.handle import HierarchyObject
from cocotb.triggers import RisingEdge
from cocotbext.axi import AxiStreamFrame
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet, Raw

from pagering import abi
from pagering.abi import DropCause
from pagering.statistics import link_statistics, queue_statistics
from pagering_tb.axi_slave import Stalls

from .rig import Rig

FCS = 4
BROADCAST, GROUP, STATION = "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "02:00:00:00:00:01"


async def opened(dut: HierarchyObject, regions: int | None = None, log2: int = 8) -> Rig:
    rig = Rig(dut)
    await rig.start()
    await rig.open((regions or rig.config.regions // 2,), log2=log2)
    return rig


async def counters(rig: Rig) -> dict[str, int]:
    """Read all card-wide counters."""
    return {name: await rig.get(abi.STATS, name) for _, name, _ in abi.COUNTERS}


async def queue_counters(rig: Rig, queue: int) -> dict[str, int]:
    """Read all counters of a queue."""
    return {name: await rig.get(abi.USER, name, queue) for _, name, _ in abi.QUEUE_COUNTERS}


async def balanced(rig: Rig) -> dict[str, int]:
    """Check every sum that must be exact while nothing is under way; return the counters."""
    read = await counters(rig)
    drops = {cause: read[f"DROP_{cause.name}"] for cause in DropCause}
    queues = [await queue_counters(rig, queue) for queue in range(rig.config.queues)]
    assert read["FRAMES_IN"] == read["FRAMES_DELIVERED"] + sum(drops.values())
    assert read["FRAMES_IN"] == sum(n for name, n in read.items() if name.startswith("SIZE_"))
    assert read["FRAMES_DELIVERED"] == sum(queue["RX_PACKETS"] for queue in queues)
    for queue in queues:
        assert queue["RX_PACKETS"] == sum(n for name, n in queue.items() if "CSUM" in name)
    for kind in set(abi.QUEUE_DROPS.values()) - {"DROP_FILTERED", "DROP_DISABLED"}:
        causes = [cause for cause, name in abi.QUEUE_DROPS.items() if name == kind]
        assert sum(queue[kind] for queue in queues) == sum(drops[cause] for cause in causes)
    return read


@cocotb.test()
async def frames_in_are_delivered_or_dropped_at_every_quiescent_point(
        dut: HierarchyObject) -> None:
    """Conservation (checklist 20): under drops of every kind, and with frames of every kind."""
    rig = await opened(dut, regions=2, log2=6)
    rng, sent, size = rig.rng, 0, 0
    for turn in range(25):
        await rig.write(abi.CARD, "STEERING", queue=rng.choice((0, 1, 63)))
        await rig.write(abi.CARD, "CONTROL", receive=int(rng.random() < 0.9), drop_when_full=1)
        await rig.write(abi.POOL, "LIMIT", 0, pages=rng.choice((1, 3, 65536)))
        await rig.write(abi.CARD, "FRAME_LIMITS", minimum=rng.choice((1, 60)),
                        maximum=rng.choice((1518, 0xFFFF)))
        await rig.flush()
        for _ in range(rng.randrange(1, 40)):
            data = rig.frame(rng.choice((rng.randrange(1, 80), rng.randrange(1, 2000), 9601)))
            bad = rng.random() < 0.1
            await rig.bench.send_raw(AxiStreamFrame(
                data, tuser=[0] * (len(data) - 1) + [int(bad)]))
            sent, size = sent + 1, size + len(data)
        await rig.settle()
        read = await balanced(rig)
        assert (read["FRAMES_IN"], read["BYTES_IN"]) == (sent, size), f"turn {turn}"
        if rng.random() < 0.7:
            for queue in rig.queues.values():
                await queue.take()
    for queue in rig.queues.values():
        await queue.take()
    read = await balanced(rig)
    assert read["FRAMES_DELIVERED"] == rig.received()
    assert sum(n > 0 for name, n in read.items() if name.startswith("DROP_")) >= 6


@cocotb.test()
async def every_size_boundary_counts_in_its_own_bin(dut: HierarchyObject) -> None:
    """RMON (checklist 21): the sizes have the FCS in them, which the stream has not."""
    rig = await opened(dut)
    rig.host(0)
    ends = {least for least, _ in abi.SIZES} | {most for _, most in abi.SIZES if most}
    sizes = sorted({end + step for end in ends for step in (-1, 0, 1)} - {-1, 0, 1, 2, 3, 4})
    sizes += [FCS + 1, 9604, 9605, 12_000, 16_388, 20_000]
    rig.rng.shuffle(sizes)
    expected: Counter[str] = Counter()
    for size in sizes:
        await rig.bench.send_raw(AxiStreamFrame(rig.frame(size - FCS)))
        least, most = next(b for b in abi.SIZES if b[1] is None or size <= b[1])
        expected[f"SIZE_{least}_{'UP' if most is None else most}"] += 1
    await rig.settle()
    await rig.stop_hosts()
    read = await balanced(rig)
    assert {name: n for name, n in read.items() if name.startswith("SIZE_")} == expected
    assert len(expected) == len(abi.SIZES)
    assert read["DROP_OVERSIZE"] == sum(size > rig.config.max_frame + FCS for size in sizes)


@cocotb.test()
async def what_the_host_had_no_memory_for_is_missed(dut: HierarchyObject) -> None:
    """The link's errors (checklist 22): rx_missed_errors, not rx_dropped; errors in rx_errors."""
    rig = await opened(dut, regions=1, log2=6)
    whole = min(rig.config.page_bytes, rig.config.max_frame)
    for _ in range(rig.config.region_pages + 2):
        await rig.send(rig.frame(whole))
    await rig.queues[0].take()
    await rig.write(abi.POOL, "LIMIT", 0, pages=0)
    await rig.flush()
    await rig.send(rig.frame(whole))
    await rig.write(abi.POOL, "LIMIT", 0, pages=65536)
    await rig.send(rig.frame(100), bad=True)
    await rig.send(rig.frame(9601))
    await rig.steer(63)
    await rig.send(rig.frame(64))
    read = await balanced(rig)
    link = link_statistics(read, (await queue_counters(rig, 0))["RX_BYTES"])
    delivered = len(rig.queues[0].frames)
    assert delivered == rig.config.region_pages
    assert link == {
        "rx_packets": delivered, "rx_bytes": delivered * whole, "multicast": read["MULTICAST"],
        "rx_errors": 2, "rx_crc_errors": 1, "rx_length_errors": 1, "rx_frame_errors": 0,
        "rx_missed_errors": 3, "rx_dropped": 1}
    own = queue_statistics(await queue_counters(rig, 0))
    assert (own["rx-packets"], own["rx-bytes"]) == (delivered, delivered * whole)
    assert own["rx-hw-drops"] == own["rx-hw-drop-overruns"] == own["rx-alloc-fail"] == 3


@cocotb.test()
async def every_cause_counts_apart_on_the_card_and_at_its_queue(dut: HierarchyObject) -> None:
    """Checklist 12: each cause moves one counter of the card and, behind steering, its queue's."""
    rig = await opened(dut, log2=6)
    size = min(rig.config.page_bytes, rig.config.max_frame)

    async def drop(cause: DropCause, before: abi.Block, index: int, name: str,
                   **fields: int) -> None:
        was = await rig.get(before, name, index)
        read, own = await counters(rig), await queue_counters(rig, 1)
        await rig.write(before, name, index, **fields)
        await rig.flush()
        await rig.send(rig.frame(size))
        moved = {key: n - read[key] for key, n in (await counters(rig)).items() if n != read[key]}
        assert {key for key in moved if key.startswith("DROP_")} == {f"DROP_{cause.name}"}, moved
        assert moved[f"DROP_{cause.name}"] == 1
        changed = {key: n - own[key] for key, n in (await queue_counters(rig, 1)).items()
                   if n != own[key]}
        assert changed == ({abi.QUEUE_DROPS[cause]: 1} if cause in abi.QUEUE_DROPS else {})
        await rig.bench.transport.write32_async(before.address(name, index), was)
        await rig.flush()

    await rig.steer(1)
    await drop(DropCause.CARD_DISABLED, abi.CARD, 0, "CONTROL", receive=0)
    await drop(DropCause.OVERSIZE, abi.CARD, 0, "FRAME_LIMITS", maximum=size - 1)
    await drop(DropCause.RUNT, abi.CARD, 0, "FRAME_LIMITS", minimum=size + 1)
    await drop(DropCause.POOL_LIMIT, abi.POOL, 0, "LIMIT", pages=0)
    await drop(DropCause.QUEUE_QUOTA, abi.QUEUE, 1, "QUOTA", pages=0)
    await drop(DropCause.POOL_DISABLED, abi.POOL, 0, "CONTROL", enable=0)
    await drop(DropCause.QUEUE_DISABLED, abi.QUEUE, 1, "CONTROL", enable=0)
    await rig.check()


@cocotb.test()
async def an_empty_queue_does_not_slow_another_at_full_load(dut: HierarchyObject) -> None:
    """Checklist 13: queue 0 has no memory and drops; queue 1 gets all of its frames as fast."""
    rig = await opened(dut, log2=10)
    frames = [rig.frame(256) for _ in range(200)]
    rig.host(1)
    took = []
    for quota in (0, 65536):
        await rig.write(abi.QUEUE, "QUOTA", 0, pages=quota)
        await rig.round_robin(2)
        await rig.flush()
        begun, had = rig.bench.cycle, len(rig.queues[1].frames)
        await rig.bench.send(frames)
        await rig.bench.sent()
        took.append(rig.bench.cycle - begun)
        await rig.settle()
        await rig.bench.cycles(400)
        assert len(rig.queues[1].frames) - had == len(frames) // 2
        await rig.queues[0].take()
    await rig.stop_hosts()
    assert len(rig.queues[0].frames) == len(frames) // 2, "with memory it drops none"
    assert took[0] <= took[1] + 16, took
    read = await balanced(rig)
    assert read["DROP_QUEUE_QUOTA"] == len(frames) // 2
    assert (await queue_counters(rig, 0))["DROP_NO_MEMORY"] == len(frames) // 2
    assert await rig.dropped(1) == 0


@cocotb.test()
async def the_bus_is_counted_to_the_byte(dut: HierarchyObject) -> None:  # checklist 24
    """Checklist 24: bursts, beats and bytes as the bench counts them at the memory's end."""
    rig = await opened(dut)
    rig.host(0, 1)
    await rig.round_robin(2)
    rig.bench.port.set_stalls(Stalls(0.3, 0.3, 0.3))
    await rig.pour([rig.frame(rig.rng.choice((1, 17, 64, 300, 1514, 9600))) for _ in range(80)])
    await rig.stop_hosts()
    read, port = await balanced(rig), rig.bench.port
    assert (read["WRITE_BURSTS"], read["WRITE_BEATS"], read["WRITE_BYTES"]) == (
        port.bursts, port.beats, rig.bench.memory.bytes_written)


@cocotb.test()
async def addresses_and_checksums_count_by_what_they_are(dut: HierarchyObject) -> None:
    """Group addresses of good frames; a bad checksum is delivered and counted (checklist 7)."""
    rig = await opened(dut)

    def built(to: str, *layers: Packet) -> bytes:
        stack = Ether(dst=to, src="02:00:00:00:00:02")
        for layer in layers:
            stack = stack / layer
        return bytes(stack).ljust(60, b"\xa5")

    data = Raw(b"payload")
    frames = {
        "CSUM_NONE": [built(BROADCAST, ARP()), built(GROUP, ARP())],
        "CSUM_COMPLETE": [built(STATION, IP(frag=5, dst="10.0.0.1"), data)],
        "CSUM_UNNECESSARY": [built(GROUP, IP(), UDP(), data), built(STATION, IP(), TCP(), data),
                             built(STATION, Dot1Q(vlan=7), IP(), TCP(), data)],
        "CSUM_BAD": [built(STATION, IP(), TCP(chksum=1), data),
                     built(STATION, IP(chksum=1), TCP(), data),
                     built(BROADCAST, IP(), UDP(chksum=1), data)],
    }
    every = [frame for group in frames.values() for frame in group]
    await rig.send(*every)
    await rig.send(built(BROADCAST, ARP()), bad=True)
    await rig.queues[0].take()
    assert rig.queues[0].frames == every
    own, read = await queue_counters(rig, 0), await balanced(rig)
    assert {name: own[name] for name in frames} == {name: len(f) for name, f in frames.items()}
    assert own["RX_BYTES"] == sum(map(len, every))
    assert (read["MULTICAST"], read["BROADCAST"], read["VLAN"]) == (2, 2, 1)


@cocotb.test()
async def a_full_fifo_pauses_the_wire_with_hysteresis(dut: HierarchyObject) -> None:
    """XOFF at one level and XON at a lower one; times and cycles counted as the pin shows them."""
    rig = await opened(dut, log2=10)
    raised, rises = [0], [0]

    async def watch() -> None:
        was = 0
        while True:
            await RisingEdge(dut.clk)
            now = int(dut.pause_req.value)
            raised[0] += now
            rises[0] += now > was
            was = now

    await rig.write(abi.CARD, "PAUSE_FIFO", xoff=128, xon=32)
    await rig.write(abi.CARD, "PAUSE", fifo=1, pools=0, held=0)
    await rig.flush()
    before = await counters(rig)
    task = cocotb.start_soon(watch())
    rig.host(0)
    for turn in range(3):
        assert int(dut.pause_req.value) == 0
        rig.bench.port.set_stalls(Stalls(1.0, 1.0, 1.0))
        await rig.bench.send([rig.frame(1024) for _ in range(20)])
        await rig.bench.sent()
        await rig.bench.cycles(20)
        status = abi.CARD["PAUSE_STATUS"].unpack(await rig.get(abi.CARD, "PAUSE_STATUS"))
        assert (status["pause"], status["fifo"]) == (1, 1), f"turn {turn}"
        rig.bench.port.set_stalls(Stalls())
        await rig.settle()
    await rig.stop_hosts()
    await rig.bench.cycles(10)
    task.cancel()
    read = await balanced(rig)
    assert read["PAUSES"] - before["PAUSES"] == rises[0] == 3
    assert read["PAUSE_CYCLES"] - before["PAUSE_CYCLES"] == raised[0]
    peak = await rig.get(abi.CARD, "FIFO_PEAK")
    assert 128 * abi.PAUSE_UNIT <= peak <= 20 * 1024


@cocotb.test()
async def a_low_pool_pauses_the_wire_only_if_told_to(dut: HierarchyObject) -> None:
    rig = await opened(dut, regions=1)
    assert int(dut.pause_req.value) == 0
    pages = rig.config.region_pages
    for pools in (1, 0, 1):
        await rig.write(abi.CARD, "PAUSE", pools=pools)
        await rig.write(abi.POOL, "LOW_WATER", 0, enter=pages, exit=pages)
        await rig.flush()
        assert int(dut.pause_req.value) == pools
        assert abi.CARD["PAUSE_STATUS"].unpack(
            await rig.get(abi.CARD, "PAUSE_STATUS"))["pools"] == 1
        await rig.write(abi.POOL, "LOW_WATER", 0, enter=0, exit=0)
        await rig.flush()
        assert int(dut.pause_req.value) == 0
    assert await rig.get(abi.STATS, "PAUSES") == 2
