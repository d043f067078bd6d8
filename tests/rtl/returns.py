"""The recycle ring and the return window: order of use, and every forgery refused by name."""

from __future__ import annotations

import cocotb
from cocotb.handle import HierarchyObject
from cocotbext.axi import AxiStreamFrame

from pagering import abi
from pagering.abi import Fault

from .rig import Rig, token


async def opened(dut: HierarchyObject, pools: tuple[int, ...] = (1,), **options: int) -> Rig:
    rig = Rig(dut)
    await rig.start()
    await rig.open(pools, **options)
    return rig


async def whole_page(rig: Rig, queue: int = 0) -> int:
    """Have one page filled and handed over whole; return its token."""
    await rig.send(rig.frame(min(rig.config.page_bytes, 9600)))
    rig.queues[queue].poll()
    return rig.queues[queue].outstanding[-1]


async def refused(rig: Rig, queue: int, value: int, fault: Fault) -> None:
    """Write a token; check that one fault counter moved by one and nothing else."""
    levels, faults = await rig.levels(), await rig.faults()
    await rig.write(abi.CARD, "EVENTS", fault=1)
    await rig.queues[queue].give(value)
    await rig.flush()
    assert await rig.levels() == levels
    assert await rig.faults() == {**faults, fault.name: faults.get(fault.name, 0) + 1}, (
        f"{value:#010x} should be {fault.name}")
    assert await rig.get(abi.CARD, "EVENTS") == 1 << abi.Event.FAULT


async def traffic_goes_on(rig: Rig, queue: int = 0) -> None:
    """Return everything and receive another frame."""
    await rig.queues[queue].take()
    await rig.flush()
    data = rig.frame(300)
    await rig.send(data)
    await rig.queues[queue].take()
    await rig.flush()
    assert rig.queues[queue].frames[-1] == data


@cocotb.test()
async def each_forged_token_moves_one_counter_and_nothing_else(  # checklist 11
        dut: HierarchyObject) -> None:
    rig = await opened(dut)
    cfg = rig.config
    good = await whole_page(rig)
    generation = abi.TOKEN.unpack(good)["generation"]
    for page in (0xFFFF, cfg.pages - 1, cfg.region_pages, cfg.pages & 0xFFFF):
        if page >= cfg.region_pages:
            await refused(rig, 0, token(good, page=page), Fault.RETURN_PAGE)
    if cfg.chunks < 64:
        await refused(rig, 0, token(good, last=cfg.chunks), Fault.RETURN_CHUNK)
        await refused(rig, 0, token(good, first=63, last=63), Fault.RETURN_CHUNK)
    await refused(rig, 0, token(good, first=1, last=0), Fault.RETURN_CHUNK)
    for stranger in range(1, cfg.queues):
        await refused(rig, stranger, good, Fault.RETURN_OWNER)
    for step in range(1, 16):
        await refused(rig, 0, token(good, generation=(generation + step) % 16),
                      Fault.RETURN_GENERATION)
    # A page that has never been handed out belongs to queue 0 by its memory's first state.
    never = abi.TOKEN.pack(page=abi.TOKEN.unpack(good)["page"] + 1 & cfg.region_pages - 1)
    faults = sum((await rig.faults()).values())
    levels = await rig.levels()
    for generation in range(16):
        await rig.queues[0].give(token(never, generation=generation))
    await rig.flush()
    assert sum((await rig.faults()).values()) == faults + 16
    assert await rig.levels() == levels
    await rig.queues[0].give(good)
    await rig.flush()
    rig.queues[0].outstanding.remove(good)
    assert await rig.get(abi.STATS, "RETURNS") == 1, "the true token still counts"
    await refused(rig, 0, good, Fault.RETURN_IDLE)
    await traffic_goes_on(rig)
    await rig.check(await rig.faults())


@cocotb.test()
async def a_token_of_an_earlier_life_is_refused(dut: HierarchyObject) -> None:
    rig = await opened(dut, policy=1)
    old = await whole_page(rig)
    await rig.queues[0].take()
    await rig.flush()
    new = await whole_page(rig)
    assert abi.TOKEN.unpack(new)["page"] == abi.TOKEN.unpack(old)["page"], "LIFO"
    await refused(rig, 0, old, Fault.RETURN_GENERATION)
    await traffic_goes_on(rig)


@cocotb.test()
async def memory_that_is_being_filled_cannot_be_returned_by_guessing(
        dut: HierarchyObject) -> None:
    rig = Rig(dut, latency=250)
    await rig.start()
    await rig.open((1,), policy=1)
    length = min(rig.config.page_bytes, 9600)
    first = await whole_page(rig)
    await rig.queues[0].take()
    await rig.flush()
    # LIFO: the same page comes next, in its next life.
    guess = token(first, generation=abi.TOKEN.unpack(first)["generation"] + 1 & 15)
    await rig.bench.send_raw(AxiStreamFrame(rig.frame(length)))
    await rig.bench.sent()
    guesses = 0
    before = await rig.get(abi.STATS, "RETURNS")
    while not rig.queues[0].poll(1):
        await rig.queues[0].give(guess)
        await rig.bench.transport.flush()
        guesses += 1
    assert rig.queues[0].outstanding[-1] == guess, "the guess was right"
    assert guesses > 10
    # The last one may have come after the card handed the page over, just before its completion.
    await rig.flush()
    accepted = await rig.get(abi.STATS, "RETURNS") - before
    assert accepted <= 1
    idle = (await rig.faults()).get("RETURN_IDLE", 0)
    earlier = (await rig.faults()).get("RETURN_GENERATION", 0)
    assert idle + earlier == guesses - accepted
    await rig.settle()
    assert rig.bench.problems() == []


