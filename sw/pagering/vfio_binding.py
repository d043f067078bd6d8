"""Gives a PCI function to ``vfio-pci``, so that a process can drive it, and gives it back.

What drove it before is kept in ``/run``, which a restart of the machine clears, as it does the
binding itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from pagering.errors import CardError
from pagering.pci_function import PciFunction
from pagering.vfio_node import open_node

__all__ = ["DRIVER", "VfioBinding"]

DRIVER = "vfio-pci"
_NO_OVERRIDE = "(null)"


@dataclass(frozen=True)
class _Former:
    """How a function was driven before."""

    driver: str | None
    override: str


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="ascii")


def _load(name: str) -> None:
    """Load a module; whether that went well shows in ``/sys``."""
    with contextlib.suppress(OSError):
        subprocess.run(["modprobe", name], check=False, capture_output=True)


class VfioBinding:
    """What binds one function.

    Parameters
    ----------
    function
        The function.
    write
        Writes a text to a file of ``/sys``.
    load
        Loads a kernel module.

    """

    def __init__(self, function: PciFunction, write: Callable[[Path, str], None] = _write,
                 load: Callable[[str], None] = _load) -> None:
        self._function = function
        self._write = write
        self._load = load
        self._drivers = function.root / "sys/bus/pci/drivers"
        self._kept = function.root / "run/pagering/bound" / function.address

    def bind(self) -> str:
        """Bind the function to ``vfio-pci``, and return that name.

        If it is bound to it already, nothing happens.

        Raises
        ------
        CardError
            If there is no IOMMU, the kernel has no such driver or refuses, or this process may
            not.

        """
        function, before = self._function, self._function.driver
        if before == DRIVER:
            return DRIVER
        function.require_iommu()
        if not (self._drivers / DRIVER).exists():
            self._load(DRIVER)
        if not (self._drivers / DRIVER).exists():
            raise CardError(f"this kernel has no driver {DRIVER}; as root, modprobe {DRIVER} says "
                            f"why")
        override = (function.folder / "driver_override").read_text("ascii").strip()
        former = _Former(before, "" if override == _NO_OVERRIDE else override)
        with self._explained(f"binding {function.address} to {DRIVER}"):
            self._kept.parent.mkdir(parents=True, exist_ok=True)
            self._kept.write_text(json.dumps(asdict(former)), encoding="ascii")
            self._drive_by(DRIVER, DRIVER)
        return DRIVER

    def undo(self) -> str | None:
        """Give the function back to the driver that it had; return that one's name.

        Raises
        ------
        CardError
            If it was not bound by :meth:`bind`, the former driver is gone or does not take it, or
            this process may not.

        """
        address = self._function.address
        with self._explained(f"giving {address} back"):
            try:
                former = _Former(**json.loads(self._kept.read_text("ascii")))
            except FileNotFoundError:
                raise CardError(f"{address} was not bound by pagering bind, so there is nothing "
                                f"to undo") from None
            self._require_idle()
            if former.driver is not None and not (self._drivers / former.driver).exists():
                raise CardError(f"the driver {former.driver} that {address} had is not there any "
                                f"more; load it with modprobe {former.driver}")
            self._drive_by(former.driver, former.override)
            self._kept.unlink()
        return former.driver

    def _require_idle(self) -> None:
        """Check that no process drives the function: to unbind it would wait for that one's end."""
        group = self._function.group
        if self._function.driver == DRIVER and group is not None:
            node = self._function.root / "dev/vfio" / group
            if node.exists():
                os.close(open_node(node))

    def _drive_by(self, driver: str | None, override: str) -> None:
        """Let the override have this text, and the driver be this one."""
        function = self._function
        self._write(function.folder / "driver_override", f"{override}\n")
        if function.driver is not None:
            self._write(function.folder / "driver/unbind", function.address)
        if driver is not None:
            self._write(self._drivers / driver / "bind", function.address)
        if function.driver != driver:
            raise CardError(f"{function.address} is bound to {function.driver or 'nothing'}, not "
                            f"to {driver or 'nothing'}; dmesg may say why")

    @contextlib.contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except PermissionError as error:
            raise CardError(f"{what} needs the rights of root: {error.filename} cannot be "
                            f"written") from error
        except OSError as error:
            raise CardError(f"{what} failed: {error}; dmesg may say why") from error
