"""The host of the random test: fetches tokens, keeps some, returns the rest as it is told to."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from functools import partial

from pagering import abi
from pagering_hdl.config import CardConfig
from pagering_tb.bulk_registers import BulkRegisters

from .model import Model
from .traffic_operations import Host

__all__ = ["TestHost"]

_BACKLOG = 48
"""Register writes that wait at most: a host that is slower keeps its tokens."""


class TestHost:
    """Serves all queues of a card at once, a step at a time."""

    __test__ = False

    def __init__(self, config: CardConfig, model: Model, registers: BulkRegisters,
                 rng: random.Random) -> None:
        self._config, self._model, self._registers, self._rng = config, model, registers, rng
        self.manner = Host()
        self.heads = [0] * config.queues
        self.held: list[tuple[int, int]] = []
        """Queue and token of what the host has."""
        self.stale: deque[tuple[int, int, int]] = deque(maxlen=64)
        """Queue and token of what it had, and which life of the page that was."""
        self.paused = False
        self._doorbells: set[int] = set()

    def window(self, queue: int) -> int:
        """Return an address of a queue's return window."""
        return (abi.USER.base + abi.USER.stride * queue + abi.RETURN_WINDOW
                + 4 * self._rng.randrange(512))

    def step(self, cycle: int) -> None:
        """Look at the rings, if it is time to."""
        if self.paused or cycle % self.manner.every:
            return
        self.fetch()
        while len(self.held) > self.manner.keep and self._registers.waiting < _BACKLOG:
            self._give_one()
        self.ring()

    def fetch(self) -> None:
        """Take the tokens of all visible completions; tell how far that was."""
        for number, queue in enumerate(self._model.queues):
            if not queue.seen or queue.ring is None:
                continue
            self.heads[number] = queue.ring.visible
            self.held.extend((number, token) for token in queue.seen)
            queue.seen.clear()
            if not self.manner.lazy:
                self.consume(number)

    def consume(self, number: int) -> None:
        """Tell the card how far a ring was read."""
        ring, head = self._model.queues[number].ring, self.heads[number]

        def taken() -> None:
            if ring is not None:
                ring.consumed = head
        self._registers.write(abi.USER.address("CONSUMED", number), head, taken)

    def forget(self, slots: set[int] | None = None) -> None:
        """Lose the tokens of some regions, or of all."""
        if slots is None:
            self.held.clear()
            self.stale.clear()
            return
        self.held = [(queue, token) for queue, token in self.held
                     if self._slot(token) not in slots]

    def _slot(self, token: int) -> int:
        return abi.TOKEN.unpack(token)["page"] // self._config.region_pages

    def _give_one(self) -> None:
        order = self.manner.order
        at = 0 if order == 0 else len(self.held) - 1 if order == 1 else self._rng.randrange(
            len(self.held))
        queue, token = self.held.pop(at)
        named = abi.TOKEN.unpack(token)
        if self.manner.split and named["first"] < named["last"]:
            middle = self._rng.randint(named["first"], named["last"] - 1)
            rest = abi.TOKEN.pack(**{**named, "first": middle + 1})
            self.held.append((queue, rest))
            token = abi.TOKEN.pack(**{**named, "last": middle})
        elif self.manner.merge:
            token = self._merge(queue, named)
        self.give(queue, token)

    def _merge(self, queue: int, named: dict[str, int]) -> int:
        for other in range(min(len(self.held), 12)):
            holder, token = self.held[other]
            next_ = abi.TOKEN.unpack(token)
            if (holder, next_["page"], next_["generation"], next_["first"]) == (
                    queue, named["page"], named["generation"], named["last"] + 1):
                del self.held[other]
                return abi.TOKEN.pack(**{**named, "last": next_["last"]})
        return abi.TOKEN.pack(**named)

    def give(self, queue: int, token: int, *, pull: bool | None = None) -> None:
        """Return a token; leave it in the return ring if ``pull``, or if it is the host's manner.

        A token that the card could not read is the host's again.
        """
        model = self._model
        life = model.pages.pages[abi.TOKEN.unpack(token)["page"]].life

        def taken() -> None:
            model.returns += 1
            model.pages.returned(model.cycle, token)
            self.stale.append((queue, token, life))

        def lost() -> None:
            self.held.append((queue, token))
        pulled = self.manner.pull if pull is None else pull
        if not (pulled and self.leave(queue, token, taken, lost)):
            self._registers.write(self.window(queue), token, taken)

    def leave(self, number: int, token: int, taken: Callable[[], None],
              lost: Callable[[], None] = lambda: None) -> bool:
        """Leave a token in a queue's return ring; return whether there was room."""
        queue = self._model.queues[number]
        if not queue.enabled.now or not queue.returns.room:
            return False
        queue.returns.put(token, taken, lost)
        self._doorbells.add(number)
        return True

    def ring(self) -> None:
        """Tell the card of what was left in return rings."""
        for number in sorted(self._doorbells):
            returns = self._model.queues[number].returns
            index = returns.produced
            self._registers.write(abi.USER.address("RETURN_PRODUCED", number), index,
                                  partial(returns.ring, index))
        self._doorbells.clear()
