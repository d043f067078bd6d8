"""The software twin as the core of a virtual card: no simulation build, and fast enough to fuzz."""

from __future__ import annotations

import bisect
import contextlib
import os
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from pagering import abi
from pagering.fake import FakeCard
from pagering.fake_memory import HostMemory

__all__ = ["ModelCore"]

_WIRE_FRAMES = 64


class _MappedMemory(HostMemory):
    """What was mapped, by address; an access may go over neighbouring mappings."""

    def __init__(self) -> None:
        super().__init__()
        self.bus_master = False
        self._addresses: list[int] = []
        self._mappings: list[tuple[memoryview, bool]] = []

    def map(self, address: int, view: memoryview, writable: bool) -> None:
        at = bisect.bisect(self._addresses, address)
        self._addresses.insert(at, address)
        self._mappings.insert(at, (view, writable))

    def unmap(self, address: int) -> None:
        at = self._addresses.index(address)
        del self._addresses[at], self._mappings[at]

    def write(self, address: int, data: bytes | memoryview) -> bool:
        pieces = self._pieces(address, len(data), write=True)
        if pieces is None:
            self.stray_writes.append((address, len(data)))
            return False
        data, at = memoryview(data).cast("B"), 0
        for piece in pieces:
            piece[:] = data[at:at + len(piece)]
            at += len(piece)
        return True

    def read(self, address: int, size: int) -> bytes | None:
        pieces = self._pieces(address, size, write=False)
        if pieces is None:
            self.stray_reads.append((address, size))
            return None
        return b"".join(pieces)

    def _pieces(self, address: int, size: int, write: bool) -> list[memoryview] | None:
        """Return the bytes, in as many pieces as they have mappings; None if some have none."""
        found = []
        while size:
            at = bisect.bisect(self._addresses, address) - 1
            if at < 0 or not self.bus_master:
                return None
            view, writable = self._mappings[at]
            start = address - self._addresses[at]
            piece = view[start:start + size]
            if not piece or (write and not writable):
                return None
            found.append(piece)
            address += len(piece)
            size -= len(piece)
        return found


class ModelCore:
    """A :class:`~pagering_tb.virtual.core.CardCore`.

    Parameters
    ----------
    options
        Of :class:`pagering.fake.FakeCard`.

    """

    def __init__(self, **options: Any) -> None:
        self._memory = _MappedMemory()
        self.fake = FakeCard(memory=self._memory, **options)
        self._wire: deque[bytes] = deque()
        self._eventfds: dict[int, int] = {}

    @property
    def bus_master(self) -> bool:
        """Whether it may reach memory."""
        return self._memory.bus_master

    @bus_master.setter
    def bus_master(self, on: bool) -> None:
        self._memory.bus_master = on

    def read32(self, offset: int) -> int:
        """Read a register."""
        return self.fake.read32(offset)

    def write32(self, offset: int, value: int) -> None:
        """Write a register."""
        self.fake.write32(offset, value)
        self._signal()

    def write_words(self, offset: int, values: Sequence[int]) -> None:
        """Write successive registers."""
        for at, value in enumerate(values):
            self.fake.write32(offset + 4 * at, value)
        self._signal()

    def map(self, address: int, memory: memoryview, writable: bool = True) -> None:
        """Map memory."""
        self._memory.map(address, memory, writable)

    def unmap(self, address: int) -> None:
        """Unmap what was mapped there."""
        self._memory.unmap(address)

    def reset(self) -> None:
        """Forget everything."""
        self._wire.clear()
        self.fake.write32(abi.CARD.address("RESET"), abi.CARD["RESET"].pack(reset=1))

    def interrupt(self, vector: int, descriptor: int | None) -> None:
        """Signal this eventfd, or nobody."""
        self._eventfds.pop(vector, None)
        if descriptor is not None:
            self._eventfds[vector] = descriptor

    def send(self, frame: bytes) -> bool:
        """Queue a frame."""
        if len(self._wire) >= _WIRE_FRAMES:
            return False
        self._wire.append(frame)
        return True

    @property
    def waiting(self) -> int:
        """Frames queued."""
        return len(self._wire)

    def run(self, cycles: int) -> int:
        """Take all frames, and let time pass if something waits for it."""
        while self._wire:
            self.fake.inject(self._wire.popleft())
        passed = 0 if self.quiet else cycles
        self.fake.advance(passed)
        self._signal()
        return passed

    @property
    def quiet(self) -> bool:
        """Whether there is no frame, and no interrupt waits for its time."""
        return not self._wire and not any(self._waits())

    def _waits(self) -> Iterator[bool]:
        return (queue.interrupt.waits for queue in self.fake.state.queues)

    def _signal(self) -> None:
        raised = self.fake.state.raised
        for vector in range(self.fake.config.queues + 1):
            if raised[vector]:
                raised[vector] = False
                if vector in self._eventfds:
                    with contextlib.suppress(BlockingIOError):
                        os.eventfd_write(self._eventfds[vector], 1)

    def close(self) -> None:
        """End it."""
        self.fake.close()
