"""The register blocks of pools and regions of the in-memory card, and what all blocks share."""

from __future__ import annotations

from pagering import abi
from pagering.abi import Fault, Policy
from pagering.capabilities import Capabilities
from pagering.fake_memory import HostMemory
from pagering.fake_pool import Slot
from pagering.fake_queue import Side
from pagering.fake_receive import FakeReceiver
from pagering.fake_return_ring import FakeMirrors

__all__ = ["FakePoolRegisters"]


class FakePoolRegisters:
    """The blocks POOL and REGION.

    Each ``_read_`` returns the fields of a register, each ``_write_`` whether the value was
    acceptable.

    Parameters
    ----------
    config, memory
        How the card is built and where it writes.
    load_polls
        How many reads of a region's register see it still at work.

    """

    def __init__(self, config: Capabilities, memory: HostMemory, load_polls: int) -> None:
        self.config = config
        self.state = FakeReceiver(config, memory)
        self._memory = memory
        self._load_polls = load_polls
        self._mirrors = FakeMirrors(memory, self.state.fault)
        self._plain: dict[tuple[str, str, int], dict[str, int]] = {}

    def _clear(self) -> None:
        self.state = FakeReceiver(self.config, self._memory, self.state)
        self._mirrors = FakeMirrors(self._memory, self.state.fault)
        self._plain = {}

    def _stored(self, block: abi.Block, name: str, index: int = 0) -> dict[str, int]:
        reset = block[name].unpack(block[name].reset)
        return self._plain.get((block.name, name, index), reset)

    def _read_region(self, name: str, index: int) -> dict[str, int]:
        row = self.state.pages.slots[index]
        if row.loading:
            row.reads_left -= 1
            if row.reads_left < 0:
                self.state.pages.load(index)
        return {"valid": int(row.valid), "loading": int(row.loading), "pool": row.pool,
                "address": row.address >> 12 & 0xFFFFF}

    def _write_region(self, name: str, index: int, fields: dict[str, int]) -> bool:
        high = self._stored(abi.CARD, "REGION_HIGH")["address"]
        address = high << 32 | fields["address"] << 12
        row = self.state.pages.slots[index]
        if (not fields["valid"] or row.valid or row.loading
                or fields["pool"] >= self.config.pools):
            self.state.fault(Fault.REGION_REFUSED)
        elif address % self.config.region_bytes:
            self.state.fault(Fault.REGION_ALIGNMENT)
        else:
            self.state.pages.slots[index] = Slot(False, True, fields["pool"], address,
                                                 self._load_polls)
            if not self._load_polls:
                self.state.pages.load(index)
        return True

    def _read_pool(self, name: str, index: int) -> dict[str, int]:
        pages = self.state.pages
        pool = pages.pools[index]
        match name:
            case "CONTROL":
                return {"enable": int(pool.enabled), "policy": pool.policy}
            case "STATUS":
                return {"drained": int(pool.drained), "low_water": int(pool.low)}
            case "LOW_WATER":
                return {"enter": pool.low_enter, "exit": pool.low_exit}
            case "MIRROR_LOW" | "MIRROR_HIGH":
                return self._stored(abi.POOL, name, index)
            case "OLDEST" | "OLDEST_AGE":
                return self._oldest(name, index)
        return {"pages": {"LIMIT": pool.limit, "REGISTERED": pool.registered,
                          "FREE": len(pool.ring), "PEAK": pool.peak,
                          "OUTSTANDING": pages.outstanding_of(index)}[name]}

    def _write_pool(self, name: str, index: int, fields: dict[str, int]) -> bool:
        pages = self.state.pages
        pool = pages.pools[index]
        match name:
            case "MIRROR_LOW" | "MIRROR_HIGH":
                if not pool.drained:
                    return False
                self._plain["POOL", name, index] = fields
            case "CONTROL":
                enable = bool(fields["enable"])
                if enable and not pool.enabled and not pool.drained:
                    return False
                if enable and not pool.enabled:
                    pool.peak = pool.off_ring
                pool.enabled, pool.policy = enable, Policy(fields["policy"])
                if not enable:
                    for queue in self.state.queues:
                        mine = {Side.PAYLOAD: queue.pool, Side.HEADERS: queue.header_pool}
                        self.state.close_open_pages(
                            queue, [side for side in Side if mine[side] == index])
            case "LIMIT":
                pool.limit = fields["pages"]
            case "LOW_WATER":
                pool.low_enter, pool.low_exit = fields["enter"], fields["exit"]
            case "RETIRE":
                if fields["retire"] and not pool.drained:
                    return False
                if fields["retire"]:
                    for slot, row in enumerate(pages.slots):
                        if row.loading and row.pool == index:
                            pages.load(slot)  # one command after the other
                    pages.retire(index)
        pages.watch(index)
        return True

    def _oldest(self, name: str, index: int) -> dict[str, int]:
        pages = self.state.pages
        found = pages.oldest_of(index)
        if found is None:
            return {}
        page, state = found
        if name == "OLDEST":
            return {"page": page, "queue": state.holder, "valid": 1}
        return {"time": pages.cycles // abi.AGE_CYCLES - (state.since or 0) // abi.AGE_CYCLES}

    def mirror(self) -> None:
        """Bring the mirrors of all pools up to date."""
        pages = self.state.pages
        for index, pool in enumerate(pages.pools):
            low = self._stored(abi.POOL, "MIRROR_LOW", index)
            high = self._stored(abi.POOL, "MIRROR_HIGH", index)["address"]
            self._mirrors.update(
                index, pool.enabled, high << 32 | low["address"] << 3 if low["enable"] else None,
                len(pool.ring), pages.outstanding_of(index))
