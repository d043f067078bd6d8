"""The kernel's VFIO as a judge: our driver in a Linux guest, with the card's RTL in its slot.

A run of all this takes minutes, and on a new machine a download, so only ``make guest-test`` makes
it. It needs no rights, no hardware and no particular distribution but one with apt and a mirror of
Debian's.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

import pytest

from guest.archive import ArchiveError
from guest.inside.checks import CHECKS
from guest.session import Report, run
from pagering import abi

pytestmark = pytest.mark.guest


@pytest.fixture(scope="session")
def reports() -> dict[str, Report]:
    """What the guest reports, of one run."""
    if os.environ.get("PAGERING_GUEST") != "1":
        pytest.skip("a guest is booted by make guest-test alone")
    with tempfile.TemporaryDirectory(prefix="guest") as folder:  # a socket's path must be short
        try:
            found, _ = run(Path(folder))
        except ArchiveError as error:
            pytest.skip(f"no guest can be had here: {error}")
    return found


@pytest.mark.parametrize("check", CHECKS)
def test_the_guest_says(check: str, reports: dict[str, Report]) -> None:
    assert check in reports, f"the guest ended in the check before: {list(reports)}"
    report = reports[check]
    assert report.good, report.text


def test_linux_sees_what_the_contract_says(reports: dict[str, Report]) -> None:
    """Its lspci is the judge of the configuration space."""
    text = reports["lspci"].text
    for wanted in (
            rf"^\S+ Ethernet controller \[0200\]: .*\[{abi.PCI_VENDOR:04x}:{abi.PCI_DEVICE:04x}\] "
            rf"\(rev {abi.PCI_REVISION:02x}\)",
            r"Region 0: Memory at \w+ \(64-bit, non-prefetchable\) \[size=1M\]",
            r"Capabilities: \[\w+\] Power Management version 3",
            r"Capabilities: \[\w+\] MSI-X: Enable- Count=5 Masked-",
            rf"Vector table: BAR={abi.MSIX_BAR} offset={abi.MSIX_TABLE:08x}",
            rf"PBA: BAR={abi.MSIX_BAR} offset={abi.MSIX_PBA:08x}",
            r"Capabilities: \[\w+\] Express \(v2\) Endpoint", r"FLReset\+", r"IOMMU group: \d+"):
        assert re.search(wanted, text, re.MULTILINE), f"{wanted} is not in\n{text}"
