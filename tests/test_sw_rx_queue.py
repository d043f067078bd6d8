"""Receiving in place: bursts, retention, returns, waiting, and a card that lies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagering import abi
from pagering.card import Card
from pagering.card_pool import CardPool
from pagering.errors import CardError, FrameReleased
from pagering.fake import FakeCard
from pagering.frame import Frame
from pagering.records import merge
from pagering.rx_queue import RxQueue


@dataclass
class Rig:
    fake: FakeCard
    card: Card
    pool: CardPool
    queue: RxQueue


def make(ring: int = 64, pages: int | None = None, extended: bool = False,
         **options: Any) -> Rig:
    fake = FakeCard(**options)
    card = Card(fake)
    pool = card.add_pool(pages)
    queue = card.add_queue(pool, ring, extended=extended)
    card.steer_to(queue)
    card.receive = True
    return Rig(fake, card, pool, queue)


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = make(chunk_bytes=1024)
    yield made
    made.card.close()
    made.fake.check_guards()
    assert not made.fake.stray_writes
    assert made.fake.mapped_bytes == 0


def corrupt(rig: Rig, index: int, **fields: int) -> None:
    ring = rig.queue.ring.view
    record = abi.COMPLETION.unpack(int.from_bytes(ring[16 * index:16 * index + 16], "little"))
    word = abi.COMPLETION.pack(**{**record, **fields})
    ring[16 * index:16 * index + 16] = word.to_bytes(16, "little")


# Bursts


def test_frames_are_seen_in_place_and_in_order(rig: Rig) -> None:
    frames = [bytes([n]) * (50 + n) for n in range(5)]
    for frame in frames:
        rig.fake.inject(frame)
    with rig.queue.recv() as burst:
        assert len(burst) == 5
        assert [bytes(frame) for frame in burst] == frames
        assert [len(frame) for frame in burst] == [50, 51, 52, 53, 54]
        assert burst[0].view.obj is rig.pool.page_view(burst[0].tokens[0]).obj, "no copy"
        assert {(frame.queue, frame.write_error) for frame in burst} == {(0, False)}
        assert rig.pool.outstanding == 1
    assert rig.pool.free == 7, "the second page is still open"


def test_leaving_the_block_is_one_merged_run_and_one_consumed(rig: Rig) -> None:
    for _ in range(6):
        rig.fake.inject(bytes(1000))
    with rig.queue.recv():
        rig.fake.writes.clear()
    assert rig.fake.token_runs == [2], "four chunks and two chunks, one token each"
    assert rig.fake.writes[abi.USER.address("CONSUMED")] == 1
    assert rig.card.counters()["returns"] == rig.queue.stats.returns == 2
    assert not any(rig.card.faults().values())


def test_only_neighbouring_chunks_of_one_life_of_one_page_are_merged() -> None:
    def token(page: int, first: int, last: int, generation: int = 1) -> int:
        return abi.TOKEN.pack(page=page, first=first, last=last, generation=generation)

    assert merge([token(1, 0, 1), token(1, 2, 2), token(1, 3, 3)]) == [token(1, 0, 3)]
    for apart in ([token(1, 0, 0), token(2, 1, 1)], [token(1, 0, 0), token(1, 2, 2)],
                  [token(1, 0, 0), token(1, 1, 1, 2)], [token(1, 1, 1), token(1, 0, 0)]):
        assert merge(apart) == apart
    assert merge([]) == []


def test_an_empty_poll_touches_no_register(rig: Rig) -> None:
    before = rig.fake.access_widths.copy()
    with rig.queue.recv() as burst:
        assert len(burst) == 0
    for _ in range(3):
        rig.queue.recv()
    assert rig.fake.access_widths == before
    assert not rig.queue._bursts, "polling without a block gathers nothing"


def test_recv_takes_no_more_than_asked(rig: Rig) -> None:
    for _ in range(5):
        rig.fake.inject(b"x")
    sizes = []
    for _ in range(3):
        with rig.queue.recv(2) as burst:
            sizes.append(len(burst))
    assert sizes == [2, 2, 1]
    with pytest.raises(ValueError, match="at least 1 frame, not 0"):
        rig.queue.recv(0)


def test_an_exception_in_the_block_still_returns_the_pages(rig: Rig) -> None:
    rig.fake.inject(bytes(4096))
    with pytest.raises(KeyError), rig.queue.recv():
        raise KeyError("application")
    assert rig.pool.free == 8


def test_a_jumbo_has_a_segment_for_each_page(rig: Rig) -> None:
    data = bytes(range(256)) * 36
    rig.fake.inject(data)
    with rig.queue.recv() as burst:
        frame = burst[0]
        assert [len(segment) for segment in frame.segments] == [4096, 4096, 1024]
        assert frame.tobytes() == data
        with pytest.raises(ValueError, match="frame of 3 segments has no single view"):
            _ = frame.view
    assert rig.queue.stats.segments == 3


def test_an_unfinished_frame_is_not_delivered_until_its_end_is_there() -> None:
    rig = make(defer_completions=True)
    rig.fake.inject(bytes(9000))
    rig.fake.inject(b"next")
    for _ in range(2):
        rig.fake.release_completions(1)
        with rig.queue.recv() as burst:
            assert len(burst) == 0
    rig.fake.release_completions()
    with rig.queue.recv() as burst:
        assert [len(frame) for frame in burst] == [9000, 4]
    assert rig.pool.free == 8
    rig.card.close()


@pytest.mark.parametrize("entries", [64, 128, 1024])
@pytest.mark.parametrize("extended", [False, True])
def test_the_ring_wraps_many_times_without_losing_a_frame(entries: int, extended: bool) -> None:
    rig = make(ring=entries, regions=8, region_pages=64, pages=512, extended=extended)
    sent = got = 0
    while got < 4 * entries + 3:
        for _ in range(min(37, entries)):
            assert rig.fake.inject(sent.to_bytes(4, "little")) is None
            sent += 1
        with rig.queue.recv() as burst:
            for frame in burst:
                assert int.from_bytes(frame.view, "little") == got
                got += 1
    assert len(rig.queue.recv()) == 0
    assert rig.queue.stats.frames == got == sent
    rig.card.close()


def test_the_consumer_index_wraps_at_its_full_width() -> None:
    rig = make(regions=1, region_pages=64)
    # Both sides as they are after 2**17 - 3 completions.
    near_end = (1 << abi.CONSUMER_BITS) - 3
    state = rig.fake.state.queues[0]
    state.reserved = state.produced = state.consumed = near_end
    rig.queue.ring.head = rig.queue.ring.told = near_end
    # Slots 0 to 60 are of this pass, in phase 0; the last three of the pass before.
    rig.queue.ring.view[:] = bytes(61 * 16) + (bytes(15) + b"\x80") * 3
    got = 0
    for _ in range(10):
        rig.fake.inject(b"x")
        with rig.queue.recv() as burst:
            got += len(burst)
    assert got == 10
    assert rig.queue.ring.head == 7
    rig.card.close()


def test_returns_wrap_inside_the_window() -> None:
    rig = make(ring=1024, regions=1, region_pages=512)
    for _ in range(2):
        for _ in range(300):
            rig.fake.inject(b"x")
        rig.queue.recv(300).close()
    assert rig.fake.token_runs == [300, 212, 88]
    assert rig.pool.free == 512
    rig.card.close()


# Extended completions


def test_an_extended_completion_tells_more_of_the_frame() -> None:
    rig = make(extended=True)
    for length in (60, 9000, 61):
        rig.fake.inject(bytes(length))
    extension = abi.EXTENSION.pack(time_low=0xFEDCBA98, time_high=0x76543210, tci=0xE005, mark=77)
    for index, vlan in ((0, 1), (1, 0)):
        at = 32 * index
        rig.queue.ring.view[at:at + 16] = extension.to_bytes(16, "little")
        corrupt(rig, 2 * index + 1, vlan=vlan)
    with rig.queue.recv() as burst:
        assert [len(frame) for frame in burst] == [60, 9000, 61]
        assert [frame.timestamp for frame in burst][:2] == [0x76543210FEDCBA98] * 2
        assert [frame.vlan_tci for frame in burst] == [0xE005, None, None]
        assert [frame.mark for frame in burst] == [77, 77, 0]
    assert rig.fake.mapped_bytes == 8 * 4096 + 64 * 32
    rig.card.close()


def test_a_plain_completion_has_no_extension(rig: Rig) -> None:
    rig.fake.inject(b"x")
    with rig.queue.recv() as burst:
        assert (burst[0].timestamp, burst[0].vlan_tci, burst[0].mark) == (None, None, None)


# Ownership


def test_use_after_return_raises_and_old_views_are_dead(rig: Rig) -> None:
    rig.fake.inject(b"abc")
    with rig.queue.recv() as burst:
        frame, view = burst[0], burst[0].view
    for use in (lambda: frame.view, lambda: bytes(frame), lambda: frame.segments, frame.retain):
        with pytest.raises(FrameReleased):
            use()
    with pytest.raises(ValueError, match="released"):
        _ = view[0]
    assert len(frame) == 3, "what is not in the page is still known"


def test_a_retained_frame_outlives_its_burst_until_released(rig: Rig) -> None:
    rig.fake.inject(b"a" * 3000)
    rig.fake.inject(b"b" * 3000)
    with rig.queue.recv() as burst:
        kept = burst[0].retain().retain()
    assert (bytes(kept)[:1], rig.queue.stats.retained) == (b"a", 1)
    assert rig.pool.outstanding == 1
    kept.release()
    assert (rig.pool.outstanding, rig.queue.stats.retained) == (0, 0)
    with pytest.raises(FrameReleased, match="released twice"):
        kept.release()
    assert not any(rig.card.faults().values()), "the card never saw the second release"


def test_frames_go_back_in_one_go_and_in_the_order_given(rig: Rig) -> None:
    for _ in range(3):
        rig.fake.inject(bytes(4096))
    with rig.queue.recv() as burst:
        kept = [frame.retain() for frame in burst]
    order = [kept[2], kept[0], kept[1]]
    pages = [page_of(frame) for frame in order]
    rig.queue.release(order)
    assert (rig.pool.free, rig.queue.stats.retained) == (8, 0)
    for _ in range(8):
        rig.fake.inject(bytes(4096))
    with rig.queue.recv() as burst:
        assert [page_of(frame) for frame in burst][5:] == pages, "first back, first used"


def page_of(frame: Frame) -> int:
    return abi.TOKEN.unpack(frame.tokens[0])["page"]


def test_a_frame_goes_back_through_its_own_queue(rig: Rig) -> None:
    rig.fake.inject(bytes(64))
    other = rig.card.add_queue(rig.pool)
    with rig.queue.recv() as burst:
        kept = burst[0].retain()
    with pytest.raises(ValueError, match="a frame of queue 0 cannot go back through queue 1"):
        other.release([kept])
    kept.release()


def test_frames_before_a_wrong_one_go_back(rig: Rig) -> None:
    for _ in range(3):
        rig.fake.inject(bytes(4096))
    with rig.queue.recv() as burst:
        first, gone, last = (frame.retain() for frame in burst)
    gone.release()
    with pytest.raises(FrameReleased, match="released twice"):
        rig.queue.release([first, gone, last])
    assert rig.pool.free == 7
    last.release()
    assert rig.pool.free == 8


def test_a_frame_can_go_back_before_its_burst_ends(rig: Rig) -> None:
    for _ in range(3):
        rig.fake.inject(bytes(4096))
    with rig.queue.recv() as burst:
        burst[1].release()
        assert rig.pool.free == 6
    assert rig.pool.free == 8
    assert rig.card.counters()["returns"] == 3


def test_a_retained_frame_outlives_even_its_card() -> None:
    rig = make()
    rig.fake.inject(b"precious")
    with rig.queue.recv() as burst:
        kept = burst[0].retain()
    rig.card.close()
    assert bytes(kept) == b"precious"
    assert rig.fake.mapped_bytes > 0, "its memory is not given up under it"
    runs = list(rig.fake.token_runs)
    kept.release()
    assert rig.fake.mapped_bytes == 0
    assert rig.fake.token_runs == runs, "the card knows the page no more"


def test_memory_is_bounded_when_the_host_never_returns(rig: Rig) -> None:
    mapped = rig.fake.mapped_bytes
    kept: list[Frame] = []
    for _ in range(40):
        rig.fake.inject(bytes(4096))
        with rig.queue.recv() as burst:
            kept += [frame.retain() for frame in burst]
    assert (len(kept), rig.pool.outstanding, rig.pool.free) == (8, 8, 0)
    assert rig.card.drops()["no_page"] == 32
    assert rig.fake.mapped_bytes == mapped
    for frame in kept:
        frame.release()
    assert rig.pool.free == 8
    assert rig.fake.inject(b"x") is None, "it recovers at once"


def test_a_forged_return_by_another_queue_changes_nothing() -> None:
    rig = make()
    other = rig.card.add_queue(rig.pool, 64)
    rig.fake.inject(b"x")
    with rig.queue.recv() as burst:
        other.give_back(burst[0].tokens)
        assert rig.pool.outstanding == 1
    assert rig.card.faults()["return_owner"] == 1
    assert rig.pool.free == 8
    rig.card.close()


def test_statistics_of_the_page_pool_follow_the_card(rig: Rig) -> None:
    for _ in range(3):
        rig.fake.inject(bytes(4000))
        rig.queue.recv().close()
    stats = rig.pool.stats
    assert (stats.alloc_fast, stats.recycle_ring, stats.inflight) == (3, 3, 8)


# Waiting


def test_wait_returns_at_once_when_something_is_there(rig: Rig) -> None:
    rig.fake.inject(b"x")
    before = rig.fake.access_widths.copy()
    assert rig.queue.wait(0.01)
    assert rig.fake.access_widths == before


def test_wait_sleeps_until_a_frame_comes_and_gives_up_in_time(rig: Rig) -> None:
    assert not rig.queue.wait(0.01)
    rig.fake.on_wait = lambda vector: rig.fake.inject(b"late")
    with rig.queue.recv(timeout=0.01) as burst:
        assert [bytes(frame) for frame in burst] == [b"late"]


def test_a_completion_between_the_last_look_and_arming_is_not_missed() -> None:
    class Racing(FakeCard):
        def write32(self, offset: int, value: int) -> None:
            if offset == abi.USER.address("ARM"):
                self.inject(b"race")
            super().write32(offset, value)

    fake = Racing()
    with Card(fake) as card:
        queue = card.add_queue(card.add_pool())
        card.steer_to(queue)
        card.receive = True
        assert queue.wait(0.01)
        assert fake.wait_interrupt(0), "and the card fired at once as well"


def test_an_interrupt_left_from_earlier_does_not_end_the_wait(rig: Rig) -> None:
    assert not rig.queue.wait(0.01)
    rig.fake.inject(b"x")
    rig.queue.recv().close()
    waits = []

    def arrive(vector: int) -> None:
        waits.append(vector)
        rig.fake.inject(b"y")

    rig.fake.on_wait = arrive
    assert rig.queue.wait(0.01)
    assert waits == [0]


def test_waiting_for_the_rest_of_a_frame_arms_behind_its_first_segments() -> None:
    rig = make(defer_completions=True)
    rig.fake.inject(bytes(9000))
    rig.fake.on_wait = lambda vector: rig.fake.release_completions(1)
    with rig.queue.recv(timeout=0.01) as burst:
        assert [len(frame) for frame in burst] == [9000]
    rig.card.close()


# A card that lies


@pytest.mark.parametrize(("fields", "sentence"), [
    ({"token": 0xFFFF}, "names a page that is not of pool 0"),
    ({"token": abi.TOKEN.pack(page=0, last=7)}, "names chunks 0 to 7 of a page of 4"),
    ({"token": abi.TOKEN.pack(page=0, first=3, last=2)}, "names chunks 3 to 2"),
    ({"length": 1025}, "claims 1025 bytes in 1 chunks of 1024"),
    ({"length": 0}, "claims 0 bytes"),
    ({"start": 0}, "continues no frame"),
])
def test_completions_are_checked_before_they_are_believed(
        rig: Rig, fields: dict[str, int], sentence: str) -> None:
    rig.fake.inject(b"good")
    rig.fake.inject(b"bad")
    corrupt(rig, 1, **fields)
    with rig.queue.recv() as burst:
        assert [bytes(frame) for frame in burst] == [b"good"], "what came before is delivered"
    with pytest.raises(CardError, match=f"completion 1 of queue 0 {sentence}"):
        rig.queue.recv()


def test_a_frame_that_starts_inside_another_is_an_error() -> None:
    rig = make()
    rig.fake.inject(bytes(5000))
    corrupt(rig, 1, start=1)
    with pytest.raises(CardError, match="starts a frame inside another"):
        rig.queue.recv()
    rig.card.close()


def test_a_write_error_marks_its_frame_only(rig: Rig) -> None:
    rig.fake.inject(b"a")
    rig.fake.inject(b"b")
    corrupt(rig, 1, write_error=1)
    with rig.queue.recv() as burst:
        assert [frame.write_error for frame in burst] == [False, True]


# The end


def test_closing_a_queue_returns_open_bursts_and_what_was_never_read() -> None:
    rig = make(defer_completions=True)
    for _ in range(3):
        rig.fake.inject(b"x")
    rig.fake.release_completions()
    burst = rig.queue.recv(1)
    frame = burst[0]
    rig.queue.close()
    assert rig.pool.free == 8
    with pytest.raises(FrameReleased):
        _ = frame.view
    for use in (rig.queue.recv, rig.queue.wait):
        with pytest.raises(CardError, match="queue 0 is closed"):
            use()
    rig.queue.close()
    assert not any(rig.card.faults().values())
    rig.card.close()


def test_a_queue_can_be_opened_again_and_starts_afresh(rig: Rig) -> None:
    for _ in range(70):
        rig.fake.inject(b"x")
        rig.queue.recv().close()
    rig.queue.close()
    again = rig.card.add_queue(rig.pool, 64)
    assert again.index == 0
    rig.fake.inject(b"again")
    with again.recv() as burst:
        assert [bytes(frame) for frame in burst] == [b"again"]


def test_two_queues_share_a_pool_each_within_its_quota() -> None:
    rig = make()
    other = rig.card.add_queue(rig.pool, 64, quota=2)
    rig.card.steer_to(other)
    for _ in range(4):
        rig.fake.inject(b"x")
    assert (other.held, other.delivered, other.dropped) == (2, 2, 2)
    rig.card.steer_to(rig.queue)
    assert rig.fake.inject(b"x") is None
    rig.card.close()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 12000), st.integers(0, 5), st.booleans()), max_size=60),
       st.sampled_from([256, 1024, 4096]))
def test_every_byte_arrives_and_every_page_comes_home(
        steps: list[tuple[int, int, bool]], chunk: int) -> None:
    rig = make(chunk_bytes=chunk)
    sent: list[bytes] = []
    kept: list[tuple[Frame, bytes]] = []
    got = 0
    for number, (length, take, keep) in enumerate(steps):
        data = (number.to_bytes(2, "big") * (length // 2 + 1))[:length]
        if rig.fake.inject(data) is None:
            sent.append(data)
        if take:
            with rig.queue.recv(take) as burst:
                for frame in burst:
                    assert bytes(frame) == sent[got]
                    if keep:
                        kept.append((frame.retain(), sent[got]))
                    got += 1
        elif kept:
            frame, data = kept.pop(0)
            assert bytes(frame) == data, "a retained page was written to"
            frame.release()
    with rig.queue.recv(100) as burst:
        got += len(burst)
    assert got == len(sent)
    for frame, data in kept:
        assert bytes(frame) == data
        frame.release()
    assert not any(rig.card.faults().values())
    rig.queue.close()
    assert rig.pool.free == rig.pool.registered
    rig.card.close()
    assert rig.fake.mapped_bytes == 0
    rig.fake.check_guards()
