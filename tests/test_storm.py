"""The parts of the random test that need no card: what explains a drop, whose a page is."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from pagering_hdl.config import CardConfig
from pagering_tb.host_memory import HostMemory
from storm.frames import FrameLedger
from storm.knobs import Knob, explain
from storm.pages import PageLedger, Wrong
from storm.program import OPERATIONS, Frames, Operation, Run, dump, load, programs
from storm.sabotage import SABOTAGES

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
    ('[{"op": "Dance"}]', "there is no operation 'Dance'; there are Frames, Run"),
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
    give(pages, 0, 1, 3)
    give(pages, 0, 0, 0)
    assert (pages.pool_holds, pages.queue_holds) == ([0, 0], [0, 0])
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


def test_frames_come_out_once_in_order_and_where_they_may() -> None:
    frames = FrameLedger(CONFIG)
    frames.receive.set(True)
    frames.steering.set((0, 1))
    for name in (b"one", b"two", b"three"):
        frames.send(name, bad=name == b"three", hole=False)
    frames.delivered(1, b"two")
    frames.delivered(0, b"one")
    for queue, data, sentence in ((0, b"two", "no frame on its way"), (0, b"four", "no frame"),
                                  (1, b"three", "had to be dropped")):
        with pytest.raises(Wrong, match=sentence):
            frames.delivered(queue, data)
    frames.send(b"five", False, False)
    frames.send(b"six", False, False)
    frames.delivered(0, b"six")
    with pytest.raises(Wrong, match="given frame 3 after frame 4"):
        frames.delivered(0, b"five")


def test_causes_of_a_frame_follow_the_order_of_the_card() -> None:
    frames = FrameLedger(CONFIG)
    frames.receive.set(True)
    frames.receive.settle()
    frames.send(b"x" * 50, True, True)
    frames.send(b"y" * 50, False, False)
    first, second = frames.on_way.values()
    assert frames.causes(first, lambda queue: frozenset("N")) == {"BAD_FRAME"}
    assert frames.causes(second, lambda queue: frozenset("N")) == {"N"}
    frames.minimum.set(60)
    assert frames.causes(second, lambda queue: frozenset("N")) == {"N", "RUNT"}
    frames.minimum.settle()
    assert frames.causes(second, lambda queue: frozenset("N")) == {"RUNT"}
    frames.receive.set(False)
    assert frames.causes(first, lambda queue: frozenset()) == {"CARD_DISABLED", "BAD_FRAME"}


def test_every_sabotage_names_its_text_once() -> None:
    import pagering_hdl
    package = Path(pagering_hdl.__file__).parent
    for fault in SABOTAGES:
        text = (package / fault.file).read_text(encoding="utf-8")
        assert text.count(fault.old) == 1, fault.name
        assert "{hit}" in fault.new
