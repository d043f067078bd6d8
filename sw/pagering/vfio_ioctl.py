"""The kernel's VFIO and IOMMUFD requests: numbers and structures, and how one is made.

They are ABI: these of ``<linux/vfio.h>`` and ``<linux/iommufd.h>`` that a driver of one PCI
function needs. A test compiles the installed headers and compares every number and offset.
"""

from __future__ import annotations

import ctypes
import enum
import fcntl
import os
from collections.abc import Mapping
from types import MappingProxyType

from pagering.errors import CardError

__all__ = [
    "PCI_CONFIG_REGION", "PCI_MSIX_IRQ", "TYPE1V2_IOMMU", "AttachPageTable", "BindIommufd",
    "CapabilityHeader", "DmaMap", "DmaUnmap", "GroupStatus", "IoasAlloc", "IoasIovaRanges",
    "IoasMap", "IoasUnmap", "IovaRange", "IrqFlag", "IrqInfo", "IrqSet", "MapFlag", "RegionFlag",
    "RegionInfo", "Request", "Structure", "Type1Info", "ioctl",
]

PCI_CONFIG_REGION = 7
PCI_MSIX_IRQ = 2
TYPE1V2_IOMMU = 3


class Request(enum.IntEnum):
    """Numbers of requests: ``_IO(';', n)``."""

    GET_API_VERSION = 0x3B64
    CHECK_EXTENSION = 0x3B65
    SET_IOMMU = 0x3B66
    GROUP_GET_STATUS = 0x3B67
    GROUP_SET_CONTAINER = 0x3B68
    GROUP_GET_DEVICE_FD = 0x3B6A
    DEVICE_GET_REGION_INFO = 0x3B6C
    DEVICE_GET_IRQ_INFO = 0x3B6D
    DEVICE_SET_IRQS = 0x3B6E
    DEVICE_RESET = 0x3B6F
    IOMMU_GET_INFO = 0x3B70
    IOMMU_MAP_DMA = 0x3B71
    IOMMU_UNMAP_DMA = 0x3B72
    DEVICE_BIND_IOMMUFD = 0x3B76
    DEVICE_ATTACH_IOMMUFD_PT = 0x3B77
    IOAS_ALLOC = 0x3B81
    IOAS_IOVA_RANGES = 0x3B84
    IOAS_MAP = 0x3B85
    IOAS_UNMAP = 0x3B86


class RegionFlag(enum.IntFlag):
    """What can be done with a region of the device."""

    READ = 1
    WRITE = 2
    MMAP = 4
    CAPABILITIES = 8


class IrqFlag(enum.IntFlag):
    """What a request about interrupts says."""

    DATA_NONE = 1
    DATA_EVENTFD = 4
    ACTION_TRIGGER = 32


class MapFlag(enum.IntFlag):
    """How memory is mapped: ``VFIO_DMA_MAP_FLAG`` and ``IOMMU_IOAS_MAP`` number differently."""

    DMA_READ = 1
    DMA_WRITE = 2
    IOAS_FIXED_IOVA = 1
    IOAS_WRITEABLE = 2
    IOAS_READABLE = 4


_U32, _S32, _U64 = ctypes.c_uint32, ctypes.c_int32, ctypes.c_uint64


class Structure(ctypes.Structure):
    """An argument, whose first field says how long it is."""

    def __init__(self, **values: int) -> None:
        super().__init__(**values)
        setattr(self, self._fields_[0][0], ctypes.sizeof(self))


class GroupStatus(Structure):
    """``struct vfio_group_status``."""

    VIABLE = 1
    _fields_ = [("argsz", _U32), ("flags", _U32)]


class RegionInfo(Structure):
    """``struct vfio_region_info``."""

    _fields_ = [("argsz", _U32), ("flags", _U32), ("index", _U32), ("cap_offset", _U32),
                ("size", _U64), ("offset", _U64)]


class IrqInfo(Structure):
    """``struct vfio_irq_info``."""

    _fields_ = [("argsz", _U32), ("flags", _U32), ("index", _U32), ("count", _U32)]


class IrqSet(Structure):
    """``struct vfio_irq_set``, without the descriptors behind it."""

    _fields_ = [("argsz", _U32), ("flags", _U32), ("index", _U32), ("start", _U32),
                ("count", _U32)]


class Type1Info(Structure):
    """``struct vfio_iommu_type1_info``."""

    HAS_CAPABILITIES = 2
    _fields_ = [("argsz", _U32), ("flags", _U32), ("iova_pgsizes", _U64), ("cap_offset", _U32)]


class CapabilityHeader(ctypes.Structure):
    """``struct vfio_info_cap_header``."""

    IOVA_RANGE = 1
    _fields_ = [("id", ctypes.c_uint16), ("version", ctypes.c_uint16), ("next", _U32)]


class IovaRange(ctypes.Structure):
    """``struct vfio_iova_range`` and ``struct iommu_iova_range``: first and last address."""

    _fields_ = [("start", _U64), ("last", _U64)]


class DmaMap(Structure):
    """``struct vfio_iommu_type1_dma_map``."""

    _fields_ = [("argsz", _U32), ("flags", _U32), ("vaddr", _U64), ("iova", _U64), ("size", _U64)]


class DmaUnmap(Structure):
    """``struct vfio_iommu_type1_dma_unmap``."""

    _fields_ = [("argsz", _U32), ("flags", _U32), ("iova", _U64), ("size", _U64)]


class BindIommufd(Structure):
    """``struct vfio_device_bind_iommufd`` as all kernels know it: without the later token."""

    _fields_ = [("argsz", _U32), ("flags", _U32), ("iommufd", _S32), ("out_devid", _U32)]


class AttachPageTable(Structure):
    """``struct vfio_device_attach_iommufd_pt`` as all kernels know it: without the PASID."""

    _fields_ = [("argsz", _U32), ("flags", _U32), ("pt_id", _U32)]


class IoasAlloc(Structure):
    """``struct iommu_ioas_alloc``."""

    _fields_ = [("size", _U32), ("flags", _U32), ("out_ioas_id", _U32)]


class IoasIovaRanges(Structure):
    """``struct iommu_ioas_iova_ranges``."""

    _fields_ = [("size", _U32), ("ioas_id", _U32), ("num_iovas", _U32), ("reserved", _U32),
                ("allowed_iovas", _U64), ("out_iova_alignment", _U64)]


class IoasMap(Structure):
    """``struct iommu_ioas_map``."""

    _fields_ = [("size", _U32), ("flags", _U32), ("ioas_id", _U32), ("reserved", _U32),
                ("user_va", _U64), ("length", _U64), ("iova", _U64)]


class IoasUnmap(Structure):
    """``struct iommu_ioas_unmap``."""

    _fields_ = [("size", _U32), ("ioas_id", _U32), ("iova", _U64), ("length", _U64)]


def ioctl(fd: int, request: Request, argument: Structure | bytearray | int, what: str,
          hints: Mapping[int, str] = MappingProxyType({})) -> int:
    """Make a request and return its answer; what it points to is filled in.

    Parameters
    ----------
    what
        What it is for, as the start of a sentence: "mapping 4096 bytes".
    hints
        By error number, what the cause may be and what to do.

    Raises
    ------
    CardError
        If the kernel refuses.

    """
    try:
        answer: int = fcntl.ioctl(fd, request, argument)
    except OSError as error:
        number = error.errno or 0
        hint = hints.get(number)
        raise CardError(f"{what} failed: {os.strerror(number)}"
                        + (f"; {hint}" if hint else "")) from error
    return answer
