"""The configuration space of the virtual card: who it is, and the switches of its bus.

A register is bytes of which some bits can be written. The capabilities are power management with D0
and D3hot, MSI-X, and PCI Express with the function-level reset.
"""

from __future__ import annotations

from pagering import abi
from pagering import pci_config as pci
from pagering.vfio_user_messages import CONFIG_BYTES

__all__ = ["ConfigSpace"]

_PM, _MSIX, _EXPRESS = 0x40, 0x50, 0x60
"""Where the capabilities are, in the order of their list."""
_CACHE_LINE, _INTERRUPT_LINE = 0x0C, 0x3C
"""Bytes that are the host's to keep."""
_D0, _D3HOT = 0, 3
_BITS_64 = 2
_ENDPOINT = 0


class ConfigSpace:
    """4096 bytes.

    Parameters
    ----------
    vectors
        Entries of the MSI-X table.

    """

    def __init__(self, vectors: int) -> None:
        self._initial = bytearray(CONFIG_BYTES)
        self._writable = bytearray(CONFIG_BYTES)
        self._identify()
        self._add_bar(abi.WINDOW_BAR, 1 << abi.WINDOW_ADDRESS_BITS)
        self._add_bar(abi.MSIX_BAR, abi.MSIX_BAR_BYTES)
        self._put(pci.CAPABILITIES, first=_PM)
        self._add_power_management()
        self._add_msix(vectors)
        self._add_express()
        self._bytes = bytearray(self._initial)

    def _put(self, layout: pci.ConfigLayout, at: int = 0, **values: int) -> None:
        offset, size = at + layout.offset, layout.width // 8
        self._initial[offset:offset + size] = layout.pack(**values).to_bytes(size, "little")

    def _allow(self, layout: pci.ConfigLayout, *names: str, at: int = 0) -> None:
        """Let these fields be written."""
        mask = sum(layout[name].mask for name in names)
        offset, size = at + layout.offset, layout.width // 8
        self._writable[offset:offset + size] = mask.to_bytes(size, "little")

    def _identify(self) -> None:
        self._put(pci.DEVICE_ID, vendor=abi.PCI_VENDOR, device=abi.PCI_DEVICE)
        self._put(pci.SUBSYSTEM_ID, vendor=abi.PCI_VENDOR, device=abi.PCI_DEVICE)
        self._put(pci.CLASS_REVISION, revision=abi.PCI_REVISION, class_code=abi.PCI_CLASS)
        self._put(pci.STATUS, capabilities=1)
        self._allow(pci.COMMAND, "memory", "bus_master", "parity", "serr", "no_intx")
        self._writable[_CACHE_LINE] = self._writable[_INTERRUPT_LINE] = 0xFF

    def _add_bar(self, number: int, size: int) -> None:
        """Add a BAR of 64 bits: the address bits below its size read 0."""
        place = pci.BAR0.offset + 4 * number
        self._put(pci.BAR0, at=4 * number, kind=_BITS_64)
        self._writable[place:place + 8] = (-size % (1 << 64)).to_bytes(8, "little")

    def _add_power_management(self) -> None:
        self._put(pci.CAPABILITY, at=_PM, identity=pci.PM, next=_MSIX)
        self._put(pci.PM_CAPABILITIES, at=_PM, version=3)
        self._put(pci.PM_STATUS, at=_PM, no_soft_reset=1)
        self._allow(pci.PM_STATUS, "state", at=_PM)

    def _add_msix(self, vectors: int) -> None:
        self._put(pci.CAPABILITY, at=_MSIX, identity=pci.MSIX, next=_EXPRESS)
        self._put(pci.MSIX_CONTROL, at=_MSIX, last=vectors - 1)
        self._allow(pci.MSIX_CONTROL, "mask", "enable", at=_MSIX)
        for layout, offset in ((pci.MSIX_TABLE, abi.MSIX_TABLE), (pci.MSIX_PBA, abi.MSIX_PBA)):
            self._put(layout, at=_MSIX, bar=abi.MSIX_BAR, offset=offset // 8)

    def _add_express(self) -> None:
        self._put(pci.CAPABILITY, at=_EXPRESS, identity=pci.EXPRESS, next=0)
        self._put(pci.EXPRESS_FLAGS, at=_EXPRESS, version=2, kind=_ENDPOINT)
        self._put(pci.DEVICE_CAPABILITIES, at=_EXPRESS, payload=2, role_based=1,
                  function_reset=1)
        self._allow(pci.DEVICE_CONTROL, "kept", "function_reset", at=_EXPRESS)
        for layout in (pci.LINK_CAPABILITIES, pci.LINK_STATUS):
            self._put(layout, at=_EXPRESS, speed=3, width=8)

    # Accesses, which the function has checked to lie within

    def read(self, offset: int, count: int) -> bytes:
        """Return bytes."""
        return bytes(self._bytes[offset:offset + count])

    def write(self, offset: int, data: bytes) -> bool:
        """Write what can be written; return whether a reset of the function is asked for."""
        state = self._get(pci.PM_STATUS, "state", _PM)
        for at, value in enumerate(data, offset):
            mask = self._writable[at]
            self._bytes[at] = self._bytes[at] & ~mask | value & mask
        if self._get(pci.PM_STATUS, "state", _PM) not in (_D0, _D3HOT):
            self._set(pci.PM_STATUS, "state", state, _PM)  # one that it does not have
        wanted = self._get(pci.DEVICE_CONTROL, "function_reset", _EXPRESS)
        self._set(pci.DEVICE_CONTROL, "function_reset", 0, _EXPRESS)
        return bool(wanted)

    def reset(self) -> None:
        """Be as at power-on."""
        self._bytes[:] = self._initial

    # What the switches say

    @property
    def memory(self) -> bool:
        """Whether BARs answer."""
        return self._awake and bool(self._get(pci.COMMAND, "memory"))

    @property
    def bus_master(self) -> bool:
        """Whether the function may reach memory, and interrupt."""
        return self._awake and bool(self._get(pci.COMMAND, "bus_master"))

    @property
    def _awake(self) -> bool:
        return self._get(pci.PM_STATUS, "state", _PM) == _D0

    def _word(self, layout: pci.ConfigLayout, at: int) -> int:
        place = at + layout.offset
        return int.from_bytes(self._bytes[place:place + layout.width // 8], "little")

    def _get(self, layout: pci.ConfigLayout, name: str, at: int = 0) -> int:
        return layout.unpack(self._word(layout, at))[name]

    def _set(self, layout: pci.ConfigLayout, name: str, value: int, at: int = 0) -> None:
        field, size = layout[name], layout.width // 8
        word = self._word(layout, at) & ~field.mask | value << field.lsb
        self._bytes[at + layout.offset:at + layout.offset + size] = word.to_bytes(size, "little")
