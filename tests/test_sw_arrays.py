"""Receiving as arrays: the same frames, counts, returns and complaints as one by one."""

from __future__ import annotations

import functools
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from pagering import abi
from pagering.array_burst import ArrayBurst
from pagering.burst import Burst
from pagering.card import Card
from pagering.errors import CardError, FrameReleased
from pagering.fake import FakeCard
from pagering.frame import Frame
from pagering.header_split import HeaderSplit
from pagering.record_arrays import SpanTable, merge_words, record_dtype
from pagering.records import FLAGS, merge
from pagering.rx_queue import RxQueue


@functools.cache
def tcp(size: int, source: str = "192.0.2.2") -> bytes:
    headers = bytes(Ether() / IP(dst="192.0.2.1", src=source, len=max(40, size - 14)) / TCP())
    return (headers + bytes(n & 0xFF for n in range(size)))[:size]


class Rig:
    def __init__(self, ring: int = 64, pages: int = 32, split: bool = False, extended: bool = False,
                 returns: str = "push", **options: Any) -> None:
        self.fake = FakeCard(**{"regions": 4, "region_pages": 16, **options})
        self.card = Card(self.fake)
        self.pool = self.card.add_pool(pages)
        header = HeaderSplit(self.card.add_pool(16), 100) if split else None
        self.queue: RxQueue = self.card.add_queue(self.pool, ring, split=header,
                                                  extended=extended, returns=returns)
        self.card.steer_to(self.queue)
        self.card.receive = True

    def close(self) -> None:
        assert not any(self.card.faults().values())
        self.queue.close()
        for pool in self.card.pools:
            assert pool.free == pool.registered
        self.card.close()
        self.fake.check_guards()
        assert not self.fake.stray_writes
        assert self.fake.mapped_bytes == 0


def facts(frame: Frame) -> tuple[Any, ...]:
    return (len(frame), bytes(frame), frame.tokens, frame.hash, frame.checksum, frame.l3, frame.l4,
            frame.split, frame.write_error, frame.timestamp, frame.mark)


def facts_of(burst: Burst | ArrayBurst) -> list[tuple[Any, ...]]:
    """All that there is to know of a burst's frames; of arrays, by the arrays."""
    if isinstance(burst, Burst):
        return [facts(frame) for frame in burst]
    if not burst:
        return []
    parts = np.split(burst.segments.token,
                     [] if burst.segments.starts is None else burst.segments.starts[1:])
    tokens = ([(token,) for token in burst.segments.token.tolist()]
              if burst.segments.starts is None else [tuple(part.tolist()) for part in parts])
    times = [None] * len(burst) if burst.timestamp is None else burst.timestamp.tolist()
    marks = [None] * len(burst) if burst.mark is None else burst.mark.tolist()
    columns = (burst.length.tolist(), [bytes(frame) for frame in burst.frames()], tokens,
               burst.hash.tolist(), burst.checksum.tolist(), burst.flag("l3").tolist(),
               burst.flag("l4").tolist(), burst.flag("split").tolist(),
               burst.flag("write_error").tolist(), times, marks)
    return list(zip(*columns, strict=True))


STEPS = st.lists(st.tuples(st.sampled_from([1, 60, 61, 255, 256, 257, 4096, 4097, 9000]),
                           st.integers(0, 9), st.integers(0, 1 << 30)), max_size=70)


@settings(max_examples=60, deadline=None)
@given(STEPS, st.sampled_from([256, 4096]), st.booleans(), st.booleans(),
       st.sampled_from(["push", "pull", "auto"]), st.data())
