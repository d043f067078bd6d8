"""A run of memory that is mapped once, and how it is let go of."""

from __future__ import annotations

import contextlib
import mmap
from types import TracebackType
from typing import Self

from pagering.errors import PoolError

__all__ = ["MappedRun"]


class MappedRun:
    """The first ``capacity`` bytes behind a descriptor; a context manager.

    Parameters
    ----------
    fd : int
        What to map; not kept.
    capacity : int
        Bytes.
    what : str
        What they are, for a sentence about them.
    writable : bool
        Whether they can be changed here.

    Attributes
    ----------
    capacity : int
        As given.

    Raises
    ------
    PoolError
        If they cannot be mapped.
    """

    def __init__(self, fd: int, capacity: int, what: str = "bytes", writable: bool = True) -> None:
        self.capacity = capacity
        rights = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
        try:
            self._map = mmap.mmap(fd, capacity, prot=rights)
        except (OSError, ValueError, OverflowError) as error:
            raise PoolError(f"{capacity} {what} cannot be mapped: {error}") from error
        self._view = memoryview(self._map)

    def close(self) -> None:
        """Unmap. Slices that somebody still holds keep the bytes until they are dropped."""
        with contextlib.suppress(BufferError):
            self._view.release()
            self._map.close()

    def __enter__(self) -> Self:
        """Nothing else happens."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        """Close."""
        self.close()
