"""A run: what is needed is got, a card is served, the guest boots, and its report is read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from pagering.capture import write_frames
from qemu_guest import GuestError

from . import image, machine
from .archive import unpack
from .inside.frames import numbered

__all__ = ["Report", "run"]

_ROOT = Path(__file__).resolve().parents[2]
_CARD = (sys.executable, "-m", "pagering.cli", "card")
_CONFIG = "region_pages=512"
"""Regions of 2 MiB: a huge page each."""
_FRAMES = 10_000
_RATE = 100
"""Frames in a second: so few that a queue is empty now and then, and the driver sleeps."""
_SERVED_S, _GUEST_S = 300.0, 300.0
_ENDED_S = 10.0


@dataclass(frozen=True)
class Report:
    """What the guest said of one check."""

    check: str
    good: bool
    text: str
    seconds: float


def _cache() -> Path:
    """Where what was got is kept."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("PAGERING_GUEST_CACHE") or Path(home, "pagering", "guest"))


def run(folder: Path) -> tuple[dict[str, Report], str]:
    """Boot a guest with a simulated card, and return what it reports and how it was run.

    Parameters
    ----------
    folder
        An empty one, with a short path: sockets are made in it.

    Raises
    ------
    ArchiveError
        If this machine cannot have such a guest.
    GuestError
        If it has one, and that does not end as it should.

    """
    packages = unpack(_cache(), {"host": machine.PACKAGES, "guest": image.PACKAGES})
    kernel = image.kernel_of(packages["guest"])
    files = folder / "initramfs"
    files.write_bytes(image.make_image(packages["guest"], _ROOT / "sw/pagering",
                                       Path(__file__).parent / "inside", {}))
    accelerator = _accelerator(folder, packages["host"], kernel)
    guest = machine.Machine(packages["host"], kernel, files, accelerator)
    capture, socket = folder / "frames.pcap", folder / "card"
    write_frames(capture, [numbered(number) for number in range(_FRAMES)])
    with (folder / "card.log").open("w") as log:
        card = subprocess.Popen(
            [*_CARD, "--socket", str(socket), "--config", _CONFIG, "--pcap", str(capture),
             "--rate", str(_RATE)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            _wait_for(socket, card, folder / "card.log")
            start = time.monotonic()
            guest.run([socket], folder / "console", folder / "results", _GUEST_S)
            seconds = time.monotonic() - start
            if card.poll() is not None:
                raise GuestError(f"the card ended: {(folder / 'card.log').read_text()}")
        finally:
            card.terminate()
            card.wait(_ENDED_S)
    return _reports(folder), f"{kernel.parent.name}, {accelerator}, {seconds:.0f} s"


def _accelerator(folder: Path, host: Path, kernel: Path) -> str:
    """KVM where a guest really boots with it, else emulation: a file alone says little."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    probe = folder / "probe"
    probe.write_bytes(image.make_probe(kernel.parents[4]))
    return "kvm" if machine.Machine(host, kernel, probe, "kvm").boots(folder) else "tcg"


def _wait_for(socket: Path, card: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the card is served: it may have to be compiled first."""
    end = time.monotonic() + _SERVED_S
    while not socket.exists():
        if card.poll() is not None or time.monotonic() > end:
            raise GuestError(f"the card is not served: {log.read_text()}")
        time.sleep(0.1)


def _reports(folder: Path) -> dict[str, Report]:
    lines = (folder / "results").read_text("utf-8", "replace").splitlines()
    found = [Report(**json.loads(line)) for line in lines if line.startswith("{")]
    if not found:
        raise GuestError(f"the guest reported nothing; its console ends with "
                         f"{(folder / 'console').read_text('utf-8', 'replace')[-2000:]}")
    return {report.check: report for report in found}
