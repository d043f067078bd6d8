"""Return rings and count mirrors of the in-memory card: what it reads by itself, and tells.

Both are done at once: a doorbell returns when its tokens have been looked at, and a count that
changes is in its mirror when the operation that changed it is over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pagering import abi
from pagering.abi import Fault
from pagering.fake_memory import HostMemory

__all__ = ["FakeMirrors", "FakeReturnRing"]

_INDEX_MASK = (1 << abi.CONSUMER_BITS) - 1
_TOKEN_BYTES = abi.TOKEN.width // 8
_LINE_BYTES = abi.RETURN_LINE * _TOKEN_BYTES


@dataclass(frozen=True)
class FakeReturnRing:
    """The return ring of a queue, as its registers describe it."""

    address: int
    log2: int
    mirror: bool

    def fetch(self, consumed: int, produced: int, memory: HostMemory,
              take: Callable[[int], None], fault: Callable[[Fault], None]) -> bool:
        """Take the tokens between two indices, line by line; return whether the doorbell is good.

        As nothing is ever left in the ring, every step forward that fits is good.
        """
        ahead = produced - consumed & _INDEX_MASK
        if not self.log2 or ahead > 1 << self.log2:
            return False
        at, end = consumed, consumed + ahead
        while at < end:
            stop = min(end, (at // abi.RETURN_LINE + 1) * abi.RETURN_LINE)
            place = (at & (1 << self.log2) - 1) // abi.RETURN_LINE * _LINE_BYTES
            line = memory.read(self.address + place, _LINE_BYTES)
            if line is None:
                fault(Fault.RETURN_READ)
            else:
                for token in range(at, stop):
                    start = token % abi.RETURN_LINE * _TOKEN_BYTES
                    take(int.from_bytes(line[start:start + _TOKEN_BYTES], "little"))
            at = stop
        if ahead and self.mirror:
            record = abi.MIRROR.pack(free=produced).to_bytes(abi.MIRROR_BYTES, "little")
            if not memory.write(self.address + (_TOKEN_BYTES << self.log2), record):
                fault(Fault.MIRROR_WRITE)
        return True


@dataclass
class FakeMirrors:
    """The counts of all pools, as they were last written."""

    memory: HostMemory
    fault: Callable[[Fault], None]
    written: dict[int, int] = field(default_factory=dict)

    def update(self, pool: int, enabled: bool, address: int | None, free: int,
               outstanding: int) -> None:
        """Write the counts of a pool, if it is enabled, has a mirror and they have changed."""
        if not enabled or address is None:
            self.written.pop(pool, None)
            return
        record = abi.MIRROR.pack(free=free, outstanding=outstanding)
        if self.written.get(pool) != record:
            self.written[pool] = record
            if not self.memory.write(address, record.to_bytes(abi.MIRROR_BYTES, "little")):
                self.fault(Fault.MIRROR_WRITE)
