"""The trace of the pages: spans of each life, in the format that trace viewers read."""

from __future__ import annotations

import json
from pathlib import Path

from pagering import abi
from pagering_tb.page_trace import PageTrace

BASE = 0x10_0000


def token(page: int, first: int = 0, generation: int = 1) -> int:
    return abi.TOKEN.pack(page=page, first=first, last=first, generation=generation)


def trace() -> PageTrace:
    return PageTrace(4096, {page: BASE + 4096 * page for page in range(4)},
                     {0: 0, 1: 0, 2: 1, 3: 1}, clock_mhz=100.0)


def spans(made: PageTrace, end: int) -> list[tuple[int, int, str, float, float]]:
    return [(event["pid"], event["tid"], event["name"], event["ts"], event["dur"])
            for event in made.events(end) if event["ph"] == "X"]


def test_a_page_is_filled_then_at_the_host() -> None:
    made = trace()
    made.wrote(BASE + 4096 + 64, 100)
    made.wrote(BASE + 4096 + 128, 150)
    made.wrote(0x5000, 160)  # a completion ring
    made.delivered(token(1), 3, 60, 200)
    made.delivered(token(1, 1), 3, 61, 300)
    made.returned(token(1, 1), 400)
    made.returned(token(1), 500)
    assert spans(made, 9999) == [
        (0, 1, "filled, queue 3", 1.0, 2.0), (0, 1, "at the host", 3.0, 2.0)]
    (life,) = made.lives
    assert (life.frames, life.bytes, life.outstanding) == (2, 121, set())


def test_each_generation_is_a_life_and_a_leak_lasts_to_the_end() -> None:
    made = trace()
    for generation, start in ((1, 100), (2, 1000)):
        made.wrote(BASE + 8192, start)
        made.delivered(token(2, generation=generation), 0, 60, start + 100)
        if generation == 1:
            made.returned(token(2), start + 300)
    assert spans(made, 5000) == [
        (1, 2, "filled, queue 0", 1.0, 1.0), (1, 2, "at the host", 2.0, 2.0),
        (1, 2, "filled, queue 0", 10.0, 1.0), (1, 2, "at the host", 11.0, 39.0)]


def test_the_file_names_pools_and_pages(tmp_path: Path) -> None:
    made = trace()
    made.delivered(token(0), 0, 60, 10)
    made.delivered(token(3), 1, 60, 10)
    made.write(tmp_path / "trace.json", 100)
    events = json.loads((tmp_path / "trace.json").read_text(encoding="utf-8"))["traceEvents"]
    names = {(event["name"], event["args"]["name"]) for event in events if event["ph"] == "M"}
    assert names == {("process_name", "pool 0"), ("process_name", "pool 1"),
                     ("thread_name", "page 0"), ("thread_name", "page 3")}
