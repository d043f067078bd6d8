"""What of the client's memory the card reaches.

Mappings come and go as with VFIO's type 1 (version 2): none overlaps another, and an unmapping
takes all that lie in its range, be it none, but splits none. Of each file there is one mapping into
this process, however many parts of it the client maps: a guest may map each of its pages by itself.

Nobody but the client says what is behind a descriptor, so only memory that cannot shrink is taken:
a card that writes past the end of a file would die of it. Memory without a descriptor, such as a
guest's ROM, takes up its addresses, and the card does not reach it.
"""

from __future__ import annotations

import bisect
import contextlib
import errno
import fcntl
import mmap
import os
import stat
from dataclasses import dataclass

from pagering.vfio_user_messages import DmaFlag

from .core import CardCore

__all__ = ["MAPPINGS_MAX", "DmaSpace"]

MAPPINGS_MAX = 65535
_PAGE = 4096
_TOP = 1 << 64


class _File:
    """A file that is mapped into this process, whole."""

    def __init__(self, descriptor: int, key: tuple[int, ...], size: int, writable: bool) -> None:
        self.key = key
        self.memory = mmap.mmap(
            descriptor, size, prot=mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0))
        self.uses = 0


@dataclass
class _Mapping:
    address: int
    size: int
    file: _File | None
    view: memoryview | None

    @property
    def end(self) -> int:
        return self.address + self.size


class DmaSpace:
    """The address space of one card.

    Parameters
    ----------
    core
        The card.

    """

    def __init__(self, core: CardCore) -> None:
        self._core = core
        self._addresses: list[int] = []
        self._mappings: list[_Mapping] = []
        self._files: dict[tuple[int, ...], _File] = {}
        self.unreachable = 0
        """Bytes that were mapped without a descriptor, since all was cleared."""

    def __len__(self) -> int:
        return len(self._mappings)

    @property
    def files(self) -> int:
        """Files that are mapped into this process."""
        return len(self._files)

    def map(self, address: int, size: int, descriptor: int | None, offset: int,
            flags: int) -> None:
        """Map a part of what the descriptor is of.

        Raises
        ------
        OSError
            If that cannot be; nothing has changed then.

        """
        if size <= 0 or (address | size) % _PAGE or address + size > _TOP:
            raise OSError(errno.EINVAL, f"{size} bytes at {address:#x} are not whole pages")
        writable = bool(flags & DmaFlag.WRITE)
        if not flags & (DmaFlag.READ | DmaFlag.WRITE):
            raise OSError(errno.EINVAL, "memory that may be neither read nor written")
        at = bisect.bisect(self._addresses, address)
        if ((at and self._mappings[at - 1].end > address)
                or (at < len(self._addresses) and self._addresses[at] < address + size)):
            raise OSError(errno.EEXIST, f"{size} bytes at {address:#x} overlap a mapping")
        if len(self._mappings) >= MAPPINGS_MAX:
            raise OSError(errno.ENOSPC, f"more than {MAPPINGS_MAX} mappings")
        mapping = _Mapping(address, size, None, None)
        if descriptor is None:
            self.unreachable += size
        else:
            mapping.file = self._file(descriptor, offset, size, writable)
            mapping.view = memoryview(mapping.file.memory)[offset:offset + size]
            self._core.map(address, mapping.view, writable)
            mapping.file.uses += 1
        self._addresses.insert(at, address)
        self._mappings.insert(at, mapping)

    def _file(self, descriptor: int, offset: int, size: int, writable: bool) -> _File:
        """Return the file, mapped."""
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise OSError(errno.EINVAL, "the descriptor is not of memory")
        if offset + size > facts.st_size:
            raise OSError(errno.EINVAL, f"bytes {offset:#x} to {offset + size:#x} of "
                                        f"{facts.st_size:#x}")
        _forbid_shrinking(descriptor)
        can_write = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDWR
        if writable and not can_write:
            raise OSError(errno.EACCES, "the descriptor is for reading only")
        key = (facts.st_dev, facts.st_ino, can_write)
        found = self._files.get(key)
        if found is None or len(found.memory) < offset + size:
            try:
                found = _File(descriptor, key, facts.st_size, can_write)
            except (ValueError, OverflowError) as error:
                raise OSError(errno.ENOMEM, f"{facts.st_size} bytes cannot be mapped") from error
            self._files[key] = found  # an older, shorter one lives on while it is used
        return found

    def unmap(self, address: int, size: int) -> int:
        """Unmap all that lies in a range; return how many bytes that was.

        Raises
        ------
        OSError
            If a mapping lies there in part; nothing has changed then.

        """
        if size <= 0 or address + size > _TOP:
            raise OSError(errno.EINVAL, f"{size} bytes at {address:#x} are no range")
        first = bisect.bisect_left(self._addresses, address)
        end = bisect.bisect_left(self._addresses, address + size)
        if ((first and self._mappings[first - 1].end > address)
                or (end > first and self._mappings[end - 1].end > address + size)):
            raise OSError(errno.EINVAL, f"{size} bytes at {address:#x} would split a mapping")
        return self._drop(first, end)

    def clear(self) -> int:
        """Unmap everything; return how many bytes that was."""
        self.unreachable = 0
        return self._drop(0, len(self._mappings))

    def _drop(self, first: int, end: int) -> int:
        dropped = self._mappings[first:end]
        del self._addresses[first:end], self._mappings[first:end]
        for mapping in dropped:
            if mapping.view is not None and mapping.file is not None:
                self._core.unmap(mapping.address)
                mapping.view.release()
                self._leave(mapping.file)
        return sum(mapping.size for mapping in dropped)

    def _leave(self, file: _File) -> None:
        file.uses -= 1
        if not file.uses:
            with contextlib.suppress(BufferError):
                file.memory.close()
            if self._files.get(file.key) is file:
                del self._files[file.key]


def _forbid_shrinking(descriptor: int) -> None:
    try:
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
    except OSError as error:
        if not _sealed(descriptor):
            raise OSError(errno.EPERM, "memory that may shrink; take a memfd that can be "
                                       "sealed") from error


def _sealed(descriptor: int) -> bool:
    try:
        return bool(fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK)
    except OSError:
        return False
