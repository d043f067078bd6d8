"""A window of memory: words in, words out, and one sentence for what is none."""

from __future__ import annotations

import sys

import pytest

from pagering.errors import CardError
from pagering.mapped_window import MappedWindow

SIZE = 1 << 20


def test_words_go_where_they_belong() -> None:
    memory = bytearray(SIZE + 4096)
    window = MappedWindow(memory)
    window.write32(0x3000, 0x01020304)
    assert memory[0x3000:0x3004] == b"\x04\x03\x02\x01"
    assert window.read32(0x3000) == 0x01020304
    window.write_tokens(SIZE - 8, [0xFFFFFFFF, 7])
    assert memory[SIZE - 8:SIZE] == b"\xff\xff\xff\xff\x07\0\0\0"
    assert sum(memory) == 10 + 4 * 255 + 7
    window.close()
    memory.extend(b"x")  # it can be resized: nothing holds it any more


@pytest.mark.parametrize("offset", [-4, 2, SIZE, SIZE + 4])
def test_offsets_outside(offset: int) -> None:
    window = MappedWindow(bytearray(SIZE))
    for use in (lambda: window.read32(offset), lambda: window.write32(offset, 0),
                lambda: window.write_tokens(offset, [1])):
        with pytest.raises(CardError, match=f"1 words at offset {offset:#x} are not aligned words"):
            use()
    with pytest.raises(CardError, match="3 words at offset 0xffff8"):
        window.write_tokens(SIZE - 8, [1, 2, 3])


@pytest.mark.parametrize("value", [-1, 1 << 32])
def test_values_that_are_no_word(value: int) -> None:
    with pytest.raises(CardError, match=f"{value} written to 0x4 is not a 32-bit word"):
        MappedWindow(bytearray(SIZE)).write32(4, value)


def test_a_mapping_that_is_too_small() -> None:
    with pytest.raises(CardError, match="window is 1048576 bytes, but 4096 are mapped"):
        MappedWindow(bytearray(4096))


def test_a_host_with_the_other_byte_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "byteorder", "big")
    with pytest.raises(CardError, match="needs a little-endian host"):
        MappedWindow(bytearray(SIZE))
