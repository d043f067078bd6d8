"""The kernel's structures and numbers as ours: its own headers, compiled, are the judge."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pagering import vfio_ioctl
from pagering.errors import CardError
from pagering.vfio_ioctl import IrqFlag, MapFlag, RegionFlag, Request, Structure, ioctl

HEADERS = Path(os.environ.get("PAGERING_KERNEL_HEADERS", "/usr/include"))
"""Where ``linux/vfio.h`` is looked for."""
VFIO = {
    "GroupStatus": "vfio_group_status", "RegionInfo": "vfio_region_info",
    "IrqInfo": "vfio_irq_info", "IrqSet": "vfio_irq_set", "Type1Info": "vfio_iommu_type1_info",
    "CapabilityHeader": "vfio_info_cap_header", "IovaRange": "vfio_iova_range",
    "DmaMap": "vfio_iommu_type1_dma_map", "DmaUnmap": "vfio_iommu_type1_dma_unmap",
}
NEWER = {
    "BindIommufd": "vfio_device_bind_iommufd", "AttachPageTable": "vfio_device_attach_iommufd_pt",
    "IoasAlloc": "iommu_ioas_alloc", "IoasIovaRanges": "iommu_ioas_iova_ranges",
    "IoasMap": "iommu_ioas_map", "IoasUnmap": "iommu_ioas_unmap",
}
GROWN = {"BindIommufd", "AttachPageTable", "Type1Info"}
"""Later kernels have more fields behind ours, or padding; the size that is passed says so."""
NAMES = {("IovaRange", "last"): "end", ("IoasMap", "reserved"): "__reserved",
         ("IoasIovaRanges", "reserved"): "__reserved"}
"""Fields that the header calls otherwise."""
CONSTANTS = {
    "VFIO_PCI_CONFIG_REGION_INDEX": vfio_ioctl.PCI_CONFIG_REGION,
    "VFIO_PCI_MSIX_IRQ_INDEX": vfio_ioctl.PCI_MSIX_IRQ,
    "VFIO_TYPE1v2_IOMMU": vfio_ioctl.TYPE1V2_IOMMU,
    "VFIO_GROUP_FLAGS_VIABLE": vfio_ioctl.GroupStatus.VIABLE,
    "VFIO_IOMMU_INFO_CAPS": vfio_ioctl.Type1Info.HAS_CAPABILITIES,
    "VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE": vfio_ioctl.CapabilityHeader.IOVA_RANGE,
    "VFIO_REGION_INFO_FLAG_READ": RegionFlag.READ, "VFIO_REGION_INFO_FLAG_WRITE": RegionFlag.WRITE,
    "VFIO_REGION_INFO_FLAG_MMAP": RegionFlag.MMAP,
    "VFIO_REGION_INFO_FLAG_CAPS": RegionFlag.CAPABILITIES,
    "VFIO_IRQ_SET_DATA_NONE": IrqFlag.DATA_NONE, "VFIO_IRQ_SET_DATA_EVENTFD": IrqFlag.DATA_EVENTFD,
    "VFIO_IRQ_SET_ACTION_TRIGGER": IrqFlag.ACTION_TRIGGER,
    "VFIO_DMA_MAP_FLAG_READ": MapFlag.DMA_READ, "VFIO_DMA_MAP_FLAG_WRITE": MapFlag.DMA_WRITE,
}
NEWER_CONSTANTS = {
    "IOMMU_IOAS_MAP_FIXED_IOVA": MapFlag.IOAS_FIXED_IOVA,
    "IOMMU_IOAS_MAP_WRITEABLE": MapFlag.IOAS_WRITEABLE,
    "IOMMU_IOAS_MAP_READABLE": MapFlag.IOAS_READABLE,
}


def compiled(folder: Path, headers: list[str], expressions: list[str]) -> list[int]:
    """What the expressions are, by the compiler."""
    lines = "\n".join(f'    printf("%llu\\n", (unsigned long long)({text}));'
                      for text in expressions)
    includes = "\n".join(f"#include <{name}>" for name in ("cstdio", "cstddef", *headers))
    source, program = folder / "ask.cpp", folder / "ask"
    source.write_text(f"{includes}\nint main() {{\n{lines}\n}}\n")
    subprocess.run(["c++", "-w", f"-isystem{HEADERS}", str(source), "-o", str(program)], check=True)
    return [int(word) for word in subprocess.run([program], check=True, capture_output=True,
                                                 text=True).stdout.split()]


def compare(folder: Path, headers: list[str], structures: dict[str, str],
            requests: dict[str, int], constants: dict[str, int]) -> None:
    expected = {name: int(value) for name, value in {**requests, **constants}.items()}
    for ours, theirs in structures.items():
        structure = getattr(vfio_ioctl, ours)
        if ours not in GROWN:
            expected[f"sizeof(struct {theirs})"] = ctypes.sizeof(structure)
        for field in structure._fields_:
            name, place = NAMES.get((ours, field[0]), field[0]), getattr(structure, field[0])
            expected[f"offsetof(struct {theirs}, {name})"] = place.offset
            expected[f"sizeof(((struct {theirs} *)0)->{name})"] = place.size
    found = dict(zip(expected, compiled(folder, headers, list(expected)), strict=True))
    assert found == expected


@pytest.mark.skipif(not (HEADERS / "linux/vfio.h").exists() or shutil.which("c++") is None,
                    reason="no linux/vfio.h or no C++ compiler on this machine")
def test_vfio_is_what_the_header_says(tmp_path: Path) -> None:
    requests = {f"VFIO_{request.name}": request.value for request in Request
                if not request.name.startswith("IOAS") and "IOMMUFD" not in request.name}
    compare(tmp_path, ["linux/vfio.h"], VFIO, requests, dict(CONSTANTS))


@pytest.mark.skipif(not (HEADERS / "linux/iommufd.h").exists() or shutil.which("c++") is None,
                    reason="no linux/iommufd.h (Linux 6.2) or no C++ compiler on this machine")
def test_iommufd_is_what_the_headers_say(tmp_path: Path) -> None:
    requests = {f"{'IOMMU_' if request.name.startswith('IOAS') else 'VFIO_'}{request.name}":
                request.value for request in Request
                if request.name.startswith("IOAS") or "IOMMUFD" in request.name}
    compare(tmp_path, ["linux/vfio.h", "linux/iommufd.h"], NEWER, requests, dict(NEWER_CONSTANTS))


def test_a_structure_says_how_long_it_is() -> None:
    for name in (*VFIO, *NEWER):
        structure = getattr(vfio_ioctl, name)
        if issubclass(structure, Structure):
            filled = structure()
            assert getattr(filled, structure._fields_[0][0]) == ctypes.sizeof(structure)


def test_a_refusal_is_a_sentence() -> None:
    with open(os.devnull, "rb") as file, pytest.raises(
            CardError, match="^asking failed: Inappropriate ioctl for device; ask another$"):
        ioctl(file.fileno(), Request.IOAS_ALLOC, 0, "asking", {errno.ENOTTY: "ask another"})
    with pytest.raises(CardError, match="^asking failed: Bad file descriptor$"):
        ioctl(-1 + (1 << 20), Request.IOAS_ALLOC, 0, "asking")
