"""Huge pages, shared memory and files as memory of a pool, and a reader in another process."""

from __future__ import annotations

import contextlib
import mmap
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from page_pools import make, take
from pagering import mapped_providers
from pagering.buddy import BuddyAllocator
from pagering.card import Card
from pagering.errors import PoolError
from pagering.fake import FakeCard
from pagering.mapped_providers import (
    HUGE_PAGE,
    FileProvider,
    HugePageProvider,
    MappedProvider,
    SharedProvider,
)
from pagering.mapping_provider import MappingProvider
from pagering.providers import MemoryProvider
from pagering.shared_reader import SharedReader
from pagering.transport import MappingTransport

BASE = 1 << 40

# Division ------------------------------------------------------------------------------------

@settings(max_examples=100, deadline=None)
@given(units=st.integers(1, 100), wanted=st.lists(st.integers(-40, 40000), max_size=60))
def test_blocks_are_aligned_apart_and_join_again(units: int, wanted: list[int]) -> None:
    """Positive numbers ask for so many bytes, the others free a block."""
    size = units * 4096
    buddy = BuddyAllocator(size)
    blocks: dict[int, int] = {}
    for number in wanted:
        if number > 0:
            at = buddy.allocate(number)
            if at is not None:
                block = max(4096, 1 << (number - 1).bit_length())
                assert at % block == 0
                assert at + block <= size
                assert all(at + block <= other or other + length <= at
                           for other, length in blocks.items())
                blocks[at] = block
        elif blocks:
            at = sorted(blocks)[number % len(blocks)]
            del blocks[at]
            buddy.free(at)
    for at in blocks:
        buddy.free(at)
    largest = 1 << (size.bit_length() - 1)
    assert buddy.allocate(largest) == 0  # all is whole again


def test_buddy_wrong() -> None:
    for arguments, sentence in (((4096, 3), "smallest block must be a power of two, not 3"),
                                ((0, 4096), "capacity must be a multiple of 4096 bytes, not 0"),
                                ((6000, 4096), "capacity must be a multiple of 4096 bytes, "
                                               "not 6000")):
        with pytest.raises(PoolError, match=f"^{sentence}$"):
            BuddyAllocator(*arguments)
    buddy = BuddyAllocator(8192)
    at = buddy.allocate(4096)
    assert at == 0
    buddy.free(at)
    with pytest.raises(PoolError, match=r"^no block was handed out at offset 0x0$"):
        buddy.free(at)


# Providers -----------------------------------------------------------------------------------

