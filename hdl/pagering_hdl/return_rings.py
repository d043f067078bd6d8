"""The return rings: tokens that wait in host memory, and how far the card has fetched them.

Three indices a queue, each modulo 2**17: the host moves *produced* with its doorbell, *fetched* is
ahead of the reads, and *consumed* follows when their tokens are in the card::

    consumed <= fetched <= produced <= consumed + size

One operation is done at a time, on one queue::

    doorbell    the host has put tokens in its ring
    fetch       read up to 16 of them, one aligned line of 64 bytes; and some more lines
    finish      a read is over
    mirror      offer the consumer index for writing to host memory

No operation waits for another part of the card.
"""

from amaranth.hdl import Assert, Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

from .layouts import Fault, Index, RingIndex
from .page_table import Refusal
from .ring_words import RingWords, SettingWrite, Word, WordAddress
from .state_table import Lookup
from .streams import StreamBuffer, StreamQueue

__all__ = ["Doorbell", "Finished", "IndexWrite", "LineRead", "ReturnRings"]

READS_AHEAD = 4
"""Reads that wait for the bus."""


class Operation(enum.Enum, shape=2):
    """What is being done."""

    DOORBELL = 0
    FETCH = 1
    FINISH = 2
    MIRROR = 3


WORDS = {Operation.FINISH: 2, Operation.DOORBELL: 3, Operation.FETCH: 6, Operation.MIRROR: 6}
"""Words that an operation needs."""


class Doorbell(data.Struct):
    """The host says how many tokens it has put in a queue's return ring."""

    queue: Index
    index: RingIndex


class Rung(data.Struct):
    """A doorbell that waits to be judged."""

    doorbell: Doorbell
    heard: unsigned(1)
    """Its queue was enabled when it rang, and will not be drained before it is judged."""


class LineRead(data.Struct):
    """A read of 64 bytes of a return ring."""

    queue: Index
    address: unsigned(64)
    skip: unsigned(4)
    """Tokens before the first that counts."""
    count: unsigned(5)
    """Tokens that count, 1 to 16."""


class LinePlace(data.Struct):
    """A read that waits, within the page of memory that all that wait are of."""

    line: unsigned(6)
    skip: unsigned(4)
    count: unsigned(5)


class Finished(data.Struct):
    """The tokens of a read are in the card, or lost."""

    queue: Index
    count: unsigned(5)


class IndexWrite(data.Struct):
    """A queue's consumer index, and where it goes in host memory."""

    queue: Index
    address: unsigned(64)
    index: RingIndex


