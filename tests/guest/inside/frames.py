"""The frames that the guest gets, each with a number: who knows it knows the whole frame."""

from __future__ import annotations

from pagering.traffic import udp_or_tcp

__all__ = ["number_of", "numbered"]

_TCP, _UDP = 6, 17
_SIZES = (60, 61, 64, 65, 66, 127, 128, 256, 590, 590, 1514, 60, 1023, 2048, 4097, 9000)
_NETWORK = 0x0A000000


def numbered(number: int) -> bytes:
    """Return the frame of this number, below 2**24: it is in the source address."""
    return udp_or_tcp(_TCP if number % 3 == 0 else _UDP, _NETWORK | number, 0xCB007101,
                      1024 + number % 60000, 443, _SIZES[number % len(_SIZES)])


def number_of(frame: bytes) -> int:
    """Return the number of a frame."""
    return int.from_bytes(frame[27:30], "big")
