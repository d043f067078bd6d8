"""The reference model: everything that the card may do, and nothing else.

It follows the card by what can be seen from outside: frames that go in, bursts on the memory bus,
register writes, interrupt lines. It judges each burst at the moment that its last beat is taken,
with the card in full flight; :mod:`storm.audit` judges every counter when the card is at rest. What
cannot be known, the instant of a decision within the card, is left open: see :mod:`storm.knobs`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from pagering.abi import Fault
from pagering_hdl.config import CardConfig
from pagering_tb.bulk_memory import BulkBurst

from .completions import CompletionJudge
from .frames import FrameLedger
from .knobs import Knob
from .mirrors import PoolMirror
from .pages import PageLedger, Wrong
from .queue import INDEX_MASK, QueueState, ahead

__all__ = ["Model"]


class Model:
    """Judges one card from its reset on.

    Parameters
    ----------
    config : CardConfig
        Of the card.
    """

    def __init__(self, config: CardConfig) -> None:
        self.config = config
        self.pages = PageLedger(config)
        self.frames = FrameLedger(config)
        self.queues = [QueueState() for _ in range(config.queues)]
        self.pool_enabled = [Knob(False) for _ in range(config.pools)]
        self.low_water = [(0, 0)] * config.pools
        self.peak_pages = [0] * config.pools
        self.wrong: list[str] = []
        self.errors: list[int] = []
        """For the bursts to come: how many to leave alone before the next error."""
        self.faults: list[frozenset[str]] = []
        """Since the last rest: of each fault that must be counted, the ways to count it."""
        self.returns = 0
        """Tokens rightly returned since the last rest."""
        self.counters: Counter[str] = Counter()
        """The card's, at the last rest."""
        self.total_delivered = 0
        self.cycle = 0
        self._unseen: dict[int, tuple[int, int, list[int]]] = {}
        self._pages: dict[int, list[int]] = {}
        self._completions = CompletionJudge(self)
        self.mirrors = [PoolMirror() for _ in range(config.pools)]
        self.irq = 0
        """Level of the interrupt lines."""
        self.events_cleared = True

    def guarded(self, check: Callable[[], None]) -> None:
        """Run a check; keep its finding for the test, which runs elsewhere."""
        try:
            check()
        except Wrong as error:
            self.wrong.append(str(error))

    # What goes in

    def started(self, data: bytes) -> None:
        """Note that a frame begins to go in; see how scarce memory may be for it."""
        frames, pages = self.frames, self.pages
        frames.started(data, any(any(queue.split.values) for queue in self.queues))
        off = [pages.off_ring(pool, self.cycle) for pool in range(self.config.pools)]
        for pool, out in enumerate(off):
            self.peak_pages[pool] = max(self.peak_pages[pool], out + frames.flying_pages)
        unknown = frames.flying_pages + sum(off) - sum(pages.queue_holds)
        for number, queue in enumerate(self.queues):
            queue.peak_pages = max(queue.peak_pages, unknown + pages.queue_holds[number])
            if queue.ring is not None:
                queue.peak_unread = max(
                    queue.peak_unread, frames.flying_segments
                    + ahead(queue.ring.written, queue.ring.consumed))

    # What comes out

    def taken(self, burst: BulkBurst) -> None:
        """Judge a burst of which the last beat was taken, and choose its answer."""
        if self.errors:
            if self.errors[0] == 0:
                del self.errors[0]
                burst.response = 2
            else:
                self.errors[0] -= 1
        self.guarded(lambda: self._judge(burst))

    def _judge(self, burst: BulkBurst) -> None:
        (address, data), *more = burst.pieces
        for number, queue in enumerate(self.queues):
            ring = queue.ring
            if ring is not None and ring.block.address <= address < ring.block.end:
                if burst.response:
                    self.faults.append(frozenset({Fault.COMPLETION_WRITE.name}))
                if more:
                    raise Wrong(f"queue {number}: a write of completions with a gap")
                was = ring.written
                tokens = self._completions.line(number, address, data)
                self._unseen[id(burst)] = (number, ahead(ring.written, was), tokens)
                return
        if self._is_mirror(address, data):
            if burst.response:
                self.faults.append(frozenset({Fault.MIRROR_WRITE.name}))
            return
        if burst.response:
            self.faults.append(frozenset({Fault.DATA_WRITE.name}))
        self._pages[id(burst)] = [self.pages.written(start, len(run), bool(burst.response))
                                  for start, run in burst.pieces]

    def _is_mirror(self, address: int, data: bytearray) -> bool:
        for number, queue in enumerate(self.queues):
            if queue.returns.written(address, data):
                if queue.drained:
                    raise Wrong(f"queue {number}: its mirror was written to after the queue was "
                                f"drained")
                return True
        for pool, mirror in enumerate(self.mirrors):
            if mirror.written(address, data, max(self.pages.registered[pool].values)):
                if pool in self.pages.drained_pools:
                    raise Wrong(f"pool {pool}: its mirror was written to after the pool was "
                                f"drained")
                return True
        return False

    def read(self, address: int, size: int) -> bool:
        """Judge a read by the card: there is nothing but return rings for it.

        Return whether it is answered well.
        """
        for number, queue in enumerate(self.queues):
            well = queue.returns.read(address, size)
            if well is None:
                continue
            if queue.drained:
                self.wrong.append(f"queue {number}: its return ring was read after the queue "
                                  f"was drained")
            if not well:
                self.faults.append(frozenset({Fault.RETURN_READ.name}))
            return well
        self.wrong.append(f"{size} bytes were read at 0x{address:x}, in no return ring")
        return True

    def answered(self, burst: BulkBurst) -> None:
        """Show the host the completions of a burst; or note that its data is there."""
        for page in self._pages.pop(id(burst), ()):
            self.pages.answered(page)
        number, count, tokens = self._unseen.pop(id(burst), (0, 0, []))
        if count:
            queue = self.queues[number]
            queue.seen.extend(tokens)
            if queue.ring is not None:
                queue.ring.visible = queue.ring.visible + count & INDEX_MASK
                queue.interrupt.moved(queue.ring.visible, self.cycle)

    def lines(self, level: int) -> None:
        """Look at the interrupt lines: none may rise without a reason."""
        rising, self.irq = level & ~self.irq, level
        if rising:
            for number, queue in enumerate(self.queues):
                if rising >> number & 1 and not queue.interrupt.rose(self.cycle):
                    self.wrong.append(f"interrupt {number} rose too early: {queue.interrupt}")

    # Drains

    def queue_drained(self, number: int) -> None:
        """The card says that a queue is drained: no more is written for it."""
        queue = self.queues[number]
        if queue.parts:
            raise Wrong(f"queue {number} is drained with a part of a frame")
        if queue.ring is not None and queue.ring.written != queue.ring.visible:
            raise Wrong(f"queue {number} is drained, but completions of it are not answered")
        queue.drained = True
        self.pages.closed(number)

    # Resets

    def forget(self) -> None:
        """The card has been reset through its register: only generations of pages are left."""
        pages, self.pages = self.pages, PageLedger(self.config)
        self.pages.inherit(pages)
        self.queues = [QueueState() for _ in range(self.config.queues)]
        self.pool_enabled = [Knob(False) for _ in range(self.config.pools)]
        self.low_water = [(0, 0)] * self.config.pools
        self.mirrors = [PoolMirror() for _ in range(self.config.pools)]
        self.peak_pages = [0] * self.config.pools
        self.faults.clear()
        self.returns = self.total_delivered = 0
        self.events_cleared = True

    def begin(self, came: int) -> None:
        """The wire is empty behind a reset, which left ``came`` frames counted as disabled."""
        sent = self.frames.sent
        self.frames = FrameLedger(self.config)
        self.frames.sent, self.frames.ended = sent, came
        self.counters = Counter(FRAMES_IN=came, DROP_CARD_DISABLED=came)

    # Rest

    def settle(self, counters: Mapping[str, int]) -> None:
        """The card is at rest, and its counters are right: what was uncertain is over."""
        self.pages.settle()
        self.counters = Counter(counters)
        self.faults.clear()
        self.returns = 0
        self.peak_pages = [0] * self.config.pools
        for queue in self.queues:
            queue.settle()
        for knob in self.pool_enabled:
            knob.settle()
