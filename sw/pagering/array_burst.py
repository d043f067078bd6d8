"""Frames that were received together, as arrays.

Nothing here is an object of one frame unless it is asked for: lengths, places and flags of a burst
are arrays, its frames one 2-D array, and its memory goes back in one copy of tokens.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pagering.burst import take_back
from pagering.errors import FrameReleased
from pagering.number_arrays import Numbers, Words
from pagering.record_arrays import SpanTable, merge_words
from pagering.records import FLAGS, START, WRITE_ERROR

if TYPE_CHECKING:
    from pagering.frame import Frame
    from pagering.page_places import PagePlaces
    from pagering.rx_queue import RxQueue

__all__ = ["ArrayBurst", "Segments"]


class Segments(NamedTuple):
    """The pieces of all frames of a burst, in order; headers that are apart are pieces too."""

    token: Words
    """What to return for each."""
    page: Numbers
    offset: Numbers
    """Where it starts in its page, in bytes."""
    length: npt.NDArray[Any]
    starts: Numbers | None
    """Which piece each frame starts with; None if each is a frame."""


class ArrayBurst:
    """A burst as arrays; a context manager. Made by :meth:`pagering.rx_queue.RxQueue.recv_arrays`.

    Leaving the block returns all memory, but of what was retained among :meth:`frames`. The arrays
    of numbers are the caller's and stay; memory that :meth:`rows` or numpy made a view of is the
    card's again.

    Attributes
    ----------
    segments : Segments
        The pieces of all frames. Frames and segments are the same unless frames are longer than a
        page or split.

    """

    __slots__ = ("_flags", "_frames", "_open", "_places", "_queue", "_raw", "_records", "_table",
                 "_views", "segments")

    def __init__(self, queue: RxQueue, places: PagePlaces, records: npt.NDArray[np.void],
                 raw: bytes, segments: Segments, table: SpanTable) -> None:
        self.segments = segments
        self._queue = queue
        self._places = places
        self._records = records
        self._raw = raw
        self._table = table
        self._open = True
        self._flags: Words | None = None
        self._frames: list[Frame] | None = None
        self._views: list[memoryview] = []

    # Numbers, one for each frame

    def __len__(self) -> int:
        starts = self.segments.starts
        return len(self.segments.token if starts is None else starts)

    @property
    def length(self) -> npt.NDArray[Any]:
        """Bytes."""
        lengths, starts = self.segments.length, self.segments.starts
        return lengths if starts is None or not len(starts) else np.add.reduceat(lengths, starts)

    @property
    def page(self) -> Numbers:
        """Page of the first segment."""
        return self._firsts(self.segments.page)

    @property
    def offset(self) -> Numbers:
        """Where the first segment starts in its page, in bytes."""
        return self._firsts(self.segments.offset)

    @property
    def hash(self) -> Words:
        """As the card computed it; see :attr:`Frame.hash`."""
        return self._of_frame("hash")

    @property
    def checksum(self) -> npt.NDArray[np.uint16]:
        """See :attr:`Frame.checksum`."""
        return self._of_frame("checksum")

    @property
    def flags(self) -> Words:
        """All flags of each frame in a word: take one out with :meth:`flag`."""
        if self._flags is None:
            words = self._records["flags"]
            at = self._record_starts()
            if at is not None:
                failed = np.bitwise_or.reduceat(words & np.uint32(WRITE_ERROR), at)
                words = words[at] | failed
            self._flags = words
        return self._flags

    def flag(self, name: str) -> Words:
        """Return one field of the flags: ``l4``, ``write_error``, ``l4_ok`` and so on.

        Raises
        ------
        ValueError
            If the completion has no such field.

        """
        if name not in FLAGS or name.startswith("_"):
            known = ", ".join(field for field in FLAGS if not field.startswith("_"))
            raise ValueError(f"a completion has the flags {known}; {name!r} is none of them")
        shift, mask = FLAGS[name]
        return self.flags >> np.uint32(shift) & np.uint32(mask)

    @property
    def timestamp(self) -> npt.NDArray[np.uint64] | None:
        """Nanoseconds by :attr:`Card.clock`; None unless completions are extended."""
        if not self._queue.extended:
            return None
        high = self._of_frame("time_high").astype(np.uint64) << np.uint64(32)
        found: npt.NDArray[np.uint64] = high | self._of_frame("time_low")
        return found

    @property
    def mark(self) -> npt.NDArray[np.uint16] | None:
        """Of the flow rule that each frame met; None unless completions are extended."""
        return self._of_frame("mark") if self._queue.extended else None

    # Bytes

    def rows(self, width: int = 64) -> npt.NDArray[np.uint8]:
        """Return the first bytes of each frame, or of its headers, as a 2-D array.

        Where frames lie evenly spaced in one region it is a view, else a copy. What is behind a
        shorter frame's end is whatever the memory has.

        Parameters
        ----------
        width
            Bytes of each: 1 to the card's chunk size, so that no other frame is touched.

        Raises
        ------
        ValueError
            If the width is out of range.
        FrameReleased
            If the burst is over.

        """
        self._check_open()
        most = self._table.chunk_bytes
        if not 1 <= width <= most:
            raise ValueError(f"a row has 1 to {most} bytes, a chunk of the card, not {width}")
        return self._places.rows(self.page, self.offset, width)

    def views(self) -> list[memoryview]:
        """Return the bytes of each frame in place, without a copy. They die with the burst.

        Raises
        ------
        ValueError
            If a frame is in several segments.
        FrameReleased
            If the burst is over.

        """
        self._check_open()
        if len(self.segments.token) != len(self):
            raise ValueError("a frame of several segments has no single view; use frames()")
        made = self._places.views(self.page, self.offset, self.length)
        self._views = self._views + made if self._views else made
        return made

    def frames(self) -> list[Frame]:
        """Return an object for each frame, as :meth:`RxQueue.recv` does.

        Raises
        ------
        FrameReleased
            If the burst is over.

        """
        self._check_open()
        if self._frames is None:
            at = self._record_starts()
            starts = np.arange(len(self._records)) if at is None else at
            cuts = (np.append(starts, len(self._records)) * self._records.itemsize).tolist()
            assemble = self._queue.reader.assemble
            self._frames = [assemble(self._raw[start:end])
                            for start, end in zip(cuts, cuts[1:], strict=False)]
        return self._frames

    # The end

    def __enter__(self) -> ArrayBurst:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Return what was not retained. Again does nothing."""
        if not self._open:
            return
        self._open = False
        for view in self._views:
            view.release()
        self._views = []
        if self._frames is not None:
            self._queue.finish(self, take_back(self._frames))
            return
        words = self.segments.token
        if self._table.chunks > 1:
            words = merge_words(words)
        self._queue.end(self, np.ascontiguousarray(words).data)

    # Help

    def _check_open(self) -> None:
        if not self._open:
            raise FrameReleased(f"a burst of {len(self)} frames of queue {self._queue.index} was "
                                f"used after its pages went back to the card; copy inside the "
                                f"burst")

    def _firsts(self, values: Numbers) -> Numbers:
        starts = self.segments.starts
        return values if starts is None else values[starts]

    def _record_starts(self) -> Numbers | None:
        """Return which completion each frame starts with; None if each is a frame."""
        if len(self._records) == len(self):
            return None
        starts: Numbers = np.flatnonzero(self._records["flags"] & START)
        return starts

    def _of_frame(self, name: str) -> npt.NDArray[Any]:
        values, starts = self._records[name], self._record_starts()
        return values if starts is None else values[starts]