def test_arrays_say_what_frames_say(steps: list[tuple[int, int, int]], chunk: int, extended: bool,
                                    split: bool, returns: str, data: st.DataObject) -> None:
    options = {"chunk_bytes": chunk, "extended": extended, "split": split, "returns": returns,
               "defer_completions": True}
    one, other = Rig(**options), Rig(**options)
    for length, take, number in steps:
        frame = tcp(length, f"10.0.0.{number >> 8 & 7}")
        assert one.fake.inject(frame) == other.fake.inject(frame)
        # Completions come in pieces of frames, and are read so.
        for rig in (one, other):
            rig.fake.release_completions(1 + number % 3)
        if take:
            arrays = data.draw(st.booleans())
            with one.queue.recv(take) as burst:
                expected = facts_of(burst)
            with (other.queue.recv_arrays(take) if arrays else other.queue.recv(take)) as burst:
                assert facts_of(burst) == expected
    for rig in (one, other):
        rig.fake.release_completions()
    with one.queue.recv(1000) as left, other.queue.recv_arrays(1000) as right:
        assert facts_of(right) == facts_of(left)
    assert one.queue.stats == other.queue.stats
    assert one.pool.stats == other.pool.stats
    one.close()
    other.close()


@pytest.mark.parametrize("returns", ["push", "pull"])
@pytest.mark.parametrize("chunk", [256, 4096])
@pytest.mark.parametrize("extended", [False, True])
def test_the_ring_wraps_many_times(returns: str, chunk: int, extended: bool) -> None:
    rig = Rig(region_pages=64, pages=256, chunk_bytes=chunk, returns=returns, extended=extended)
    sent = got = 0
    while got < 4 * 64 + 3:
        for _ in range(37):
            assert rig.fake.inject(sent.to_bytes(4, "little") + bytes(56)) is None
            sent += 1
        with rig.queue.recv_arrays() as burst:
            assert [int.from_bytes(view[:4], "little") for view in burst.views()] == list(
                range(got, sent))
            assert (burst.rows(4)[:, 0] == np.arange(got, sent) % 256).all()
            got += len(burst)
    assert rig.queue.stats.frames == sent
    rig.close()


def test_one_merged_copy_of_tokens_and_two_doorbells() -> None:
    rig = Rig(chunk_bytes=1024, returns="pull")
    for _ in range(6):
        rig.fake.inject(bytes(1000))
    rig.fake.writes.clear()
    with rig.queue.recv_arrays():
        assert not rig.fake.writes, "receiving touches no register"
    assert rig.fake.writes == {abi.USER.address("RETURN_PRODUCED"): 1,
                               abi.USER.address("CONSUMED"): 1}
    assert rig.queue.stats.returns == rig.card.counters()["returns"] == 2
    rig.close()


def test_an_empty_poll_touches_no_register() -> None:
    rig = Rig()
    before = rig.fake.access_widths.copy()
    with rig.queue.recv_arrays() as burst:
        assert len(burst) == len(burst.length) == len(burst.flags) == 0
        assert burst.views() == burst.frames() == []
        assert burst.rows().shape == (0, 64)
    assert rig.fake.access_widths == before
    rig.close()


def test_waiting_is_that_of_recv() -> None:
    rig = Rig(defer_completions=True)
    rig.fake.inject(bytes(9000))
    rig.fake.on_wait = lambda vector: rig.fake.release_completions(1)
    with rig.queue.recv_arrays(timeout=0.01) as burst:
        assert burst.length.tolist() == [9000]
        assert burst.page.tolist() == burst.segments.page[:1].tolist()
        with pytest.raises(ValueError, match=r"several segments has no single view; use frames"):
            burst.views()
    with pytest.raises(ValueError, match="at least 1 frame, not 0"):
        rig.queue.recv_arrays(0)
    rig.close()


