"""A made-up machine: its ``/sys``, ``/dev`` and ``/run`` in a folder, and what its kernel does."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pagering import abi
from pagering.pci_function import PciFunction

__all__ = ["ADDRESS", "MadeUpMachine"]

ADDRESS = "0000:01:00.0"


@dataclass
class MadeUpMachine:
    """A tree with functions and drivers; :meth:`write` acts as the kernel's driver core does."""

    root: Path
    loaded: list[str] = field(default_factory=list)
    loadable: tuple[str, ...] = ("vfio-pci",)
    refuse: str | None = None
    """A driver that takes nothing."""

    def __post_init__(self) -> None:
        self.bus = self.root / "sys/bus/pci"
        (self.bus / "drivers").mkdir(parents=True)
        (self.bus / "devices").mkdir()

    def add_driver(self, name: str) -> None:
        (self.bus / "drivers" / name).mkdir()

    def add_function(self, address: str = ADDRESS, *, driver: str | None = None,
                     group: str | None = "7", vendor: int = abi.PCI_VENDOR,
                     device: int = abi.PCI_DEVICE) -> PciFunction:
        folder = self.bus / "devices" / address
        folder.mkdir()
        (folder / "vendor").write_text(f"{vendor:#06x}\n")
        (folder / "device").write_text(f"{device:#06x}\n")
        (folder / "driver_override").write_text("(null)\n")
        if group is not None:
            members = self.root / "sys/kernel/iommu_groups" / group / "devices"
            members.mkdir(parents=True, exist_ok=True)
            (folder / "iommu_group").symlink_to(members.parent)
            (members / address).symlink_to(folder)
        if driver is not None:
            (folder / "driver").symlink_to(self.bus / "drivers" / driver)
        return PciFunction(address, self.root)

    def write(self, path: Path, text: str) -> None:
        """Do what the kernel does when this is written to that file of ``/sys``."""
        word = text.strip()
        if path.name == "driver_override":
            path.write_text(f"{word or '(null)'}\n")
        elif path.name == "unbind":
            if not path.parent.is_symlink() or path.parent.parent.name != word:
                raise OSError(19, "No such device", str(path))
            path.parent.unlink()
        elif path.name == "bind":
            folder, driver = self.bus / "devices" / word, path.parent.name
            override = (folder / "driver_override").read_text().strip()
            # Without an override this kernel lets a driver have what it had; with one, it alone.
            if override not in ("(null)", driver) or (folder / "driver").exists():
                raise OSError(19, "No such device", str(path))
            if driver != self.refuse:
                (folder / "driver").symlink_to(path.parent)
        else:
            raise PermissionError(13, "Permission denied", str(path))

    def load(self, name: str) -> None:
        """Load a module, if there is such."""
        self.loaded.append(name)
        if name in self.loadable:
            self.add_driver(name)
