"""Completions to arrays: whole bursts are looked at, checked and taken apart at once.

The bytes of a burst's completions are copied out of the ring first, so what was checked is what is
used, whatever the card does meanwhile. Hardly ever is a frame in several pieces, or anything wrong;
the way of a burst without is short.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pagering.array_burst import ArrayBurst, Segments
from pagering.errors import CardError
from pagering.number_arrays import Numbers, Words, constant
from pagering.page_places import PagePlaces
from pagering.record_arrays import SpanTable, record_dtype
from pagering.records import (
    END,
    FLAGS,
    PAGE_LSB,
    PAGE_MASK,
    PHASE_BYTE,
    PHASE_SHIFT,
    SPLIT,
    START,
)

if TYPE_CHECKING:
    from pagering.capabilities import Capabilities
    from pagering.completion_ring import CompletionRing
    from pagering.rx_queue import RxQueue

__all__ = ["ArrayReader"]

_SHAPE = constant(START | END | SPLIT, np.uint32)
_PHASE = constant(1 << PHASE_SHIFT, np.uint8)
_PAGE = constant(PAGE_MASK << PAGE_LSB, np.intp)
_SEGMENTS_MAX = 16
"""Most segments of a frame: 64 KiB in pages of 4."""


class ArrayReader:
    """What makes arrays of a queue's completions.

    Parameters
    ----------
    owner
        The queue.
    ring
        Its completions.
    caps
        What the card is.

    """

    def __init__(self, owner: RxQueue, ring: CompletionRing, caps: Capabilities) -> None:
        self._owner = owner
        self._ring = ring
        self._table = SpanTable(caps.chunks, caps.chunk_bytes)
        self._places = PagePlaces(owner.pools, caps)
        self._dtype = record_dtype(ring.lead > 0)
        self._whole = (START | END).to_bytes(4, "little") * ring.entries
        bytes_of_ring = np.frombuffer(ring.view, np.uint8)
        self._phases = bytes_of_ring[ring.lead + PHASE_BYTE::ring.stride]
        self._known = self._places.known
        self._headers_known = PagePlaces(owner.pools[-1:], caps).known

    def read(self, max_frames: int) -> ArrayBurst:
        """Return at most ``max_frames`` whole frames.

        Raises
        ------
        CardError
            If the completion at the head is wrong.

        """
        ring = self._ring
        if not ring.ready:
            return ArrayBurst(self._owner, self._places, np.empty(0, self._dtype), b"",
                              _no_segments(), self._table)
        count = self._visible(min(max_frames, ring.entries))
        raw = bytes(ring.carry) + self._copy(count)
        records = np.frombuffer(raw, self._dtype)
        segments = self._plain(records)
        if segments is None:
            if count == max_frames < ring.entries:
                # Some frames are in several pieces: look for as many as were asked for.
                count = self._visible(min(max_frames * _SEGMENTS_MAX, ring.entries))
                raw = bytes(ring.carry) + self._copy(count)
            return self._mixed(raw, max_frames)
        ring.advance(count)
        self._note_pages(segments.token, segments.offset)
        return self._burst(records, raw, segments)

    def release(self) -> None:
        """Let go of the memory of ring and pages."""
        self._places.release()
        self._phases = np.empty(0, np.uint8)

    # The ring

    def _visible(self, most: int) -> int:
        """Return how many completions are there, of ``most`` from the head on."""
        ring = self._ring
        slot, wanted = ring.head & ring.entries - 1, 1 - (ring.head >> ring.log2 & 1)
        first = min(most, ring.entries - slot)
        count = _leading(self._phases[slot:slot + first], wanted)
        if count == first < most:
            count += _leading(self._phases[:most - first], 1 - wanted)
        return count

    def _copy(self, count: int) -> bytes:
        """Return the bytes of so many completions from the head on."""
        # Their phases were read before, on their own: what is read now is as old or newer.
        ring = self._ring
        start = (ring.head & ring.entries - 1) * ring.stride
        end = start + count * ring.stride
        if end <= len(ring.view):
            return bytes(ring.view[start:end])
        return bytes(ring.view[start:]) + bytes(ring.view[:end - len(ring.view)])

    # Taking apart

    def _plain(self, records: npt.NDArray[np.void]) -> Segments | None:
        """Return segments that are a frame each, or None if one is not or is wrong."""
        # Bytes compare faster than arrays do.
        if (records["flags"] & _SHAPE).tobytes() != self._whole[:4 * len(records)]:
            return None
        tokens, lengths = np.ascontiguousarray(records["token"]), records["length"]
        pages, spans, good = self._fit(tokens, lengths)
        if np.count_nonzero(good) != len(records):
            return None
        return Segments(tokens, pages, self._table.offset[spans], lengths, None)

    def _fit(self, tokens: Words, lengths: npt.NDArray[np.unsignedinteger]
             ) -> tuple[Numbers, Numbers, npt.NDArray[np.bool_]]:
        """Return pages, chunks, and which segments lie in memory that there is."""
        numbers = tokens.astype(np.intp)
        pages, spans = numbers & _PAGE, self._table.of(numbers)
        if PAGE_LSB:
            pages >>= PAGE_LSB
        good = self._known[pages]
        good &= lengths <= self._table.room[spans]
        if np.count_nonzero(lengths) != len(lengths):
            good &= lengths > 0
        return pages, spans, good

    def _mixed(self, raw: bytes, max_frames: int) -> ArrayBurst:
        """Take frames of any number of segments, up to the first completion that is wrong."""
        records = np.frombuffer(raw, self._dtype)
        flags = records["flags"]
        _, spans, good = self._fit(records["token"], records["length"])
        starts, ends = flags & START != 0, flags & END != 0
        # What was carried over begins with a start, else so does the first one that is new.
        good &= starts == np.append(True, ends[:-1])
        apart = flags & SPLIT != 0
        headers = np.flatnonzero(apart)
        if len(headers):
            good[headers] &= self._headers_fit(records[headers])
        count = len(records) if good.all() else int(good.argmin())
        carried = len(self._ring.carry) // self._ring.stride
        last = np.flatnonzero(ends[:count])[:max_frames]
        whole = int(last[-1]) + 1 if len(last) else 0
        if count == carried < len(records):
            stride = self._ring.stride
            raise CardError(self._owner.reader.complaint(
                raw[count * stride:(count + 1) * stride]))
        # The rest of an unfinished frame is read too, unless there is no more asked for.
        taken = whole if len(last) == max_frames else count
        self._ring.advance(taken - carried)
        self._note_pages(records["token"][carried:taken],
                         self._table.offset[spans[carried:taken]])
        cut = whole * self._ring.stride
        self._ring.carry[:] = raw[cut:taken * self._ring.stride]
        return self._burst(records[:whole], raw[:cut],
                           self._segments(records[:whole], last, apart[:whole]))

    def _headers_fit(self, records: npt.NDArray[np.void]) -> npt.NDArray[np.bool_]:
        """Return which headers lie in the pool that headers are for."""
        if not self._owner.splits:
            return np.zeros(len(records), bool)
        numbers = records["header_token"].astype(np.intp)
        lengths = _header_lengths(records["flags"])
        known = self._headers_known[numbers >> PAGE_LSB & PAGE_MASK]
        found: npt.NDArray[np.bool_] = (
            known & (lengths > 0) & (lengths <= self._table.room[self._table.of(numbers)]))
        return found

    def _segments(self, records: npt.NDArray[np.void], last: Numbers,
                  apart: npt.NDArray[np.bool_]) -> Segments:
        """Put the headers of split frames before their payload, and say where frames start."""
        headers = np.flatnonzero(apart)
        tokens, lengths = records["token"], records["length"].astype(np.uint32)
        starts = np.append(0, last[:-1] + 1)[:len(last)]
        if len(headers):
            split = records[headers]
            tokens = np.insert(tokens, headers, split["header_token"])
            lengths = np.insert(lengths, headers, _header_lengths(split["flags"]))
            starts = starts + np.searchsorted(headers, starts)
        numbers = tokens.astype(np.intp)
        return Segments(tokens, numbers >> PAGE_LSB & PAGE_MASK,
                        self._table.offset[self._table.of(numbers)], lengths, starts)

    def _burst(self, records: npt.NDArray[np.void], raw: bytes, segments: Segments) -> ArrayBurst:
        owner, starts = self._owner, segments.starts
        stats = owner.stats
        burst = ArrayBurst(owner, self._places, records, raw, segments, self._table)
        stats.frames += len(records) if starts is None else len(starts)
        stats.bytes += int(np.add.reduce(segments.length))
        stats.segments += len(segments.token)
        if owner.splits:
            stats.splits += int(np.count_nonzero(burst.flag("split")))
        return burst

    def _note_pages(self, tokens: Words, offsets: Numbers) -> None:
        """Count pages by their first chunk: that is what the page pool does."""
        owner = self._owner
        if not owner.splits:
            owner.pool.note_served(len(offsets) - int(np.count_nonzero(offsets)))
            return
        for token in tokens[offsets == 0].tolist():
            owner.pool_of(token).note_served(1)


def _no_segments() -> Segments:
    none = np.empty(0, np.intp)
    return Segments(none.astype(np.uint32), none, none, none.astype(np.uint32), None)


def _leading(phases: npt.NDArray[np.uint8], wanted: int) -> int:
    """Return how many at the front have the wanted phase."""
    bits = phases & _PHASE
    if np.count_nonzero(bits) == wanted * len(bits):
        return len(bits)
    return int((bits != wanted * _PHASE).argmax())


def _header_lengths(flags: Words) -> Words:
    shift, mask = FLAGS["header"]
    return flags >> np.uint32(shift) & np.uint32(mask)
