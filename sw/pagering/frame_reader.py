"""Completions to frames, one by one. Whatever the ring says is checked before it is believed."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pagering.errors import CardError
from pagering.frame import Frame, Piece
from pagering.frame_facts import More
from pagering.records import (
    CHUNK_MASK,
    COMPLETION,
    END,
    EXTENSION,
    FIRST_LSB,
    FLAGS,
    INDEX_MASK,
    LAST_LSB,
    PAGE_LSB,
    PAGE_MASK,
    PHASE_BYTE,
    PHASE_SHIFT,
    SPLIT,
    START,
    VLAN,
    WRITE_ERROR,
)

if TYPE_CHECKING:
    from pagering.completion_ring import CompletionRing
    from pagering.rx_queue import RxQueue

__all__ = ["FrameReader"]


class FrameReader:
    """What makes the frames of a queue.

    Parameters
    ----------
    owner
        The queue.
    ring
        Its completions.
    chunks, chunk_bytes
        Chunks in a page, bytes in a chunk.

    """

    def __init__(self, owner: RxQueue, ring: CompletionRing, chunks: int,
                 chunk_bytes: int) -> None:
        self._owner = owner
        self._ring = ring
        self._chunks, self._chunk_bytes = chunks, chunk_bytes

    def read(self, max_frames: int) -> tuple[list[Frame], list[int]]:
        """Return whole frames, and the tokens of pages that are seen for the first time.

        Written for speed, with everything that it needs in local names.

        Raises
        ------
        CardError
            If the completion at the head is wrong.

        """
        frames: list[Frame] = []
        new_pages: list[int] = []
        owner, ring, carry = self._owner, self._ring, self._ring.carry
        view, log2, head = ring.view, ring.log2, ring.head
        unpack, pages = COMPLETION.unpack_from, self._views()
        slot_mask, chunks, chunk_bytes = ring.entries - 1, self._chunks, self._chunk_bytes
        stride, lead = ring.stride, ring.lead
        while len(frames) < max_frames:
            at = (head & slot_mask) * stride + lead
            if view[at + PHASE_BYTE] >> PHASE_SHIFT & 1 == head >> log2 & 1:
                break
            # The phase was read first, on its own: what follows is as old or newer.
            token, hash_value, length, checksum, flags = unpack(view, at)
            page = pages.get(token >> PAGE_LSB & PAGE_MASK)
            first, last = token >> FIRST_LSB & CHUNK_MASK, token >> LAST_LSB & CHUNK_MASK
            whole = flags & (START | END | SPLIT) == START | END and not carry
            record = b"" if whole else bytes(view[at - lead:at - lead + stride])
            if (page is None or not first <= last < chunks
                    or not 0 < length <= (last - first + 1) * chunk_bytes
                    or not (whole or self.continues(record))):
                if frames:
                    break  # these are good; the next call meets the bad one again
                raise CardError(self.complaint(bytes(view[at - lead:at - lead + stride])))
            head = ring.head = head + 1 & INDEX_MASK
            # A page is new when its first chunk is: that is what the page pool counts.
            if not first:
                new_pages.append(token)
            if whole:
                piece = (page, first * chunk_bytes, first * chunk_bytes + length)
                frames.append(Frame(owner, (token,), (piece,), length, flags, hash_value, checksum,
                                    _more(view, at, flags) if lead else None))
                continue
            carry += record
            if flags & END:
                frames.append(self.assemble(bytes(carry)))
                carry.clear()
        return frames, new_pages

    def assemble(self, records: bytes) -> Frame:
        """Make a frame of all its completions, which were found good."""
        tokens: list[int] = []
        pieces: list[Piece] = []
        failed = 0
        lead, stride = self._ring.lead, self._ring.stride
        for at in range(lead, len(records), stride):
            token, _, length, _, flags = COMPLETION.unpack_from(records, at)
            failed |= flags & WRITE_ERROR
            parts = [(token, length)]
            if flags & SPLIT:
                parts.insert(0, _headers(records, at, flags))
            for part, size in parts:
                tokens.append(part)
                pieces.append(self._piece(part, size))
        _, hash_value, _, checksum, flags = COMPLETION.unpack_from(records, lead)
        return Frame(self._owner, tuple(tokens), tuple(pieces),
                     sum(end - start for _, start, end in pieces), flags | failed, hash_value,
                     checksum, _more(records, lead, flags) if lead else None)

    def tokens(self, records: bytes) -> list[int]:
        """Return all tokens that completions name."""
        return list(self.assemble(records).tokens) if records else []

    def continues(self, record: bytes) -> bool:
        """Return whether a completion fits to those before it, and its headers to their pool."""
        flags = COMPLETION.unpack_from(record, self._ring.lead)[-1]
        if (flags & START == 0) is not bool(self._ring.carry):
            return False
        return not flags & SPLIT or self._headers_fit(record)

    def complaint(self, record: bytes) -> str:
        """Say what is wrong with the completion at the head."""
        token, _, length, _, flags = COMPLETION.unpack_from(record, self._ring.lead)
        owner, head = self._owner, self._ring.head
        first, last = token >> FIRST_LSB & CHUNK_MASK, token >> LAST_LSB & CHUNK_MASK
        what = f"completion {head} of queue {owner.index}"
        if token >> PAGE_LSB & PAGE_MASK not in self._views():
            pools = " or ".join(str(pool.index) for pool in owner.pools)
            wrong = f"{what} names a page that is not of pool {pools}"
        elif not first <= last < self._chunks:
            wrong = f"{what} names chunks {first} to {last} of a page of {self._chunks}"
        elif not 0 < length <= (last - first + 1) * self._chunk_bytes:
            wrong = (f"{what} claims {length} bytes in {last - first + 1} chunks of "
                     f"{self._chunk_bytes}")
        elif (flags & START == 0) is not bool(self._ring.carry):
            wrong = (f"{what} starts a frame inside another" if self._ring.carry
                     else f"{what} continues no frame")
        elif not owner.splits:
            wrong = f"{what} tells of headers apart, but the queue splits no frames"
        else:
            wrong = (f"the headers of {what} are said to be in no memory of pool "
                     f"{owner.pools[-1].index}")
        return f"{wrong}; card or ring memory is corrupt: close the queue and reset the card"

    def _views(self) -> Mapping[int, memoryview]:
        """Return the pages that a completion may name."""
        pools = self._owner.pools
        return pools[0].views if len(pools) == 1 else ChainMap(*(pool.views for pool in pools))

    def _headers_fit(self, record: bytes) -> bool:
        """Return whether the headers that a completion names are in the pool for headers."""
        if not self._owner.splits:
            return False
        lead = self._ring.lead
        token, length = _headers(record, lead, COMPLETION.unpack_from(record, lead)[-1])
        first, last = token >> FIRST_LSB & CHUNK_MASK, token >> LAST_LSB & CHUNK_MASK
        return (token >> PAGE_LSB & PAGE_MASK in self._owner.pools[-1].views
                and first <= last < self._chunks
                and 0 < length <= (last - first + 1) * self._chunk_bytes)

    def _piece(self, token: int, length: int) -> Piece:
        start = (token >> FIRST_LSB & CHUNK_MASK) * self._chunk_bytes
        return self._views()[token >> PAGE_LSB & PAGE_MASK], start, start + length


def _more(records: bytes | memoryview, at: int, flags: int) -> More:
    """Read the extension of the completion at ``at``."""
    low, high, _, tci, mark = EXTENSION.unpack_from(records, at - EXTENSION.size)
    return high << 32 | low, tci if flags & VLAN else None, mark


def _headers(records: bytes, at: int, flags: int) -> tuple[int, int]:
    """Return token and length of the headers that the completion at ``at`` names."""
    _, _, token, _, _ = EXTENSION.unpack_from(records, at - EXTENSION.size)
    shift, mask = FLAGS["header"]
    return token, flags >> shift & mask
