"""The scoreboard and the conservation laws: what they accept and what they say."""

from __future__ import annotations

from pagering import abi
from pagering_tb.conservation import PoolLevels, check_frames, check_pages
from pagering_tb.scoreboard import Scoreboard, round_robin


def board(*frames: bytes, queues: int = 1) -> Scoreboard:
    result = Scoreboard(round_robin(queues))
    for frame in frames:
        result.send(frame)
    return result


def counters(**values: int) -> dict[str, int]:
    return {counter.name.lower(): 0 for counter in abi.COUNTERS} | values


def test_in_order_per_queue() -> None:
    b = board(b"a", b"b", b"c", b"d", queues=2)
    assert [b.receive(1, b"b"), b.receive(1, b"d"), b.receive(0, b"a"), b.receive(0, b"c")] == [
        1, 3, 0, 2]
    assert (b.problems, b.lost, b.received, b.received_bytes) == ([], 0, 4, 4)


def test_views_compare_like_bytes() -> None:
    b = board(b"page")
    assert b.receive(0, memoryview(b"page")) == 0


def test_dropped_frames_are_missing_not_wrong() -> None:
    b = board(b"a", b"b", b"c", b"d")
    b.receive(0, b"c")
    assert (b.missing, b.lost, b.problems) == (2, 3, [])


def test_bad_frames_take_no_turn() -> None:
    b = Scoreboard(round_robin(2))
    b.send(b"a")
    b.send(b"x", bad=True)
    b.send(b"b")
    assert b.receive(1, b"b") == 2
    assert b.rejected == 1


def test_wrong_byte_is_named() -> None:
    b = board(b"abcd")
    assert b.receive(0, b"abXd") is None
    assert b.problems == ["frame 1 (4 bytes) from queue 0 differs from what was sent at byte 2: "
                          "0x58 instead of 0x63"]


def test_wrong_order_queue_length_and_duplicates_are_told_apart() -> None:
    b = board(b"a", b"b", b"c", b"dd", queues=2)
    b.receive(0, b"c")
    b.receive(0, b"a")
    b.receive(0, b"b")
    b.receive(1, b"ccc")
    assert b.problems == [
        "frame 2 (1 bytes) from queue 0 was never sent to it, or came twice",
        "frame 3 (1 bytes) from queue 0 was meant for queue 1",
        "frame 4 (3 bytes) from queue 1 differs from all that were sent; the next one has 1 bytes",
    ]


def test_list_of_problems_ends() -> None:
    b = board()
    for _ in range(100):
        b.receive(0, b"x")
    assert len(b.problems) == 21
    assert b.problems[-1] == "... and more"


def test_frames_are_conserved() -> None:
    b = board(b"a", b"b", b"c")
    b.send(b"x", bad=True)
    b.receive(0, b"a")
    good = counters(frames_in=4, frames_delivered=1, drop_no_page=2, drop_bad_frame=1)
    assert check_frames(good, b) == []
    assert check_frames(good | {"drop_no_page": 1}, b) == [
        "the card counts 4 frames in, but 1 delivered and 1 bad_frame, 1 no_page",
        "3 frames did not come out, but the card counts 1 bad_frame, 1 no_page"]
    assert check_frames(counters(frames_in=1, frames_delivered=1), board(b"a")) == [
        "0 frames were received, but the card counts 1",
        "1 frames did not come out, but the card counts no drops"]


def test_pages_are_conserved() -> None:
    assert check_pages([PoolLevels(0, 64, 60, 2, 9, {0: 3, 1: 1})], returned=False) == []
    assert check_pages([PoolLevels(0, 64, 62, 0, 9, {0: 1, 1: 1})]) == []
    assert check_pages([PoolLevels(1, 64, 60, 0, 9, {0: 1})]) == [
        "pool 1 has 64 pages, but 60 on the ring and 1 with its queues",
        "pool 1 has 4 pages neither on the ring nor outstanding; its 1 queues fill one each at "
        "most"]
    assert check_pages([PoolLevels(0, 8, 7, 1, 1, {0: 1})]) == [
        "pool 0 counts 1 pages outstanding, but all were returned"]


def test_pools_with_a_queue_in_common_are_looked_at_together() -> None:
    payload, headers = PoolLevels(0, 64, 60, 3, 9, {0: 6}), PoolLevels(1, 8, 6, 1, 2, {0: 6})
    assert check_pages([payload, headers], returned=False) == []
    assert check_pages([payload, PoolLevels(1, 8, 5, 1, 2, {0: 6})], returned=False) == [
        "pool 0 and pool 1 has 72 pages, but 65 on the ring and 6 with its queues",
        "pool 1 has 2 pages neither on the ring nor outstanding; its 1 queues fill one each at "
        "most"]
