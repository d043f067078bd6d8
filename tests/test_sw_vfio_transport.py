"""The transport over the kernel's VFIO, on a made-up machine whose kernel answers by the book.

Whether a real kernel does the same is for ``make guest-test`` to say.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from made_up_pci import ADDRESS, MadeUpMachine
from pagering import abi, vfio_ioctl, vfio_transport
from pagering.errors import CardError
from pagering.mapped_providers import MappedProvider
from pagering.mapping_provider import MappingProvider
from pagering.pci_function import PciFunction
from pagering.transport import EventfdTransport, MappingTransport
from pagering.vfio_container import VfioContainer
from pagering.vfio_ioctl import Request
from pagering.vfio_iommufd import Iommufd
from pagering.vfio_transport import VfioTransport

BAR, CONFIG = 0, 1 << 20
"""Where in the device's file its two regions are."""
RANGES = [(0, 0xFEDFFFFF), (0xFEF00000, (1 << 39) - 1)]
VECTORS = 5


class Kernel:
    """Answers requests as ``<linux/vfio.h>`` says; a request that is not by the book is refused.

    The function's regions are two parts of an ordinary file.
    """

    def __init__(self, machine: MadeUpMachine) -> None:
        self.device = machine.root / "function"
        self.device.write_bytes(bytes(CONFIG) + struct.pack("<HHH", abi.PCI_VENDOR, abi.PCI_DEVICE,
                                                            0) + bytes(250))
        for name in ("vfio/vfio", "vfio/7", "vfio/devices/vfio0", "iommu"):
            place = machine.root / "dev" / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(b"")
        (machine.bus / "devices" / ADDRESS / "vfio-dev/vfio0").mkdir(parents=True)
        (machine.root / "dev/vfio/devices/vfio0").unlink()
        (machine.root / "dev/vfio/devices/vfio0").symlink_to(self.device)
        self.mapped: dict[int, tuple[int, int]] = {}
        self.eventfds: list[int] = []
        self.resets = 0
        self.viable = True
        self.extension = 1
        self.errors: dict[Request, int] = {}

    def ioctl(self, fd: int, request: int, argument: Any = 0) -> int:
        name = Request(request)
        if name in self.errors:
            raise OSError(self.errors[name], os.strerror(self.errors[name]))
        answer: Callable[[int, Any], int | None] = getattr(self, f"on_{name.name.lower()}")
        return answer(fd, argument) or 0

    def take(self, argument: Any, form: str) -> tuple[int, ...]:
        size = struct.calcsize(form)
        values = struct.unpack(form, bytes(argument)[:size])
        assert values[0] == len(bytes(argument)), "the size that is passed is not the argument's"
        return values[1:]

    def on_check_extension(self, fd: int, argument: Any) -> int:
        assert argument == 3
        return self.extension

    def on_group_get_status(self, fd: int, argument: Any) -> None:
        self.take(argument, "=II")
        argument.flags = int(self.viable)

    def on_group_set_container(self, fd: int, argument: Any) -> None:
        os.fstat(struct.unpack("=i", argument)[0])

    def on_set_iommu(self, fd: int, argument: Any) -> None:
        assert argument == 3

    def on_group_get_device_fd(self, fd: int, argument: Any) -> int:
        assert bytes(argument) == ADDRESS.encode() + b"\0"
        return os.open(self.device, os.O_RDWR)

    def on_device_bind_iommufd(self, fd: int, argument: Any) -> None:
        flags, iommufd, _ = self.take(argument, "=IIiI")
        assert flags == 0
        os.fstat(iommufd)

    def on_ioas_alloc(self, fd: int, argument: Any) -> None:
        assert self.take(argument, "=III")[0] == 0
        argument.out_ioas_id = 4

    def on_device_attach_iommufd_pt(self, fd: int, argument: Any) -> None:
        assert self.take(argument, "=III") == (0, 4)

    def on_device_get_region_info(self, fd: int, argument: Any) -> None:
        index = self.take(argument, "=IIII")[1]
        argument.flags = 7 if index == 0 else 3
        argument.size, argument.offset = {0: (CONFIG, BAR), 7: (256, CONFIG)}[index]

    def on_device_get_irq_info(self, fd: int, argument: Any) -> None:
        assert self.take(argument, "=III")[1] == 2
        argument.count = VECTORS

    def on_device_set_irqs(self, fd: int, argument: Any) -> None:
        flags, index, start, count = self.take(argument, "=IIIII")
        assert (flags, index, start) == (0x24, 2, 0)
        self.eventfds = list(struct.unpack_from(f"={count}i", argument, 20))

    def on_device_reset(self, fd: int, argument: Any) -> None:
        self.resets += 1

    def on_iommu_get_info(self, fd: int, argument: Any) -> None:
        """Two capabilities, the second of which is the ranges."""
        need = 20 + 4 + 16 + 16 + 16 * len(RANGES)
        size = struct.unpack_from("=I", argument)[0]
        assert size == len(argument)
        struct.pack_into("=II", argument, 0, need, 3)
        if size >= need:
            struct.pack_into("=QI", argument, 8, 4096, 24)
            struct.pack_into("=HHI8x", argument, 24, 3, 1, 40)
            struct.pack_into("=HHIII", argument, 40, 1, 1, 0, len(RANGES), 0)
            for at, entry in enumerate(RANGES):
                struct.pack_into("=QQ", argument, 56 + 16 * at, *entry)

    def on_ioas_iova_ranges(self, fd: int, argument: Any) -> None:
        space, count, _, place = self.take(argument, "=IIIIQ")
        assert space == 4
        assert count >= len(RANGES)
        table = (ctypes.c_uint64 * (2 * count)).from_address(place)
        table[:2 * len(RANGES)] = [number for entry in RANGES for number in entry]
        argument.num_iovas = len(RANGES)

    def on_iommu_map_dma(self, fd: int, argument: Any) -> None:
        flags, memory, address, size = self.take(argument, "=IIQQQ")
        assert flags == 3
        self.map(memory, address, size)

    def on_ioas_map(self, fd: int, argument: Any) -> None:
        flags, space, _, memory, size, address = self.take(argument, "=IIIIQQQ")
        assert (flags, space) == (7, 4)
        self.map(memory, address, size)

    def map(self, memory: int, address: int, size: int) -> None:
        assert size > 0
        assert not (memory | address | size) % 4096
        assert any(first <= address and address + size - 1 <= last for first, last in RANGES)
        assert all(address + size <= start or start + length <= address
                   for start, (_, length) in self.mapped.items())
        self.mapped[address] = memory, size

    def on_iommu_unmap_dma(self, fd: int, argument: Any) -> None:
        flags, address, size = self.take(argument, "=IIQQ")
        assert flags == 0
        argument.size = self.mapped.pop(address)[1] if address in self.mapped else 0

    def on_ioas_unmap(self, fd: int, argument: Any) -> None:
        space, address, size = self.take(argument, "=IIQQ")
        assert space == 4
        assert self.mapped.pop(address)[1] == size

    # What the function does

    def config(self, offset: int, form: str) -> int:
        value: int = struct.unpack_from(form, self.device.read_bytes(), CONFIG + offset)[0]
        return value

    def put(self, offset: int, data: bytes) -> None:
        with self.device.open("r+b") as file:
            file.seek(offset)
            file.write(data)

    def dma_write(self, address: int, data: bytes) -> None:
        for start, (memory, size) in self.mapped.items():
            if start <= address and address + len(data) <= start + size:
                ctypes.memmove(memory + address - start, data, len(data))
                return
        raise AssertionError(f"{address:#x} is not mapped")