def test_evenly_spaced_frames_are_a_view_and_others_a_copy() -> None:
    rig = Rig(chunk_bytes=1024)
    frames = [bytes([number]) * 900 for number in range(8)]
    for frame in frames:
        rig.fake.inject(frame)
    with rig.queue.recv_arrays() as burst:
        rows = burst.rows(900)
        assert [row.tobytes() for row in rows] == frames
        assert np.shares_memory(rows, np.frombuffer(burst.views()[3], np.uint8))
        for width in (0, 1025):
            with pytest.raises(ValueError, match=f"1 to 1024 bytes, .* not {width}"):
                burst.rows(width)
    sizes = [900, 2000, 100, 4000, 7, 900]
    for number, size in enumerate(sizes):
        rig.fake.inject(bytes([number]) * size)
    with rig.queue.recv_arrays() as burst:
        rows = burst.rows(7)
        assert not np.shares_memory(rows, np.frombuffer(burst.views()[0], np.uint8))
        assert [row.tobytes() for row in rows] == [bytes([number]) * 7 for number in range(6)]
    rig.close()


def test_rows_of_several_regions() -> None:
    rig = Rig(ring=64, pages=64)
    for number in range(40):
        rig.fake.inject(bytes([number]) * 60)
    with rig.queue.recv_arrays() as burst:
        assert len(set((burst.page // 16).tolist())) == 3
        assert [row.tobytes() for row in burst.rows(60)] == [bytes([n]) * 60 for n in range(40)]
    rig.close()


def test_frames_can_be_retained_out_of_arrays() -> None:
    rig = Rig()
    for number in range(3):
        rig.fake.inject(bytes([number]) * 4096)
    with rig.queue.recv_arrays() as burst:
        kept = burst.frames()[1].retain()
        assert burst.frames()[1] is kept
        others = [burst.frames()[0], burst.frames()[2]]
    assert rig.pool.outstanding == rig.queue.stats.retained == 1
    assert bytes(kept) == bytes([1]) * 4096
    for frame in others:
        with pytest.raises(FrameReleased):
            _ = frame.view
    kept.release()
    rig.close()


def test_use_after_the_burst_raises_and_numbers_stay() -> None:
    rig = Rig()
    rig.fake.inject(b"x" * 60)
    with rig.queue.recv_arrays() as burst:
        (view,) = burst.views()
    with pytest.raises(ValueError, match="released"):
        _ = view[0]
    for use in (burst.views, burst.frames, burst.rows):
        with pytest.raises(FrameReleased, match="burst of 1 frames of queue 0 was used after"):
            use()
    assert burst.length.tolist() == [60]
    burst.close()
    assert rig.queue.stats.returns == 1
    rig.close()


def test_closing_the_queue_ends_a_burst_of_arrays() -> None:
    rig = Rig()
    rig.fake.inject(b"x" * 60)
    burst = rig.queue.recv_arrays()
    rig.queue.close()
    with pytest.raises(FrameReleased):
        burst.views()
    with pytest.raises(CardError, match="queue 0 is closed"):
        rig.queue.recv_arrays()
    rig.close()


def test_no_such_flag() -> None:
    rig = Rig()
    with rig.queue.recv_arrays() as burst, pytest.raises(ValueError, match="'l5' is none of them"):
        burst.flag("l5")
    rig.close()


def test_without_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    for name in ("numpy", "pagering.array_reader"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(CardError, match="which is not installed; .* or use recv"):
        rig.queue.recv_arrays()
    rig.fake.inject(b"x")
    with rig.queue.recv() as burst:
        assert len(burst) == 1
    rig.close()


# A card that lies


@pytest.mark.parametrize("good", [0, 1, 3])
@pytest.mark.parametrize(("fields", "sentence"), [
    ({"token": 0xFFFF}, "names a page that is not of pool 0"),
    ({"token": abi.TOKEN.pack(page=0, last=7)}, "names chunks 0 to 7 of a page of 4"),
    ({"token": abi.TOKEN.pack(page=0, first=3, last=2)}, "names chunks 3 to 2"),
    ({"length": 1025}, "claims 1025 bytes in 1 chunks of 1024"),
    ({"length": 0}, "claims 0 bytes"),
    ({"start": 0}, "continues no frame"),
    ({"split": 1}, "tells of headers apart, but the queue splits no frames"),
])
def test_completions_are_checked_before_they_are_believed(
        good: int, fields: dict[str, int], sentence: str) -> None:
    rig = Rig(chunk_bytes=1024)
    for number in range(good + 2):
        rig.fake.inject(bytes([number]) * 60)
    ring = rig.queue.ring.view
    at = 16 * good
    record = abi.COMPLETION.unpack(int.from_bytes(ring[at:at + 16], "little"))
    ring[at:at + 16] = abi.COMPLETION.pack(**{**record, **fields}).to_bytes(16, "little")
    if good:
        with rig.queue.recv_arrays() as burst:
            assert len(burst) == good, "what came before is delivered"
    for read in (rig.queue.recv_arrays, rig.queue.recv):
        with pytest.raises(CardError, match=f"completion {good} of queue 0 {sentence}"):
            read()
    rig.card.close()


def test_a_frame_that_starts_inside_another_is_an_error() -> None:
    rig = Rig()
    rig.fake.inject(bytes(5000))
    ring = rig.queue.ring.view
    word = int.from_bytes(ring[16:32], "little") | abi.COMPLETION["start"].mask
    ring[16:32] = word.to_bytes(16, "little")
    assert len(rig.queue.recv_arrays()) == 0
    with pytest.raises(CardError, match="completion 1 of queue 0 starts a frame inside another"):
        rig.queue.recv_arrays()
    rig.card.close()


@pytest.mark.parametrize("token", [0, abi.TOKEN.pack(page=32, first=1), 0xFFFF])
def test_a_forged_header_token_is_refused(token: int) -> None:
    rig = Rig(split=True)
    rig.fake.inject(tcp(300))
    rig.queue.ring.view[8:12] = token.to_bytes(4, "little")
    for read in (rig.queue.recv_arrays, rig.queue.recv):
        with pytest.raises(CardError, match="headers of completion 0 of queue 0 are said to be in "
                                            "no memory of pool 1"):
            read()
    rig.card.close()


# Twins


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 63), st.integers(0, 63),
                          st.integers(0, 1)), max_size=40), st.booleans())