@cocotb.test()
async def merged_and_partial_returns_free_the_page_with_its_last_chunk(
        dut: HierarchyObject) -> None:
    rig = await opened(dut)
    cfg = rig.config
    if cfg.chunks == 1:
        return
    for _ in range(cfg.chunks):
        await rig.bench.send_raw(AxiStreamFrame(rig.frame(cfg.chunk_bytes)))
    await rig.settle()
    queue = rig.queues[0]
    queue.poll()
    first, *_, last = tokens = queue.outstanding
    assert len(tokens) == cfg.chunks
    assert await rig.get(abi.POOL, "OUTSTANDING") == 1
    await refused(rig, 0, token(first, last=cfg.chunks - 1, generation=abi.TOKEN.unpack(
        first)["generation"] ^ 8), Fault.RETURN_GENERATION)
    await queue.give(last)
    await rig.flush()
    await refused(rig, 0, token(first, last=cfg.chunks - 1), Fault.RETURN_IDLE)
    assert await rig.get(abi.POOL, "OUTSTANDING") == 1
    await queue.give(token(first, last=cfg.chunks - 2))
    await rig.flush()
    queue.outstanding = []
    assert await rig.get(abi.POOL, "FREE") == cfg.region_pages
    assert await rig.get(abi.STATS, "RECYCLED") == 1
    await traffic_goes_on(rig)


@cocotb.test()
@cocotb.parametrize(policy=(0, 1))
async def pages_leave_the_ring_in_the_order_of_the_policy(dut: HierarchyObject,
                                                          policy: int) -> None:
    rig = await opened(dut, (2,), policy=policy)
    cfg, queue = rig.config, rig.queues[0]
    ring = list(range(2 * cfg.region_pages))
    if policy:
        ring.reverse()
    out: list[int] = []
    for _ in range(60):
        if ring and (not out or rig.rng.random() < 0.6):
            await whole_page(rig)
            page = abi.TOKEN.unpack(queue.outstanding[-1])["page"]
            assert page == ring.pop(0)
            out.append(page)
        else:
            value = queue.outstanding.pop(rig.rng.randrange(len(queue.outstanding)))
            await queue.give(value)
            await queue.consume()
            await rig.flush()
            page = abi.TOKEN.unpack(value)["page"]
            out.remove(page)
            ring.insert(0 if policy else len(ring), page)
        assert await rig.get(abi.POOL, "FREE") == len(ring)
        assert await rig.get(abi.POOL, "OUTSTANDING") == len(out)
    await rig.check()


@cocotb.test()
@cocotb.parametrize(policy=(0, 1))
async def lifo_has_a_working_set_and_fifo_has_the_pool(  # checklist 28
        dut: HierarchyObject, policy: int) -> None:
    """A host that keeps up: how many pages it touches depends on the policy alone."""
    rig = await opened(dut, (2,), policy=policy)
    queue, pages = rig.queues[0], 2 * rig.config.region_pages
    touched = set()
    for _ in range(pages):
        await whole_page(rig)
        touched |= {abi.TOKEN.unpack(value)["page"] for value in queue.outstanding}
        await queue.give(*queue.outstanding)
        queue.outstanding.clear()
        await queue.consume()
        await rig.flush()
    if policy:
        assert len(touched) <= 4, "the page of before, and those that were opened ahead"
    else:
        assert len(touched) == pages
    await rig.check()


