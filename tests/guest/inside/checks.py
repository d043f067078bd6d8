"""The checks, in their order: each opens the card anew, which resets it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from pagering import abi
from pagering.card import Card
from pagering.devices import open_device
from pagering.errors import CardError
from pagering.mapped_providers import HugePageProvider
from pagering.mapping_provider import MappingProvider
from pagering.rx_queue import RxQueue
from pagering.transport import DmaMemory
from pagering.vfio_transport import VfioTransport

from .reception import Reception, receiving
from .report import require

__all__ = ["CHECKS"]

_HUGE_PAGES = 24
_WAITS_S = 20.0


def _address() -> str:
    """Find the card."""
    wanted = f"{abi.PCI_VENDOR:#06x}", f"{abi.PCI_DEVICE:#06x}"
    for place in sorted(Path("/sys/bus/pci/devices").iterdir()):
        if (_text(place / "vendor"), _text(place / "device")) == wanted:
            return place.name
    raise CardError("Linux sees no card")


def _text(path: Path) -> str:
    return path.read_text("ascii").strip()


def _command(*words: str) -> str:
    """Run a command and return what it prints, errors too."""
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    require(done.returncode == 0, f"{' '.join(words)} ended with status {done.returncode}: "
                                  f"{done.stderr.strip()} {done.stdout.strip()}")
    return done.stdout.strip()


@contextlib.contextmanager
def _opened() -> Iterator[VfioTransport]:
    """Open the card, and close it whatever happens: else the next check cannot have it."""
    transport = open_device(f"vfio:{_address()}").transport
    assert isinstance(transport, VfioTransport)
    try:
        yield transport
    finally:
        transport.close()


def _refused(name: str) -> str:
    """Return the sentence with which a card cannot be opened."""
    try:
        open_device(name).transport.close()
    except CardError as error:
        return str(error)
    raise CardError(f"{name} could be opened")


def lspci() -> str:
    """What Linux found in the slot; whether that is right is judged outside."""
    return _command("lspci", "-D", "-nn", "-vvv", "-s", _address())


def sentences() -> str:
    """What cannot work says so, on this kernel too."""
    address = _address()
    unbound = _refused(f"vfio:{address}")
    require(unbound.endswith(f"is bound to no driver, not to vfio-pci; as root: pagering bind "
                             f"{address}"), unbound)
    other = _refused("vfio:0000:00:00.0")
    require("not a Pagering card" in other, other)
    return unbound


def bind() -> str:
    """The command binds the card, and the kernel without device files is told apart."""
    address = _address()
    said = _command("pagering", "bind", address)
    driver = Path("/sys/bus/pci/devices", address, "driver").resolve().name
    require(driver == "vfio-pci", f"bound to {driver}")
    _command("modprobe", "vfio_iommu_type1")
    if not Path("/dev/iommu").exists():
        refused = _refused(f"iommufd:{address}")
        require("CONFIG_VFIO_DEVICE_CDEV" in refused, refused)
    return said


def receive() -> str:
    """Frames of all sizes on all queues: every byte, none missing, each MSI-X message counted."""
    signalled: Counter[int] = Counter()
    read = os.eventfd_read

    def count(fd: int) -> int:
        signalled[fd] += (value := read(fd))
        return value

    os.eventfd_read = count
    try:
        with _opened() as transport, receiving(Card(transport)) as reception:
            vectors = [transport.interrupt_fd(vector) for vector in range(transport.vectors)]
            reception.receive(400)
            text = _balance(reception)
            for vector in range(len(vectors)):
                transport.wait_interrupt(vector, 0)  # one that nobody has read yet
            found = _interrupts()
    finally:
        os.eventfd_read = read
    expected = {vector: signalled[fd] for vector, fd in enumerate(vectors)}
    require(found == expected, f"Linux counted the interrupts {found}, the driver {expected}")
    require(all(found[queue.index] for queue in reception.queues),
            f"a queue did not interrupt: {found}")
    return f"{text}; MSI-X {found}"


def _balance(reception: Reception) -> str:
    """Stop, take what is left, and compare counts."""
    card = reception.card
    card.receive = False
    while True:
        left = sum(queue.unread for queue in reception.queues)
        if not left:
            break
        reception.receive(1)
    counters, drops = card.counters(), sum(card.drops().values())
    faults = {name: count for name, count in card.faults().items() if count}
    require(not faults, f"faults: {faults}")
    came, delivered = counters["frames_in"], counters["frames_delivered"]
    require(came == delivered + drops, f"{came} frames in, {delivered} delivered, {drops} dropped")
    require(delivered == reception.total, f"{delivered} delivered, {reception.total} received")
    missing = reception.last - reception.first + 1 - reception.total
    require(missing <= drops, f"{missing} numbers are missing, but {drops} frames were dropped")
    return f"{reception.total} frames, all as sent, {drops} dropped, {dict(reception.frames)}"


def _interrupts() -> dict[int, int]:
    """Return what Linux has counted by MSI-X vector."""
    lines = Path("/proc/interrupts").read_text("ascii").splitlines()
    found = (re.match(r"\s*\d+:\s+(\d+)\s.*vfio-msix?\[(\d+)\]", line) for line in lines)
    return {int(match[2]): int(match[1]) for match in found if match}


def huge_pages() -> str:
    """The pool's memory is of huge pages, as many as it has regions of 2 MiB."""
    Path("/proc/sys/vm/nr_hugepages").write_text(f"{_HUGE_PAGES}\n", encoding="ascii")
    before = _free_huge_pages()
    require(before >= 4, f"the guest has only {before} huge pages")
    with _opened() as transport, receiving(Card(transport), queues=1) as reception:
        used = before - _free_huge_pages()
        require(used == 1, f"{used} huge pages are in use, not 1")
        reception.receive(100)
    require(_free_huge_pages() == before, "huge pages are left in use")
    return f"512 pages of the card are {used} huge page"


