"""A card in a slot of this machine, real or a guest, reached through the kernel's VFIO.

See :class:`~pagering.transport.Transport`.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import mmap
import os
import select
from collections.abc import Callable, Sequence
from typing import Protocol

from pagering import abi
from pagering.address_space import AddressSpace
from pagering.dma_runs import DmaRun, DmaRuns
from pagering.errors import CardError, CardGone
from pagering.mapped_window import MappedWindow
from pagering.pci_function import PciFunction
from pagering.transport import DmaMemory
from pagering.vfio_binding import DRIVER
from pagering.vfio_container import VfioContainer
from pagering.vfio_device import VfioDevice
from pagering.vfio_iommufd import Iommufd

__all__ = ["DmaSpace", "VfioTransport", "open_container", "open_iommufd"]

_ALL_ONES = 0xFFFFFFFF


class DmaSpace(Protocol):
    """The addresses that one function sees."""

    device: VfioDevice

    def ranges(self) -> list[tuple[int, int]]:
        """Return the first and last address of each range that can be mapped."""

    def map(self, memory: int, address: int, size: int) -> None:
        """Map memory of this process."""

    def unmap(self, address: int, size: int) -> None:
        """End that."""

    def close(self) -> None:
        """Give the function back."""


def open_container(address: str) -> VfioTransport:
    """Open the card at this PCI address through its IOMMU group."""
    return VfioTransport(VfioContainer(_bound(address)))


def open_iommufd(address: str) -> VfioTransport:
    """Open the card at this PCI address through its device file."""
    return VfioTransport(Iommufd(_bound(address)))


def _bound(address: str) -> PciFunction:
    function = PciFunction(address)
    function.require_card()
    function.require_iommu()
    if function.driver != DRIVER:
        raise CardError(f"{address} is bound to {function.driver or 'no driver'}, not to {DRIVER}; "
                        f"as root: pagering bind {address}")
    return function


class VfioTransport:
    """A card behind an IOMMU; registers are mapped, interrupts are eventfds.

    Parameters
    ----------
    space
        The open function and its addresses; closed with the transport.

    Raises
    ------
    CardError
        If the function does not behave like a Pagering card.

    """

    def __init__(self, space: DmaSpace) -> None:
        self._space = space
        self._device = space.device
        self._closed = False
        with contextlib.ExitStack() as opened:
            opened.callback(space.close)
            self._addresses = AddressSpace(space.ranges())
            self._runs = DmaRuns(self._addresses, self._map_run, self._unmap_run)
            bar = opened.enter_context(contextlib.closing(
                self._device.map_bar(abi.WINDOW_BAR, 1 << abi.WINDOW_ADDRESS_BITS)))
            self._window = opened.enter_context(contextlib.closing(MappedWindow(bar)))
            self._eventfds: list[int] = []
            for _ in range(self._device.vectors):
                self._eventfds.append(os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK))
                opened.callback(os.close, self._eventfds[-1])
            self._device.signal(self._eventfds)
            self._device.bus_master = True
            opened.callback(self._quiet)
            self._opened = opened.pop_all()
        self.write32: Callable[[int, int], None] = self._window.write32
        self.write_tokens: Callable[[int, Sequence[int]], None] = self._window.write_tokens

    # Registers

    def read32(self, offset: int) -> int:
        """Read a register.

        Raises
        ------
        CardError
            If it is not an aligned word of the card's window.
        CardGone
            If nobody answers any more.

        """
        value = self._window.read32(offset)
        # What a bus reads where nobody answers. Few registers can be all ones, so this is rare.
        if value == _ALL_ONES and self._device.identity != (abi.PCI_VENDOR, abi.PCI_DEVICE):
            raise CardGone(f"the card {self._device.address} does not answer any more; it was "
                           f"removed or has lost its power")
        return value

    # Memory

    def allocate(self, size: int, align: int = 4096) -> DmaMemory:
        """Return zeroed memory; 2 MiB and more are of huge pages, if there are any.

        Raises
        ------
        CardError
            If there is none, or it cannot be mapped for the card.

        """
        return self._runs.allocate(size, align)

    def map_memory(self, memory: DmaMemory) -> None:
        """Map memory that was not allocated here, under its own address.

        Raises
        ------
        CardError
            If these are no whole pages, or the addresses are in use or cannot be.

        """
        size = len(memory.view)
        if size % mmap.PAGESIZE or memory.address % mmap.PAGESIZE:
            raise CardError(f"{size} bytes at {memory.address:#x} are not whole pages of "
                            f"{mmap.PAGESIZE} bytes, which an IOMMU maps")
        self._addresses.reserve(memory.address, size)
        try:
            self._space.map(_place(memory.view), memory.address, size)
        except CardError:
            self._addresses.free(memory.address)
            raise

    def unmap_memory(self, memory: DmaMemory) -> None:
        """End that. From here on the IOMMU blocks the card."""
        self._space.unmap(memory.address, len(memory.view))
        self._addresses.free(memory.address)

    def _map_run(self, run: DmaRun) -> None:
        self._space.map(_place(run.pages), run.address, run.size)

    def _unmap_run(self, run: DmaRun) -> None:
        if not self._closed:  # what was mapped is unmapped then
            self._space.unmap(run.address, run.size)

    # Interrupts

    @property
    def vectors(self) -> int:
        """How many there are."""
        return len(self._eventfds)

    def wait_interrupt(self, vector: int, timeout: float | None = None) -> bool:
        """Block until ``vector`` was raised since the last call, or ``timeout`` seconds passed.

        Raises
        ------
        CardError
            If there is no such vector.

        """
        fd = self.interrupt_fd(vector)
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        # Up to the next millisecond: 0 means not to wait.
        if not poll.poll(None if timeout is None else math.ceil(timeout * 1000)):
            return False
        os.eventfd_read(fd)
        return True

    def interrupt_fd(self, vector: int) -> int:
        """Return the eventfd of ``vector``; it belongs to the transport.

        Raises
        ------
        CardError
            If there is no such vector.

        """
        if not 0 <= vector < len(self._eventfds):
            raise CardError(f"the card has MSI-X vectors 0 to {len(self._eventfds) - 1}, not "
                            f"{vector}")
        return self._eventfds[vector]

    # Life

    def reset(self) -> None:
        """Reset the card whatever it does: it stops and forgets all it was told.

        Memory stays mapped, and a driver must open the card anew.

        Raises
        ------
        CardError
            If the function cannot be reset.

        """
        self._device.reset()
        self._device.bus_master = True

    def close(self) -> None:
        """Let go of the card; from here on it reaches no memory. Again does nothing."""
        if not self._closed:
            self._closed = True
            self._opened.close()

    def _quiet(self) -> None:
        with contextlib.suppress(OSError):  # a card that is gone is quiet
            self._device.bus_master = False


def _place(view: memoryview) -> int:
    """Return where in this process the bytes are."""
    return ctypes.addressof(ctypes.c_char.from_buffer(view))
