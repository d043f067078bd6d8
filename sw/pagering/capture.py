"""Capture files in and out: every frame whole, or one sentence that says why not.

:func:`read_frames` takes pcap (microseconds or nanoseconds, either byte order) and pcapng (several
sections and interfaces). A file is never read in part: what is damaged, cut or not Ethernet raises
:class:`~pagering.errors.CaptureError` with the file, the place and what to do. :func:`write_frames`
writes nanosecond pcap, and either the whole file appears or none.

The records are walked here and not by a library, because a reader that stops quietly at the first
damaged record would turn a broken input into a smaller test that passes.

Ref: draft-ietf-opsawg-pcap (pcap), draft-ietf-opsawg-pcapng (pcapng).
"""

from __future__ import annotations

import contextlib
import os
import struct
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pagering.errors import CaptureError

__all__ = ["FRAME_BYTES_MAX", "PCAP_HEADER", "Capture", "pcap_record", "read_frames",
           "write_frames"]

FRAME_BYTES_MAX = 9600
"""The longest frame that the card takes."""

_PCAP_MAGIC = {  # first four bytes -> byte order, nanoseconds per unit of a record's second word
    b"\xd4\xc3\xb2\xa1": ("<", 1000), b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1), b"\xa1\xb2\x3c\x4d": (">", 1),
}
_PCAPNG_MAGIC = b"\x0a\x0d\x0d\x0a"
_OTHER_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zX": "xz", b"BZh": "bzip2"}
_ETHERNET = 1
PCAP_HEADER = struct.pack("<4sHHiIII", b"\x4d\x3c\xb2\xa1", 2, 4, 0, 0, 0x40000, _ETHERNET)
"""Of a pcap file of Ethernet frames that are dated in nanoseconds."""
_LINK_TYPES = {
    0: "NULL (BSD loopback)", 9: "PPP", 12: "RAW (IP without link layer)",
    101: "RAW (IP without link layer)", 105: "IEEE802_11 (Wi-Fi)", 108: "LOOP (OpenBSD loopback)",
    113: "LINUX_SLL (Linux \"any\" device)", 127: "IEEE802_11_RADIOTAP (Wi-Fi)",
    228: "IPV4", 229: "IPV6", 249: "USBPCAP", 276: "LINUX_SLL2 (Linux \"any\" device)",
}


@dataclass(frozen=True)
class Capture:
    """The frames of a capture file, in file order."""

    frames: list[bytes]
    timestamps_ns: list[int] = field(default_factory=list)
    """Nanoseconds since 1970, one for each frame; 0 where the file has none."""
    skipped: int = 0
    """Cut frames that were left out (only with ``allow_cut``)."""

    @property
    def bytes(self) -> int:
        """Bytes of all frames together."""
        return sum(map(len, self.frames))


@dataclass(frozen=True)
class _Record:
    """One packet of a file: ``wire`` is how long it was before the snap length cut it."""

    data: memoryview
    wire: int
    timestamp_ns: int


def read_frames(path: str | os.PathLike[str], *, allow_cut: bool = False) -> Capture:
    """Read all Ethernet frames of a pcap or pcapng file.

    Parameters
    ----------
    allow_cut
        Leave out the frames that the snap length cut, and count them, instead of refusing.

    Raises
    ------
    CaptureError
        If the file is missing, unreadable, damaged, empty or not Ethernet, or holds a frame that
        was cut or that no card could take.
    """
    data = memoryview(_read_file(path))
    magic = bytes(data[:4])
    if not data:
        raise CaptureError(f"{path} is empty; give a pcap or pcapng file")
    if magic in _PCAP_MAGIC:
        records = _pcap(path, data, *_PCAP_MAGIC[magic])
    elif magic == _PCAPNG_MAGIC:
        records = _pcapng(path, data)
    else:
        for prefix, name in _OTHER_MAGIC.items():
            if magic.startswith(prefix):
                raise CaptureError(f"{path} is compressed ({name}); unpack it first")
        raise CaptureError(f"{path} is not a capture: its first bytes are {magic.hex(' ')}, and "
                           f"neither pcap nor pcapng starts so")
    frames: list[bytes] = []
    timestamps: list[int] = []
    skipped = 0
    for number, record in enumerate(records, 1):
        if len(record.data) < record.wire:
            if not allow_cut:
                raise CaptureError(
                    f"{path}: packet {number} was cut to {len(record.data)} of {record.wire} bytes "
                    f"by the snap length; record again with the full length (tcpdump -s 0)")
            skipped += 1
            continue
        if not 0 < len(record.data) <= FRAME_BYTES_MAX:
            raise CaptureError(
                f"{path}: packet {number} has {len(record.data)} bytes, the card takes 1 to "
                f"{FRAME_BYTES_MAX}; record with segmentation offload off, or leave it out")
        frames.append(bytes(record.data))
        timestamps.append(record.timestamp_ns)
    if not frames:
        raise CaptureError(f"{path} holds no packets" if not skipped else
                           f"{path}: all {skipped} packets were cut by the snap length; record "
                           f"again with the full length (tcpdump -s 0)")
    return Capture(frames, timestamps, skipped)