class ReturnRings(wiring.Component):
    """Keeps the indices and asks for reads.

    A read never leaves the ring of its queue: its address is made of the ring's base and of an
    index modulo the ring's size, and no doorbell changes either.

    Members
    -------
    setting : :py:`In(SettingWrite())`
        Of a drained queue.
    shown : :py:`In(Lookup(WordAddress, 32))`
        See :class:`RingWords`.
    enabled : :py:`In(queues)`
        Queues whose doorbells are heard from now on.
    doorbells : :py:`In(stream.Signature(Doorbell))`
    reads : :py:`Out(stream.Signature(LineRead))`
    finished : :py:`In(stream.Signature(Finished))`
        Each read, in order.
    mirrors : :py:`Out(stream.Signature(IndexWrite))`
    unfinished : :py:`Out(queues)`
        A bit for each queue with tokens in its ring that are not in the card, or with a doorbell
        that was heard and is not judged.
    refusal : :py:`Out(Refusal)`, refuses : :py:`In(1)`
        Not while another part ``refuses``: no fault comes twice in a cycle.
    """

    def __init__(self, config):
        self.config = config
        queues = config.queues
        super().__init__({
            "setting": In(SettingWrite()), "shown": In(Lookup(WordAddress, 32)),
            "enabled": In(queues),
            "doorbells": In(stream.Signature(Doorbell)),
            "reads": Out(stream.Signature(LineRead)),
            "finished": In(stream.Signature(Finished)),
            "mirrors": Out(stream.Signature(IndexWrite)),
            "unfinished": Out(queues), "refusal": Out(Refusal), "refuses": In(1),
        })
        self.rows = RingWords(queues)
        self.operation, self.queue = Signal(Operation), Signal(Index)
        self.index, self.count, self.heard = Signal(RingIndex), Signal(5), Signal()
        self.size, self.mask = Signal(RingIndex), Signal(RingIndex)
        """Of the ring, in tokens; that less one. From the second cycle after its word is there."""
        self.offset = Signal(7)
        """Pages of memory from the ring's base to what is looked for."""
        self.asker, self.page = Signal(Index), Signal(52)
        """Of the reads that wait: whose they are, and bits 63:12 of their address."""
        self.posted = Signal(queues)
        """Queues with tokens in their ring that are not in the card."""
        self.due = Signal(queues)
        """Queues with tokens to fetch."""
        self.stale = Signal(queues)
        """Queues whose mirror is out of date."""
        self.fetches, self.tells = Signal(), Signal()
        """The queue that was looked at a cycle ago has something to fetch; to mirror."""

    def elaborate(self, platform):
        m = Module()
        m.submodules.rows = rows = self.rows
        m.submodules.rung = self.rung = rung = StreamBuffer(Rung)
        m.submodules.asked = self.asked = asked = StreamQueue(LinePlace, depth=READS_AHEAD)
        wiring.connect(m, wiring.flipped(self.setting), rows.setting)
        wiring.connect(m, wiring.flipped(self.shown), rows.shown)
        m.d.comb += [
            rung.i.valid.eq(self.doorbells.valid), self.doorbells.ready.eq(rung.i.ready),
            rung.i.p.doorbell.eq(self.doorbells.p),
            rung.i.p.heard.eq(self.enabled.bit_select(self.doorbells.p.queue, 1)),
        ]
        for queue in range(self.config.queues):
            waits = rung.o.valid & rung.o.p.heard & (rung.o.p.doorbell.queue == queue)
            judged = self.heard & (self.queue == queue)
            m.d.comb += self.unfinished[queue].eq(self.posted[queue] | waits | judged)
        log2 = rows.words.size[:5]
        m.d.comb += [
            rows.queue.eq(self.queue), self.refusal.fault.eq(Fault.REGISTER_VALUE),
            self.reads.valid.eq(asked.o.valid), asked.o.ready.eq(self.reads.ready),
            self.reads.p.queue.eq(self.asker), self.reads.p.skip.eq(asked.o.p.skip),
            self.reads.p.address.eq(Cat(Const(0, 6), asked.o.p.line, self.page)),
            self.reads.p.count.eq(asked.o.p.count),
        ]
        m.d.sync += [self.size.eq(1 << log2), self.mask.eq((1 << log2) - 1)]
        with m.If(self.mirrors.ready):
            m.d.sync += self.mirrors.valid.eq(0)
        with m.FSM(name="return_rings") as self.phase:
            with m.State("Choose operation"):
                self._choose(m)
            with m.State("Load words"):
                self._load(m)
            self._ring(m)
            self._fetch(m)
            self._finish(m)
            with m.State("Mirror"):
                self._mirror(m)
        # Nothing is mirrored of a queue that was disabled: it may come back with another ring.
        for queue in range(self.config.queues):
            with m.If(~self.enabled[queue]):
                m.d.sync += self.stale[queue].eq(0)
        return m

    def _choose(self, m):
        """Pick what to do; among queues with something to fetch or to mirror, the next in turn."""
        turn, rang = Signal(range(self.config.queues)), Signal()
        rung, finished = self.rung.o, self.finished
        # The queue before the one in turn, as it was found a cycle ago; if nothing was done since.
        seen, looks = Signal(Index), Signal()
        m.d.sync += [
            self.count.eq(finished.p.count), self.index.eq(rung.p.doorbell.index),
            seen.eq(turn),
            self.tells.eq(looks & self.stale.bit_select(turn, 1) & ~self.mirrors.valid),
            self.fetches.eq(looks & self.due.bit_select(turn, 1) & (self.asked.level == 0)),
        ]
        with m.If(self.fetches | self.tells):
            # Unless it is done now, it is looked at once more.
            m.d.sync += turn.eq(seen)
        with m.If(finished.valid):
            m.d.comb += finished.ready.eq(1)
            m.d.sync += [self.operation.eq(Operation.FINISH), self.queue.eq(finished.p.queue)]
            m.next = "Load words"
        with m.Elif(self.fetches | self.tells):
            m.d.sync += [self.queue.eq(seen), turn.eq(turn),
                         self.operation.eq(Mux(self.fetches, Operation.FETCH, Operation.MIRROR))]
            m.next = "Load words"
        with m.Elif(rung.valid & ~rang):
            m.d.comb += rung.ready.eq(1)
            m.d.sync += [self.operation.eq(Operation.DOORBELL), rang.eq(1),
                         self.queue.eq(rung.p.doorbell.queue), self.heard.eq(rung.p.heard)]
            m.next = "Load words"
        with m.Else():
            # All queues are looked at between two doorbells: one that rings and rings delays the
            # others no more than one that has much to return.
            m.d.comb += looks.eq(1)
            m.d.sync += turn.eq(turn + 1)
            with m.If(turn == self.config.queues - 1):
                m.d.sync += [turn.eq(0), rang.eq(0)]

    def _load(self, m):
        """Read the words that the operation needs, then begin it."""
        m.d.comb += self.rows.load.eq(1)
        with m.Switch(self.operation):
            for operation, count in WORDS.items():
                with m.Case(operation):
                    m.d.comb += self.rows.count.eq(count)
                    with m.If(self.rows.loaded):
                        m.next = operation.name.capitalize()

    def _store(self, m, word, value):
        """Store a word and end the operation; returns whether it is done."""
        rows = self.rows
        m.d.comb += [rows.store.eq(1), rows.word.eq(word), rows.value.eq(value)]
        with m.If(rows.stored):
            m.next = "Choose operation"
        return rows.stored

    def _ring(self, m):
        """Judge a doorbell: it must move forward, and not past the end of the ring."""
        words = self.rows.words
        ahead, before, fits = Signal(RingIndex), Signal(RingIndex), Signal()
        with m.State("Doorbell"):
            m.d.sync += [ahead.eq(self.index - words.consumed),
                         before.eq(words.produced - words.consumed)]
            m.next = "Judge doorbell"
        with m.State("Judge doorbell"):
            m.d.sync += fits.eq((ahead >= before) & words.size[:5].any() & self.heard
                                & ((ahead == self.size) | ~(ahead & ~self.mask).any()))
            m.next = "Take doorbell"
        with m.State("Take doorbell"):
            with m.If(fits):
                done = self._store(m, Word.PRODUCED, self.index)
                with m.If(done):
                    m.d.sync += self.heard.eq(0)
                with m.If(done & (ahead != before)):
                    m.d.sync += [self.due.bit_select(self.queue, 1).eq(1),
                                 self.posted.bit_select(self.queue, 1).eq(1)]
            with m.Elif(~self.refuses):
                m.d.comb += self.refusal.valid.eq(1)
                m.d.sync += self.heard.eq(0)
                m.next = "Choose operation"

    def _fetch(self, m):
        """Ask for lines until the ring is fetched, a page of it ends or enough reads wait."""
        words, asked, read = self.rows.words, self.asked, Signal(LinePlace)
        fetched, left = Signal(RingIndex), Signal(RingIndex)
        in_line, place = Signal(5), Signal(16)
        m.d.comb += [asked.i.p.eq(read), in_line.eq(abi.RETURN_LINE - fetched[:4]),
                     place.eq(fetched & self.mask), self.offset.eq(place[10:])]
        with m.State("Fetch"):
            m.d.sync += [fetched.eq(words.fetched), left.eq(words.produced - words.fetched)]
            m.next = "Find page"
        with m.State("Find page"):
            m.d.sync += [self.asker.eq(self.queue), self.page.eq(self._page())]
            m.next = "Describe read"
        with m.State("Describe read"):
            short = ~left[4:].any() & (left[:4] < in_line)
            m.d.sync += [read.skip.eq(fetched), read.line.eq(place[4:]),
                         read.count.eq(Mux(short, left, in_line))]
            m.next = "Ask for read"
        with m.State("Ask for read"):
            m.d.comb += asked.i.valid.eq(1)
            m.d.sync += [fetched.eq(fetched + read.count), left.eq(left - read.count),
                         Assert(asked.i.ready & (left != 0) & (left <= self.size))]
            m.next = "Go on"
        with m.State("Go on"):
            with m.If((left != 0) & (asked.level < READS_AHEAD - 1) & ~read.line.all()):
                m.next = "Describe read"
            with m.Else():
                done = self._store(m, Word.FETCHED, fetched)
                with m.If(done & (left == 0)):
                    m.d.sync += self.due.bit_select(self.queue, 1).eq(0)

    def _finish(self, m):
        """Move the consumer index."""
        words, consumed = self.rows.words, Signal(RingIndex)
        with m.State("Finish"):
            m.d.sync += consumed.eq(words.consumed + self.count)
            m.next = "Store consumer index"
        with m.State("Store consumer index"):
            with m.If(self._store(m, Word.CONSUMED, consumed)):
                m.d.sync += self.stale.bit_select(self.queue, 1).eq(1)
                with m.If(consumed == words.produced[:RingIndex.width]):
                    m.d.sync += self.posted.bit_select(self.queue, 1).eq(0)

    def _mirror(self, m):
        """Offer the consumer index, if the host wants it: its place is right behind the ring."""
        words, write = self.rows.words, self.mirrors.p
        m.d.comb += self.offset.eq(self.size[10:])
        m.d.sync += [
            self.stale.bit_select(self.queue, 1).eq(0), self.mirrors.valid.eq(words.size[8]),
            write.queue.eq(self.queue), write.index.eq(words.consumed),
            write.address.eq(Cat(Const(0, 2), self.size[:10], self._page())),
        ]
        m.next = "Choose operation"

    def _page(self):
        """Return bits 63:12 of the address of what is ``offset`` pages from the ring's base."""
        words = self.rows.words
        return (Cat(words.low[12:], words.high) + self.offset)[:52]
