"""The Toeplitz hash of receive-side scaling, and what it is made of: the twin of the card's.

The hash of an input is linear: each bit that is set adds, without carry, the 32 bits of the key
that begin at the bit's own place.
"""

from __future__ import annotations

from pagering.abi import INDIRECTION_ROWS, KEY_WORDS, HashType, Transform

__all__ = ["KEY_BYTES", "MICROSOFT_KEY", "SYMMETRIC_KEY", "entry_of", "hash_input", "toeplitz"]

KEY_BYTES = 4 * KEY_WORDS
MICROSOFT_KEY = bytes.fromhex("6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c"
                              "6a42b73bbeac01fa")
"""The key of the published verification suite."""
SYMMETRIC_KEY = bytes.fromhex("6d5a") * (KEY_BYTES // 2)
"""Hashes both directions of a flow alike. Both halves of each hash are the same 16 bits."""


def toeplitz(key: bytes, data: bytes) -> int:
    """Return the 32-bit hash of ``data``.

    Raises
    ------
    ValueError
        If the key is too short: it needs 4 bytes more than the data.

    """
    if len(key) < len(data) + 4:
        raise ValueError(f"a Toeplitz key for {len(data)} bytes has at least {len(data) + 4}, "
                         f"not {len(key)}")
    bits = 8 * len(key)
    number, result = int.from_bytes(key, "big"), 0
    for at in range(8 * len(data)):
        if data[at // 8] >> 7 - at % 8 & 1:
            result ^= number >> bits - 32 - at
    return result & 0xFFFFFFFF


def hash_input(hash_type: HashType, source: bytes, destination: bytes, source_port: int,
               destination_port: int, transform: Transform = Transform.NONE) -> bytes:
    """Return what is hashed: addresses, and ports if ``hash_type`` says so; transformed.

    Addresses are in network order, 4 or 16 bytes; both alike.
    """
    if hash_type is HashType.NONE:
        return b""
    pairs = [(source, destination)]
    if hash_type is HashType.L4:
        pairs.append((source_port.to_bytes(2, "big"), destination_port.to_bytes(2, "big")))
    return b"".join(_transformed(transform, one, other) for one, other in pairs)


def _transformed(transform: Transform, one: bytes, other: bytes) -> bytes:
    either = bytes(a | b for a, b in zip(one, other, strict=True))
    both = bytes(a ^ b for a, b in zip(one, other, strict=True))
    match transform:
        case Transform.NONE:
            return one + other
        case Transform.XOR:
            return both + both
        case Transform.OR_XOR:
            return either + both


def entry_of(value: int) -> int:
    """Return the row of the indirection table that a hash picks."""
    return value % INDIRECTION_ROWS
