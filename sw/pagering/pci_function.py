"""A PCI function as the kernel shows it in ``/sys``: what it is, who drives it, what it shares.

The root of the file system is a parameter, so that tests can make up a machine.
"""

from __future__ import annotations

import re
from pathlib import Path

from pagering import abi
from pagering.errors import CardError

__all__ = ["PciFunction"]

_ADDRESS = re.compile(r"[0-9a-f]{4,}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]")


class PciFunction:
    """One function.

    Parameters
    ----------
    address
        Domain, bus, device and function: ``0000:01:00.0``.
    root
        The root of the file system.

    Attributes
    ----------
    address, root
        As given.
    folder
        Its folder in ``/sys``.

    Raises
    ------
    CardError
        If this is no address, or there is no such function.

    """

    def __init__(self, address: str, root: Path = Path("/")) -> None:
        if not _ADDRESS.fullmatch(address):
            raise CardError(f"'{address}' is not the address of a PCI function, such as "
                            f"0000:01:00.0")
        self.address = address
        self.root = root
        self.folder = root / "sys/bus/pci/devices" / address
        if not self.folder.exists():
            raise CardError(f"there is no PCI function {address}; lspci -D lists those there are")

    @property
    def identity(self) -> tuple[int, int]:
        """Vendor and device."""
        return self._number("vendor"), self._number("device")

    def require_card(self) -> None:
        """Check that it is a Pagering card.

        Raises
        ------
        CardError
            If it is something else.

        """
        vendor, device = self.identity
        if (vendor, device) != (abi.PCI_VENDOR, abi.PCI_DEVICE):
            raise CardError(f"{self.address} is {vendor:04x}:{device:04x}, not a Pagering "
                            f"card, {abi.PCI_VENDOR:04x}:{abi.PCI_DEVICE:04x}; look for it with "
                            f"lspci -nn")

    @property
    def driver(self) -> str | None:
        """The name of the driver that it is bound to."""
        return self._target("driver")

    @property
    def group(self) -> str | None:
        """The number of its IOMMU group: what the IOMMU cannot tell apart."""
        return self._target("iommu_group")

    def require_iommu(self) -> str:
        """Check that it is behind an IOMMU; return its group.

        Raises
        ------
        CardError
            If it is not.

        """
        group = self.group
        if group is None:
            raise CardError(f"there is no IOMMU before {self.address}; turn it on in the firmware "
                            f"(VT-d, AMD-Vi) and start Linux with intel_iommu=on if it is Intel's")
        return group

    @property
    def companions(self) -> list[PciFunction]:
        """The other functions of its group."""
        devices = self.folder / "iommu_group/devices"
        return [PciFunction(place.name, self.root) for place in sorted(devices.iterdir())
                if place.name != self.address]

    @property
    def character_device(self) -> Path | None:
        """Its own device file, where the kernel has such for VFIO."""
        places = sorted((self.folder / "vfio-dev").glob("vfio*"))
        return self.root / "dev/vfio/devices" / places[0].name if places else None

    def _number(self, name: str) -> int:
        return int((self.folder / name).read_text("ascii"), 16)

    def _target(self, name: str) -> str | None:
        link = self.folder / name
        return link.resolve().name if link.is_symlink() else None