@pytest.fixture(params=["huge", "shared", "file"])
def provider(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    made: dict[str, Any] = {
        "huge": lambda: HugePageProvider(4 * HUGE_PAGE),
        "shared": lambda: SharedProvider(4 * HUGE_PAGE),
        "file": lambda: FileProvider(tmp_path / "pool", 4 * HUGE_PAGE),
    }
    with pytest.warns(RuntimeWarning) if request.param == "huge" and not _huge_pages() \
            else contextlib.nullcontext():
        provider = made[request.param]()
    with provider:
        yield provider


def _huge_pages() -> bool:
    free = Path("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages")
    return free.exists() and int(free.read_text()) >= 4


def test_serves_a_pool_to_the_last_page(provider: MappedProvider) -> None:
    assert isinstance(provider, MemoryProvider)
    pool = make(provider)
    pages = take(pool, 2048)
    assert sorted(page.address for page in pages) == [BASE + at * 4096 for at in range(2048)]
    assert pool.alloc() is None
    pages[5].view[:4] = b"data"
    for page in pages:
        pool.put(page)
    assert pool.destroy()
    assert provider.live_bytes == 0


def test_regions_are_aligned(provider: MappedProvider) -> None:
    pool = make(provider)
    take(pool, 1)
    region = pool.alloc_region(512)
    assert region.address % (512 * 4096) == 0


def test_memory_is_zeroed_when_used_again(provider: MappedProvider) -> None:
    memory = provider.allocate_region(8192)
    memory.view[:] = b"x" * 8192
    address = memory.address
    memory.free()
    memory.free()
    with pytest.raises(PoolError, match=f"^memory at {address:#x} was freed$"):
        _ = memory.view
    again = provider.allocate_region(8192)
    assert (again.address, bytes(again.view)) == (address, bytes(8192))


def test_requests_that_cannot_be_served(provider: MappedProvider) -> None:
    for arguments, sentence in (
            ((0,), "region size must be at least 1 byte, not 0"),
            ((4096, 3), "region alignment must be a power of two, not 3"),
            ((4096, 1 << 41), f"base address {BASE:#x} is not a multiple of {1 << 41}"),
            ((16 << 20,), f"no {16 << 20} bytes aligned to 4096 are left of {8 << 20}")):
        with pytest.raises(PoolError, match=f"^{re.escape(sentence)}$"):
            provider.allocate_region(*arguments)
    assert provider.live_bytes == 0


def test_slices_outlive_the_provider(provider: MappedProvider) -> None:
    piece = provider.allocate_region(4096).view[10:20]
    provider.close()
    provider.close()
    assert bytes(piece) == bytes(10)


@pytest.mark.parametrize("make_it", [
    lambda: SharedProvider(0), lambda: SharedProvider(5000),
    lambda: SharedProvider(4096, base=-4096), lambda: HugePageProvider(4096),
    lambda: HugePageProvider(HUGE_PAGE, base=4096), lambda: SharedProvider(1 << 62),
    lambda: FileProvider(Path("/no/such/folder/x"), 4096),
])
def test_wrong_providers_leave_nothing_open(make_it: Any) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(PoolError, match=r"^[^\n]*$"):
        make_it()
    assert len(os.listdir("/proc/self/fd")) == before


def test_huge_pages_fall_back_with_one_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever there are none: what fails is the first look at them, not a later write."""
    create = os.memfd_create

    def refuse(name: str, flags: int = os.MFD_CLOEXEC) -> int:
        if flags & os.MFD_HUGETLB:
            raise OSError(12, "Cannot allocate memory")
        return create(name, flags)
    monkeypatch.setattr(mapped_providers.os, "memfd_create", refuse)
    with pytest.warns(RuntimeWarning, match=r"^no huge pages for 4 MiB, so ordinary ones are used; "
                                            r"raise vm\.nr_hugepages \(.*\)$") as warned:
        provider = HugePageProvider(2 * HUGE_PAGE)
    assert len(warned) == 1
    assert not provider.huge
    take(make(provider), 1024)
    provider.close()


@pytest.mark.skipif(not _huge_pages(), reason="this machine has no 4 free huge pages of 2 MiB")
def test_huge_pages_are_huge() -> None:
    with HugePageProvider(4 * HUGE_PAGE) as provider:
        assert provider.huge
        take(make(provider), 1)
        smaps = Path("/proc/self/smaps").read_text()
        assert re.search(r"memfd:pagering.*?KernelPageSize: +2048 kB", smaps, re.DOTALL)


def test_a_file_keeps_the_frames(tmp_path: Path) -> None:
    path = tmp_path / "pool"
    path.write_bytes(b"old" * 5000)
    with FileProvider(path, 16384) as provider:
        pages = take(make(provider), 2)
        assert all(bytes(page.view) == bytes(4096) for page in pages)
        pages[1].view[:5] = b"frame"
        at = pages[1].address - BASE
    assert path.stat().st_size == 16384
    assert path.read_bytes()[at:at + 5] == b"frame"


# The other process ---------------------------------------------------------------------------

READER = """
import socket, sys
from pagering.shared_reader import SharedReader

sock = socket.socket(fileno=int(sys.argv[1]))
reader = SharedReader.receive(sock)
for line in sock.makefile():
    address, length = map(int, line.split())
    frame = reader.frame(address, length)
    sock.sendall(bytes(frame) + b" readonly" * frame.readonly + b"\\n")
"""


def test_another_process_reads_frames_in_place() -> None:
    ours, theirs = socket.socketpair()
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with (SharedProvider(1 << 20) as provider, ours,
          subprocess.Popen([sys.executable, "-c", READER, str(theirs.fileno())],
                           pass_fds=[theirs.fileno()], env=environment) as reader):
        theirs.close()
        provider.send(ours)
        answers = ours.makefile("rb")
        for page in take(make(provider), 3):
            for text in (b"first", b"later"):  # written after it was mapped: nothing is copied
                page.view[100:105] = text
                ours.sendall(b"%d 5\n" % (page.address + 100))
                assert answers.readline() == text + b" readonly\n"
        ours.shutdown(socket.SHUT_WR)
        assert reader.wait(30) == 0


def test_a_card_receives_into_what_another_process_reads() -> None:
    """Zero copy from the card to a process that has nothing but the memory and two numbers."""
    ours, theirs = socket.socketpair()
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    fake = FakeCard()
    with (SharedProvider(64 << 20) as shared, ours, Card(fake) as card,
          subprocess.Popen([sys.executable, "-c", READER, str(theirs.fileno())],
                           pass_fds=[theirs.fileno()], env=environment) as reader):
        theirs.close()
        shared.send(ours)
        pool = card.add_pool(provider=MappingProvider(shared, fake))
        queue = card.add_queue(pool, 64)
        card.steer_to(queue)
        card.receive = True
        answers = ours.makefile("rb")
        for number in range(20):
            frame = b"frame %02d " % number * 10
            assert fake.inject(frame) is None
            with queue.recv_arrays() as burst:
                address = pool.addresses[int(burst.page[0])] + int(burst.offset[0])
                ours.sendall(b"%d %d\n" % (address, burst.length[0]))
                assert answers.readline() == frame + b" readonly\n"
        ours.shutdown(socket.SHUT_WR)
        assert reader.wait(30) == 0
        card.close()
        assert shared.live_bytes == 0
    assert not fake.stray_writes


def test_a_card_receives_into_any_of_them(provider: MappedProvider) -> None:
    fake = FakeCard()
    with Card(fake) as card:
        pool = card.add_pool(provider=MappingProvider(provider, fake))
        queue = card.add_queue(pool, 64)
        card.steer_to(queue)
        card.receive = True
        assert fake.inject(b"to whom it may concern") is None
        with queue.recv() as burst:
            assert [bytes(frame) for frame in burst] == [b"to whom it may concern"]
    assert (provider.live_bytes, fake.mapped_bytes, fake.stray_writes) == (0, 0, [])


def test_memory_that_cannot_be_mapped_is_not_kept() -> None:
    fake = FakeCard()
    assert isinstance(fake, MappingTransport)
    with SharedProvider(8192) as first, SharedProvider(8192) as second:
        mapped = MappingProvider(first, fake).allocate_region(8192)
        with pytest.raises(PoolError, match=f"^4096 bytes cannot be mapped for the card: addresses "
                                            f"from {BASE:#x} on are mapped already$"):
            MappingProvider(second, fake).allocate_region(4096)
        assert second.live_bytes == 0
        mapped.free()
        mapped.free()
        assert first.live_bytes == 0
        MappingProvider(second, fake).allocate_region(4096).free()


def test_nobody_can_write_or_shrink_what_is_shared() -> None:
    """The seals hold for whoever gets the descriptor, which is why it may be given away."""
    with SharedProvider(8192) as provider:
        with pytest.raises(PermissionError):
            mmap.mmap(provider.fd, 8192)
        with pytest.raises(PermissionError):
            os.pwrite(provider.fd, b"x", 0)
        for size in (4096, 16384):
            with pytest.raises(PermissionError):
                os.ftruncate(provider.fd, size)
        provider.allocate_region(4096).view[0] = 1  # but the provider itself


def test_reader_finds_what_is_not_shared() -> None:
    with SharedProvider(8192) as provider, SharedReader(provider.fd, BASE, 8192) as reader:
        assert len(reader.frame(BASE, 8192)) == 8192
        for address, length in ((BASE - 1, 4), (BASE + 8190, 4), (BASE, -1)):
            with pytest.raises(PoolError, match=f"^{length} bytes at {address:#x} are not in the "
                                                "shared memory$"):
                reader.frame(address, length)
        with pytest.raises(PoolError, match=r"^12288 shared bytes cannot be mapped: "):
            SharedReader(provider.fd, BASE, 12288)


def test_reader_that_gets_something_else() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(b"hello")
        with pytest.raises(PoolError, match=r"^no shared memory came, but 5 bytes and 0 "
                                            r"descriptors$"):
            SharedReader.receive(theirs)
