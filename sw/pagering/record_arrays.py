"""Completions and tokens as numpy sees them: shapes and tables, made from the contract."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pagering import abi
from pagering.number_arrays import Numbers, Words, constant
from pagering.records import CHUNK_MASK, FIRST_LSB, LAST_LSB

__all__ = ["SpanTable", "merge_words", "record_dtype"]

_FIELDS = abi.COMPLETION.fields
_FLAGS_LSB = _FIELDS["start"].lsb
_PAGE, _FIRST, _LAST, _LIFE = (
    abi.TOKEN[name].mask for name in ("page", "first", "last", "generation"))
_SAME_LIFE, _START, _FIRST_BITS, _LAST_BITS = (
    constant(bits, np.uint32) for bits in (_PAGE | _LIFE, _PAGE | _LIFE | _FIRST, _FIRST, _LAST))
_LAST_TO_FIRST, _ONE_CHUNK = (
    constant(number, np.uint32) for number in (LAST_LSB - FIRST_LSB, 1 << FIRST_LSB))
_FIRST_SHIFT, _ONE = constant(FIRST_LSB, np.intp), constant(1, np.intp)


def record_dtype(extended: bool) -> np.dtype[Any]:
    """Return the shape of a completion: its fields, with all flags in one word."""
    lead = abi.EXTENSION_BYTES if extended else 0
    placed = [(field, lead) for field in _FIELDS.values() if field.lsb < _FLAGS_LSB]
    if extended:
        placed += [(field, 0) for field in abi.EXTENSION.fields.values()]
    return np.dtype({
        "names": [*(field.name for field, _ in placed), "flags"],
        "formats": [*(f"<u{field.width // 8}" for field, _ in placed), "<u4"],
        "offsets": [*(start + field.lsb // 8 for field, start in placed), lead + _FLAGS_LSB // 8],
        "itemsize": lead + abi.COMPLETION_BYTES,
    })


class SpanTable:
    """What each pair of first and last chunk means, by the bits that a token has for it.

    Parameters
    ----------
    chunks, chunk_bytes
        Chunks in a page, bytes in a chunk.

    Attributes
    ----------
    chunks, chunk_bytes : int
        As given.
    room : array
        Bytes in those chunks, as far as a length can tell; 0 if there are no such chunks.
    offset : array
        Bytes of the page before them.

    """

    def __init__(self, chunks: int, chunk_bytes: int) -> None:
        self.chunks, self.chunk_bytes = chunks, chunk_bytes
        # By all bits from the first chunk's on, the generation's too: one operation less.
        bits = np.arange(1 << (abi.TOKEN.width - FIRST_LSB))
        first = bits & CHUNK_MASK
        last = bits >> LAST_LSB - FIRST_LSB & CHUNK_MASK
        exists = (first <= last) & (last < chunks)
        room = np.minimum((last - first + 1) * chunk_bytes, 0xFFFF)
        self.room: npt.NDArray[np.uint16] = np.where(exists, room, 0).astype(np.uint16)
        self.offset: Numbers = first * chunk_bytes

    @staticmethod
    def of(tokens: Numbers) -> Numbers:
        """Return where in the tables tokens are."""
        return tokens >> _FIRST_SHIFT


def merge_words(tokens: Words) -> Words:
    """Join tokens as :func:`pagering.records.merge` does."""
    if len(tokens) < 2:
        return tokens
    # Each token with the chunk behind its last one in place of its first, beside the next token.
    behind = (tokens >> _LAST_TO_FIRST & _FIRST_BITS) + _ONE_CHUNK | tokens & _SAME_LIFE
    apart = np.empty(len(tokens) + 1, bool)
    apart[0] = apart[-1] = True
    np.not_equal(behind[:-1], tokens[1:] & _START, apart[1:-1])
    (cuts,) = apart.nonzero()
    if len(cuts) > len(tokens):
        return tokens
    merged: Words = tokens[cuts[:-1]]
    merged &= _START
    merged |= tokens[cuts[1:] - _ONE] & _LAST_BITS
    return merged
