"""The part of a PCI function's configuration space that card and driver touch.

What is here is PCI's own, for the simulated function and for the drivers: the numbers that are this
card's are in :mod:`pagering.abi`.
"""

from __future__ import annotations

from pagering.abi import Field, Layout

__all__ = [
    "BAR0", "CAPABILITIES", "CAPABILITY", "CLASS_REVISION", "COMMAND", "DEVICE_CAPABILITIES",
    "DEVICE_CONTROL", "DEVICE_ID", "EXPRESS", "EXPRESS_FLAGS", "LINK_CAPABILITIES", "LINK_STATUS",
    "MSIX", "MSIX_CONTROL", "MSIX_PBA", "MSIX_TABLE", "PM", "PM_CAPABILITIES", "PM_STATUS",
    "STATUS", "SUBSYSTEM_ID", "ConfigLayout",
]


class ConfigLayout(Layout):
    """Some bytes of configuration space, at ``offset`` or that far into their capability."""

    def __init__(self, name: str, offset: int, *fields: Field) -> None:
        super().__init__(name, "", *fields)
        self.offset = offset


DEVICE_ID = ConfigLayout("DEVICE_ID", 0x00, Field("vendor", 16), Field("device", 16))
COMMAND = ConfigLayout(
    "COMMAND", 0x04, Field("io", 1), Field("memory", 1, "BARs answer"),
    Field("bus_master", 1, "the function may read and write memory, and interrupt"),
    Field("_pad0", 3), Field("parity", 1), Field("_pad1", 1), Field("serr", 1), Field("_pad2", 1),
    Field("no_intx", 1), Field("_pad3", 5))
STATUS = ConfigLayout("STATUS", 0x06, Field("_pad0", 4), Field("capabilities", 1),
                      Field("_pad1", 11))
CLASS_REVISION = ConfigLayout("CLASS_REVISION", 0x08, Field("revision", 8), Field("class_code", 24))
BAR0 = ConfigLayout("BAR0", 0x10, Field("io", 1), Field("kind", 2, "2: 64 bits"),
                    Field("prefetchable", 1), Field("address", 28))
"""The first of six, four bytes each."""
SUBSYSTEM_ID = ConfigLayout("SUBSYSTEM_ID", 0x2C, Field("vendor", 16), Field("device", 16))
CAPABILITIES = ConfigLayout("CAPABILITIES", 0x34, Field("first", 8))

CAPABILITY = ConfigLayout("CAPABILITY", 0x0, Field("identity", 8), Field("next", 8))
"""What each capability begins with."""

PM = 0x01
PM_CAPABILITIES = ConfigLayout("PM_CAPABILITIES", 0x2, Field("version", 3), Field("_pad", 13))
PM_STATUS = ConfigLayout("PM_STATUS", 0x4, Field("state", 2, "0: D0, 3: D3hot"), Field("_pad0", 1),
                         Field("no_soft_reset", 1, "D3hot forgets nothing"), Field("_pad1", 12))

MSIX = 0x11
MSIX_CONTROL = ConfigLayout("MSIX_CONTROL", 0x2, Field("last", 11, "vectors, less one"),
                            Field("_pad", 3), Field("mask", 1, "no vector interrupts"),
                            Field("enable", 1))
MSIX_TABLE = ConfigLayout("MSIX_TABLE", 0x4, Field("bar", 3), Field("offset", 29, "divided by 8"))
MSIX_PBA = ConfigLayout("MSIX_PBA", 0x8, Field("bar", 3), Field("offset", 29, "divided by 8"))

EXPRESS = 0x10
EXPRESS_FLAGS = ConfigLayout("EXPRESS_FLAGS", 0x2, Field("version", 4), Field("kind", 4),
                             Field("_pad", 8))
DEVICE_CAPABILITIES = ConfigLayout(
    "DEVICE_CAPABILITIES", 0x4, Field("payload", 3, "largest: 128 bytes times two to this"),
    Field("_pad0", 2), Field("extended_tag", 1), Field("_pad1", 9), Field("role_based", 1),
    Field("_pad2", 12), Field("function_reset", 1), Field("_pad3", 3))
DEVICE_CONTROL = ConfigLayout("DEVICE_CONTROL", 0x8, Field("kept", 15),
                              Field("function_reset", 1, "written 1: reset; reads 0"))
LINK_CAPABILITIES = ConfigLayout("LINK_CAPABILITIES", 0xC, Field("speed", 4, "3: 8 GT/s"),
                                 Field("width", 6), Field("_pad", 22))
LINK_STATUS = ConfigLayout("LINK_STATUS", 0x12, Field("speed", 4), Field("width", 6),
                           Field("_pad", 6))
