"""``--device vfio-user:PATH``: a card that another process serves over a socket.

Registers go by message. Memory is one file without a name, of which the card maps the parts that it
may reach; interrupts are eventfds. The other process may be ``pagering card``, or whatever serves
this PCI function.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import os
import select
import struct
from collections.abc import Sequence

from pagering import abi
from pagering.errors import CardError, CardGone, PoolError
from pagering.mapped_providers import MappedProvider
from pagering.mapping_provider import MappingProvider
from pagering.pci_config import COMMAND, DEVICE_ID
from pagering.transport import DmaMemory, SharedMemory
from pagering.vfio_user_client import VfioUserClient
from pagering.vfio_user_messages import Irq, Region

__all__ = ["VfioUserCard"]

_MEMORY_BYTES = 1 << 32
"""Of address space; what is never written to takes no memory."""
_BASE = 1 << 32
"""Below what providers of memory take by themselves."""
_PAGE = 4096
_WORD = struct.Struct("<I")


class VfioUserCard:
    """A transport: see :class:`~pagering.transport.EventfdTransport` and ``MappingTransport``.

    Parameters
    ----------
    path
        The socket.
    timeout
        Most seconds that a register access may take.
    patience
        Seconds to wait for the socket to be there.

    Raises
    ------
    CardError
        If no card of ours is served there, or it is in use.

    """

    def __init__(self, path: str, timeout: float = 600.0, patience: float = 0.0) -> None:
        self._client = VfioUserClient(path, timeout, patience)
        self._memory = MappedProvider(_sealed_memory(_MEMORY_BYTES), _MEMORY_BYTES, _BASE)
        self._provider = MappingProvider(self._memory, self)
        self._eventfds: list[int] = []
        self._waits: list[select.epoll] = []
        self._closed = False
        try:
            self._identify(path)
            self._listen()
            self._set_command(memory=1, bus_master=1)
        except BaseException:
            self.close()
            raise

    def _identify(self, path: str) -> None:
        client = self._client
        found = DEVICE_ID.unpack(_word(client.read(Region.CONFIG, 0, 4)))
        if (found["vendor"], found["device"]) != (abi.PCI_VENDOR, abi.PCI_DEVICE):
            raise CardError(f"{path} serves PCI function {found['vendor']:04x}:"
                            f"{found['device']:04x}, no card of this contract")
        size = client.region_info(Region(abi.WINDOW_BAR)).size
        if size < 1 << abi.WINDOW_ADDRESS_BITS:
            raise CardError(f"BAR {abi.WINDOW_BAR} of the card at {path} has {size} bytes, fewer "
                            f"than its registers need")

    def _listen(self) -> None:
        """Have all vectors signal eventfds."""
        vectors = self._client.irq_info(Irq.MSIX).count
        self._eventfds = [os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC) for _ in range(vectors)]
        for eventfd in self._eventfds:
            wait = select.epoll()
            wait.register(eventfd, select.EPOLLIN)
            wait.register(self._client.fileno(), select.EPOLLRDHUP)
            self._waits.append(wait)
        self._client.set_eventfds(Irq.MSIX, self._eventfds)

    def _set_command(self, **bits: int) -> None:
        word = COMMAND.pack(**bits).to_bytes(COMMAND.width // 8, "little")
        self._client.write(Region.CONFIG, COMMAND.offset, word)

    # Registers

    def read32(self, offset: int) -> int:
        """Read a register."""
        return _word(self._client.read(Region(abi.WINDOW_BAR), offset, 4))

    def write32(self, offset: int, value: int) -> None:
        """Write a register, posted."""
        if not 0 <= value < 1 << 32:
            raise CardError(f"{value} written to {offset:#x} is not a 32-bit word")
        self._client.post_write(Region(abi.WINDOW_BAR), offset, _WORD.pack(value))

    def write_tokens(self, offset: int, tokens: Sequence[int]) -> None:
        """Store tokens to successive words: one message, which the card takes word by word."""
        self._client.post_write(Region(abi.WINDOW_BAR), offset, array.array("I", tokens).tobytes())

    # Memory

    def allocate(self, size: int, align: int = _PAGE) -> DmaMemory:
        """Return zeroed memory that the card reaches."""
        try:
            return self._provider.allocate_region(size, align)
        except PoolError as error:
            raise CardError(str(error)) from error

    def map_memory(self, memory: DmaMemory) -> None:
        """Map memory of somebody else's, which must be behind a descriptor."""
        if not isinstance(memory, SharedMemory):
            raise CardError(f"memory at {memory.address:#x} is this process's alone; a card in "
                            f"another one needs shared memory, huge pages or a file")
        descriptor, offset = memory.place
        self._client.map_memory(memory.address, _whole_pages(memory), descriptor, offset)

    def unmap_memory(self, memory: DmaMemory) -> None:
        """End that. A card that is gone has let go of it by itself."""
        with contextlib.suppress(CardGone):
            self._client.unmap_memory(memory.address, _whole_pages(memory))

    # Interrupts

    def wait_interrupt(self, vector: int, timeout: float | None = None) -> bool:
        """Sleep until ``vector`` is raised, or ``timeout`` seconds have passed.

        Raises
        ------
        CardError
            If there is no such vector.
        CardGone
            If the card goes meanwhile.

        """
        wait = self._wait(vector)
        if timeout != 0:
            wait.poll(timeout)
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._eventfds[vector])
            return True
        self._client.check()
        return False

    def interrupt_fd(self, vector: int) -> int:
        """Return a descriptor that is readable while ``vector`` is raised, or the card is gone."""
        return self._wait(vector).fileno()

    def _wait(self, vector: int) -> select.epoll:
        if not 0 <= vector < len(self._waits):
            raise CardError(f"the card has vectors 0 to {len(self._waits) - 1}, not {vector}")
        return self._waits[vector]

    # The end

    def close(self) -> None:
        """Let go of the card. Again does nothing."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(CardError):
            self._set_command()
        self._client.close()
        for wait in self._waits:
            wait.close()
        for eventfd in self._eventfds:
            os.close(eventfd)
        self._memory.close()


def _sealed_memory(size: int) -> int:
    """Return memory that cannot shrink, so that the card can rely on it."""
    descriptor = os.memfd_create("pagering", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, size)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    return descriptor


def _whole_pages(memory: DmaMemory) -> int:
    return -(-len(memory.view) // _PAGE) * _PAGE


def _word(data: bytes) -> int:
    return int(_WORD.unpack(data)[0])