def test_merging_words_is_merging(parts: list[tuple[int, int, int, int]], chain: bool) -> None:
    tokens, first = [], 0
    for page, start, size, generation in parts:
        start = first if chain and first < 64 else start
        last = min(63, start + size % 5)
        tokens.append(abi.TOKEN.pack(page=page // 2, first=start, last=last, generation=generation))
        first = last + 1
    assert merge_words(np.array(tokens, np.uint32)).tolist() == merge(tokens)


@given(st.integers(0, (1 << 256) - 1), st.booleans())
def test_the_shape_of_a_completion_is_the_contract(word: int, extended: bool) -> None:
    size = 32 if extended else 16
    data = word.to_bytes(32, "little")[:size]
    (record,) = np.frombuffer(data, record_dtype(extended))
    completion = abi.COMPLETION.unpack(int.from_bytes(data[-16:], "little"))
    for name in ("token", "hash", "length", "checksum"):
        assert record[name] == completion[name]
    for name, (shift, mask) in FLAGS.items():
        if not name.startswith("_"):
            assert int(record["flags"]) >> shift & mask == completion[name]
    if extended:
        for name, value in abi.EXTENSION.unpack(int.from_bytes(data[:16], "little")).items():
            assert record[name] == value


@given(st.integers(0, 63), st.integers(0, 63), st.integers(0, 15),
       st.sampled_from([(1, 4096), (16, 256), (64, 64), (1, 65536)]))
def test_the_span_table(first: int, last: int, generation: int, page: tuple[int, int]) -> None:
    chunks, size = page
    table = SpanTable(chunks, size)
    token = abi.TOKEN.pack(page=0xFFFF, first=first, last=last, generation=generation)
    at = table.of(np.array([token], np.intp))
    room = (last - first + 1) * size if first <= last < chunks else 0
    assert table.room[at] == min(room, 65535)
    assert table.offset[at] == first * size
