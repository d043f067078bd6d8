"""A completion ring of 65,536 entries, filled and passed often enough for its index to wrap."""

from __future__ import annotations

import cocotb
from cocotb.handle import HierarchyObject

from pagering import Card, RxQueue, abi
from pagering_tb.bench import BenchOptions, CardBench
from rtl.rig import config

ENTRIES = 1 << abi.RING_LOG2_MAX
FRAMES = (1 << abi.CONSUMER_BITS) + ENTRIES // 8
"""The free-running index wraps after 2**17: the third pass over the ring begins there."""
GAPS = 0.8
"""A frame of one beat each 5 cycles: the host keeps up, and no page is missing."""


@cocotb.test()
async def its_index_wraps_and_nothing_is_lost(dut: HierarchyObject) -> None:
    bench = CardBench(dut, config(), BenchOptions(gaps=GAPS))
    await bench.start()
    received: list[int] = []

    def bring_up() -> tuple[Card, RxQueue]:
        card = Card(bench.transport)
        queue = card.add_queue(card.add_pool(bench.config.pages), ENTRIES)
        card.steer_to(queue)
        card.receive = True
        return card, queue

    def receive(card: Card, queue: RxQueue) -> None:
        while len(received) < FRAMES:
            with queue.recv(256, timeout=1e-3) as burst:
                assert len(burst), f"{len(received)} frames came; {card.counters()}"
                received.extend(int.from_bytes(bytes(frame), "little") for frame in burst)
        # The card tells modulo 2**17 how far it is.
        produced = card.registers.queue(queue.index).PRODUCED.get()
        assert produced == FRAMES % (1 << abi.CONSUMER_BITS)
        assert queue.delivered == FRAMES
        card.close()

    card, queue = await bench.driver(bring_up)
    sending = cocotb.start_soon(
        bench.send(number.to_bytes(4, "little") for number in range(FRAMES)))
    await bench.driver(receive, card, queue)
    await sending
    assert received == list(range(FRAMES))
    assert bench.problems() == []
