"""A capture that is written meanwhile: whole, bounded, and clear about what it could not do."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from pagering.capture import read_frames
from pagering.capture_writer import CaptureWriter
from pagering.errors import CaptureError


def test_what_is_put_is_what_is_read(tmp_path: Path) -> None:
    path = tmp_path / "out.pcap"
    frames = [bytes([number % 251]) * (60 + number) for number in range(500)]
    with CaptureWriter(path) as writer:
        for number, frame in enumerate(frames):
            assert writer.put(frame, 10**18 + number)
    assert (writer.written, writer.dropped) == (500, 0)
    found = read_frames(path)
    assert found.frames == frames
    assert found.timestamps_ns == [10**18 + number for number in range(500)]
    writer.close()


def test_memory_is_bounded_and_what_finds_no_room_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    # A pipe is a disk that is as slow as its reader; the header fits in it.
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writer = CaptureWriter(path, limit=1 << 20)
    frame = bytes(1500)
    put = sum(writer.put(frame, 0) for _ in range(3000))
    assert writer.written == put
    assert writer.dropped == 3000 - put
    assert put * 1516 <= (1 << 20) + (1 << 18), "the limit, and what the pipe has taken"
    assert writer.dropped > 1000
    os.set_blocking(reader, True)
    received = bytearray()

    def drain() -> None:
        while block := os.read(reader, 1 << 16):
            received.extend(block)

    thread = threading.Thread(target=drain)
    thread.start()
    writer.close()
    thread.join(10)
    os.close(reader)
    assert len(received) == 24 + put * 1516


def test_a_place_that_takes_no_file(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="cannot be written: Is a directory; choose another"):
        CaptureWriter(tmp_path)


def test_a_disk_that_fails_later() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("there is no /dev/full here")
    with pytest.raises(CaptureError, match="No space left on device"):
        CaptureWriter(full)


def test_a_disk_that_fails_behind_the_header(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writer = CaptureWriter(path, limit=1 << 16)
    os.close(reader)
    for _ in range(3):
        writer.put(bytes(1500), 0)
    with pytest.raises(CaptureError, match="pipe cannot be written: Broken pipe"):
        writer.close()
    with pytest.raises(CaptureError, match="Broken pipe"):
        writer.put(b"x", 0)
