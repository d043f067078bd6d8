"""The mirror of a pool's counts in host memory."""

from __future__ import annotations

from pagering import abi
from pagering_tb.host_memory import DmaBlock

from .pages import Wrong

__all__ = ["PoolMirror"]


class PoolMirror:
    """What the card has written of a pool's counts, if it is to."""

    def __init__(self) -> None:
        self.block: DmaBlock | None = None
        self.counts: tuple[int, int] | None = None
        """FREE and OUTSTANDING as they were written last."""

    def place(self, block: DmaBlock | None) -> None:
        """Take other memory."""
        self.block, self.counts = block, None

    def written(self, address: int, data: bytes, registered: int) -> bool:
        """Judge what is written; return whether it is of this mirror."""
        block = self.block
        if block is None or not block.address <= address < block.end:
            return False
        if address != block.address or len(data) != abi.MIRROR_BYTES:
            raise Wrong(f"{len(data)} bytes were written to 0x{address:x}, in a pool's mirror")
        counts = abi.MIRROR.unpack(int.from_bytes(data, "little"))
        free, outstanding = counts["free"], counts["outstanding"]
        if free + outstanding > registered:
            raise Wrong(f"a mirror says that {free} pages are free and {outstanding} "
                        f"outstanding, of {registered}")
        self.counts = free, outstanding
        return True
