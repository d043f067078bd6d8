"""Operations of the random test: where frames go."""

from __future__ import annotations

import dataclasses

from pagering import abi
from pagering.abi import SteeringMode, Transform
from pagering.filters import multicast_hash
from pagering.toeplitz import KEY_BYTES, MICROSOFT_KEY, SYMMETRIC_KEY

from . import steer_operations as p
from .bench import Bench
from .packets import Template, templates
from .steering import FilterState, Hashing, rule_for

__all__ = ["Steer"]

_KEYS = (bytes(KEY_BYTES), MICROSOFT_KEY, SYMMETRIC_KEY)
_MARK = 0x5000


def _packet(pick: int) -> Template:
    found = templates()
    return found[pick % len(found)]


class Steer(Bench):
    """Receive-side scaling, flow rules and filters."""

    async def _begin(self, quiet: bool) -> None:
        if quiet:
            await self.settle()

    async def _end(self, quiet: bool) -> None:
        """All is written; if no frame was on its way meanwhile, there is no doubt."""
        await self.registers.flush()
        if quiet:
            self.model.frames.steering.settle()

    async def steer(self, op: p.Steer) -> None:
        await self._begin(op.quiet)
        queue = op.queue % self.config.queues
        route = self.model.frames.steering.route
        mode = SteeringMode.FIXED
        if op.rss:
            mode = SteeringMode.RSS
            route.set(None)
        elif op.turns:
            mode = SteeringMode.ROUND_ROBIN
            # The first frame of a rotation still has the turn of the one before, whatever that was.
            route.set(tuple(range(self.config.queues)))
        else:
            route.set((queue,))
        self.write(abi.CARD, "STEERING", mode=mode, queue=queue, last=queue)
        await self._end(op.quiet)

    async def hash(self, op: p.Hash) -> None:
        await self._begin(op.quiet)
        hashing = self.model.frames.steering.hashing
        key = _KEYS[op.key % len(_KEYS)]
        if key != hashing.now.key:
            hashing.set(dataclasses.replace(hashing.now, key=None))
            for row in range(abi.KEY_WORDS):
                self.write(abi.STEER, "ROW", row=row)
                self.write(abi.STEER, "KEY", key=int.from_bytes(key[4 * row:4 * row + 4], "big"))
        hashing.set(Hashing(Transform(op.transform), op.tcp, op.udp, key))
        self.write(abi.STEER, "RSS", transform=op.transform, tcp=int(op.tcp), udp=int(op.udp))
        await self._end(op.quiet)

    async def spread(self, op: p.Spread) -> None:
        await self._begin(op.quiet)
        queue = op.queue % self.config.queues
        for row in range(op.first, op.first + op.count):
            row %= abi.INDIRECTION_ROWS
            self.model.frames.steering.rows[row].set(queue)
            self.write(abi.STEER, "ROW", row=row)
            self.write(abi.STEER, "INDIRECTION", queue=queue)
        await self._end(op.quiet)

    async def rule(self, op: p.Rule) -> None:
        await self._begin(op.quiet)
        queue = op.queue % self.config.queues
        number = op.number % abi.RULES
        word = rule_for(_packet(op.pick).found, op.match, queue=queue, drop=int(op.drop),
                        mark=_MARK + number)
        await self._disable(number)
        for at in range(abi.RULE_WORDS):
            self.write(abi.STEER, "ROW", row=number, word=at)
            self.write(abi.STEER, "RULE_WORD", value=word >> 32 * at & 0xFFFF_FFFF)
        self.model.frames.steering.set_rule(number, word)
        self.write(abi.STEER, "RULE", enable=1)
        await self._await_rule()
        await self._end(op.quiet)

    async def _disable(self, number: int) -> None:
        self.model.frames.steering.set_rule(number, None)
        self.write(abi.STEER, "ROW", row=number)
        self.write(abi.STEER, "RULE", enable=0)
        await self._await_rule()

    async def _await_rule(self) -> None:
        await self.until("put a rule in place", abi.STEER, "RULE", 0,
                         lambda value: not value & 2)

    async def rule_off(self, op: p.RuleOff) -> None:
        await self._begin(op.quiet)
        await self._disable(op.number % abi.RULES)
        await self._end(op.quiet)

    async def filter(self, op: p.Filter) -> None:
        await self._begin(op.quiet)
        bits = {"promiscuous": op.promiscuous, "all_multicast": op.all_multicast,
                "broadcast": op.broadcast, "vlan": op.vlan, "untagged": op.untagged}
        self._filters(dataclasses.replace(self.model.frames.steering.filter.now, **bits))
        self.write(abi.STEER, "FILTER", **{name: int(bit) for name, bit in bits.items()})
        await self._end(op.quiet)

    def _filters(self, state: FilterState) -> None:
        self.model.frames.steering.filter.set(state)

    async def accept(self, op: p.Accept) -> None:
        await self._begin(op.quiet)
        found, state = _packet(op.pick).found, self.model.frames.steering.filter.now
        match op.kind:
            case 0:
                self._take_address(op.row % abi.ADDRESSES, found.destination)
            case 1:
                multicast = 1 << multicast_hash(found.destination)
                self._filters(dataclasses.replace(state, multicast=multicast))
                # Two registers: meanwhile none of the old hashes need count, nor all of the new.
                self._filters(dataclasses.replace(state, multicast=0))
                self._filters(dataclasses.replace(state, multicast=multicast))
                for half in range(2):
                    self.write(abi.STEER, f"MULTICAST_{half}",
                               hashes=multicast >> 32 * half & 0xFFFF_FFFF)
            case 2:
                vlan = found.facts.tci & 0xFFF
                row, bit = divmod(vlan, 32)
                near = {vid for vid in state.vlans if vid // 32 == row} | {vlan}
                self._filters(dataclasses.replace(state, vlans=state.vlans | {vlan}))
                self.write(abi.STEER, "ROW", row=row)
                self.write(abi.STEER, "VLANS", vlans=sum(1 << vid % 32 for vid in near))
        await self._end(op.quiet)

    def _take_address(self, row: int, address: int) -> None:
        """Put an address in a row of the filter, which is not valid meanwhile."""
        for value in (None, address):
            state = self.model.frames.steering.filter.now
            rows = (*state.addresses[:row], value, *state.addresses[row + 1:])
            self._filters(dataclasses.replace(state, addresses=rows))
        self.write(abi.STEER, "ROW", row=row)
        self.write(abi.STEER, "ADDRESS_HIGH", valid=0)
        self.write(abi.STEER, "ADDRESS_LOW", address=address & 0xFFFF_FFFF)
        self.write(abi.STEER, "ADDRESS_HIGH", address=address >> 32, valid=1)
