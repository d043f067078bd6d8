"""The parts of the random test that need no card: what explains a drop, whose a page is."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from pagering import abi
from pagering.abi import SteeringMode
from pagering.dissect import dissect
from pagering.fake_queue import Side
from pagering.fake_steering import FakeSteering
from pagering_hdl.config import CardConfig
from pagering_tb.host_memory import HostMemory
from storm.__main__ import missing
from storm.control_operations import QueueOn
from storm.frames import FACTS, FrameLedger
from storm.interrupts import InterruptRule
from storm.knobs import Knob, explain
from storm.mirrors import PoolMirror
from storm.operation import Operation
from storm.packets import numbered, templates
from storm.pages import PageLedger, Wrong
from storm.program import OPERATIONS, dump, load
from storm.return_ring import ReturnRing
from storm.sabotage import SABOTAGES
from storm.shrink import Shrinker, plainer
from storm.steering import FilterState, Hashing, Steering, rule_for
from storm.strategies import programs
from storm.traffic_operations import Frames, Host, Run, Settle

CONFIG = CardConfig(queues=2, pools=2, pages=8, region_pages=4, chunk_bytes=1024)


@pytest.mark.parametrize(("counted", "possible", "found"), [
    ({}, [], None),
    ({"A": 2, "B": 1}, ["A", "AB", "B"], None),
    ({"A": 1, "B": 2}, ["A", "AB", "AB"], None),
    ({"A": 2, "B": 1}, ["AB", "B", "B"], "2 could only be under B, but"),
    ({"A": 1}, ["A", "A"], "2 were due under some cause, but {'A': 1} were counted"),
    ({"A": 1, "C": 1}, ["AB", "AB"], "1 were counted under C, which was not possible"),
    ({"A": 1, "B": 1}, ["AB", ""], "1 could only be under no cause"),
    ({"A": 2, "B": 1, "C": 1}, ["AB", "AC", "BC", "BC"], None),
    ({"A": 3, "B": 1, "C": 0}, ["AB", "AC", "BC", "BC"], "2 could only be under B, C"),
])
def test_counters_are_explained_or_not(counted: dict[str, int], possible: list[str],
                                       found: str | None) -> None:
    answer = explain(counted, map(frozenset, possible))
    assert answer == found if found is None else found in str(answer)


def test_knob_remembers_until_it_settles() -> None:
    knob = Knob(3)
    knob.set(5)
    knob.set(5)
    knob.set(3)
    assert (knob.values, knob.now) == ([3, 5, 3], 3)
    knob.settle()
    assert knob.values == [3]


@given(programs())
def test_program_comes_back_from_its_text(program: list[Operation]) -> None:
    assert load(dump(program)) == program


@pytest.mark.parametrize(("text", "sentence"), [
    ('[{"op": "Dance"}]', "there is no operation 'Dance'; there are Arm, BusError"),
    ('[{"op": "Run", "laps": 2}]', "operation Run: .*laps"),
    ('[{"op": "Run"}]', "operation Run: .*cycles"),
])
def test_text_that_is_no_program_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        load(text)


def test_program_is_an_operation_a_line() -> None:
    assert dump([Run(7), Frames(3)]).splitlines() == [
        "[", ' {"op": "Run", "cycles": 7},',
        ' {"op": "Frames", "count": 3, "sizes": 0, "bad": 0, "holes": 0}', "]"]
    assert all(dataclasses.is_dataclass(kind) for kind in OPERATIONS.values())


def ledger() -> PageLedger:
    """Two regions, one a pool."""
    pages, memory = PageLedger(CONFIG), HostMemory(1 << 20)
    for slot in range(2):
        pages.register(slot, slot, memory.allocate(1 << CONFIG.region_log2,
                                                   1 << CONFIG.region_log2))
    return pages


def fill(pages: PageLedger, page: int = 0, first: int = 0, last: int = 0, generation: int = 1,
         queue: int = 0, answered: bool = True, **changes: Any) -> None:
    """Write chunks of a page of pool 0, and complete them."""
    block = pages.slots[0][1]
    pages.written(block.address + 4096 * page + 1024 * first, 1024 * (last - first + 1), False)
    if answered:
        pages.answered(page)
    pages.completed(queue, changes.pop("pool", 0), {
        "page": page, "first": first, "last": last, "generation": generation, **changes})


def give(pages: PageLedger, page: int, first: int = 0, last: int = 0) -> None:
    """Return chunks of a page."""
    pages.returned(0, page | first << 16 | last << 22)


def test_page_is_filled_held_returned_and_filled_again() -> None:
    pages = ledger()
    fill(pages, first=0, last=1)
    fill(pages, first=2, last=3)
    assert (pages.pool_holds, pages.queue_holds) == ([1, 0], [1, 0])
    assert pages.off_ring(0, 0) == 1
    give(pages, 0, 1, 3)
    give(pages, 0, 0, 0)
    assert (pages.pool_holds, pages.queue_holds) == ([0, 0], [0, 0])
    assert [pages.off_ring(0, cycle) for cycle in (0, 1000)] == [1, 0]
    fill(pages, generation=2, queue=1)
    assert pages.queue_holds == [0, 1]
    pages.settle()


@pytest.mark.parametrize(("steps", "sentence"), [
    ([{"generation": 1}, {"generation": 2}], "written to while the host has chunks 0x1"),
    ([{}, {"first": 2, "last": 2}], "goes on with chunk 2 of page 0"),
    ([{}, {"first": 1, "last": 1, "generation": 2}], "goes on with chunk 1 of page 0"),
    ([{}, {"first": 1, "last": 1, "queue": 1}], "it had page None"),
    ([{"pool": 1}], "queue 0 of pool 1 was given page 0 of pool 0"),
    ([{"answered": False}], "completed before their writes were answered"),
    ([{"last": 1, "page": 1}, "give 1 0 1", {"page": 1, "generation": 1}],
     "page 1 came in generation 1 after 1"),
    (["limit", {}, {"page": 1}], "2 pages of pool 0 are at the host; its limit is 1"),
    (["quota", {}, {"page": 1}], "queue 0 has 2 pages; its quota is 1"),
    (["drain", {}], "written to after the pool was drained"),
])
def test_page_that_changes_hands_wrongly_is_found(steps: list[Any], sentence: str) -> None:
    with pytest.raises(Wrong, match=sentence):
        play(ledger(), steps)


def play(pages: PageLedger, steps: list[Any]) -> None:
    """Do one thing after another."""
    for step in steps:
        match step:
            case "limit":
                pages.limit[0] = Knob(1)
            case "quota":
                pages.quota[0] = Knob(1)
            case "drain":
                pages.pool_drained(0)
            case str():
                give(pages, *map(int, step.split()[1:]))
            case _:
                fill(pages, **step)


def test_data_that_no_completion_tells_of_is_found() -> None:
    pages = ledger()
    pages.written(pages.slots[1][1].address, 64, False)
    with pytest.raises(Wrong, match="chunks 0x1 of page 4 were written, but no completion"):
        pages.settle()


def test_write_outside_of_every_region_is_found() -> None:
    with pytest.raises(Wrong, match="outside of every region"):
        ledger().written(0x1000, 64, False)


def test_queue_that_splits_fills_two_pages() -> None:
    pages = ledger()
    fill(pages, page=0)
    pages.written(pages.slots[0][1].address + 4096, 64, False)
    assert pages.off_ring(0, 0) == 2
    pages.answered(1)
    token = {"page": 1, "first": 0, "last": 0, "generation": 1}
    pages.completed(0, 0, token, Side.HEADERS)
    assert [number for number, _ in pages.unfilled()] == [0, 1]
    fill(pages, page=0, first=1, last=1)
    with pytest.raises(Wrong, match="goes on with chunk 1 of page 1"):
        fill(pages, page=1, first=1, last=1)
    pages.closed(0)
    assert not pages.unfilled()


def sent(frames: FrameLedger, data: bytes, bad: bool = False, hole: bool = False) -> bytes:
    """Send a frame."""
    frames.send(data, bad, hole, dissect(data))
    frames.started(data, False)
    return data


def came(frames: FrameLedger, queue: int, data: bytes, **changes: int) -> None:
    """Let a frame come out, with what its completion should say, but for some changes."""
    facts = dissect(data).facts
    said = {name: int(getattr(facts, name)) for name in FACTS}
    frames.delivered(queue, data, {"hash": 0, "hash_type": 0, **said, **changes}, None)


def receiving() -> FrameLedger:
    """Return frames of a card that takes them, for both its queues."""
    frames = FrameLedger(CONFIG)
    frames.receive.set(True)
    frames.receive.settle()
    frames.steering.route.set((0, 1))
    return frames


def test_frames_come_out_once_in_order_and_where_they_may() -> None:
    frames = receiving()
    for name in (b"one", b"two", b"three"):
        sent(frames, name, bad=name == b"three")
    came(frames, 1, b"two")
    came(frames, 0, b"one")
    for queue, data, sentence in ((0, b"two", "no frame on its way"), (0, b"four", "no frame"),
                                  (1, b"three", "had to be dropped")):
        with pytest.raises(Wrong, match=sentence):
            came(frames, queue, data)
    sent(frames, b"five")
    sent(frames, b"six")
    came(frames, 0, b"six")
    with pytest.raises(Wrong, match="given frame 3 after frame 4"):
        came(frames, 0, b"five")


def test_what_a_completion_says_of_a_frame_must_be_true() -> None:
    frames, data = receiving(), templates()[0].data
    for change, sentence in (({"l4": 7}, "l4 is 7"), ({"checksum": 9}, "checksum is 9, not"),
                             ({"hash": 1}, "hash 0x00000001"), ({"hash_type": 3}, "of type 3")):
        with pytest.raises(Wrong, match=sentence):
            came(frames, 0, sent(frames, numbered(data, 7)), **change)


def test_pages_that_frames_need_are_known_until_their_data_is_seen() -> None:
    frames = receiving()
    for name in (b"one", b"two", b"x" * 5000, b"four"):
        sent(frames, name, bad=name == b"four")
    assert (frames.flying_pages, frames.flying_segments) == (4, 4)
    came(frames, 0, b"two")
    assert (frames.flying_pages, frames.flying_segments) == (2, 3), "'one' has been decided on"


def test_causes_of_a_frame_follow_the_order_of_the_card() -> None:
    frames = receiving()
    sent(frames, b"x" * 50, True, True)
    sent(frames, b"y" * 50)
    first, second = frames.on_way.values()
    assert frames.causes(first, lambda queue: frozenset("N")) == {"BAD_FRAME"}
    assert frames.causes(second, lambda queue: frozenset("N")) == {"N"}
    frames.steering.filter.set(FilterState(promiscuous=False))
    assert frames.causes(second, lambda queue: frozenset("N")) == {"N", "MAC_FILTER"}
    frames.steering.settle()
    assert frames.causes(second, lambda queue: frozenset("N")) == {"MAC_FILTER"}
    frames.minimum.set(60)
    assert frames.causes(second, lambda queue: frozenset("N")) == {"MAC_FILTER", "RUNT"}
    frames.minimum.settle()
    assert frames.causes(second, lambda queue: frozenset("N")) == {"RUNT"}
    frames.receive.set(False)
    assert frames.causes(first, lambda queue: frozenset()) == {"CARD_DISABLED", "BAD_FRAME"}


@pytest.mark.parametrize("seed", range(40))
def test_steering_does_what_its_twin_does(seed: int) -> None:
    """The model that allows for what was under way, at rest, beside the one that does not."""
    rng = random.Random(seed)
    steering, twin = Steering(CONFIG), FakeSteering(CONFIG.queues)
    template = rng.choice(templates())
    steering.route.set(None)
    twin.mode = SteeringMode.RSS
    hashing = Hashing(key=rng.randbytes(40), tcp=rng.random() < 0.5)
    steering.hashing.set(hashing)
    twin.write("RSS", {"transform": 0, "tcp": int(hashing.tcp), "udp": 1})
    for row in range(abi.KEY_WORDS):
        twin.write("ROW", {"row": row, "word": 0})
        twin.write("KEY", {"key": int.from_bytes((hashing.key or b"")[4 * row:4 * row + 4], "big")})
    for row, knob in enumerate(steering.rows):
        knob.set(rng.randrange(CONFIG.queues))
        twin.write("ROW", {"row": row, "word": 0})
        twin.write("INDIRECTION", {"queue": knob.now})
    word = rule_for(rng.choice((template, *templates())).found, rng.randrange(128), queue=1,
                    drop=rng.randrange(2), mark=9)
    steering.set_rule(5, word)
    for at in range(abi.RULE_WORDS):
        twin.write("ROW", {"row": 5, "word": at})
        twin.write("RULE_WORD", {"value": word >> 32 * at & 0xFFFFFFFF})
    twin.write("RULE", {"enable": 1})
    steering.settle()
    told = twin.steer(template.found)
    causes, certain = steering.drops(template.found)
    assert (causes, certain) == (({told.cause.name}, True) if told.cause else (set(), False))
    assert told.cause or steering.queues(template.found) == {told.queue}
    assert steering.hashes(template.found) == {(told.hash, told.hash_type)}
    assert steering.marks(template.found) == {told.mark}


def test_frame_under_way_goes_by_the_old_setting_or_by_the_new() -> None:
    steering, found = Steering(CONFIG), templates()[0].found
    steering.set_rule(3, rule_for(found, 0, queue=1, drop=0, mark=7))
    assert steering.queues(found) == {0, 1}
    assert steering.marks(found) == {0, 7}
    steering.settle()
    steering.set_rule(2, rule_for(found, 0, queue=0, drop=1, mark=8))
    assert steering.drops(found) == ({"RULE"}, False)
    steering.settle()
    assert steering.drops(found) == ({"RULE"}, True)
    steering.hashing.set(Hashing(key=None))
    assert steering.hashes(found) is None


def test_interrupt_needs_a_reason_and_must_not_be_lost() -> None:
    rule = InterruptRule()
    rule.moved(3, 100)
    assert not rule.may_fire(100)
    rule.arm(3, 200)
    assert not rule.rose(240)
    rule.moved(4, 300)
    assert rule.must_have_fired()
    assert rule.rose(310)
    rule.limits.set((2, 0))
    rule.limits.settle()
    rule.arm(3, 1000)
    assert [rule.may_fire(cycle) for cycle in (1010, 1040, 1100, 1129)] == [
        True, False, False, True], "what was due before fires yet; then a unit of time must pass"
    rule.limits.set((0, 5))
    rule.limits.settle()
    assert not rule.must_have_fired()
    rule.force(2000)
    assert rule.rose(2001)
    assert rule.may_fire(2020), "nobody knows which of the two it was"
    rule.restart(5000)
    assert not rule.may_fire(5000 + 100)


def returns(log2: int = 4) -> tuple[ReturnRing, int]:
    """Return a return ring and where it is."""
    ring, block = ReturnRing(), HostMemory(1 << 16).allocate((4 << log2) + 8)
    ring.place(block, log2, True)
    return ring, block.address


def test_return_ring_is_read_as_far_as_it_was_rung() -> None:
    ring, address = returns()
    taken: list[int] = []
    for token in range(5):
        ring.put(token, lambda token=token: taken.append(token))
    assert ring.read(address, 64)
    assert not taken, "no doorbell yet"
    ring.ring(3)
    ring.read(address, 64)
    assert taken == [0, 1, 2]
    assert ring.room == 11
    assert not ring.read(address + 64, 64)
    assert not ring.is_mirrored
    assert ring.written(address + 64, (3).to_bytes(8, "little"))
    assert (ring.consumed, ring.room, ring.is_mirrored) == (3, 14, False)
    for value, sentence in ((2, "says 2, after 3"), (4, "can be at 3 at most")):
        with pytest.raises(Wrong, match=sentence):
            ring.written(address + 64, value.to_bytes(8, "little"))
    with pytest.raises(Wrong, match="in a return ring"):
        ring.written(address, bytes(8))


def test_tokens_of_a_read_that_fails_are_lost() -> None:
    ring, address = returns(5)
    shown: list[int] = []
    lost: list[int] = []
    for token in range(20):
        ring.put(token, lambda token=token: shown.append(token),
                 lambda token=token: lost.append(token))
    ring.ring(20)
    ring.fails = 1
    assert [ring.read(address + at, 64) for at in (0, 64)] == [True, False]
    assert (shown, lost) == ([*range(16)], [*range(16, 20)])
    assert (ring.fails, ring.shown, ring.read(address + 136, 64)) == (None, 20, None)


def test_a_line_that_the_tokens_begin_and_end_in_is_read_twice() -> None:
    ring, address = returns()
    shown: list[int] = []
    lost: list[int] = []
    for count in (3, 16):
        for token in range(count):
            ring.put(token, lambda token=token: shown.append(token),
                     lambda token=token: lost.append(token))
        ring.ring(ring.produced)
        if count == 3:
            ring.read(address, 64)
            ring.consumed = 3
    shown.clear()
    ring.fails = 0
    assert [ring.read(address, 64) for _ in range(2)] == [False, True]
    assert (lost, shown) == ([*range(13)], [13, 14, 15])


def test_mirror_of_more_pages_than_there_are_is_found() -> None:
    mirror, block = PoolMirror(), HostMemory(1 << 16).allocate(8)
    mirror.place(block)
    counts = abi.MIRROR.pack(free=3, outstanding=2).to_bytes(8, "little")
    assert not mirror.written(block.end, counts, 5)
    assert mirror.written(block.address, counts, 5)
    assert mirror.counts == (3, 2)
    with pytest.raises(Wrong, match="of 4"):
        mirror.written(block.address, counts, 4)
    with pytest.raises(Wrong, match="4 bytes"):
        mirror.written(block.address, counts[:4], 5)


def test_packets_have_an_address_each_and_otherwise_stay_the_same() -> None:
    for template in templates():
        data = numbered(template.data, 0x12345678)
        assert data != template.data
        assert dissect(data) == template.found


def test_operations_become_plainer_step_by_step() -> None:
    assert list(plainer(Frames(240, sizes=4))) == [
        Frames(1, sizes=4), Frames(15, sizes=4), Frames(60, sizes=4), Frames(120, sizes=4),
        Frames(240), Frames(240, sizes=1), Frames(240, sizes=2)]
    assert list(plainer(Host())) == list(plainer(Settle())) == []
    assert QueueOn(0, split=False) in plainer(QueueOn(0, split=True))


@pytest.mark.parametrize("size", [1, 7, 60])
def test_what_fails_is_shrunk_to_what_is_needed(size: int) -> None:
    rng = random.Random(size)
    noise: list[Operation] = [Run(rng.randrange(100)) for _ in range(size)]
    program: list[Operation] = [*noise, Frames(120, sizes=3), *noise, QueueOn(2), *noise]
    tried: list[int] = []

    def fails(some: Sequence[Operation]) -> bool:
        tried.append(len(some))
        frames = [item.count for item in some if isinstance(item, Frames)]
        return sum(frames) > 40 and QueueOn(2) in some
    found = Shrinker(fails).shortest(program)
    assert found == [Frames(60), QueueOn(2)]
    assert len(tried) <= 400


def test_shrinking_ends_when_its_runs_are_over() -> None:
    runs: list[int] = []

    def fails(some: Sequence[Operation]) -> bool:
        runs.append(len(some))
        return len(some) > 10
    found = Shrinker(fails, runs=9).shortest([Run(number) for number in range(100)])
    assert fails(found)
    assert len(runs) == 10


def test_cause_that_nothing_led_to_is_named() -> None:
    names = [f"DROP_{cause.name}" for cause in abi.DropCause]
    names += [f"FAULT_{fault.name}" for fault in abi.Fault]
    assert missing(Counter(names)) == []
    assert missing(Counter(names[1:])) == ["DROP_BAD_FRAME"]


def test_every_sabotage_names_its_text_once() -> None:
    import pagering_hdl
    package = Path(pagering_hdl.__file__).parent
    for fault in SABOTAGES:
        text = (package / fault.file).read_text(encoding="utf-8")
        assert text.count(fault.old) == 1, fault.name
        assert "{hit}" in fault.new
