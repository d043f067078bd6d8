"""Header split and hold, by the driver and the in-memory card."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import ARP, Ether

from pagering.card import Card
from pagering.errors import CardError
from pagering.fake import FakeCard
from pagering.header_split import HeaderSplit

HEADER = 14 + 20 + 20


def tcp(size: int) -> bytes:
    """Return a frame of so many bytes."""
    frame = Ether() / IP(dst="192.0.2.1") / TCP() / bytes(n & 0xFF for n in range(size - HEADER))
    return bytes(frame)


@pytest.fixture
def card() -> Iterator[Card]:
    fake = FakeCard(chunk_bytes=256)
    with Card(fake) as opened:
        opened.receive = True
        yield opened
        faults = {name: count for name, count in opened.faults().items() if count}
        assert not faults
    fake.check_guards()
    assert not fake.stray_writes
    assert fake.mapped_bytes == 0


def inject(card: Card, *frames: bytes) -> None:
    assert isinstance(card.transport, FakeCard)
    for frame in frames:
        card.transport.inject(frame)


def test_headers_and_payload_go_to_their_pools(card: Card) -> None:
    headers, payload = card.add_pool(), card.add_pool()
    queue = card.add_queue(payload, split=HeaderSplit(headers))
    frame = tcp(9014)
    inject(card, frame)
    with queue.recv() as burst:
        (got,) = burst
        assert got.split
        assert got.headers == frame[:HEADER]
        assert b"".join(got.payload) == frame[HEADER:]
        assert len(got.payload) == 3
        assert got.tobytes() == frame
        assert len(got) == len(frame)
        pools = [queue.pool_of(token) for token in got.tokens]
        assert pools == [headers, payload, payload, payload]
        assert (headers.outstanding, payload.outstanding) == (0, 2)
    assert payload.free == payload.registered - 1
    assert headers.stats.alloc_fast or headers.stats is not None


def test_what_cannot_be_split_is_whole_in_the_pool_of_headers(card: Card) -> None:
    headers, payload = card.add_pool(), card.add_pool()
    queue = card.add_queue(payload, split=HeaderSplit(headers, threshold=600))
    frames = [bytes(Ether() / ARP()), tcp(600), tcp(HEADER), tcp(601)]
    inject(card, *frames)
    with queue.recv() as burst:
        assert [frame.split for frame in burst] == [False, False, False, True]
        assert [frame.tobytes() for frame in burst] == frames
        for frame in list(burst)[:3]:
            assert frame.headers is None
            assert frame.payload == frame.segments
            assert queue.pool_of(frame.tokens[0]) is headers


def test_retained_frames_outlive_both_pools() -> None:
    fake = FakeCard(chunk_bytes=256)
    card = Card(fake)
    card.receive = True
    queue = card.add_queue(card.add_pool(), split=HeaderSplit(card.add_pool()))
    frame = tcp(300)
    fake.inject(frame)
    with queue.recv() as burst:
        kept = burst[0].retain()
    card.close()
    assert kept.tobytes() == frame
    kept.release()
    assert fake.mapped_bytes == 0


def test_a_pool_of_headers_is_in_use(card: Card) -> None:
    headers = card.add_pool()
    queue = card.add_queue(card.add_pool(), split=HeaderSplit(headers))
    with pytest.raises(CardError, match=f"queue {queue.index} still draws from pool"):
        headers.close()


@pytest.mark.parametrize("threshold", [-1, 65536])
def test_a_threshold_out_of_range_is_refused(card: Card, threshold: int) -> None:
    with pytest.raises(ValueError, match=f"0 to 65535 bytes, not {threshold}"):
        HeaderSplit(card.add_pool(), threshold)


def test_a_forged_header_token_is_refused(card: Card) -> None:
    queue = card.add_queue(card.add_pool(), split=HeaderSplit(card.add_pool()))
    inject(card, tcp(300))
    queue.ring.view[8:12] = bytes(4)  # page 0 is the other pool's
    with pytest.raises(CardError, match="headers of completion 0 of queue 0"):
        queue.recv()
    queue.ring.carry.clear()


def test_a_held_frame_waits_until_memory_comes_back(card: Card) -> None:
    pool = card.add_pool()
    queue = card.add_queue(pool, quota=1, hold=True)
    frames = [tcp(4000), tcp(3000), tcp(64)]
    inject(card, *frames)
    for together in (frames[:1], frames[1:]):
        with queue.recv() as burst:
            assert [got.tobytes() for got in burst] == together
    assert not any(card.drops().values())


def test_a_held_frame_is_dropped_with_its_queue(card: Card) -> None:
    queue = card.add_queue(card.add_pool(), quota=0, hold=True)
    inject(card, tcp(100), tcp(100))
    assert not any(card.drops().values())
    queue.close()
    assert card.drops()["queue_disabled"] == 2
