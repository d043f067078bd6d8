"""Memory that has a name beyond this process: of huge pages, shared, or of a file.

All of these are one run of a fixed size, mapped once, of which a pool gets aligned blocks. The
address that a card uses for a byte is a base plus its offset in the run, so a process that maps the
same memory finds a frame without asking: see :mod:`pagering.shared_reader`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
import threading
import warnings
from pathlib import Path

from pagering.buddy import BuddyAllocator
from pagering.errors import PoolError
from pagering.mapped_run import MappedRun
from pagering.providers import check_request
from pagering.transport import DmaMemory

__all__ = ["HUGE_PAGE", "FileProvider", "HugePageProvider", "MappedProvider", "SharedProvider"]

HUGE_PAGE = 1 << 21
"""Bytes of a huge page."""
GREETING = struct.Struct("<QQ")
"""What goes with the descriptor of shared memory: base address and bytes."""

_BASE = 1 << 40
_SEAL_FUTURE_WRITE = 0x10
"""Linux 5.1; Python's fcntl names it from 3.13 on."""


class _Block:
    """A part of mapped memory."""

    __slots__ = ("_offset", "_provider", "_view", "address")

    def __init__(self, provider: MappedProvider, offset: int, view: memoryview) -> None:
        self._provider: MappedProvider | None = provider
        self._offset = offset
        self._view = view
        self.address = provider.base + offset

    @property
    def place(self) -> tuple[int, int]:
        """The descriptor of what this is a part of, and at which byte of it this starts."""
        if self._provider is None:
            raise PoolError(f"memory at {self.address:#x} was freed")
        return self._provider.fd, self._offset

    @property
    def view(self) -> memoryview:
        """The bytes. Raises ``PoolError`` once they are freed."""
        if self._provider is None:
            raise PoolError(f"memory at {self.address:#x} was freed")
        return self._view

    def free(self) -> None:
        provider, self._provider = self._provider, None
        if provider is not None:
            size = len(self._view)
            with contextlib.suppress(BufferError):
                self._view.release()
            provider.take_back(self._offset, size)


class MappedProvider(MappedRun):
    """Memory behind a file descriptor. See :class:`~pagering.providers.MemoryProvider`.

    Parameters
    ----------
    fd : int
        What to map, of at least ``capacity`` bytes; closed with the provider.
    capacity : int
        Bytes, a multiple of 4096.
    base : int
        Card address of the first byte. Blocks are aligned as far as it is.
    blank : bool
        Whether the bytes are zero as they are.

    Attributes
    ----------
    fd, capacity, base : int
        As given.
    live_bytes : int
        Bytes handed out and not freed yet.

    Raises
    ------
    PoolError
        If the memory cannot be mapped, or a number is out of range.
    """

    def __init__(self, fd: int, capacity: int, base: int = _BASE, blank: bool = True) -> None:
        self.fd = fd
        self.base = base
        self.live_bytes = 0
        self._touched = 0 if blank else capacity
        self._lock = threading.Lock()  # pages are freed from any thread
        try:
            if base < 0:
                raise PoolError(f"base address must not be negative, not {base}")
            self._blocks = BuddyAllocator(capacity)
            super().__init__(fd, capacity)
        except PoolError:
            os.close(fd)
            raise

    def allocate_region(self, size: int, align: int = 4096) -> DmaMemory:
        """Return ``size`` zeroed bytes of the run. See ``MemoryProvider``."""
        check_request(size, align)
        if self.base % align:
            raise PoolError(f"base address {self.base:#x} is not a multiple of {align}")
        with self._lock:
            at = self._blocks.allocate(max(size, align))
            if at is None:
                raise PoolError(f"no {size} bytes aligned to {align} are left of {self.capacity}")
            self.live_bytes += size
            used = at < self._touched
            self._touched = max(self._touched, at + size)
        view = self._view[at:at + size]
        if used:
            view[:] = bytes(size)
        return _Block(self, at, view)

    def take_back(self, offset: int, size: int) -> None:
        """Reuse a block that was freed."""
        with self._lock:
            self._blocks.free(offset)
            self.live_bytes -= size

    def close(self) -> None:
        """Unmap. Slices that somebody still holds keep the bytes until they are dropped."""
        if self.fd < 0:
            return
        os.close(self.fd)
        self.fd = -1
        super().close()


class HugePageProvider(MappedProvider):
    """Memory of 2 MiB pages: a card's translation cache holds 512 times as much of it.

    Where the system has not enough of them it is ordinary memory, with one warning.

    Parameters
    ----------
    capacity : int
        Bytes, a multiple of 2 MiB.
    base : int
        Card address of the first byte, a multiple of 2 MiB.

    Attributes
    ----------
    huge : bool
        Whether the pages are huge.
    """

    def __init__(self, capacity: int, base: int = _BASE) -> None:
        for name, value in (("capacity", capacity), ("base address", base)):
            if value % HUGE_PAGE:
                raise PoolError(f"{name} must be a multiple of 2 MiB, not {value}")
        self.huge = True
        try:
            fd = os.memfd_create("pagering", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
                                 | os.MFD_HUGETLB | os.MFD_HUGE_2MB)
            super().__init__(_sized(fd, capacity), capacity, base)
        except (OSError, PoolError) as error:
            self.huge = False
            fd = os.memfd_create("pagering", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            super().__init__(_sized(fd, capacity), capacity, base)
            warnings.warn(f"no huge pages for {capacity >> 20} MiB, so ordinary ones are used; "
                          f"raise vm.nr_hugepages ({error})", RuntimeWarning, stacklevel=2)


class SharedProvider(MappedProvider):
    """Memory that another process can read: see :class:`~pagering.shared_reader.SharedReader`.

    It cannot be resized or mapped for writing any more, so a reader can neither change a frame nor
    be hit by a shrinking file.
    """

    def __init__(self, capacity: int, base: int = _BASE) -> None:
        fd = os.memfd_create("pagering", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        super().__init__(_sized(fd, capacity), capacity, base)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
                    | _SEAL_FUTURE_WRITE | fcntl.F_SEAL_SEAL)

    def send(self, sock: socket.socket) -> None:
        """Send the memory over a UNIX socket, to be received by a ``SharedReader``."""
        socket.send_fds(sock, [GREETING.pack(self.base, self.capacity)], [self.fd])


class FileProvider(MappedProvider):
    """Memory of a file, which holds the frames when the process is gone.

    Parameters
    ----------
    path : Path
        The file. It is made, or resized; what it held is overwritten.
    """

    def __init__(self, path: Path, capacity: int, base: int = _BASE) -> None:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise PoolError(f"{path} cannot be opened: {error.strerror}") from error
        super().__init__(_sized(fd, capacity), capacity, base, blank=False)


def _sized(fd: int, capacity: int) -> int:
    """Give a file its size, or close it."""
    try:
        os.ftruncate(fd, capacity)
    except (OSError, OverflowError) as error:
        os.close(fd)
        raise PoolError(f"{capacity} bytes cannot be had: {error}") from error
    return fd