@pytest.fixture
def machine(tmp_path: Path) -> MadeUpMachine:
    machine = MadeUpMachine(tmp_path)
    machine.add_driver("vfio-pci")
    machine.add_driver("e1000e")
    machine.add_function(driver="vfio-pci")
    return machine


@pytest.fixture
def kernel(machine: MadeUpMachine, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    kernel = Kernel(machine)
    monkeypatch.setattr(vfio_ioctl.fcntl, "ioctl", kernel.ioctl)
    return kernel


@pytest.fixture(params=[VfioContainer, Iommufd])
def way(request: pytest.FixtureRequest) -> Any:
    return request.param


def opened(machine: MadeUpMachine, way: Any) -> VfioTransport:
    return VfioTransport(way(PciFunction(ADDRESS, machine.root)))


def test_registers_and_bus_mastering(machine: MadeUpMachine, kernel: Kernel, way: Any) -> None:
    transport = opened(machine, way)
    assert isinstance(transport, MappingTransport)
    assert isinstance(transport, EventfdTransport)
    assert kernel.config(4, "<H") == 0x6
    transport.write32(0x3000, 0xCAFE)
    transport.write_tokens(0x4000, [1, 2])
    assert kernel.device.read_bytes()[0x3000:0x3004] == b"\xfe\xca\0\0"
    assert kernel.device.read_bytes()[0x4000:0x4008] == b"\1\0\0\0\2\0\0\0"
    kernel.put(0x10, b"\1\2\3\4")
    assert transport.read32(0x10) == 0x04030201
    transport.reset()
    assert kernel.resets == 1
    transport.close()
    transport.close()
    assert kernel.config(4, "<H") == 0x2


def test_memory_is_reached_where_it_is_mapped(machine: MadeUpMachine, kernel: Kernel,
                                              way: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pagering.dma_runs.HUGE_PAGE", 1 << 60)
        transport = opened(machine, way)
        runs = [transport.allocate(size) for size in (4096, 100, 1 << 20)]
    for number, run in enumerate(runs):
        kernel.dma_write(run.address + 50, bytes([number + 1]) * 50)
        assert bytes(run.view[50:100]) == bytes([number + 1]) * 50
    runs[1].free()
    assert sorted(kernel.mapped) == sorted(run.address for run in (runs[0], runs[2]))
    transport.close()
    runs[0].free()  # the mappings went with the container


def test_memory_of_a_provider(machine: MadeUpMachine, kernel: Kernel, way: Any) -> None:
    transport = opened(machine, way)
    fd = os.memfd_create("test")
    os.ftruncate(fd, 1 << 16)
    with MappedProvider(fd, 1 << 16, base=1 << 32) as inner:
        memory = MappingProvider(inner, transport).allocate_region(8192)
        kernel.dma_write(memory.address + 4096, b"there")
        assert bytes(memory.view[4096:4101]) == b"there"
        with pytest.raises(CardError, match="some of the addresses 0x100000000 to 0x100001fff"):
            transport.map_memory(memory)
        memory.free()
        assert not kernel.mapped
        kernel.errors = {Request.IOMMU_MAP_DMA: errno.ENOMEM, Request.IOAS_MAP: errno.ENOMEM}
        block = inner.allocate_region(4096)
        with pytest.raises(CardError, match=r"mapping 4096 bytes at 0x1.* raise ulimit -l"):
            transport.map_memory(block)
        kernel.errors = {}
        transport.map_memory(block)
        transport.unmap_memory(block)
        block.free()
    transport.close()


def test_interrupts(machine: MadeUpMachine, kernel: Kernel, way: Any) -> None:
    transport = opened(machine, way)
    assert len(kernel.eventfds) == VECTORS
    assert not transport.wait_interrupt(3, 0)
    os.eventfd_write(kernel.eventfds[3], 1)
    os.eventfd_write(kernel.eventfds[3], 1)
    assert select.select([transport.interrupt_fd(3)], [], [], 0)[0]
    assert not transport.wait_interrupt(2, 0.001)
    assert transport.wait_interrupt(3)
    assert not transport.wait_interrupt(3, 0)
    with pytest.raises(CardError, match="MSI-X vectors 0 to 4, not 5"):
        transport.wait_interrupt(5)
    transport.close()


def test_a_card_that_is_gone(machine: MadeUpMachine, kernel: Kernel, way: Any) -> None:
    transport = opened(machine, way)
    kernel.put(0x10, b"\xff" * 4)
    assert transport.read32(0x10) == 0xFFFFFFFF
    kernel.put(CONFIG, b"\xff" * 256)
    with pytest.raises(CardError, match=f"the card {ADDRESS} does not answer any more"):
        transport.read32(0x10)
    transport.close()


def test_nothing_is_left_open(machine: MadeUpMachine, kernel: Kernel, way: Any) -> None:
    before = set(os.listdir("/proc/self/fd"))
    opened(machine, way).close()
    assert set(os.listdir("/proc/self/fd")) == before
    own = {VfioContainer: [Request.SET_IOMMU, Request.IOMMU_GET_INFO],
           Iommufd: [Request.DEVICE_ATTACH_IOMMUFD_PT, Request.IOAS_IOVA_RANGES]}
    for request in (*own[way], Request.DEVICE_GET_REGION_INFO, Request.DEVICE_GET_IRQ_INFO,
                    Request.DEVICE_SET_IRQS):
        kernel.errors = {request: errno.EIO}
        with pytest.raises(CardError, match="Input/output error"):
            opened(machine, way)
        assert set(os.listdir("/proc/self/fd")) == before


def test_groups_that_cannot_be_had(machine: MadeUpMachine, kernel: Kernel) -> None:
    function = PciFunction(ADDRESS, machine.root)
    kernel.viable = False
    machine.add_function("0000:01:00.1", driver="e1000e")
    machine.add_function("0000:01:00.2")
    with pytest.raises(CardError, match=r"tell 0000:01:00.0 from 0000:01:00.1 \(e1000e\), which"):
        VfioContainer(function)
    kernel.extension = 0
    with pytest.raises(CardError, match="has no type 1 IOMMU; as root, modprobe vfio_iommu_type1"):
        VfioContainer(function)
    (machine.root / "dev/vfio/vfio").unlink()
    with pytest.raises(CardError, match="there is no .*/dev/vfio/vfio; as root, modprobe vfio-pci"):
        VfioContainer(function)


@pytest.mark.parametrize(("number", "sentence"), [
    (errno.EACCES, "may not be opened; as root, chown"),
    (errno.EBUSY, "is in use: another process drives the card"),
    (errno.EIO, "cannot be opened: Input/output error")])
def test_files_that_cannot_be_opened(machine: MadeUpMachine, kernel: Kernel, number: int,
                                     sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: object, flags: int) -> int:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr("pagering.vfio_node.os.open", refuse)
    with pytest.raises(CardError, match=sentence):
        VfioContainer(PciFunction(ADDRESS, machine.root))


def test_a_kernel_without_device_files(machine: MadeUpMachine, kernel: Kernel) -> None:
    (machine.root / "dev/iommu").unlink()
    with pytest.raises(CardError, match=r"CONFIG_VFIO_DEVICE_CDEV\); use vfio:0000:01:00.0"):
        Iommufd(PciFunction(ADDRESS, machine.root))


def test_a_card_that_is_not_bound(machine: MadeUpMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.add_function("0000:03:00.0", driver="e1000e", group="9")
    machine.add_function("0000:04:00.0", group=None)
    monkeypatch.setattr(vfio_transport, "PciFunction",
                        lambda address: PciFunction(address, machine.root))
    for open_card in (vfio_transport.open_container, vfio_transport.open_iommufd):
        with pytest.raises(CardError, match="bound to e1000e, not to vfio-pci; as root: pagering "
                                            "bind 0000:03:00.0"):
            open_card("0000:03:00.0")
        with pytest.raises(CardError, match="there is no IOMMU before 0000:04:00.0"):
            open_card("0000:04:00.0")
