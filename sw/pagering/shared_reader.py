"""The other process's end of shared memory: frames by their addresses, not copied, not writable."""

from __future__ import annotations

import os
import socket
from typing import Self

from pagering.errors import PoolError
from pagering.mapped_providers import GREETING
from pagering.mapped_run import MappedRun

__all__ = ["SharedReader"]


class SharedReader(MappedRun):
    """Maps the memory of a :class:`~pagering.mapped_providers.SharedProvider` read-only.

    Parameters
    ----------
    fd : int
        Its descriptor; not kept.
    base, capacity : int
        As the provider's.

    Raises
    ------
    PoolError
        If the memory is smaller than that, or cannot be mapped.
    """

    def __init__(self, fd: int, base: int, capacity: int) -> None:
        super().__init__(fd, capacity, "shared bytes", writable=False)
        self.base = base

    @classmethod
    def receive(cls, sock: socket.socket) -> Self:
        """Receive what ``SharedProvider.send`` sent.

        Raises
        ------
        PoolError
            If something else came.
        """
        greeting, fds, _, _ = socket.recv_fds(sock, GREETING.size, 1)
        try:
            if len(greeting) != GREETING.size or len(fds) != 1:
                raise PoolError(f"no shared memory came, but {len(greeting)} bytes and "
                                f"{len(fds)} descriptors")
            return cls(fds[0], *GREETING.unpack(greeting))
        finally:
            for fd in fds:
                os.close(fd)

    def frame(self, address: int, length: int) -> memoryview:
        """Return ``length`` bytes at a card address.

        Raises
        ------
        PoolError
            If they are not all in the shared memory.
        """
        at = address - self.base
        if length < 0 or at < 0 or at + length > self.capacity:
            raise PoolError(f"{length} bytes at {address:#x} are not in the shared memory")
        return self._view[at:at + length]
