"""The newer way to a function: its own device file, and an address space of ``/dev/iommu``."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os

from pagering.errors import CardError
from pagering.pci_function import PciFunction
from pagering.vfio_device import VfioDevice
from pagering.vfio_ioctl import (
    AttachPageTable,
    BindIommufd,
    IoasAlloc,
    IoasIovaRanges,
    IoasMap,
    IoasUnmap,
    IovaRange,
    MapFlag,
    Request,
    ioctl,
)
from pagering.vfio_node import MAPPING_HINTS, open_node

__all__ = ["Iommufd"]

_MOST_RANGES = 64


class Iommufd:
    """An address space with one function in it.

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
        node, iommu = function.character_device, function.root / "dev/iommu"
        if node is None or not iommu.exists():
            raise CardError(f"this kernel has no device files for VFIO (CONFIG_IOMMUFD and "
                            f"CONFIG_VFIO_DEVICE_CDEV); use vfio:{function.address}")
        with contextlib.ExitStack() as opened:
            self._fd = open_node(iommu)
            opened.callback(os.close, self._fd)
            fd = open_node(node)
            opened.callback(os.close, fd)
            ioctl(fd, Request.DEVICE_BIND_IOMMUFD, BindIommufd(iommufd=self._fd),
                  f"opening {function.address}",
                  {errno.EINVAL: "its group is in use, or shared with what the kernel drives",
                   errno.EPERM: "its group is shared, or the IOMMU cannot remap interrupts"})
            space = IoasAlloc()
            ioctl(self._fd, Request.IOAS_ALLOC, space, "making an address space")
            self._space = int(space.out_ioas_id)
            ioctl(fd, Request.DEVICE_ATTACH_IOMMUFD_PT, AttachPageTable(pt_id=self._space),
                  f"giving {function.address} an address space")
            self.device = VfioDevice(os.dup(fd), function.address)
            self._opened = opened.pop_all()

    def ranges(self) -> list[tuple[int, int]]:
        """Return the first and last address of each range that can be mapped."""
        found = (IovaRange * _MOST_RANGES)()
        request = IoasIovaRanges(ioas_id=self._space, num_iovas=_MOST_RANGES,
                                 allowed_iovas=ctypes.addressof(found))
        ioctl(self._fd, Request.IOAS_IOVA_RANGES, request, "asking for the IOMMU's addresses")
        return [(entry.start, entry.last) for entry in found[:request.num_iovas]]

    def map(self, memory: int, address: int, size: int) -> None:
        """Let the function reach ``size`` bytes at ``memory`` of this process at ``address``.

        Raises
        ------
        CardError
            If it cannot be mapped.

        """
        ioctl(self._fd, Request.IOAS_MAP, IoasMap(
            flags=MapFlag.IOAS_FIXED_IOVA | MapFlag.IOAS_WRITEABLE | MapFlag.IOAS_READABLE,
            ioas_id=self._space, user_va=memory, length=size, iova=address),
            f"mapping {size} bytes at {address:#x}", MAPPING_HINTS)

    def unmap(self, address: int, size: int) -> None:
        """End that; when this returns, the function cannot reach them any more."""
        ioctl(self._fd, Request.IOAS_UNMAP,
              IoasUnmap(ioas_id=self._space, iova=address, length=size),
              f"unmapping {size} bytes at {address:#x}")

    def close(self) -> None:
        """Give the function back; what is mapped is unmapped."""
        self.device.close()
        self._opened.close()