def _free_huge_pages() -> int:
    match = re.search(r"HugePages_Free:\s+(\d+)", Path("/proc/meminfo").read_text("ascii"))
    assert match is not None
    return int(match[1])


class _Noted:
    """A provider of memory that remembers what it gave."""

    def __init__(self, inner: HugePageProvider) -> None:
        self._inner = inner
        self.given: list[DmaMemory] = []

    def allocate_region(self, size: int, align: int = 4096) -> DmaMemory:
        """Pass it on."""
        self.given.append(self._inner.allocate_region(size, align))
        return self.given[-1]


def unmapped() -> str:
    """Memory that is unmapped under a card at work: not a byte of it changes, and the card lives.

    The driver would never do that; here it stands for one that is wrong.
    """
    with HugePageProvider(1 << 21, base=1 << 32) as huge, _opened() as transport:
        memory = _Noted(huge)
        with receiving(Card(transport), 1, MappingProvider(memory, transport)) as reception:
            reception.receive(50)
            region, queue = memory.given[0], reception.queues[0]
            transport.unmap_memory(region)
            _let_errors_end(queue, least=0)
            region.view[:] = b"\xa5" * len(region.view)
            blocked = _let_errors_end(queue, least=30)
            require(bytes(region.view) == b"\xa5" * len(region.view),
                    "the card wrote to memory that was unmapped")
            transport.map_memory(region)
            after = _recovered(reception)
            faults = {name: count for name, count in reception.card.faults().items() if count}
    require(bool(faults), "the card has not counted its writes that failed")
    return f"{blocked} frames blocked, no byte changed, {after} right ones after it; {faults}"


def _let_errors_end(queue: RxQueue, least: int) -> int:
    """Take what comes; return how many frames could not be written, once there are enough."""
    found, end = 0, time.monotonic() + _WAITS_S
    while True:
        with queue.recv(64, timeout=0.05) as burst:
            found += sum(frame.write_error for frame in burst)
        if found >= least:
            return found
        require(time.monotonic() < end, f"only {found} frames failed in {_WAITS_S:g} s")


def _recovered(reception: Reception) -> int:
    """Take the frames that were under way, then check those behind them."""
    queue, end = reception.queues[0], time.monotonic() + _WAITS_S
    right = 0
    while right < 20:
        require(time.monotonic() < end, f"frames are still written wrong after {_WAITS_S:g} s")
        with queue.recv(64, timeout=0.05) as burst:
            for frame in burst:
                right = 0 if frame.write_error else right + 1
    before = reception.total
    reception.receive(100)
    return reception.total - before


def reset() -> str:
    """A function-level reset under traffic, three times; the driver starts anew on it."""
    counts = []
    with _opened() as transport:
        for _ in range(3):
            card = Card(transport)
            pool = card.add_pool(512)
            queue = card.add_queue(pool, 256)
            card.steer_to(queue)
            card.receive = True
            reception = Reception(card, [queue])
            reception.receive(60)
            transport.reset()
            require(not card.receive, "the card still receives after a reset")
            require(pool.registered == 0, "the card still knows its memory after a reset")
            queue.close()
            pool.close()
            counts.append(reception.total)
        with receiving(Card(transport)) as reception:
            reception.receive(200)
            counts.append(reception.total)
    return f"{counts} frames, all as sent, with a reset between"


def killed() -> str:
    """A driver that is killed at work leaves a card for the next one, and no memory mapped."""
    huge = _free_huge_pages()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with _opened() as transport, receiving(Card(transport)) as reception:
                reception.receive(100)
                os.write(write, b"!")
                reception.receive(1 << 20)
        finally:
            os._exit(1)
    os.close(write)
    require(os.read(read, 1) == b"!", "the driver did not get as far as being killed")
    os.close(read)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    require(_free_huge_pages() == huge, "its huge pages are still in use")
    with _opened() as transport, receiving(Card(transport)) as reception:
        reception.receive(200)
    return "100 frames, killed, 200 frames"


def selftest() -> str:
    """The command, over the same transport."""
    return _command("pagering", "selftest", "--device", f"vfio:{_address()}")


def undo() -> str:
    """The card goes back to where it was."""
    said = _command("pagering", "bind", "--undo", _address())
    require(not Path("/sys/bus/pci/devices", _address(), "driver").exists(), "it is still bound")
    return said


CHECKS: Mapping[str, Callable[[], str]] = {
    check.__name__: check for check in (lspci, sentences, bind, receive, huge_pages, unmapped,
                                        reset, killed, selftest, undo)}
