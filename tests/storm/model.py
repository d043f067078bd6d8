"""The reference model: everything that the card may do, and nothing else.

It follows the card by what can be seen from outside: frames that go in, bursts on the memory bus,
register writes, interrupt lines. It judges each burst at the moment that its last beat is taken,
with the card in full flight; :mod:`storm.audit` judges every counter when the card is at rest. What
cannot be known, the instant of a decision within the card, is left open: see :mod:`storm.knobs`.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pagering import abi
from pagering.abi import Fault
from pagering_hdl.config import CardConfig
from pagering_tb.bulk_memory import BulkBurst
from pagering_tb.host_memory import DmaBlock

from .frames import FrameLedger
from .knobs import Knob
from .pages import PageLedger, Wrong

__all__ = ["INDEX_MASK", "Model", "QueueState", "Ring"]

INDEX_MASK = (1 << abi.CONSUMER_BITS) - 1


def ahead(index: int, of: int) -> int:
    """Return how far a completion index is past another."""
    return index - of & INDEX_MASK


@dataclass
class Ring:
    """A completion ring in host memory."""

    block: DmaBlock
    log2: int
    written: int = 0
    """Completions that the card has put there."""
    visible: int = 0
    """Completions whose write was answered."""
    consumed: int = 0
    """As the card was told."""


class QueueState:
    """What is known of a queue."""

    def __init__(self) -> None:
        self.enabled = Knob(False)
        self.pool = Knob(0)
        self.ring: Ring | None = None
        self.rings: Knob[int] = Knob(0)
        """Sizes of the ring."""
        self.drained = True
        self.parts: list[bytes] = []
        """Segments of a frame that is not complete."""
        self.delivered = 0
        self.armed: int | None = None
        """Index that the interrupt was armed with."""
        self.seen: deque[int] = deque()
        """Tokens of visible completions, for the host to fetch."""
        self.peak_pages = 0
        self.peak_unread = 0


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
        self._unseen: dict[int, tuple[int, list[int]]] = {}
        self._pages: dict[int, list[int]] = {}
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

    def started(self, length: int) -> None:
        """Note that a frame begins to go in; see how scarce memory may be for it."""
        frames, pages = self.frames, self.pages
        frames.started(length)
        loose = frames.flying_pages + pages.off_ring(self.cycle)
        for pool in range(self.config.pools):
            self.peak_pages[pool] = max(self.peak_pages[pool], loose + pages.pool_holds[pool]
                                        + self.config.queues)
        for number, queue in enumerate(self.queues):
            queue.peak_pages = max(queue.peak_pages, loose + pages.queue_holds[number] + 1)
            if queue.ring is not None:
                queue.peak_unread = max(
                    queue.peak_unread, frames.flying_pages
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
                self._unseen[id(burst)] = (number, self._line(number, queue, ring, address, data))
                return
        if burst.response:
            self.faults.append(frozenset({Fault.DATA_WRITE.name}))
        self._pages[id(burst)] = [self.pages.written(start, len(run), bool(burst.response))
                                  for start, run in burst.pieces]

    def _line(self, number: int, queue: QueueState, ring: Ring, address: int,
              data: bytearray) -> list[int]:
        size = abi.COMPLETION_BYTES
        slot = ring.written & (1 << ring.log2) - 1
        if address != ring.block.address + slot * size or len(data) % size:
            raise Wrong(f"queue {number}: {len(data)} bytes of completions at 0x{address:x}; the "
                        f"next one belongs in slot {slot}")
        if queue.drained:
            raise Wrong(f"queue {number}: a completion was written after the queue was drained")
        tokens = []
        for at in range(0, len(data), size):
            record = abi.COMPLETION.unpack(int.from_bytes(data[at:at + size], "little"))
            if record["phase"] != 1 - (ring.written >> ring.log2 & 1):
                raise Wrong(f"queue {number}: completion {ring.written} has phase "
                            f"{record['phase']}")
            ring.written = ring.written + 1 & INDEX_MASK
            if ahead(ring.written, ring.consumed) > 1 << ring.log2:
                raise Wrong(f"queue {number}: completion {ring.written - 1} overwrites one that "
                            f"was not consumed; the host is at {ring.consumed}")
            self._completion(number, queue, record)
            tokens.append(record["token"])
        return tokens

    def _completion(self, number: int, queue: QueueState, record: dict[str, int]) -> None:
        config = self.config
        token = abi.TOKEN.unpack(record["token"])
        memory, spoilt = self.pages.completed(number, queue.pool.now, token)
        length = record["length"]
        if not 0 < length <= len(memory) or len(memory) - length >= config.chunk_bytes:
            raise Wrong(f"queue {number}: {length} bytes were given {len(memory)} bytes of chunks")
        if record["start"] != (not queue.parts):
            raise Wrong(f"queue {number}: a segment with start {record['start']} after "
                        f"{len(queue.parts)} of its frame")
        if record["write_error"] != spoilt:
            raise Wrong(f"queue {number}: write_error is {record['write_error']} for page "
                        f"{token['page']}, of which a write was "
                        f"{'answered with an error' if spoilt else 'answered well'}")
        if record["last_of_page"] != (token["last"] == config.chunks - 1):
            raise Wrong(f"queue {number}: last_of_page is {record['last_of_page']} at chunk "
                        f"{token['last']} of {config.chunks}")
        queue.parts.append(bytes(memory[:length]))
        if record["end"]:
            data = b"".join(queue.parts)
            queue.parts.clear()
            self.frames.delivered(number, data)
            queue.delivered += 1
            self.total_delivered += 1

    def answered(self, burst: BulkBurst) -> None:
        """Show the host the completions of a burst; or note that its data is there."""
        for page in self._pages.pop(id(burst), ()):
            self.pages.answered(page)
        number, tokens = self._unseen.pop(id(burst), (0, []))
        if tokens:
            queue = self.queues[number]
            queue.seen.extend(tokens)
            if queue.ring is not None:
                queue.ring.visible = queue.ring.visible + len(tokens) & INDEX_MASK

    # Interrupts

    def due(self, queue: QueueState) -> bool:
        """Return whether a queue's interrupt must have fired."""
        if queue.armed is None or queue.ring is None:
            return False
        return 0 < ahead(queue.ring.visible, queue.armed) <= 1 << abi.RING_LOG2_MAX

    def lines(self, level: int) -> None:
        """Look at the interrupt lines: none may rise without a completion."""
        rising, self.irq = level & ~self.irq, level
        if rising:
            for number, queue in enumerate(self.queues):
                if rising >> number & 1 and not self.due(queue):
                    self.wrong.append(f"interrupt {number} rose with no completion past the "
                                      f"index {queue.armed}")

    # Drains

    def queue_drained(self, number: int) -> None:
        """The card says that a queue is drained: no more is written for it."""
        queue = self.queues[number]
        if queue.parts:
            raise Wrong(f"queue {number} is drained with a part of a frame")
        if queue.ring is not None and queue.ring.written != queue.ring.visible:
            raise Wrong(f"queue {number} is drained, but completions of it are not answered")
        queue.drained = True
        self.pages.open[number] = None

    # Resets

    def forget(self) -> None:
        """The card has been reset through its register: only generations of pages are left."""
        pages, self.pages = self.pages, PageLedger(self.config)
        self.pages.inherit(pages)
        self.queues = [QueueState() for _ in range(self.config.queues)]
        self.pool_enabled = [Knob(False) for _ in range(self.config.pools)]
        self.low_water = [(0, 0)] * self.config.pools
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
            queue.peak_pages = queue.peak_unread = 0
            for knob in (queue.enabled, queue.pool, queue.rings):
                knob.settle()
        for knob in self.pool_enabled:
            knob.settle()
