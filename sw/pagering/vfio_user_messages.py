"""The messages of vfio-user, once for both sides: commands, flags, and how bodies begin.

vfio-user is VFIO's system calls as messages over a UNIX socket, so that a process can be a PCI
function for another one. Numbers are as the machine has them; descriptors go along as ancillary
data. What is here is all that a card and its driver need of it.
"""

from __future__ import annotations

import ctypes
import enum

__all__ = [
    "BODY_BYTES_MAX", "CONFIG_BYTES", "DATA_BYTES_MAX", "DESCRIPTORS_MAX", "IRQS", "MAJOR",
    "MINOR", "REGIONS", "REPLY_TYPE", "Command", "DeviceFlag", "DeviceInfo", "DmaFlag", "DmaMap",
    "DmaUnmap", "Header", "Irq", "IrqFlag", "IrqInfo", "IrqSet", "IrqSetFlag", "MessageFlag",
    "Region", "RegionAccess", "RegionFlag", "RegionInfo", "UnmapFlag", "Version", "WriteCount",
    "WriteEntry",
]

MAJOR, MINOR = 0, 0
"""Version of the protocol."""
DATA_BYTES_MAX = 1 << 20
"""Most bytes of a region's, or of memory, in one message."""
BODY_BYTES_MAX = DATA_BYTES_MAX + 4096
"""Most bytes behind a header."""
DESCRIPTORS_MAX = 16
"""Most descriptors that go along with one message."""
REGIONS = 9
"""How many there are; VGA's is the last and the only one that :class:`Region` does not name."""
CONFIG_BYTES = 4096
"""Bytes of a PCI Express function's configuration space."""


class Command(enum.IntEnum):
    """What a message asks for."""

    VERSION = 1
    DMA_MAP = 2
    DMA_UNMAP = 3
    GET_INFO = 4
    GET_REGION_INFO = 5
    GET_IRQ_INFO = 7
    SET_IRQS = 8
    REGION_READ = 9
    REGION_WRITE = 10
    DMA_READ = 11
    DMA_WRITE = 12
    DEVICE_RESET = 13
    REGION_WRITE_MULTI = 15


class MessageFlag(enum.IntFlag):
    """Flags of a header. The lowest four bits are the type: 0 asks, 1 answers."""

    REPLY = 0x1
    NO_REPLY = 0x10
    """Nobody waits for an answer: a posted write."""
    ERROR = 0x20


REPLY_TYPE = 0xF


class Region(enum.IntEnum):
    """What can be read and written of a function."""

    BAR0 = 0
    BAR1 = 1
    BAR2 = 2
    BAR3 = 3
    BAR4 = 4
    BAR5 = 5
    ROM = 6
    CONFIG = 7


class Irq(enum.IntEnum):
    """Kinds of interrupts."""

    INTX = 0
    MSI = 1
    MSIX = 2
    ERROR = 3
    REQUEST = 4


IRQS = len(Irq)


class DeviceFlag(enum.IntFlag):
    """Of DeviceInfo."""

    RESET = 1
    """It can be reset."""
    PCI = 2


class RegionFlag(enum.IntFlag):
    """Of RegionInfo."""

    READ = 1
    WRITE = 2


class IrqFlag(enum.IntFlag):
    """Of IrqInfo."""

    EVENTFD = 1


class IrqSetFlag(enum.IntFlag):
    """Of IrqSet: one kind of data, and one thing to do."""

    NO_DATA = 0x01
    BOOLS = 0x02
    EVENTFDS = 0x04
    MASK = 0x08
    UNMASK = 0x10
    TRIGGER = 0x20


class DmaFlag(enum.IntFlag):
    """Of DmaMap: what the device may do there."""

    READ = 1
    WRITE = 2


class UnmapFlag(enum.IntFlag):
    """Of DmaUnmap."""

    ALL = 2


