"""What is around the card in the random test: models, host, memory; and how one waits for it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

from cocotb.clock import Clock
from cocotb.triggers import Timer

from pagering import abi
from pagering.abi import Fault
from pagering_hdl.config import CardConfig
from pagering_tb.bulk_memory import BulkBurst
from pagering_tb.bulk_ports import BulkPorts
from pagering_tb.bulk_wire import WireFrame
from pagering_tb.host_memory import HostMemory

from .audit import Audit
from .host import TestHost
from .model import Model
from .pages import Wrong

__all__ = ["HOLD_CYCLES", "LIMIT_CYCLES", "Bench"]

_PERIOD_PS = 4000
LIMIT_CYCLES = 400_000
"""Nothing takes so long, whatever the stalls."""
HOLD_CYCLES = 3000
"""A frame may wait so long for memory: then the host gives up."""
MIRROR_CYCLES = 20_000
"""All mirrors have been written in so many cycles, at any MIRROR_TIMER of the test."""


class Bench:
    """A card and everything around it.

    Parameters
    ----------
    dut : HierarchyObject
        The card.
    config : CardConfig
        What it was made from.
    """

    def __init__(self, dut: Any, config: CardConfig) -> None:
        self.dut, self.config = dut, config
        dut.rst.value = 1
        Clock(dut.clk, _PERIOD_PS, "ps").start()
        self.ports = BulkPorts(dut, config.burst_bytes)
        self.wire, self.bus, self.reads, self.registers = (
            self.ports.wire, self.ports.memory, self.ports.reads, self.ports.registers)
        self.wire.on_start = lambda frame: self.model.started(frame.data)
        self.reads.on_read = self._read
        self.wire.on_end = self._ended
        self.bus.on_taken = self._taken
        self.bus.on_answered = lambda burst: self.model.answered(burst)
        self.frames = 0
        """Frames that went in, in all programs together."""
        self.reached: Counter[str] = Counter()
        """What the card counted, in all programs together."""
        self.renew()

    def renew(self) -> None:
        """Forget everything that has been: model, host and memory are new."""
        self.rng = random.Random(1)
        self.ports.rng.seed(1)
        self.noise = self.rng.randbytes(1 << 15)
        self.memory = HostMemory(1 << 26)
        self.model = Model(self.config)
        self.host = TestHost(self.config, self.model, self.registers, self.rng)

    def edge(self) -> None:
        """Do what a clock edge asks for."""
        model = self.model
        model.cycle = self.ports.cycle
        model.lines(int(self.dut.irq.value))
        self.host.step(model.cycle)

    def look(self) -> None:
        """Raise what was found to be wrong since the last look."""
        for found in (self.model.wrong, self.bus.problems, self.reads.problems):
            if found:
                raise Wrong(found[0])
        if self.registers.read_errors:
            self.registers.read_errors = 0
            raise Wrong("a register read was answered with an error")

    async def cycles(self, count: int) -> None:
        """Let time pass."""
        await Timer(count * _PERIOD_PS, "ps")

    def write(self, block: abi.Block, name: str, index: int = 0, *,
              taken: Callable[[], None] | None = None, **fields: int) -> None:
        """Post a write of a register's fields; ``index_`` is its field ``index``."""
        values = {key.rstrip("_"): value for key, value in fields.items()}
        self.registers.write(block.address(name, index), block[name].pack(**values), taken)

    async def read(self, block: abi.Block, name: str, index: int = 0) -> int:
        """Read a register, after all writes."""
        return await self.registers.read(block.address(name, index))

    async def until(self, what: str, block: abi.Block, name: str, index: int,
                    check: Callable[[int], bool]) -> None:
        """Read a register until it is as it should be."""
        limit = self.ports.cycle + LIMIT_CYCLES
        while not check(await self.read(block, name, index)):
            self.look()
            if self.ports.cycle > limit:
                raise Wrong(f"the card does not come to {what}")

    def expect(self, offset: int, value: int, *faults: Fault) -> None:
        """Write what must be refused."""
        named = frozenset(fault.name for fault in faults)
        self.registers.write(offset, value, lambda: self.model.faults.append(named))

    def release(self) -> None:
        """Let no frame wait for memory any longer."""
        for number, queue in enumerate(self.model.queues):
            if queue.hold.now:
                queue.hold.set(False)
                self.write(abi.QUEUE, "POLICY", number, hold=0)

    async def rest(self) -> None:
        """Wait until the wire is empty and the card says that nothing is under way.

        A frame that waits for memory gets some time for it.
        """
        now = self.ports.cycle
        limit, patience = now + LIMIT_CYCLES, now + HOLD_CYCLES
        while True:
            self.look()
            if self.ports.cycle > patience:
                self.release()
            if self.ports.cycle > limit:
                raise Wrong("the card does not come to rest")
            if self.wire.waiting:
                await self.cycles(20)
            # Only what the card says after the last beat is about it.
            elif await self.read(abi.CARD, "STATUS") & 2 and self.bus.idle:
                return

    async def settle(self) -> None:
        """Wait for rest, then check; the host rests too."""
        await self.rest()
        was, self.host.paused = self.host.paused, True
        await self.registers.flush()
        await self.pulled()
        await self.cycles(80)
        await self._await_time()
        self.reached += await Audit(self.model).settle(self.read)
        self.host.paused = was
        self.look()

    async def pulled(self) -> None:
        """Wait until the card has taken all tokens from its return rings."""
        for number, queue in enumerate(self.model.queues):
            returns = queue.returns
            await self.until(f"take the tokens from return ring {number}", abi.QUEUE,
                             "RETURN_CONSUMED", number, returns.is_all)
            returns.consumed = returns.produced

    async def _await_time(self) -> None:
        """Wait for what the card does at a time: interrupts, mirrors."""
        model = self.model
        longest = max(queue.interrupt.limits.now[0] for queue in model.queues)
        if longest:
            await self.cycles((longest + 1) * abi.MODERATION_CYCLES)
        limit = self.ports.cycle + MIRROR_CYCLES
        while self.ports.cycle < limit and not await self._mirrored():
            await self.cycles(50)

    async def _mirrored(self) -> bool:
        """Return whether every mirror says what the card does."""
        if any(queue.enabled.now and not queue.returns.is_mirrored for queue in self.model.queues):
            return False
        for number, mirror in enumerate(self.model.mirrors):
            if mirror.block is not None and self.model.pool_enabled[number].now:
                counts = tuple([await self.read(abi.POOL, name, number)
                                for name in ("FREE", "OUTSTANDING")])
                if mirror.counts != counts:
                    return False
        return self.bus.idle

    def _read(self, address: int, size: int) -> bytes | None:
        data = self.memory.read(address, size)
        if data is None:
            self.model.wrong.append(str(self.memory.violations[-1]))
            return None
        return data if self.model.read(address, size) else None

    def _ended(self, frame: WireFrame) -> None:
        self.model.frames.ended += 1
        self.frames += 1

    def _taken(self, burst: BulkBurst) -> None:
        # What the memory answers with an error, it has taken nevertheless: it may have.
        for address, data in burst.pieces:
            if not self.memory.write(address, bytes(data)):
                self.model.wrong.append(str(self.memory.violations[-1]))
                return
        self.model.taken(burst)
