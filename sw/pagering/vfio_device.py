"""A PCI function that the kernel's VFIO has given to this process: regions, interrupts, reset.

This is the part that is the same whichever way the function and its IOMMU were come by.
"""

from __future__ import annotations

import errno
import mmap
import os
import struct
from collections.abc import Sequence

from pagering.errors import CardError
from pagering.vfio_ioctl import (
    PCI_CONFIG_REGION,
    PCI_MSIX_IRQ,
    IrqFlag,
    IrqInfo,
    IrqSet,
    RegionFlag,
    RegionInfo,
    Request,
    ioctl,
)

__all__ = ["VfioDevice"]

_IDENTITY, _COMMAND = 0x00, 0x04
_MEMORY_SPACE, _BUS_MASTER = 0x2, 0x4


class VfioDevice:
    """An open function.

    Parameters
    ----------
    fd
        Its descriptor; closed with it.
    address
        What to call it in a sentence.

    Raises
    ------
    CardError
        If the kernel does not tell where its configuration space is.

    """

    def __init__(self, fd: int, address: str) -> None:
        self.fd = fd
        self.address = address
        try:
            self._config = self._region(PCI_CONFIG_REGION).offset
        except BaseException:
            os.close(fd)
            raise

    # Configuration space

    @property
    def identity(self) -> tuple[int, int]:
        """Vendor and device as the function itself says; both 0xFFFF if it is gone."""
        vendor, device = struct.unpack("<HH", os.pread(self.fd, 4, self._config + _IDENTITY))
        return vendor, device

    @property
    def bus_master(self) -> bool:
        """Whether it may read and write memory."""
        return bool(self._command() & _BUS_MASTER)

    @bus_master.setter
    def bus_master(self, on: bool) -> None:
        command = self._command() & ~_BUS_MASTER | _MEMORY_SPACE | (_BUS_MASTER if on else 0)
        os.pwrite(self.fd, struct.pack("<H", command), self._config + _COMMAND)

    def _command(self) -> int:
        command: int = struct.unpack("<H", os.pread(self.fd, 2, self._config + _COMMAND))[0]
        return command

    # Registers

    def map_bar(self, bar: int, size: int) -> mmap.mmap:
        """Map the first ``size`` bytes of a BAR.

        Raises
        ------
        CardError
            If it is smaller, or cannot be mapped.

        """
        region = self._region(bar)
        if region.size < size:
            raise CardError(f"BAR {bar} of {self.address} has {region.size} bytes, not the {size} "
                            f"of a Pagering card's registers")
        if not region.flags & RegionFlag.MMAP:
            raise CardError(f"BAR {bar} of {self.address} cannot be mapped, as on machines whose "
                            f"pages are larger than it")
        try:
            return mmap.mmap(self.fd, size, offset=region.offset)
        except OSError as error:
            raise CardError(f"BAR {bar} of {self.address} cannot be mapped: "
                            f"{error.strerror}") from error

    def _region(self, index: int) -> RegionInfo:
        region = RegionInfo(index=index)
        ioctl(self.fd, Request.DEVICE_GET_REGION_INFO, region,
              f"asking for region {index} of {self.address}")
        return region

    # Interrupts

    @property
    def vectors(self) -> int:
        """How many MSI-X vectors it has."""
        found = IrqInfo(index=PCI_MSIX_IRQ)
        ioctl(self.fd, Request.DEVICE_GET_IRQ_INFO, found,
              f"asking for the MSI-X vectors of {self.address}")
        return int(found.count)

    def signal(self, eventfds: Sequence[int]) -> None:
        """Let vector n add 1 to eventfd n, for all of them at once: MSI-X is turned on for a
        number of vectors and cannot grow.
        """
        request = IrqSet(flags=IrqFlag.DATA_EVENTFD | IrqFlag.ACTION_TRIGGER, index=PCI_MSIX_IRQ,
                         count=len(eventfds))
        data = struct.pack(f"={len(eventfds)}i", *eventfds)
        request.argsz += len(data)
        ioctl(self.fd, Request.DEVICE_SET_IRQS, bytearray(request) + data,
              f"turning on {len(eventfds)} MSI-X vectors of {self.address}",
              {errno.ENOSPC: "the machine has no more interrupts for it"})

    # Life

    def reset(self) -> None:
        """Reset the function alone: it forgets everything; its configuration space is kept.

        Raises
        ------
        CardError
            If it cannot be reset.

        """
        ioctl(self.fd, Request.DEVICE_RESET, 0, f"resetting {self.address}",
              {errno.ENOTTY: "it has no function-level reset"})

    def close(self) -> None:
        """Give it back to the kernel, which resets it."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