class Header(ctypes.Structure):
    """Comes before every body."""

    _fields_ = (("id", ctypes.c_uint16), ("command", ctypes.c_uint16), ("size", ctypes.c_uint32),
                ("flags", ctypes.c_uint32), ("error", ctypes.c_uint32))

    id: int
    """The answer repeats it."""
    command: int
    size: int
    """Bytes of header and body."""
    flags: int
    error: int
    """An errno, with MessageFlag.ERROR."""


class Version(ctypes.Structure):
    """VERSION, both ways; behind it a string of JSON and a zero."""

    _fields_ = (("major", ctypes.c_uint16), ("minor", ctypes.c_uint16))

    major: int
    minor: int


class DmaMap(ctypes.Structure):
    """DMA_MAP: memory of a descriptor that goes along, for the device to reach."""

    _fields_ = (("argsz", ctypes.c_uint32), ("flags", ctypes.c_uint32),
                ("offset", ctypes.c_uint64), ("address", ctypes.c_uint64),
                ("size", ctypes.c_uint64))

    argsz: int
    flags: int
    offset: int
    """Of the first byte in what the descriptor is of."""
    address: int
    """Under which the device reaches it."""
    size: int


class DmaUnmap(ctypes.Structure):
    """DMA_UNMAP, both ways; the answer's size is what was unmapped."""

    _fields_ = (("argsz", ctypes.c_uint32), ("flags", ctypes.c_uint32),
                ("address", ctypes.c_uint64), ("size", ctypes.c_uint64))

    argsz: int
    flags: int
    address: int
    size: int


class DeviceInfo(ctypes.Structure):
    """GET_INFO, both ways."""

    _fields_ = (("argsz", ctypes.c_uint32), ("flags", ctypes.c_uint32),
                ("regions", ctypes.c_uint32), ("irqs", ctypes.c_uint32))

    argsz: int
    flags: int
    regions: int
    irqs: int


class RegionInfo(ctypes.Structure):
    """GET_REGION_INFO, both ways."""

    _fields_ = (("argsz", ctypes.c_uint32), ("flags", ctypes.c_uint32),
                ("index", ctypes.c_uint32), ("capabilities", ctypes.c_uint32),
                ("size", ctypes.c_uint64), ("offset", ctypes.c_uint64))

    argsz: int
    flags: int
    index: int
    capabilities: int
    size: int
    offset: int


class IrqInfo(ctypes.Structure):
    """GET_IRQ_INFO, both ways."""

    _fields_ = (("argsz", ctypes.c_uint32), ("flags", ctypes.c_uint32),
                ("index", ctypes.c_uint32), ("count", ctypes.c_uint32))

    argsz: int
    flags: int
    index: int
    count: int


class IrqSet(ctypes.Structure):
    """SET_IRQS: what happens with some interrupts of a kind; eventfds go along."""

    _fields_ = (("argsz", ctypes.c_uint32), ("flags", ctypes.c_uint32),
                ("index", ctypes.c_uint32), ("start", ctypes.c_uint32),
                ("count", ctypes.c_uint32))

    argsz: int
    flags: int
    index: int
    start: int
    count: int


class RegionAccess(ctypes.Structure):
    """REGION_READ and REGION_WRITE, both ways; the bytes are behind it."""

    _fields_ = (("offset", ctypes.c_uint64), ("region", ctypes.c_uint32),
                ("count", ctypes.c_uint32))

    offset: int
    region: int
    count: int


class WriteCount(ctypes.Structure):
    """REGION_WRITE_MULTI, both ways; that many of :class:`WriteEntry` are behind it."""

    _fields_ = (("count", ctypes.c_uint64),)

    count: int


class WriteEntry(ctypes.Structure):
    """One write of REGION_WRITE_MULTI."""

    _fields_ = (("offset", ctypes.c_uint64), ("region", ctypes.c_uint32),
                ("count", ctypes.c_uint32), ("data", ctypes.c_uint8 * 8))

    offset: int
    region: int
    count: int
    data: ctypes.Array[ctypes.c_uint8]