def pcap_record(frame: bytes, date_ns: int) -> bytes:
    """Return a frame as it stands in the file that :data:`PCAP_HEADER` begins."""
    return struct.pack("<IIII", *divmod(date_ns, 10**9), len(frame), len(frame)) + frame


def write_frames(path: str | os.PathLike[str], frames: Sequence[bytes],
                 timestamps_ns: Sequence[int] | None = None) -> None:
    """Write ``frames`` as a nanosecond pcap; an existing file is replaced at once or not at all.

    Without timestamps, frames are dated one microsecond apart from 0.

    Raises
    ------
    CaptureError
        If the file cannot be written; what stood at ``path`` before is still there.
    """
    target = Path(path)
    dates = timestamps_ns if timestamps_ns is not None else range(0, 1000 * len(frames), 1000)
    blob = bytearray(PCAP_HEADER)
    for frame, date in zip(frames, dates, strict=True):
        blob += pcap_record(frame, date)
    temporary = None
    try:
        # A neighbour of the target: rename is only atomic within one file system.
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(blob)
            os.fchmod(file.fileno(), 0o644)  # mkstemp gives 0600
        os.replace(temporary, target)
    except OSError as error:
        if temporary:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        raise CaptureError(f"{path} cannot be written: {error.strerror}; "
                           f"choose another output") from error


def _read_file(path: str | os.PathLike[str]) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise CaptureError(f"{path} does not exist; give a pcap or pcapng file") from None
    except IsADirectoryError:
        raise CaptureError(f"{path} is a directory; give a pcap or pcapng file") from None
    except OSError as error:
        raise CaptureError(f"{path} cannot be read: {error.strerror}") from error


def _check_link(path: object, link: int) -> None:
    if link != _ETHERNET:
        name = _LINK_TYPES.get(link, "unknown")
        raise CaptureError(f"{path} has link type {link}, {name}, not Ethernet (1); record on an "
                           f"Ethernet interface")


def _pcap(path: object, data: memoryview, order: str, unit_ns: int) -> Iterator[_Record]:
    if len(data) < 24:
        raise CaptureError(f"{path} is truncated: {len(data)} bytes, a pcap header alone has 24")
    (link,) = struct.unpack_from(order + "I", data, 20)
    _check_link(path, link & 0xFFFF)
    # Bits 31:28 give the FCS length if bit 26 is set. Writers disagree whether it counts bytes or
    # 16-bit words, but an Ethernet FCS has four bytes anyway.
    fcs = 4 if link & 1 << 26 and link >> 28 else 0
    offset, number = 24, 0
    while offset < len(data):
        number += 1
        if offset + 16 > len(data):
            raise CaptureError(f"{path} is truncated at byte {offset}, in the header of packet "
                               f"{number}; copy or record it again")
        seconds, units, size, wire = struct.unpack_from(order + "IIII", data, offset)
        if offset + 16 + size > len(data):
            raise CaptureError(
                f"{path} is truncated at byte {offset}: packet {number} should have {size} bytes, "
                f"{len(data) - offset - 16} are left; copy or record it again")
        yield _record(data[offset + 16:offset + 16 + size], wire, fcs,
                      seconds * 10**9 + units * unit_ns)
        offset += 16 + size


def _record(data: memoryview, wire: int, fcs: int, timestamp_ns: int) -> _Record:
    """Make a record without its FCS: a card's stream carries none."""
    wire -= fcs
    return _Record(data[:max(wire, 0)] if fcs else data, wire, timestamp_ns)


