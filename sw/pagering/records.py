"""Completions and tokens as the receive path wants them: plain numbers, taken from the contract."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from pagering import abi

__all__ = [
    "CHUNK_MASK",
    "COMPLETION",
    "END",
    "EXTENSION",
    "FLAGS",
    "FIRST_LSB",
    "INDEX_MASK",
    "LAST_LSB",
    "PAGE_LSB",
    "PAGE_MASK",
    "PHASE_BYTE",
    "PHASE_SHIFT",
    "SPLIT",
    "START",
    "VLAN",
    "WINDOW_WORDS",
    "WRITE_ERROR",
    "merge",
]

_FIELDS = abi.COMPLETION.fields
_FLAGS_LSB = _FIELDS["start"].lsb
_FORMATS = {16: "H", 32: "I"}

COMPLETION = struct.Struct(
    "<" + "".join(_FORMATS[f.width] for f in _FIELDS.values() if f.lsb < _FLAGS_LSB) + "I")
"""Token, hash, length, checksum, and a word of flags."""
EXTENSION = struct.Struct(
    "<" + "".join(_FORMATS[f.width] for f in abi.EXTENSION.fields.values()))
"""Time in two words, token of the headers, VLAN tag, mark."""
START, END, WRITE_ERROR, VLAN, SPLIT = (
    _FIELDS[name].mask >> _FLAGS_LSB for name in ("start", "end", "write_error", "vlan", "split"))
FLAGS = {name: (field.lsb - _FLAGS_LSB, (1 << field.width) - 1)
         for name, field in _FIELDS.items() if field.lsb >= _FLAGS_LSB}
"""Of each field of the word of flags, how far to shift it down and what to keep of it then."""
PHASE_BYTE, PHASE_SHIFT = divmod(_FIELDS["phase"].lsb, 8)
PAGE_LSB, FIRST_LSB, LAST_LSB = (abi.TOKEN[name].lsb for name in ("page", "first", "last"))
PAGE_MASK = (1 << abi.TOKEN["page"].width) - 1
CHUNK_MASK = (1 << abi.TOKEN["first"].width) - 1
INDEX_MASK = (1 << abi.CONSUMER_BITS) - 1
WINDOW_WORDS = abi.RETURN_WINDOW_BYTES // 4

_LAST_IN_PLACE = abi.TOKEN["last"].mask
_SAME_LIFE = abi.TOKEN["page"].mask | abi.TOKEN["generation"].mask


def merge(tokens: Sequence[int]) -> list[int]:
    """Join tokens that follow each other and name neighbouring chunks of one page."""
    merged: list[int] = []
    for token in tokens:
        if merged and not (merged[-1] ^ token) & _SAME_LIFE and (
                (merged[-1] >> LAST_LSB & CHUNK_MASK) + 1 == token >> FIRST_LSB & CHUNK_MASK):
            merged[-1] = merged[-1] & ~_LAST_IN_PLACE | token & _LAST_IN_PLACE
        else:
            merged.append(token)
    return merged
