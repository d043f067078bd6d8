"""Memory providers: alignment, lifetime, fault injection, and the sentences of their errors."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagering.errors import CardError, PoolError
from pagering.providers import FaultyProvider, LocalProvider, MemoryProvider, TransportProvider
from pagering.transport import DmaMemory

GIB = 1 << 30


class Memory:
    def __init__(self, address: int, size: int) -> None:
        self.address = address
        self.view = memoryview(bytearray(size))
        self.freed = 0

    def free(self) -> None:
        self.freed += 1


def transport(allocate: Callable[[int, int], DmaMemory]) -> TransportProvider:
    return TransportProvider(SimpleNamespace(allocate=allocate))


def test_all_are_memory_providers() -> None:
    local = LocalProvider()
    for provider in (local, FaultyProvider(local, 2), transport(Memory)):
        assert isinstance(provider, MemoryProvider)


@pytest.mark.parametrize("provider", [LocalProvider(), transport(Memory)])
@pytest.mark.parametrize(("size", "align", "sentence"), [
    (0, 4096, "region size must be at least 1 byte, not 0"),
    (-1, 4096, "region size must be at least 1 byte, not -1"),
    (4096, 0, "region alignment must be a power of two, not 0"),
    (4096, 4095, "region alignment must be a power of two, not 4095"),
])
def test_wrong_request(provider: MemoryProvider, size: int, align: int, sentence: str) -> None:
    with pytest.raises(PoolError, match=f"^{re.escape(sentence)}$"):
        provider.allocate_region(size, align)


def test_local_memory_is_zeroed_writable_and_starts_at_one_gib() -> None:
    provider = LocalProvider()
    first, second = provider.allocate_region(4096), provider.allocate_region(8192)
    assert isinstance(first, DmaMemory)
    assert (first.address, second.address) == (GIB, GIB + 4096)
    assert bytes(second.view) == bytes(8192)
    second.view[0:4] = b"data"
    assert bytes(second.view[:4]) == b"data"
    assert bytes(first.view) == bytes(4096)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 1 << 16), st.integers(0, 21)), max_size=8))
def test_local_addresses_are_aligned_and_never_used_twice(
        requests: list[tuple[int, int]]) -> None:
    provider, end = LocalProvider(), GIB
    for size, log2 in requests:
        memory = provider.allocate_region(size, 1 << log2)
        assert memory.address % (1 << log2) == 0
        assert memory.address >= end
        assert len(memory.view) == size
        end = memory.address + size
        memory.free()
    assert provider.live_bytes == 0


def test_local_free() -> None:
    provider = LocalProvider()
    memory = provider.allocate_region(4096)
    piece = memory.view[10:20]
    assert provider.live_bytes == 4096
    memory.free()
    memory.free()
    assert provider.live_bytes == 0
    with pytest.raises(PoolError, match=f"^memory at {GIB:#x} was freed$"):
        _ = memory.view
    assert bytes(piece) == bytes(10)  # somebody's slice keeps the bytes


def test_local_wrong_base() -> None:
    with pytest.raises(PoolError, match=r"^base address must not be negative, not -4096$"):
        LocalProvider(-4096)


def test_local_out_of_memory() -> None:
    provider = LocalProvider()
    with pytest.raises(PoolError, match=f"^this process cannot map {1 << 62} bytes: "):
        provider.allocate_region(1 << 62)
    assert provider.live_bytes == 0
    assert provider.allocate_region(4096).address == GIB


def test_transport_is_asked_for_the_same() -> None:
    asked = []

    def allocate(size: int, align: int) -> Memory:
        asked.append((size, align))
        return Memory(align, size)

    memory = transport(allocate).allocate_region(8192, 1 << 21)
    assert asked == [(8192, 1 << 21)]
    assert memory.address == 1 << 21


@pytest.mark.parametrize("error", [CardError("no room"), OSError("no room"),
                                   MemoryError("no room")])
def test_transport_failure(error: Exception) -> None:
    def allocate(size: int, align: int) -> Memory:
        raise error

    with pytest.raises(PoolError, match=r"^transport cannot allocate 4096 bytes aligned to 64: "
                                        r"no room$") as caught:
        transport(allocate).allocate_region(4096, 64)
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(("address", "length"), [(0x1800, 8192), (0x2000, 8191)])
def test_transport_that_breaks_its_promise(address: int, length: int) -> None:
    memory = Memory(address, length)
    with pytest.raises(PoolError, match=f"^transport returned {length} bytes at {address:#x} when "
                                        "asked for 8192 bytes aligned to 4096$"):
        transport(lambda size, align: memory).allocate_region(8192)
    assert memory.freed == 1


@pytest.mark.parametrize("every", [1, 2, 5])
def test_faulty_fails_every_nth(every: int) -> None:
    provider = FaultyProvider(LocalProvider(), every)
    for call in range(1, 11):
        if call % every:
            assert provider.allocate_region(4096).address % 4096 == 0
        else:
            with pytest.raises(PoolError, match=f"^request {call} for 4096 bytes failed on "
                                                "purpose$"):
                provider.allocate_region(4096)
    assert (provider.calls, provider.failures) == (10, 10 // every)


@pytest.mark.parametrize("every", [0, -3])
def test_faulty_wrong_every(every: int) -> None:
    with pytest.raises(PoolError, match=f"^every must be at least 1, not {every}$"):
        FaultyProvider(LocalProvider(), every)