@cocotb.test()
async def frames_pack_chunk_after_chunk(dut: HierarchyObject) -> None:  # checklist 9
    """Each frame begins where the last one ended, or in a new page: none overlaps, none is lost."""
    rig = await opened(dut, (2,), log2=10)
    config, queue = rig.config, rig.queues[0]
    at = (-1, config.chunks)
    left = set()
    for _ in range(12):
        frames = [rig.frame(rig.rng.choice((1, 60, rig.rng.randint(1, config.page_bytes))))
                  for _ in range(6)]
        await rig.send(*frames)
        for done in queue.poll():
            named = abi.TOKEN.unpack(done.token)
            took = -(-done.length // config.chunk_bytes)
            assert named["last"] - named["first"] + 1 == took
            if named["page"] == at[0] and named["first"]:
                assert named["first"] == at[1], "no gap, no overlap"
            else:
                assert named["first"] == 0
                assert at[1] + took > config.chunks, "the last page had room for it"
                left.add(at)
            at = (named["page"], named["last"] + 1)
            assert done.last_of_page == (at[1] == config.chunks)
        assert queue.frames[-6:] == frames
        tokens, queue.outstanding = queue.outstanding, []
        await queue.give(*tokens)
        await queue.consume()
        await rig.flush()
    if config.chunks > 1:
        assert any(end < config.chunks for _, end in left), "no page's rest was too small"
    await rig.check()


@cocotb.test()
async def bulk_returns_to_any_word_of_the_window_count(dut: HierarchyObject) -> None:
    rig = await opened(dut, (2,))
    count = min(2 * rig.config.region_pages, 40)
    for _ in range(count):
        await rig.bench.send_raw(AxiStreamFrame(rig.frame(min(rig.config.page_bytes, 9600))))
    await rig.settle()
    rig.queues[0].poll()
    tokens, rig.queues[0].outstanding = rig.queues[0].outstanding, []
    assert len(tokens) == count
    at = rig.window(0) + abi.RETURN_WINDOW_BYTES - 4 * count
    await rig.bench.driver(rig.bench.transport.write_tokens, at, tokens)
    await rig.flush()
    assert await rig.get(abi.STATS, "RETURNS") == count
    assert await rig.get(abi.POOL, "FREE") == 2 * rig.config.region_pages
    await rig.check()


@cocotb.test()
async def queues_share_a_pool_and_pools_share_nothing(dut: HierarchyObject) -> None:
    rig = Rig(dut)
    await rig.start()
    await rig.open((1, 1), [0, 0, 1, 1])
    await rig.round_robin(4)
    length = min(rig.config.page_bytes, 9600)
    pages = rig.config.region_pages
    for _ in range(pages):
        await rig.bench.send_raw(AxiStreamFrame(rig.frame(length)))
    await rig.settle()
    for queue in rig.queues.values():
        got = {item.page // pages for item in queue.poll()}
        assert got == {queue.pool}, "each page is of the queue's own pool"
    used = [abi.TOKEN.unpack(value)["page"] for queue in rig.queues.values()
            for value in queue.outstanding]
    assert len(set(used)) == len(used) == pages
    assert [await rig.get(abi.POOL, "FREE", pool) for pool in (0, 1)] == [pages // 2] * 2
    await refused(rig, 2, rig.queues[0].outstanding[0], Fault.RETURN_OWNER)
    for number in (0, 1):
        await rig.queues[number].take()
    await rig.flush()
    assert [await rig.get(abi.POOL, "FREE", pool) for pool in (0, 1)] == [pages, pages // 2]
    await traffic_goes_on(rig)


@cocotb.test()
async def low_water_speaks_without_a_packet_and_with_hysteresis(  # checklist 12
        dut: HierarchyObject) -> None:
    rig = await opened(dut)
    cfg = rig.config
    pages = cfg.region_pages
    await rig.write(abi.POOL, "LOW_WATER", 0, enter=pages - 3, exit=pages - 1)
    await rig.write(abi.CARD, "EVENT_ENABLE", low_water=1)
    await rig.flush()
    assert not int(dut.irq.value) >> cfg.queues
    tokens, low = [], []
    for _ in range(3):
        tokens.append(await whole_page(rig))
        low.append(await rig.get(abi.POOL, "STATUS") >> 1 & 1)
    assert int(dut.irq.value) >> cfg.queues == 1
    assert int(dut.pause_req.value) == 1
    await rig.write(abi.CARD, "EVENTS", low_water=1)
    await rig.flush()
    assert not int(dut.irq.value) >> cfg.queues, "cleared, though the pool is still low"
    for value in tokens:
        await rig.queues[0].give(value)
        await rig.flush()
        low.append(await rig.get(abi.CARD, "LOW_WATER_0") & 1)
    rig.queues[0].outstanding = []
    assert low == [0, 0, 1, 1, 0, 0]
    assert int(dut.pause_req.value) == 0
    # No packet: the thresholds alone make the pool low.
    await rig.write(abi.POOL, "LOW_WATER", 0, enter=pages, exit=pages)
    await rig.flush()
    assert int(dut.irq.value) >> cfg.queues == 1
    assert await rig.get(abi.CARD, "EVENTS") == 1 << abi.Event.LOW_WATER
    await rig.check()


@cocotb.test()
async def limit_and_quota_hold_at_every_moment_under_traffic(dut: HierarchyObject) -> None:
    rig = await opened(dut, (2,))
    await rig.round_robin(2)
    await rig.write(abi.POOL, "LIMIT", 0, pages=6)
    await rig.write(abi.QUEUE, "QUOTA", 1, pages=4)
    await rig.flush()
    rig.host(0, 1, every=150, shuffle=True)
    task = cocotb.start_soon(rig.bench.send(
        [rig.frame(rig.rng.randint(1, rig.config.page_bytes)) for _ in range(150)]))
    registered = await rig.get(abi.POOL, "REGISTERED")
    samples = []
    while not task.done():
        samples.append((registered - await rig.get(abi.POOL, "FREE"),
                        await rig.get(abi.QUEUE, "HELD", 1)))
    await rig.settle()
    await rig.stop_hosts()
    assert max(off for off, _ in samples) == 6, "reached, never passed"
    assert max(held for _, held in samples) <= 4
    assert await rig.get(abi.POOL, "PEAK") == 6
    await rig.check()
