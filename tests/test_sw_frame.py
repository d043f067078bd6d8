"""What a received frame says of itself, over the in-memory card, as scapy sees it."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from packets import damaged, packet
from pagering import L3, L4, Card, Frame
from pagering.abi import COMPLETION
from pagering.fake import FakeCard
from scapy_judge import judge


def received(frames: list[bytes], extended: bool = False) -> Iterator[tuple[bytes, Frame]]:
    """Send frames through the in-memory card, one by one."""
    fake = FakeCard(chunk_bytes=1024)
    with Card(fake) as card:
        queue = card.add_queue(card.add_pool(), 64, extended=extended)
        card.steer_to(queue)
        card.receive = True
        for data in frames:
            fake.inject(data)
            with queue.recv() as burst:
                frame, = burst
                assert frame.tobytes() == data
                yield data, frame


def word(checked: bool, ok: bool) -> bool | None:
    return ok if checked else None


@pytest.mark.parametrize("seed", range(2))
def test_says_what_scapy_sees(seed: int) -> None:
    rng = random.Random(seed)
    frames = [packet(rng) for _ in range(100)]
    frames += [damaged(rng, frame) for frame in frames]
    for data, frame in received(frames, extended=True):
        wanted = judge(data)
        assert (frame.l3, frame.l4) == (wanted["l3"], wanted["l4"])
        assert isinstance(frame.l3, L3)
        assert isinstance(frame.l4, L4)
        assert (frame.fragment, frame.vlan) == (wanted["fragment"], wanted["vlan"])
        assert frame.vlan_tci == (wanted["tci"] if wanted["vlan"] else None)
        assert frame.header_length == (wanted["header"] or None)
        assert frame.checksum == wanted["checksum"]
        assert frame.ip_checksum_ok is word(wanted["l3_checked"], wanted["l3_ok"])
        assert frame.checksum_ok is word(wanted["l4_checked"], wanted["l4_ok"])
        assert not frame.write_error


def test_a_frame_of_several_segments_says_it_too() -> None:
    rng = random.Random(1)
    frame = b""
    while len(frame) < 8500 or not judge(frame)["l4_checked"]:
        frame = packet(rng, longest=9000, payload=8800)
    for data, got in received([frame]):
        assert len(got.segments) == 3
        assert (got.checksum, got.header_length) == (judge(data)["checksum"],
                                                     judge(data)["header"])
        assert got.checksum_ok is judge(data)["l4_ok"]


@pytest.mark.parametrize("failed", [0, 1, 2])
def test_a_failed_write_of_any_segment_is_one_of_the_frame(failed: int) -> None:
    fake = FakeCard()
    with Card(fake) as card:
        queue = card.add_queue(card.add_pool(), 64)
        card.steer_to(queue)
        card.receive = True
        fake.inject(bytes(9000))
        at = 16 * failed
        ring = queue.ring.view
        record = int.from_bytes(ring[at:at + 16], "little") | COMPLETION["write_error"].mask
        ring[at:at + 16] = record.to_bytes(16, "little")
        with queue.recv() as burst:
            assert [frame.write_error for frame in burst] == [True]
            assert [frame.l3 for frame in burst] == [L3.OTHER]
