"""The machine that the guest runs on: stock QEMU, an IOMMU of Intel's kind, our card in a slot."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from qemu_guest import GuestError, run_guest

from .archive import loaded

__all__ = ["PACKAGES", "Machine"]

PACKAGES = ("qemu-system-x86",)

_MEMORY = "768M"
_REPLY_MS = 600_000
"""A card that is simulated may take long to answer, and QEMU does not survive an answer that comes
after it has given up waiting."""


@dataclass(frozen=True)
class Machine:
    """QEMU and a kernel.

    Parameters
    ----------
    root
        Where :data:`PACKAGES` and all that they depend on are unpacked.
    kernel, image
        What is started.
    accelerator
        ``kvm`` or ``tcg``.

    """

    root: Path
    kernel: Path
    image: Path
    accelerator: str

    def run(self, sockets: Sequence[Path], console: Path, results: Path, timeout: float) -> None:
        """Start it with a card behind each of these sockets, and wait until it turns itself off.

        Parameters
        ----------
        console, results
            Files for what it writes to its two serial ports.

        Raises
        ------
        GuestError
            If it does not.

        """
        run_guest(self.command(sockets, console, results), console, timeout, self._environment())

    def boots(self, folder: Path, timeout: float = 15) -> bool:
        """Return whether a guest without a card gets as far as running its first program."""
        console = folder / "console"
        try:
            self.run((), console, folder / "results", timeout)
        except GuestError:
            return False
        return (folder / "results").stat().st_size > 0

    def _environment(self) -> Mapping[str, str]:
        libraries = self.root / "usr/lib/x86_64-linux-gnu"
        return {**os.environ, "QEMU_MODULE_DIR": str(libraries / "qemu")}

    def command(self, sockets: Sequence[Path], console: Path, results: Path) -> list[str]:
        """Return what :meth:`run` runs."""
        start = [*loaded(self.root), str(self.root / "usr/bin/qemu-system-x86_64"),
                 "-L", str(self.root / "usr/share/qemu"),
                 "-L", str(self.root / "usr/share/seabios")]
        cpu = "host" if self.accelerator == "kvm" else "max"
        return [*start, "-accel", self.accelerator, "-cpu", cpu, "-smp", "1", "-m", _MEMORY,
                "-object", f"memory-backend-memfd,id=ram,size={_MEMORY},share=on",
                "-machine", "q35,memory-backend=ram,kernel-irqchip=split",
                # The IOMMU comes first: what comes behind it is put behind it.
                "-device", "intel-iommu,intremap=on,caching-mode=on",
                *_cards(sockets), "-nodefaults", "-display", "none", "-no-reboot",
                "-serial", f"file:{console}", "-serial", f"file:{results}",
                "-kernel", str(self.kernel), "-initrd", str(self.image),
                "-append", "console=ttyS0 quiet panic=-1 oops=panic intel_iommu=on"]


def _cards(sockets: Sequence[Path]) -> list[str]:
    words = []
    for number, socket in enumerate(sockets):
        card = {"driver": "vfio-user-pci", "bus": f"slot{number}", "x-msg-timeout": _REPLY_MS,
                "socket": {"type": "unix", "path": str(socket)}}
        words += ["-device", f"pcie-root-port,id=slot{number},chassis={number}",
                  "-device", json.dumps(card)]
    return words
