"""What a device sees of the driver: each register access, once, 32 bits wide.

The judge is :mod:`access_watch`, a debugger of our own: it counts the instructions that touch the
window, not the calls that ought to.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import random
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from access_watch import Access, unavailable, watch
from pagering import abi
from pagering.card import Card
from pagering.fake import FakeCard
from pagering.mapped_window import MappedWindow

WINDOW = 1 << abi.WINDOW_ADDRESS_BITS

_reason = unavailable()
pytestmark = pytest.mark.skipif(bool(_reason), reason=_reason or "it can be watched")


def words(*values: int, offset: int = 4) -> list[Access]:
    return [Access(offset + 4 * at, value.to_bytes(4, "little"))
            for at, value in enumerate(values)]


def test_each_access_of_a_mapped_window_is_one_of_32_bits() -> None:
    values = [0, 1, 0x5A5A5A5A, 0xA5A5A5A5, 0xFFFFFFFF, *random.Random(1).sample(range(1 << 32), 9)]

    def work(memory: mmap.mmap) -> None:
        window = MappedWindow(memory)
        window.write32(4, 0xDEADBEEF)
        window.read32(0x2000)
        for tokens in (values, memoryview(np.array(values, np.uint32))):
            window.write_tokens(0x3800, tokens)

    tokens = words(*values, offset=0x3800)
    assert watch(WINDOW, work) == [*words(0xDEADBEEF), Access(0x2000, b""), *tokens, *tokens]


def pack(memory: mmap.mmap) -> None:
    struct.pack_into("<I", memory, 4, 0x01020304)


def slice_of_bytes(memory: mmap.mmap) -> None:
    memory[4:8] = b"\x04\x03\x02\x01"


def ctypes_item(memory: mmap.mmap) -> None:
    (ctypes.c_uint32 * 2).from_buffer(memory)[1] = 0x01020304


def slice_of_words(memory: mmap.mmap) -> None:
    memoryview(memory).cast("I")[1:9] = memoryview(np.arange(8, dtype=np.uint32))


def numpy_slice(memory: mmap.mmap) -> None:
    np.frombuffer(memory, np.uint32)[1:9] = np.arange(8, dtype=np.uint32)


@pytest.mark.parametrize("trap", [pack, slice_of_words, numpy_slice])
def test_what_looks_as_good_is_not(trap: Callable[[mmap.mmap], None]) -> None:
    """Why the window is written as it is; and that the judge tells one way from another."""
    seen = watch(4096, trap)
    expected = words(0x01020304) if trap is pack else words(*range(8))
    assert seen != expected
    assert seen[-1].stored.endswith(expected[-1].stored), "and yet the words are there in the end"


@pytest.mark.parametrize("way", [slice_of_bytes, ctypes_item])
def test_what_depends_on_the_build_of_python_ends_right_at_least(
        way: Callable[[mmap.mmap], None]) -> None:
    assert watch(4096, way)[-1].stored == b"\x04\x03\x02\x01"


class MappedCard(FakeCard):
    """The in-memory card behind a mapped window; notes what it is asked for."""

    def __init__(self, memory: mmap.mmap) -> None:
        super().__init__(chunk_bytes=1024, regions=4, region_pages=16)
        self.window = MappedWindow(memory)
        self.asked: list[tuple[int, int | None]] = []

    def read32(self, offset: int) -> int:
        self.asked.append((offset, None))
        self.window.read32(offset)
        return super().read32(offset)

    def write32(self, offset: int, value: int) -> None:
        self.asked.append((offset, value))
        self.window.write32(offset, value)
        super().write32(offset, value)

    def write_tokens(self, offset: int, tokens: Sequence[int]) -> None:
        self.asked += [(offset + 4 * at, token) for at, token in enumerate(tokens)]
        self.window.write_tokens(offset, tokens)
        for at, token in enumerate(tokens):
            FakeCard.write32(self, offset + 4 * at, token)


def session(fake: FakeCard) -> None:
    """Bring a card up, receive every way there is, take it down."""
    rng = random.Random(7)
    with Card(fake) as card:
        pool = card.add_pool(32)
        queues = [card.add_queue(pool, 64, returns=way) for way in ("push", "pull", "auto")]
        card.receive = True
        for turn in range(12):
            queue = queues[turn % 3]
            card.steer_to(queue)
            for _ in range(rng.randrange(1, 8)):
                fake.inject(rng.randbytes(rng.choice((60, 500, 1500, 5000))))
            if turn % 2:
                with queue.recv_arrays(timeout=0.01) as arrays:
                    assert len(arrays)
            else:
                with queue.recv(timeout=0.01) as burst:
                    assert len(burst)
            queue.wait(0.01)
        assert not any(card.faults().values())
        card.statistics()


def test_a_whole_session_is_32_bits_wide_and_without_duplicates(tmp_path: Path) -> None:
    log = tmp_path / "asked.json"

    def work(memory: mmap.mmap) -> None:
        fake = MappedCard(memory)
        session(fake)
        log.write_text(json.dumps(fake.asked))

    seen = watch(WINDOW, work)
    asked = json.loads(log.read_text())
    assert len(asked) > 300
    assert seen == [Access(offset, b"" if value is None else value.to_bytes(4, "little"))
                    for offset, value in asked]
