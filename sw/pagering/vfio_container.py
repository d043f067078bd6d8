"""The older way to a function: its IOMMU group is put into a container, which has the mappings."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from pathlib import Path

from pagering.errors import CardError
from pagering.pci_function import PciFunction
from pagering.vfio_binding import DRIVER
from pagering.vfio_device import VfioDevice
from pagering.vfio_ioctl import (
    TYPE1V2_IOMMU,
    CapabilityHeader,
    DmaMap,
    DmaUnmap,
    GroupStatus,
    IovaRange,
    MapFlag,
    Request,
    Type1Info,
    ioctl,
)
from pagering.vfio_node import MAPPING_HINTS, open_node

__all__ = ["VfioContainer"]

_ALL_ADDRESSES = [(0, (1 << 39) - 1)]
"""What every IOMMU translates: assumed where the kernel, older than 5.4, does not say."""


class VfioContainer:
    """A container with one function's group.

    Parameters
    ----------
    function
        The function, bound to ``vfio-pci``.

    Attributes
    ----------
    device
        The open function.

    Raises
    ------
    CardError
        If it cannot be had.

    """

    def __init__(self, function: PciFunction) -> None:
        with contextlib.ExitStack() as opened:
            self._fd = _descriptor(opened, function.root / "dev/vfio/vfio")
            if not ioctl(self._fd, Request.CHECK_EXTENSION, TYPE1V2_IOMMU, "asking for an IOMMU"):
                raise CardError("this kernel's VFIO has no type 1 IOMMU; as root, modprobe "
                                "vfio_iommu_type1")
            number = function.require_iommu()
            group = _descriptor(opened, function.root / "dev/vfio" / number)
            status = GroupStatus()
            ioctl(group, Request.GROUP_GET_STATUS, status, f"asking for group {number}")
            if not status.flags & GroupStatus.VIABLE:
                raise CardError(_unviable(function))
            ioctl(group, Request.GROUP_SET_CONTAINER, bytearray(self._fd.to_bytes(4, "little")),
                  f"putting group {number} into a container")
            ioctl(self._fd, Request.SET_IOMMU, TYPE1V2_IOMMU,
                  f"giving {function.address} an address space",
                  {errno.EPERM: "the IOMMU cannot remap interrupts"})
            name = bytearray(function.address.encode("ascii") + b"\0")
            self.device = VfioDevice(
                ioctl(group, Request.GROUP_GET_DEVICE_FD, name, f"opening {function.address}"),
                function.address)
            self._opened = opened.pop_all()

    def ranges(self) -> list[tuple[int, int]]:
        """Return the first and last address of each range that can be mapped."""
        # The first answer says how long the whole one is; capabilities hang on one another.
        size = ctypes.sizeof(Type1Info)
        for _ in range(2):
            answer = bytearray(size)
            info = Type1Info.from_buffer(answer)
            info.argsz = size
            ioctl(self._fd, Request.IOMMU_GET_INFO, answer, "asking for the IOMMU's addresses")
            size = info.argsz
        at = info.cap_offset if info.flags & Type1Info.HAS_CAPABILITIES else 0
        while at:
            header = CapabilityHeader.from_buffer(answer, at)
            if header.id == CapabilityHeader.IOVA_RANGE:
                return _ranges(answer, at + ctypes.sizeof(CapabilityHeader))
            at = header.next
        return _ALL_ADDRESSES

    def map(self, memory: int, address: int, size: int) -> None:
        """Let the function reach ``size`` bytes at ``memory`` of this process at ``address``.

        Raises
        ------
        CardError
            If it cannot be mapped.

        """
        ioctl(self._fd, Request.IOMMU_MAP_DMA,
              DmaMap(flags=MapFlag.DMA_READ | MapFlag.DMA_WRITE, vaddr=memory, iova=address,
                     size=size), f"mapping {size} bytes at {address:#x}", MAPPING_HINTS)

    def unmap(self, address: int, size: int) -> None:
        """End that; when this returns, the function cannot reach them any more."""
        request = DmaUnmap(iova=address, size=size)
        ioctl(self._fd, Request.IOMMU_UNMAP_DMA, request, f"unmapping {size} bytes at {address:#x}")
        if request.size != size:
            raise CardError(f"{size} bytes at {address:#x} were to be unmapped, but {request.size} "
                            f"were mapped")

    def close(self) -> None:
        """Give the function back; what is mapped is unmapped."""
        self.device.close()
        self._opened.close()


def _descriptor(opened: contextlib.ExitStack, path: Path) -> int:
    fd = open_node(path)
    opened.callback(os.close, fd)
    return fd


def _ranges(answer: bytearray, at: int) -> list[tuple[int, int]]:
    count = int.from_bytes(answer[at:at + 4], "little")
    found = (IovaRange * count).from_buffer(answer, at + 8)
    return [(entry.start, entry.last) for entry in found]


def _unviable(function: PciFunction) -> str:
    """Say which functions keep the group from being used."""
    others = [f"{other.address} ({other.driver})" for other in function.companions
              if other.driver not in (None, DRIVER)]
    return (f"the IOMMU cannot tell {function.address} from {', '.join(others) or 'others'}, which "
            f"the kernel drives; bind these to {DRIVER} too or move the card to another slot")
