"""Runs programs: see :mod:`storm.program` for what they are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from pagering import abi
from pagering.abi import ClockCommand
from pagering_hdl.config import CardConfig
from pagering_tb.bulk_wire import WireFrame

from . import control_operations as control
from . import steer_operations as steer
from . import traffic_operations as traffic
from .bench import LIMIT_CYCLES
from .completions import STAMP_NS
from .control import Control
from .operation import Operation
from .pages import Wrong
from .steer import Steer
from .traffic import Traffic

__all__ = ["World"]


class World(Traffic, Control, Steer):
    """A card on which programs run, one after another."""

    def __init__(self, dut: Any, config: CardConfig) -> None:
        super().__init__(dut, config)
        self._operations: dict[type[Operation], Callable[[Any], Awaitable[None]]] = {
            traffic.Frames: self.put_frames, traffic.Run: self._run, traffic.Settle: self._settle,
            traffic.Host: self.set_host, traffic.Forge: self.forge, traffic.Arm: self.arm,
            traffic.Gate: self.gate, traffic.Flush: self.flush, traffic.Events: self.events,
            traffic.Memory: self.set_memory, traffic.Gaps: self.gaps,
            traffic.BusError: self.bus_error, traffic.ReadError: self.read_error,
            traffic.Misuse: self.misuse,
            control.QueueOff: self.queue_off, control.QueueOn: self.queue_on,
            control.PoolOff: self.pool_off, control.PoolOn: self.pool_on,
            control.Replace: self.replace, control.Register: self.register,
            control.Limit: self.limit, control.Quota: self.quota, control.LowWater: self.low_water,
            control.Hold: self.hold, control.Moderate: self.moderate, control.Force: self.force,
            control.MirrorTimer: self.mirror_timer, control.Reset: self._reset,
            steer.Steer: self.steer, steer.Hash: self.hash, steer.Spread: self.spread,
            steer.Rule: self.rule, steer.RuleOff: self.rule_off, steer.Filter: self.filter,
            steer.Accept: self.accept,
        }

    def sabotage(self, number: int) -> None:
        """Switch on a fault of :mod:`storm.sabotage`."""
        self.dut.sabotage.value = 1 << number

    async def run(self, program: Sequence[Operation]) -> None:
        """Reset the card by its pin and run a program on it.

        Raises
        ------
        Wrong
            If the card did something that it must not do.
        """
        self.ports.on_edge = lambda: None
        self.dut.rst.value = 1
        await self.set_memory(traffic.Memory())
        self.wire.gaps = 0.0
        self.ports.clear()
        self.bus.problems.clear()
        self.reads.problems.clear()
        self.renew()
        await self.cycles(4)
        self.ports.clear()
        self.dut.rst.value = 0
        self.ports.cycle = 0
        self.ports.on_edge = self.edge
        await self.until("out of reset", abi.CARD, "STATUS", 0, lambda value: not value & 1)
        # The card may think that it is in the midst of a frame, which the reset has cut.
        self.wire.put(WireFrame(b"end"))
        await self.rest()
        self.model.begin(1)
        await self._set_up()
        for operation in program:
            await self._operations[type(operation)](operation)
            self.look()
        await self._finish()

    async def _set_up(self) -> None:
        config = self.config
        self.write(abi.CARD, "CLOCK_VALUE_HIGH", value=STAMP_NS)
        self.write(abi.CARD, "CLOCK_COMMAND", command=ClockCommand.RATE)
        for pool in range(config.pools):
            await self.load(pool)
            await self.pool_on(control.PoolOn(pool))
        await self.load(0)
        for queue in range(config.queues):
            await self.queue_on(control.QueueOn(queue, queue))
        await self.steer(steer.Steer(config.queues - 1, True))
        await self.gate(traffic.Gate())
        await self.registers.flush()

    async def _finish(self) -> None:
        """Take everything down: each page comes back."""
        await self.set_memory(traffic.Memory())
        await self.gaps(traffic.Gaps(0))
        await self.settle()
        await self.set_host(traffic.Host())
        await self._give_all()
        for queue in range(self.config.queues):
            await self.queue_off(control.QueueOff(queue))
        await self.settle()
        for pool in range(self.config.pools):
            free, registered = [await self.read(abi.POOL, name, pool)
                                for name in ("FREE", "REGISTERED")]
            if free != registered:
                raise Wrong(f"everything was returned, but of {registered} pages of pool {pool} "
                            f"{free} are free")

    async def _give_all(self) -> None:
        limit = self.ports.cycle + LIMIT_CYCLES
        while self.host.held or self.registers.waiting or any(
                queue.seen for queue in self.model.queues):
            await self.cycles(20)
            if self.ports.cycle > limit:
                raise Wrong("the card does not take what is returned")

    async def _run(self, op: traffic.Run) -> None:
        await self.cycles(op.cycles)

    async def _settle(self, op: traffic.Settle) -> None:
        await self.settle()

    async def _reset(self, op: control.Reset) -> None:
        model = self.model
        self.host.paused = True
        await self.registers.flush()
        ended = model.frames.ended
        self.write(abi.CARD, "RESET", reset=1)
        await self.until("reset", abi.CARD, "STATUS", 0, lambda value: not value & 1)
        # Whatever was under way is at its end, and nothing is set up: from here on, no write.
        blocks = [block for _, block in model.pages.slots.values()]
        blocks += [queue.ring.block for queue in model.queues if queue.ring is not None]
        blocks += [queue.returns.block for queue in model.queues
                   if queue.returns.block is not None]
        blocks += [mirror.block for mirror in model.mirrors if mirror.block is not None]
        if not self.bus.idle or not self.reads.idle:
            raise Wrong("the card came out of reset with a write or a read under way")
        for block in blocks:
            block.free()
        model.forget()
        self.host.forget()
        self.host.heads = [0] * self.config.queues
        await self.rest()
        came, deaf = [await self.read(abi.STATS, name)
                      for name in ("FRAMES_IN", "DROP_CARD_DISABLED")]
        # One frame's last beat may have been taken, and stand at the gate, when the reset came.
        most = model.frames.ended - ended + 1
        if came > most or came != deaf:
            raise Wrong(f"after a reset, {came} frames were counted and {deaf} of them dropped as "
                        f"CARD_DISABLED; at most {most} came")
        model.begin(came)
        self.host.paused = False
        await self._set_up()
