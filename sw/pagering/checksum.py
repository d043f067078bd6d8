"""The Internet checksum, as the card computes it. Ref: RFC 1071."""

from __future__ import annotations

__all__ = ["ones_sum", "pseudo_header"]


def ones_sum(data: bytes) -> int:
    """Return the 16-bit ones'-complement sum of big-endian words; an odd byte is the upper half.

    Bytes that end with their own right checksum, or have it inside, sum up to 0xFFFF. The sum is 0
    only of zeros.
    """
    total = int.from_bytes(data + bytes(len(data) % 2), "big")
    # Modulo 2**16 - 1 a word's place does not matter; of its two zeros the sum has the other one.
    return total % 0xFFFF or (0xFFFF if total else 0)


def pseudo_header(source: bytes, destination: bytes, protocol: int, length: int) -> bytes:
    """Return what TCP and UDP sum up besides themselves, for either version of IP.

    ``length`` is that of the TCP or UDP header and all behind it.
    """
    return source + destination + length.to_bytes(4, "big") + protocol.to_bytes(4, "big")
