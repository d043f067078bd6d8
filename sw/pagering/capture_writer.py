"""A capture file that is written while frames come, by a thread of its own.

What waits for the disk is bounded: a frame that finds no room is not written, and counted. So a
slow disk costs frames in the file and never pages of the card.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from pathlib import Path
from types import TracebackType

from pagering.capture import PCAP_HEADER, pcap_record
from pagering.errors import CaptureError

__all__ = ["WAITING_BYTES_MAX", "CaptureWriter"]

WAITING_BYTES_MAX = 64 << 20


class CaptureWriter:
    """A nanosecond pcap; a context manager.

    Parameters
    ----------
    path
        The file; one that is there is overwritten.
    limit
        Most bytes that wait to be written.

    Attributes
    ----------
    written, dropped : int
        Frames that are in the file, or on their way there; frames that found no room.

    Raises
    ------
    CaptureError
        If the file cannot be written.

    """

    def __init__(self, path: Path, limit: int = WAITING_BYTES_MAX) -> None:
        self.written = self.dropped = 0
        self._path, self._limit = path, limit
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._ending = False
        self._error: OSError | None = None
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
            self._file = os.fdopen(descriptor, "wb")
            os.write(descriptor, PCAP_HEADER)  # finds out now whether there is room at all
        except OSError as error:
            raise self._complaint(error) from error
        self._thread = threading.Thread(target=self._write, name="capture", daemon=True)
        self._thread.start()

    def put(self, frame: bytes, date_ns: int) -> bool:
        """Have a frame written; return whether there was room. Never waits for the disk.

        Raises
        ------
        CaptureError
            If the disk has failed.

        """
        record = pcap_record(frame, date_ns)
        with self._changed:
            if self._error is not None:
                raise self._complaint(self._error) from self._error
            if self._bytes + len(record) > self._limit:
                self.dropped += 1
                return False
            self._waiting.append(record)
            self._bytes += len(record)
            self.written += 1
            self._changed.notify()
        return True

    def close(self) -> None:
        """Write what waits, and close the file. Again does nothing.

        Raises
        ------
        CaptureError
            If the disk has failed.

        """
        with self._changed:
            self._ending = True
            self._changed.notify()
        self._thread.join()
        if self._error is not None:
            raise self._complaint(self._error) from self._error

    def __enter__(self) -> CaptureWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def _write(self) -> None:
        """Write until told to end; the thread."""
        try:
            with self._file as file:
                while (records := self._take()) is not None:
                    file.writelines(records)
                    self._done(records)
        except OSError as error:
            with self._changed:
                self._error = error

    def _take(self) -> list[bytes] | None:
        """Wait for records and return them; None when there will be no more."""
        with self._changed:
            while not self._waiting and not self._ending:
                self._changed.wait()
            records = list(self._waiting)
            self._waiting.clear()
        return records or None

    def _done(self, records: list[bytes]) -> None:
        with self._changed:
            self._bytes -= sum(map(len, records))

    def _complaint(self, error: OSError) -> CaptureError:
        return CaptureError(f"{self._path} cannot be written: {error.strerror}; choose another "
                            f"output")
