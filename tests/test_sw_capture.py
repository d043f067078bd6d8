"""Captures: what is whole is read exactly, what is not gets one sentence that names the place."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.utils import RawPcapNgReader, RawPcapReader

from pagering.capture import FRAME_BYTES_MAX, read_frames, write_frames
from pagering.errors import CaptureError

MAGIC = {("<", 1000): b"\xd4\xc3\xb2\xa1", (">", 1000): b"\xa1\xb2\xc3\xd4",
         ("<", 1): b"\x4d\x3c\xb2\xa1", (">", 1): b"\xa1\xb2\x3c\x4d"}
FRAMES = [bytes(range(60)), b"\x55" * 1514, b"\x01"]
COLLECTION = Path(__file__).parents[1].parent / "shared" / "pcap"


def pcap(*records: tuple[bytes, int], order: str = "<", unit: int = 1000, link: int = 1) -> bytes:
    """Build a pcap; a record is its bytes and how long the frame was on the wire."""
    blob = MAGIC[order, unit] + struct.pack(order + "HHiIII", 2, 4, 0, 0, 65535, link)
    for number, (data, wire) in enumerate(records):
        blob += struct.pack(order + "IIII", 7, number, len(data), wire) + data
    return blob


def whole(*frames: bytes) -> list[tuple[bytes, int]]:
    return [(frame, len(frame)) for frame in frames]


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += b"\0" * (-len(body) % 4)
    size = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + size + body + size


def section(order: str = "<") -> bytes:
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(order: str = "<", *, link: int = 1, snap: int = 0, options: bytes = b"") -> bytes:
    return block(1, struct.pack(order + "HHI", link, 0, snap) + options, order)


def packet(data: bytes, order: str = "<", *, index: int = 0, ticks: int = 0,
           wire: int | None = None) -> bytes:
    head = struct.pack(order + "IIIII", index, ticks >> 32, ticks & 0xFFFFFFFF, len(data),
                       len(data) if wire is None else wire)
    return block(6, head + data, order)


@pytest.fixture
def file(tmp_path: Path) -> Callable[[bytes], Path]:
    def make(blob: bytes) -> Path:
        path = tmp_path / "input.pcap"
        path.write_bytes(blob)
        return path
    return make


def sentence(path: Path) -> str:
    """The error that reading ``path`` gives, without the path."""
    with pytest.raises(CaptureError) as caught:
        read_frames(path)
    assert str(path) in str(caught.value)
    return str(caught.value).replace(str(path), "FILE")


# What is whole is read exactly.

@pytest.mark.parametrize(("order", "unit"), MAGIC)
def test_reads_every_kind_of_pcap(file: Callable[[bytes], Path], order: str, unit: int) -> None:
    capture = read_frames(file(pcap(*whole(*FRAMES), order=order, unit=unit)))
    assert capture.frames == FRAMES
    assert capture.timestamps_ns == [7 * 10**9 + number * unit for number in range(3)]
    assert (capture.bytes, capture.skipped) == (60 + 1514 + 1, 0)


@pytest.mark.parametrize("order", ["<", ">"])
def test_reads_pcapng(file: Callable[[bytes], Path], order: str) -> None:
    path = file(section(order) + interface(order) + block(5, b"statistics", order)
                + b"".join(packet(frame, order, ticks=5_000_003) for frame in FRAMES))
    capture = read_frames(path)
    assert capture.frames == FRAMES
    assert capture.timestamps_ns == [5_000_003_000] * 3
    with RawPcapNgReader(str(path)) as reader:
        assert [data for data, _ in reader] == FRAMES


def test_interfaces_start_again_in_each_pcapng_section(file: Callable[[bytes], Path]) -> None:
    nanoseconds = struct.pack("<HHB3x", 9, 1, 9)
    later = struct.pack("<HHq", 14, 8, 100)
    blob = (section("<") + interface("<") + packet(FRAMES[0], ticks=2)
            + section(">") + interface(">") + packet(FRAMES[1], ">", ticks=3)
            + section("<") + interface("<", options=nanoseconds + later)
            + packet(FRAMES[2], ticks=4))
    capture = read_frames(file(blob))
    assert capture.frames == FRAMES
    assert capture.timestamps_ns == [2000, 3000, 100 * 10**9 + 4]


def test_reads_simple_packet_blocks(file: Callable[[bytes], Path]) -> None:
    body = struct.pack("<I", 60) + FRAMES[0]
    capture = read_frames(file(section() + interface(snap=0) + block(3, body)))
    assert capture.frames == FRAMES[:1]


def test_takes_the_fcs_off(file: Callable[[bytes], Path]) -> None:
    link = 1 | 1 << 26 | 4 << 28
    assert read_frames(file(pcap(*whole(FRAMES[0]), link=link))).frames == [FRAMES[0][:-4]]


def test_longest_frame(file: Callable[[bytes], Path]) -> None:
    longest = bytes(FRAME_BYTES_MAX)
    assert read_frames(file(pcap(*whole(longest)))).frames == [longest]
    assert sentence(file(pcap(*whole(FRAMES[0], longest + b"\0")))) == (
        "FILE: packet 2 has 9601 bytes, the card takes 1 to 9600; record with segmentation "
        "offload off, or leave it out")


def test_skips_and_counts_cut_frames_when_told_to(file: Callable[[bytes], Path]) -> None:
    path = file(pcap((FRAMES[0], 60), (b"\x01" * 54, 1514), (FRAMES[1], 1514)))
    capture = read_frames(path, allow_cut=True)
    assert (capture.frames, capture.skipped) == (FRAMES[:2], 1)


@pytest.mark.parametrize("path", sorted(COLLECTION.glob("*.pcap")) or [
    pytest.param(None, marks=pytest.mark.skip(reason="the folder shared/pcap is not here"))],
    ids=lambda path: path.name if path else "none")
def test_agrees_with_scapy_on_foreign_captures(path: Path) -> None:
    with RawPcapReader(str(path)) as reader:
        assert read_frames(path).frames == [data for data, _ in reader]


# What is not whole gets a sentence.

@pytest.mark.parametrize(("blob", "expected"), [
    (b"", "FILE is empty; give a pcap or pcapng file"),
    (b"#!/bin/sh\n", "FILE is not a capture: its first bytes are 23 21 2f 62, and neither pcap "
                     "nor pcapng starts so"),
    (b"\x1f\x8b\x08\x00", "FILE is compressed (gzip); unpack it first"),
    (pcap()[:20], "FILE is truncated: 20 bytes, a pcap header alone has 24"),
    (pcap(), "FILE holds no packets"),
    (section() + interface(), "FILE holds no packets"),
    (pcap(*whole(*FRAMES))[:100 + 10], "FILE is truncated at byte 100, in the header of packet 2; "
                                       "copy or record it again"),
    (pcap(*whole(*FRAMES))[:200], "FILE is truncated at byte 100: packet 2 should have 1514 bytes, "
                                  "84 are left; copy or record it again"),
    (pcap(*whole(FRAMES[0]), link=113), 'FILE has link type 113, LINUX_SLL (Linux "any" device), '
                                        "not Ethernet (1); record on an Ethernet interface"),
    (pcap(*whole(FRAMES[0]), link=147), "FILE has link type 147, unknown, not Ethernet (1); record "
                                        "on an Ethernet interface"),
    (pcap((FRAMES[0], 60), (FRAMES[0], 1514)), "FILE: packet 2 was cut to 60 of 1514 bytes by the "
     "snap length; record again with the full length (tcpdump -s 0)"),
    (pcap(*whole(b"")), "FILE: packet 1 has 0 bytes, the card takes 1 to 9600; record with "
                        "segmentation offload off, or leave it out"),
    (section()[:20], "FILE is truncated: the block at byte 0 should have 28 bytes, 20 are left; "
                     "copy or record it again"),
    (section() + interface() + packet(FRAMES[0])[:40], "FILE is truncated: the block at byte 48 "
     "should have 92 bytes, 40 are left; copy or record it again"),
    (section() + b"\6\0\0\0", "FILE is truncated at byte 28; copy or record it again"),
    (section() + b"\6\0\0\0\x0d\0\0\0\0\0\0\0\0", "FILE is damaged: the block at byte 28 has "
     "contradictory lengths; copy or record it again"),
    (section() + b"\6\0\0\0\0\0\0\0\0\0\0\0", "FILE is damaged: the block at byte 28 has "
     "contradictory lengths; copy or record it again"),
    (section() + packet(FRAMES[0]), "FILE, block at byte 28 is damaged: packet 1 names interface "
                                    "0, which the file does not describe"),
    (section() + interface() + block(6, b"\0" * 8), "FILE, block at byte 48 is damaged: it is too "
     "short; copy or record the file again"),
    (section() + interface(options=b"\x09\0\xff\0"), "FILE, block at byte 28 is damaged: it is too "
     "short; copy or record the file again"),
    (section() + interface() + block(6, struct.pack("<IIIII", 0, 0, 0, 60, 60)),
     "FILE, block at byte 48 is damaged: packet 1 should have 60 bytes, the block has room for 0"),
    (section() + interface(link=127) + packet(FRAMES[0]), "FILE has link type 127, "
     "IEEE802_11_RADIOTAP (Wi-Fi), not Ethernet (1); record on an Ethernet interface"),
    (section() + interface() + packet(FRAMES[0], wire=900), "FILE: packet 1 was cut to 60 of 900 "
     "bytes by the snap length; record again with the full length (tcpdump -s 0)"),
])
def test_says_what_is_wrong(file: Callable[[bytes], Path], blob: bytes, expected: str) -> None:
    assert sentence(file(blob)) == expected


def test_refuses_a_capture_of_which_nothing_is_left(file: Callable[[bytes], Path]) -> None:
    with pytest.raises(CaptureError, match="all 1 packets were cut by the snap length"):
        read_frames(file(pcap((FRAMES[0], 61))), allow_cut=True)


def test_refuses_what_is_no_file(tmp_path: Path) -> None:
    assert sentence(tmp_path) == "FILE is a directory; give a pcap or pcapng file"
    missing = tmp_path / "missing.pcap"
    assert sentence(missing) == "FILE does not exist; give a pcap or pcapng file"


def test_refuses_what_it_may_not_read(file: Callable[[bytes], Path],
                                      monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    # Not by mode bits: root, as in many containers, reads everything.
    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert sentence(file(pcap())) == "FILE cannot be read: Permission denied"


@given(st.binary(max_size=200), st.sampled_from([b"", *MAGIC.values(), section(), pcap(),
                                                 section() + interface()]))
def test_garbage_never_gets_past_as_anything_else(tmp_path_factory: pytest.TempPathFactory,
                                                  tail: bytes, head: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / f"garbage-{os.getpid()}.pcap"
    path.write_bytes(head + tail)
    message = str(path)
    try:
        read_frames(path)
    except CaptureError as error:
        message = str(error)
    assert str(path) in message


# What is written is read back, or not written at all.

@given(st.lists(st.tuples(st.binary(min_size=1, max_size=100), st.integers(0, 2**62)), min_size=1))
def test_reads_back_what_it_wrote(tmp_path_factory: pytest.TempPathFactory,
                                  records: list[tuple[bytes, int]]) -> None:
    path = tmp_path_factory.getbasetemp() / f"round-trip-{os.getpid()}.pcap"
    frames = [frame for frame, _ in records]
    dates = [date % (2**32 * 10**9) for _, date in records]
    write_frames(path, frames, dates)
    capture = read_frames(path)
    assert (capture.frames, capture.timestamps_ns) == (frames, dates)
    with RawPcapReader(str(path)) as reader:
        assert [data for data, _ in reader] == frames


def test_dates_frames_by_itself(tmp_path: Path) -> None:
    write_frames(tmp_path / "out.pcap", FRAMES)
    assert read_frames(tmp_path / "out.pcap").timestamps_ns == [0, 1000, 2000]


def test_says_that_an_output_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="cannot be written: No such file or directory; choose "
                                           "another output"):
        write_frames(tmp_path / "missing" / "out.pcap", FRAMES)
    with pytest.raises(CaptureError, match="cannot be written: Is a directory"):
        write_frames(tmp_path, FRAMES)


def test_leaves_the_old_file_when_the_disk_is_full(tmp_path: Path,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out.pcap"
    write_frames(path, FRAMES)
    before = path.read_bytes()

    def full(source: str, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(CaptureError, match="No space left on device"):
        write_frames(path, FRAMES[:1])
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["out.pcap"]
