"""The register file of the in-memory card: decoding, checks, commands.

Every register of :mod:`pagering.abi` and nothing else answers. A refused write changes nothing but
one fault counter.
"""

from __future__ import annotations

from collections.abc import Mapping

from pagering import abi
from pagering.abi import Access, ClockCommand, Fault, SteeringMode
from pagering.capabilities import Capabilities
from pagering.errors import CardError
from pagering.fake_memory import HostMemory
from pagering.fake_pool_registers import FakePoolRegisters
from pagering.fake_return_ring import FakeReturnRing

__all__ = ["FakeRegisters"]

_HIGH = "_HIGH"


class FakeRegisters(FakePoolRegisters):
    """Registers, and through ``state`` the card behind them.

    Parameters
    ----------
    config, memory
        How the card is built and where it writes.
    load_polls, reset_polls
        How many reads of a region's register, or of STATUS, see it still at work.

    """

    def __init__(self, config: Capabilities, memory: HostMemory, load_polls: int,
                 reset_polls: int) -> None:
        super().__init__(config, memory, load_polls)
        self._reset_polls = reset_polls
        self._resetting = 0
        self._decode = {block.address(register.name, index): (block, index, register)
                        for block in abi.BLOCKS if block is not abi.STEER or config.steering
                        for index in range(getattr(config, block.count) if block.count else 1)
                        for register in block}

    def read(self, offset: int) -> int:
        """Read a register.

        Raises
        ------
        CardError
            If there is none at ``offset``.

        """
        found = self._decode.get(offset)
        if found is None:
            self.state.fault(Fault.REGISTER_ACCESS)
            raise CardError(f"the card answered a read of {offset:#x} with an error: there is no "
                            f"register; use the offsets of pagering.abi")
        block, index, register = found
        if self._deaf(offset) or register.access is Access.WO:
            return 0
        fields: dict[str, int] = getattr(self, f"_read_{block.name.lower()}")(register.name, index)
        return register.pack(**fields)

    def write(self, offset: int, value: int) -> None:
        """Write a register, or a token to a return window; frames that waited for it go on."""
        if not self._deaf(offset):
            self._act(offset, value)
            self.state.retry()

    def _act(self, offset: int, value: int) -> None:
        queue = self.window(offset)
        if queue is not None:
            self.state.give_back(queue, value)
            return
        found = self._decode.get(offset)
        if found is None or found[2].access is Access.RO:
            self.state.fault(Fault.REGISTER_ACCESS)
            return
        block, index, register = found
        write = getattr(self, f"_write_{block.name.lower()}")
        if not write(register.name, index, register.unpack(value)):
            self.state.fault(Fault.REGISTER_VALUE)

    def window(self, offset: int) -> int | None:
        """Return the queue whose return window holds ``offset``, if any."""
        queue, rest = divmod(offset - abi.USER.base, abi.USER.stride)
        inside = abi.RETURN_WINDOW <= rest < abi.RETURN_WINDOW + abi.RETURN_WINDOW_BYTES
        return queue if inside and 0 <= queue < self.config.queues else None

    # Registers: each _read_ returns the fields, each _write_ whether the value was acceptable

    def _read_card(self, name: str, index: int) -> dict[str, int]:
        config, state = self.config, self.state
        match name:
            case "CAP_COUNTS":
                return {"queues": config.queues, "pools": config.pools, "regions": config.regions}
            case "CAP_SIZES":
                return {"page_log2": _log2(config.page_bytes),
                        "chunk_log2": _log2(config.chunk_bytes),
                        "region_pages_log2": _log2(config.region_pages),
                        "bus_log2": _log2(config.bus_bytes)}
            case "CAP_LIMITS":
                return {"frame_bytes": config.frame_bytes, "burst_bytes": config.burst_bytes}
            case "CAP_FEATURES":
                return {"header_split": int(config.header_split), "pull_returns": 1,
                        "pool_watch": 1, "parser": int(config.parser),
                        "steering": int(config.steering), "statistics": int(config.statistics),
                        "timestamps": int(config.timestamps)}
            case "CAP_CLOCK":
                return {"khz": config.clock_khz}
            case "CLOCK_LOW" | "CLOCK_HIGH":
                return {"value": state.clock.captured >> 32 * (name == "CLOCK_HIGH") & 0xFFFFFFFF}
            case "STATUS":
                busy, self._resetting = self._resetting, max(0, self._resetting - 1)
                return {"resetting": int(busy > 0),
                        "idle": int(not state.pending and not state.waiting)}
            case "EVENTS" | "EVENT_ENABLE":
                return abi.CARD[name].unpack(
                    state.events if name == "EVENTS" else state.event_enable)
            case "PAUSE_STATUS":
                return self._pause_status()
            case "FIFO_PEAK":
                return {"bytes": state.statistics.fifo_peak}
            case "LOW_WATER_0" | "LOW_WATER_1":
                base = 32 * int(name[-1])
                return {"value": sum(pool.low << at for at, pool in
                                     enumerate(state.pages.pools[base:base + 32]))}
        return self._stored(abi.CARD, name)

    def _pause_status(self) -> dict[str, int]:
        # A frame passes the twin's FIFO in no time.
        low, held = any(pool.low for pool in self.state.pages.pools), bool(self.state.waiting)
        enabled = self._stored(abi.CARD, "PAUSE")
        return {"pause": int(low and enabled["pools"] or held and enabled["held"]), "fifo": 0,
                "pools": int(low), "held": int(held)}

    def _write_card(self, name: str, index: int, fields: dict[str, int]) -> bool:
        state = self.state
        match name:
            case "RESET":
                if fields["reset"]:
                    # Writes that are under way finish; then all state is gone.
                    self.state.show(len(self.state.pending))
                    self._clear()
                    self._resetting = self._reset_polls
                return True
            case "CLOCK_COMMAND":
                if not self.config.timestamps:
                    return False
                low, high = (self._stored(abi.CARD, f"CLOCK_VALUE_{half}")["value"]
                             for half in ("LOW", "HIGH"))
                state.clock.order(ClockCommand(fields["command"]), high << 32 | low)
                return True
            case "CONTROL":
                state.receive = bool(fields["receive"])
            case "STEERING":
                modes = set(SteeringMode) if self.config.steering else {
                    SteeringMode.FIXED, SteeringMode.ROUND_ROBIN}
                if fields["mode"] not in modes:
                    return False
                steering = state.steering
                steering.mode = SteeringMode(fields["mode"])
                steering.queue, steering.last = fields["queue"], fields["last"]
            case "FRAME_LIMITS":
                state.minimum, state.maximum = fields["minimum"], fields["maximum"]
            case "EVENTS":
                state.set_events(state.events & ~abi.CARD[name].pack(**fields),
                                 state.event_enable)
                return True
            case "EVENT_ENABLE":
                state.set_events(state.events, abi.CARD[name].pack(**fields))
                return True
        self._plain["CARD", name, 0] = fields
        return True

    def _read_queue(self, name: str, index: int) -> dict[str, int]:
        queue = self.state.queues[index]
        match name:
            case "CONTROL":
                return {"enable": int(queue.enabled)}
            case "STATUS":
                return {"drained": int(queue.drained), "armed": int(queue.interrupt.armed),
                        "fired": int(queue.interrupt.fired)}
            case "HELD":
                return {"pages": self.state.pages.held[index]}
            case "PRODUCED":
                return {"index": queue.produced}
            case "RETURN_CONSUMED":
                return {"index": queue.returned}
        return self._stored(abi.QUEUE, name, index)

    def _write_queue(self, name: str, index: int, fields: dict[str, int]) -> bool:
        queue = self.state.queues[index]
        if name == "QUOTA":
            queue.quota = fields["pages"]
        elif name == "MODERATION":
            queue.interrupt.time = fields["time"]
            queue.interrupt.completions = fields["completions"]
            self.state.moderate(index)
        elif name == "FORCE":
            if fields["force"]:
                self.state.force(index)
            return True
        elif name == "POLICY":
            queue.hold = bool(fields["hold"])
        elif name == "CONTROL":
            if fields["enable"] and not queue.enabled:
                return self._enable_queue(index)
            if not fields["enable"]:
                queue.enabled = False
                self.state.close_open_pages(queue)
            return True
        elif not queue.drained or not self._possible(name, fields):
            return False
        # Pool and ring are looked at when the queue is enabled.
        self._plain["QUEUE", name, index] = fields
        return True

    def _possible(self, name: str, fields: dict[str, int]) -> bool:
        """Return whether this card can be set like that."""
        if name == "HEADER_SPLIT":
            return self.config.header_split or not fields["enable"]
        if name == "FORMAT":
            return self.config.extended or not fields["extended"]
        log2 = fields["log2"] if name == "RETURN_SIZE" else 0
        return not log2 or abi.RETURN_LOG2_MIN <= log2 <= abi.RETURN_LOG2_MAX

    def _enable_queue(self, index: int) -> bool:
        queue = self.state.queues[index]
        pool = self._stored(abi.QUEUE, "POOL", index)["index"]
        log2 = self._stored(abi.QUEUE, "RING_SIZE", index)["log2"]
        split = self._stored(abi.QUEUE, "HEADER_SPLIT", index)
        extended = bool(self._stored(abi.QUEUE, "FORMAT", index)["extended"])
        if (not queue.drained or pool >= self.config.pools
                or split["enable"] and (split["pool"] >= self.config.pools or not extended)
                or not abi.RING_LOG2_MIN <= log2 <= abi.RING_LOG2_MAX):
            return False
        queue.pool, queue.ring_log2 = pool, log2
        queue.extended = extended
        queue.split, queue.header_pool = bool(split["enable"]), split["pool"]
        queue.threshold = split["threshold"]
        queue.ring_address = (self._stored(abi.QUEUE, "RING_HIGH", index)["address"] << 32
                              | self._stored(abi.QUEUE, "RING_LOW", index)["address"] << 12)
        queue.enabled = True
        queue.reserved = queue.produced = queue.consumed = 0
        queue.interrupt.disarm()
        return True

    def _read_user(self, name: str, index: int) -> dict[str, int]:
        if not self.config.statistics:
            return {"value": 0}
        return _half(self.state.statistics.queues[index], name)

    def _read_stats(self, name: str, index: int) -> dict[str, int]:
        if not self.config.statistics and name.removesuffix(_HIGH) not in abi.ESSENTIAL:
            return {"value": 0}
        return _half(self.state.statistics.card, name)

    def _write_user(self, name: str, index: int, fields: dict[str, int]) -> bool:
        if name == "RETURN_PRODUCED":
            return self._fetch(index, fields["index"])
        if name == "ARM":
            self.state.arm(index, fields["index"])
        else:
            self.state.consume(index, fields["index"])
        return True

    def _read_steer(self, name: str, index: int) -> dict[str, int]:
        return self.state.steering.read(name)

    def _write_steer(self, name: str, index: int, fields: dict[str, int]) -> bool:
        return self.state.steering.write(name, fields)

    def _fetch(self, index: int, produced: int) -> bool:
        queue, size = self.state.queues[index], self._stored(abi.QUEUE, "RETURN_SIZE", index)
        low = self._stored(abi.QUEUE, "RETURN_LOW", index)["address"]
        high = self._stored(abi.QUEUE, "RETURN_HIGH", index)["address"]
        ring = FakeReturnRing(high << 32 | low << 12, size["log2"], bool(size["mirror"]))
        if not queue.enabled or not ring.fetch(
                queue.returned, produced, self._memory,
                lambda token: self.state.give_back(index, token), self.state.fault):
            return False
        queue.returned = produced
        return True

    def _deaf(self, offset: int) -> bool:
        """Return whether a reset is under way and ``offset`` is not in the card's own block."""
        return self._resetting > 0 and offset >= abi.REGION.base


def _half(counters: Mapping[str, int], name: str) -> dict[str, int]:
    """Return the half of a counter that a register is."""
    shift = 32 * name.endswith(_HIGH)
    return {"value": counters[name.removesuffix(_HIGH)] >> shift & 0xFFFFFFFF}


def _log2(value: int) -> int:
    return value.bit_length() - 1