@dataclass(frozen=True)
class _Interface:
    """What a pcapng interface description says about its packets."""

    link: int
    snap: int
    fcs: int
    tick: tuple[int, int]
    """Nanoseconds per tick, as numerator and denominator."""
    start_ns: int


def _pcapng(path: object, data: memoryview) -> Iterator[_Record]:
    order, offset, number = "<", 0, 0
    interfaces: list[_Interface] = []
    while offset < len(data):
        kind, size, order = _block(path, data, offset, order)
        body = data[offset + 8:offset + size - 4]
        where = f"{path}, block at byte {offset}"
        try:
            if kind == 0x0A0D0D0A:
                interfaces = []  # interface numbers start again in each section
            elif kind == 1:
                interfaces.append(_interface(body, order))
            elif kind in (2, 3, 6):
                number += 1
                yield _packet(path, where, number, body, order, kind, interfaces)
        except struct.error:
            raise CaptureError(f"{where} is damaged: it is too short; copy or record the file "
                               f"again") from None
        offset += size


def _block(path: object, data: memoryview, offset: int, order: str) -> tuple[int, int, str]:
    """Return a block's type, its size and the byte order from here on; check its frame."""
    if offset + 12 > len(data):
        raise CaptureError(f"{path} is truncated at byte {offset}; copy or record it again")
    if bytes(data[offset:offset + 4]) == _PCAPNG_MAGIC:
        order = "<" if bytes(data[offset + 8:offset + 12]) == b"\x4d\x3c\x2b\x1a" else ">"
    kind, size = struct.unpack_from(order + "II", data, offset)
    if offset + size > len(data):
        raise CaptureError(f"{path} is truncated: the block at byte {offset} should have {size} "
                           f"bytes, {len(data) - offset} are left; copy or record it again")
    if size < 12 or size % 4 or struct.unpack_from(order + "I", data, offset + size - 4)[0] != size:
        raise CaptureError(f"{path} is damaged: the block at byte {offset} has contradictory "
                           f"lengths; copy or record it again")
    return kind, size, order


def _interface(body: memoryview, order: str) -> _Interface:
    link, snap = struct.unpack_from(order + "HxxI", body)
    tick, start, fcs, at = (1000, 1), 0, 0, 8
    while at + 4 <= len(body):
        code, size = struct.unpack_from(order + "HH", body, at)
        if at + 4 + size > len(body):
            raise struct.error("option past the end of its block")
        if code == 9 and size:  # if_tsresol: a negative power of 10, or of 2 if the top bit is set
            tick = 10**9, (2 if body[at + 4] & 0x80 else 10) ** (body[at + 4] & 0x7F)
        elif code == 13 and size:  # if_fcslen
            fcs = body[at + 4]
        elif code == 14:  # if_tsoffset, in seconds
            start = struct.unpack_from(order + "q", body, at + 4)[0] * 10**9
        at += 4 + size + -size % 4
    return _Interface(link, snap, fcs, tick, start)


def _packet(path: object, where: str, number: int, body: memoryview, order: str, kind: int,
            interfaces: Sequence[_Interface]) -> _Record:
    index, ticks = 0, 0
    if kind == 3:  # simple packet block: only the first interface, and no date
        (wire,) = struct.unpack_from(order + "I", body)
        start, size = 4, wire
    else:  # enhanced packet block, or the obsolete packet block
        index, high, low, size, wire = struct.unpack_from(
            order + ("IIIII" if kind == 6 else "HxxIIII"), body)
        start, ticks = 20, high << 32 | low
    if index >= len(interfaces):
        raise CaptureError(f"{where} is damaged: packet {number} names interface {index}, which "
                           f"the file does not describe")
    interface = interfaces[index]
    _check_link(path, interface.link)
    if kind == 3 and interface.snap:
        size = min(size, interface.snap)
    if start + size > len(body):
        raise CaptureError(f"{where} is damaged: packet {number} should have {size} bytes, the "
                           f"block has room for {len(body) - start}")
    date = interface.start_ns + ticks * interface.tick[0] // interface.tick[1]
    dated = date if kind != 3 else 0
    return _record(body[start:start + size], wire, interface.fcs, dated)
