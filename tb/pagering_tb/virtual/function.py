"""The PCI function: a card's registers, its configuration, its memory and its interrupts."""

from __future__ import annotations

import errno
import struct
from collections import Counter

from pagering import abi
from pagering.errors import CardError
from pagering.vfio_user_messages import CONFIG_BYTES, Region

from .config_space import ConfigSpace
from .core import CardCore
from .dma_space import DmaSpace
from .vectors import Vectors

__all__ = ["PciFunction"]

_WINDOW_BYTES = 1 << abi.WINDOW_ADDRESS_BITS
_READ_BYTES_MAX = 64
"""Of registers, in one access: each word takes the card its time."""
_WRITE_BYTES_MAX = abi.RETURN_WINDOW_BYTES
_WORD = struct.Struct("<I")
_MASK_VECTOR = 1
_ENTRY_BYTES = 16
_CONTROL, _RESET = abi.CARD.address("CONTROL"), abi.CARD.address("RESET")


class PciFunction:
    """A card as its bus sees it.

    Registers are words, so an access to their BAR is of whole words; those of more than one are
    taken word by word, in order. While the function sleeps or its BARs are off, reads give ones and
    writes are lost, as for a function that is not there.

    Parameters
    ----------
    core
        The card.

    """

    def __init__(self, core: CardCore) -> None:
        self.core = core
        queues = abi.CARD["CAP_COUNTS"].unpack(core.read32(abi.CARD.address("CAP_COUNTS")))
        self.vectors = Vectors(core, queues["queues"] + 1)
        self.config = ConfigSpace(self.vectors.count)
        self.dma = DmaSpace(core)
        self.receives = False
        """Whether the driver has the card take frames."""
        self.accesses: Counter[tuple[str, int]] = Counter()
        """Accesses of registers by ("read" or "write", bytes)."""
        self.refused = 0
        """Posted writes that the card, or this, refused."""
        self._table = bytearray()
        self.reset()

    def size(self, region: int) -> int:
        """Return the bytes of a region."""
        return {abi.WINDOW_BAR: _WINDOW_BYTES, abi.MSIX_BAR: abi.MSIX_BAR_BYTES,
                Region.CONFIG: CONFIG_BYTES}.get(region, 0)

    # Accesses

    def read(self, region: int, offset: int, count: int) -> bytes:
        """Read a region.

        Raises
        ------
        OSError
            If there is nothing of the kind.
        CardError
            If the card answers with an error.

        """
        self._check(region, offset, count)
        if region == Region.CONFIG:
            return self.config.read(offset, count)
        if not self.config.memory:
            return b"\xff" * count
        if region == abi.MSIX_BAR:
            return bytes(self._table[offset:offset + count])
        if count > _READ_BYTES_MAX:
            raise OSError(errno.EINVAL, f"{count} bytes of registers in one read")
        self.accesses["read", count] += 1
        first, last = offset & ~3, offset + count + 3 & ~3
        words = b"".join(_WORD.pack(self.core.read32(at)) for at in range(first, last, 4))
        return words[offset - first:offset - first + count]

    def write(self, region: int, offset: int, data: bytes | memoryview) -> None:
        """Write a region. Raises as :meth:`read` does."""
        count = len(data)
        self._check(region, offset, count)
        if region == Region.CONFIG:
            if self.config.write(offset, bytes(data)):
                self.reset()
            self._switch()
        elif not self.config.memory:
            return
        elif region == abi.MSIX_BAR:
            self._write_table(offset, data)
        elif (offset | count) % 4 or count > _WRITE_BYTES_MAX:
            raise OSError(errno.EINVAL, f"{count} bytes at {offset:#x} are not a few whole words")
        else:
            self.accesses["write", count] += 1
            self._write_registers(offset, memoryview(data).cast("B").cast("I").tolist())

    def _check(self, region: int, offset: int, count: int) -> None:
        if not 0 < count <= self.size(region) - offset:
            raise OSError(errno.EINVAL, f"{count} bytes at {offset:#x} are not in region {region}")

    def _write_registers(self, offset: int, words: list[int]) -> None:
        for at, word in enumerate(words if offset <= _RESET else ()):
            if offset + 4 * at == _CONTROL:
                self.receives = bool(abi.CARD["CONTROL"].unpack(word)["receive"])
            elif offset + 4 * at == _RESET and word & 1:
                self.receives = False
        if len(words) == 1:
            self.core.write32(offset, words[0])
        else:
            self.core.write_words(offset, words)

    def _write_table(self, offset: int, data: bytes | memoryview) -> None:
        end = abi.MSIX_TABLE + _ENTRY_BYTES * self.vectors.count
        kept = data[:max(0, end - offset)]
        self._table[offset:offset + len(kept)] = kept

    def post(self, region: int, offset: int, data: bytes | memoryview) -> None:
        """Write a region, and only count what is refused."""
        try:
            self.write(region, offset, data)
        except (OSError, CardError):
            self.refused += 1

    # Switches

    def _switch(self) -> None:
        on = self.config.bus_master
        self.core.bus_master = on
        self.vectors.enabled = on

    def reset(self) -> None:
        """Reset the function. What it may reach is the host's to say, and stays."""
        self.receives = False
        self.config.reset()
        self._switch()
        self.core.reset()
        self._table = bytearray(abi.MSIX_BAR_BYTES)
        for vector in range(self.vectors.count):
            self._table[abi.MSIX_TABLE + _ENTRY_BYTES * vector + 12] = _MASK_VECTOR

    def release(self) -> None:
        """Forget the client: whatever state it left, nothing of it remains."""
        self.reset()
        self.vectors.disconnect()
        self.dma.clear()
