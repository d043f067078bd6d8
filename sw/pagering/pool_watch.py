"""What the host can know of a pool cheaply: its counts in a cache line, and its oldest page."""

from __future__ import annotations

from dataclasses import dataclass

from pagering import abi
from pagering.registers import BlockView
from pagering.transport import Transport

__all__ = ["OldestPage", "PoolMirror", "read_oldest"]

_LOOKS = 8
"""Most times to read two registers until they are of one find."""


@dataclass(frozen=True)
class OldestPage:
    """The page that the host has had for longest."""

    page: int
    """Its id."""
    age_cycles: int
    """For how many cycles of the card's clock, to within a sixteenth or ``abi.AGE_CYCLES``."""
    queue: int
    """The queue that holds it."""


def read_oldest(registers: BlockView) -> OldestPage | None:
    """Ask the card for the oldest page of a pool, by the pool's registers."""
    for _ in range(_LOOKS):
        found = registers.OLDEST.read()
        age = registers.OLDEST_AGE.get()
        if found == registers.OLDEST.read():
            break
    if not found["valid"]:
        return None
    return OldestPage(found["page"], age * abi.AGE_CYCLES, found["queue"])


class PoolMirror:
    """A cache line to which the card writes the counts of a drained pool once it is enabled."""

    def __init__(self, transport: Transport, registers: BlockView) -> None:
        self._memory = transport.allocate(abi.LINE_BYTES)
        address = self._memory.address
        registers.MIRROR_HIGH.write(address=address >> 32)
        registers.MIRROR_LOW.write(enable=1, address=address >> 3 & 0x1FFF_FFFF)

    def counts(self) -> dict[str, int]:
        """Return the pool's counts as the card last wrote them, by their names in the contract."""
        word = int.from_bytes(self._memory.view[:abi.MIRROR_BYTES], "little")
        return abi.MIRROR.unpack(word)

    def free(self, registers: BlockView) -> None:
        """Take the mirror away from the drained pool and give the memory back."""
        registers.MIRROR_LOW.write(enable=0)
        self._memory.free()
