"""A card's register window that is mapped into this process: a BAR.

A store to a device must be one access of 32 bits: not four of a byte, not two of the same word.
Python does not say how wide its stores are. ``struct.pack_into`` clears the word before it fills it
in; a slice is copied as the C library likes, wide and parts of it twice; an item of a ``ctypes``
array is read before it is written. Storing an item of a ``memoryview`` of native 32-bit words is a
fixed copy of four aligned bytes, which is one instruction, and so is loading one. All accesses go
that way here, and a test watches them from outside the process, instruction by instruction.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pagering import abi
from pagering.errors import CardError

if TYPE_CHECKING:
    from mmap import mmap

__all__ = ["MappedWindow"]

_BYTES = 1 << abi.WINDOW_ADDRESS_BITS


class MappedWindow:
    """Exactly one 32-bit access for each register read, register write and token.

    Parameters
    ----------
    memory
        The mapping, at least as large as the window and aligned to 4 bytes.

    Raises
    ------
    CardError
        If the mapping is too small, or this machine stores words with the high byte first.

    """

    def __init__(self, memory: bytearray | memoryview | mmap) -> None:
        if sys.byteorder != "little":
            raise CardError("the card's words are little-endian and this machine's are not; a "
                            "mapped window needs a little-endian host")
        view = memoryview(memory).cast("B")
        if len(view) < _BYTES:
            raise CardError(f"the window is {_BYTES} bytes, but {len(view)} are mapped; map the "
                            f"whole BAR")
        self._words = view[:_BYTES].cast("I")

    def read32(self, offset: int) -> int:
        """Load the word at byte ``offset``.

        Raises
        ------
        CardError
            If this is not an aligned word of the window.

        """
        return self._words[_index(offset, 1)]

    def write32(self, offset: int, value: int) -> None:
        """Store a word.

        Raises
        ------
        CardError
            If this is not an aligned word of the window, or the value is no 32-bit word.

        """
        if not 0 <= value < 1 << 32:
            raise CardError(f"{value} written to {offset:#x} is not a 32-bit word")
        self._words[_index(offset, 1)] = value

    def write_tokens(self, offset: int, tokens: Sequence[int]) -> None:
        """Store tokens to successive words, in order.

        Raises
        ------
        CardError
            If they do not lie in the window.

        """
        words, at = self._words, _index(offset, len(tokens))
        for token in tokens:
            words[at] = token
            at += 1

    def close(self) -> None:
        """Let go of the mapping, so that it can be unmapped."""
        self._words.release()


def _index(offset: int, count: int) -> int:
    if offset % 4 or not 0 <= offset <= _BYTES - 4 * count:
        raise CardError(f"{count} words at offset {offset:#x} are not aligned words of the card's "
                        f"window")
    return offset >> 2
