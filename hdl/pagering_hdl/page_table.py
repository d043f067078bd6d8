"""Who has each page: the one place where a page changes hands.

Every event of a page's life is an operation on its entry, one a cycle, in order, in a pipeline::

    choose    of the operations that wait, the first; its entry is being read
    find      the entry is there, or has just been changed; which chunks are named, whose the page
    decide    what becomes of it; the entry is written
    compare   with what was: has it left its queue, or the host
    tell      the counts, the ring and whoever watches

Each operation sees what all those before it wrote, even to the same page a cycle ago. So no two
events can act on the same state.

::

    ring --open--> being filled --last deliver or close--> outstanding --last return--> ring
                     (open)        (chunks at the host, nothing more comes)

A page whose chunks have all come back before it is closed goes to the ring when it is closed.
"""

from amaranth.hdl import Assert, Format, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .layouts import (
    ChunkIndex,
    Count,
    Enrolment,
    Fault,
    Generation,
    Index,
    PageId,
    PageMove,
    Return,
)
from .page_counts import PageChange, PageCounts
from .page_entry import EntryLogic, NamedChunks, Operation, PageEntry, Request, held, out
from .state_table import Lookup
from .streams import StreamQueue

__all__ = ["STEPS", "Delivery", "Load", "Open", "PageTable", "Refusal"]

STEPS = 5
"""Cycles from an operation's turn to the recycled page on offer, if nothing is before it."""
RECYCLES = 8
"""Pages that may wait for the ring."""


class Open(data.Struct):
    """A page that was taken off the ring, and for whom."""

    page: PageId
    queue: Index


class Delivery(data.Struct):
    """Chunks that go to the host."""

    page: PageId
    first: ChunkIndex
    last: ChunkIndex
    none: unsigned(1)
    """No chunk, only ``closes``."""
    closes: unsigned(1)
    """Nothing more comes in this page."""


class Load(data.Struct):
    """A page of a region that is registered, or retired."""

    page: PageId
    retire: unsigned(1)


class Refusal(data.Struct):
    """An event: a return that changed nothing."""

    valid: unsigned(1)
    fault: Fault


class Outcome(data.StructLayout):
    """An operation that has been carried out, and where the page was before it.

    Members: ``operation``, ``page``, ``pool``; ``held`` and ``out``, as the functions say.
    """

    def __init__(self, config):
        super().__init__({"operation": Operation, "page": range(config.pages),
                          "pool": range(config.pools), "held": 1, "out": 1})


class Recycled(data.StructLayout):
    """A page that goes back on the ring of a pool. Members: ``page``, ``pool``."""

    def __init__(self, config):
        super().__init__({"page": range(config.pages), "pool": range(config.pools)})


class PageTable(wiring.Component):
    """The entries of all pages, and the counts that follow from them.

    Members
    -------
    opens : :py:`In(stream.Signature(Open))`
    opened : :py:`Out(1)`, generation : :py:`Out(Generation)`
        Answer to ``opens``, two cycles later.
    deliveries : :py:`In(stream.Signature(Delivery))`
    returns : :py:`In(stream.Signature(Return))`
        Tokens of valid pages and chunks; the rest is checked here.
    loads : :py:`In(stream.Signature(Load))`
    refusal : :py:`Out(Refusal)`, accepted : :py:`Out(1)`
        Answer to ``returns``, three cycles later.
    owner : :py:`Out(Lookup(PageId, Index))`
        Pool of a page.
    recycled : :py:`Out(stream.Signature(Enrolment))`
        Pages that go back on a ring.
    queue_recycled, outstanding : :py:`In(Lookup(Index, Count))`
        See :class:`PageCounts`; four cycles behind.
    moved : :py:`Out(PageMove)`
    idle : :py:`Out(1)`
    """

    def __init__(self, config):
        self.config = config
        super().__init__({
            "opens": In(stream.Signature(Open)), "opened": Out(1), "generation": Out(Generation),
            "deliveries": In(stream.Signature(Delivery)),
            "returns": In(stream.Signature(Return)), "loads": In(stream.Signature(Load)),
            "refusal": Out(Refusal), "accepted": Out(1),
            "owner": Out(Lookup(PageId, Index)),
            "recycled": Out(stream.Signature(Enrolment)),
            "queue_recycled": In(Lookup(Index, Count)).array(2),
            "outstanding": In(Lookup(Index, Count)), "moved": Out(PageMove),
            "idle": Out(1),
        })
        request, entry = Request(config), PageEntry(config)
        # Each step's own, as it is there in the step's cycle. Proofs look at them.
        self.chosen, self.taken = Signal(request), Signal()
        self.found, self.finding = Signal(request), Signal()
        self.asked, self.deciding = Signal(request), Signal()
        self.entry, self.named = Signal(entry), Signal(config.chunks)
        self.pool = Signal(range(config.pools))
        self.done, self.comparing = Signal(Outcome(config)), Signal()
        self.written = Signal(entry)
        self.change, self.recycles = Signal(PageChange(config)), Signal(Recycled(config))
        self.telling, self.recycling = Signal(), Signal()

    def elaborate(self, platform):
        m = Module()
        m.submodules.waiting = waiting = StreamQueue(Recycled(self.config),
                                                        depth=RECYCLES)
        ready = Signal()
        # Room for what is in the other steps and for this one, should all recycle a page.
        m.d.comb += [ready.eq(waiting.level <= RECYCLES - STEPS),
                     self.recycled.valid.eq(waiting.o.valid),
                     waiting.o.ready.eq(self.recycled.ready),
                     self.recycled.p.page.eq(waiting.o.p.page),
                     self.recycled.p.pool.eq(waiting.o.p.pool),
                     waiting.i.valid.eq(self.recycling), waiting.i.p.eq(self.recycles),
                     self.idle.eq(~(self.finding | self.deciding | self.comparing | self.telling)
                                  & (waiting.level == 0))]
        m.d.sync += Assert(~waiting.i.valid | waiting.i.ready)
        self._choose(m, ready)
        logic = self._decide(m)
        self._find(m, logic)
        self._compare(m)
        m.submodules.counts = counts = PageCounts(self.config)
        wiring.connect(m, wiring.flipped(self.queue_recycled[0]), counts.queue_recycled[0])
        wiring.connect(m, wiring.flipped(self.queue_recycled[1]), counts.queue_recycled[1])
        wiring.connect(m, wiring.flipped(self.outstanding), counts.outstanding)
        m.d.comb += counts.change.eq(self.change)
        return m

    def _choose(self, m, ready):
        """Pick what comes next: the card's own work before the host's."""
        chosen = self.chosen
        m.d.comb += self.taken.eq(ready & (self.deliveries.valid | self.opens.valid
                                           | self.loads.valid | self.returns.valid))
        m.d.sync += [self.finding.eq(self.taken), self.found.eq(chosen)]
        with m.If(self.deliveries.valid):
            item = self.deliveries.p
            m.d.comb += [self.deliveries.ready.eq(ready), chosen.operation.eq(Operation.DELIVER),
                         chosen.page.eq(item.page), chosen.first.eq(item.first),
                         chosen.last.eq(item.last), chosen.none.eq(item.none),
                         chosen.closes.eq(item.closes)]
        with m.Elif(self.opens.valid):
            m.d.comb += [self.opens.ready.eq(ready), chosen.operation.eq(Operation.OPEN),
                         chosen.page.eq(self.opens.p.page), chosen.queue.eq(self.opens.p.queue)]
        with m.Elif(self.loads.valid):
            m.d.comb += [self.loads.ready.eq(ready), chosen.page.eq(self.loads.p.page),
                         chosen.operation.eq(Mux(self.loads.p.retire, Operation.RETIRE,
                                                 Operation.ENROL))]
        with m.Else():
            token = self.returns.p.token
            m.d.comb += [self.returns.ready.eq(ready), chosen.operation.eq(Operation.RETURN),
                         chosen.page.eq(token.page), chosen.queue.eq(self.returns.p.queue),
                         chosen.first.eq(token.first), chosen.last.eq(token.last),
                         chosen.generation.eq(token.generation)]

    def _find(self, m, logic):
        """Read the entry, or take it from the operations that have not or only just written it."""
        # What a row gives that is read while it is written does not matter: it is not used.
        m.submodules.entries = entries = Memory(
            shape=self.entry.shape(), depth=self.config.pages, init=[], attrs={"no_rw_check": 1})
        m.submodules.chunks = chunks = NamedChunks(self.config)
        write, read = entries.write_port(), entries.read_port()
        found, one_ago, two_ago, clash = self.found, Signal(), Signal(), Signal()
        m.d.comb += [
            read.addr.eq(self.chosen.page), write.en.eq(self.deciding),
            write.addr.eq(self.asked.page), write.data.eq(logic.new),
            one_ago.eq(self.deciding & (self.asked.page == found.page)),
            two_ago.eq(self.comparing & (self.done.page == found.page)),
            chunks.request.eq(found), self.owner.addr.eq(found.page),
        ]
        m.d.sync += [
            self.deciding.eq(self.finding), self.asked.eq(found), self.named.eq(chunks.named),
            self.pool.eq(self.owner.data),
            self.entry.eq(Mux(one_ago, logic.new, Mux(two_ago, self.written, read.data))),
            clash.eq(self.taken & write.en & (write.addr == read.addr)),
            Assert(~clash | two_ago),
        ]

    def _decide(self, m):
        """Let the operation change the entry, or refuse it; return what does so."""
        m.submodules.logic = logic = EntryLogic(self.config)
        asked, old, done = self.asked, self.entry, self.done
        is_return = self.deciding & (asked.operation == Operation.RETURN)
        m.d.comb += [
            logic.request.eq(asked), logic.old.eq(old), logic.named.eq(self.named),
            self.opened.eq(self.deciding & (asked.operation == Operation.OPEN)),
            self.generation.eq(old.generation + 1),
        ]
        m.d.sync += [
            self.comparing.eq(self.deciding), self.written.eq(logic.new),
            done.operation.eq(asked.operation), done.page.eq(asked.page), done.pool.eq(self.pool),
            done.held.eq(held(old)), done.out.eq(out(old)),
            self.refusal.valid.eq(is_return & logic.refused), self.refusal.fault.eq(logic.fault),
            self.accepted.eq(is_return & ~logic.refused),
            Assert(~self.opened | ~held(old)),
        ]
        with m.If(self.deciding & (asked.operation == Operation.DELIVER)):
            m.d.sync += Assert(old.open & ~(old.chunks & self.named).any(),
                               Format("delivered chunks {:b} of page {}: open {}, at the host {:b}",
                                      self.named, asked.page, old.open, old.chunks))
        return logic

    def _compare(self, m):
        """See what has become of the page, and tell it a cycle later."""
        done, change, moved = self.done, self.change, self.moved
        leaves, moves = Signal(), Signal()
        enrols = done.operation == Operation.ENROL
        m.d.comb += [leaves.eq(self.comparing & done.held & ~held(self.written)),
                     moves.eq(self.comparing & (done.out ^ out(self.written)))]
        m.d.sync += [
            self.telling.eq(self.comparing), change.queue.eq(self.written.queue),
            change.pool.eq(done.pool), change.out.eq(out(self.written)),
            change.leaves.eq(leaves & ~enrols), change.moves.eq(moves & ~enrols),
            self.recycling.eq(leaves & ~enrols & (done.operation != Operation.RETIRE)),
            self.recycles.page.eq(done.page), self.recycles.pool.eq(done.pool),
            # A page that is registered is with nobody, whatever was known of it.
            moved.valid.eq(moves | (self.comparing & enrols)),
        ]
        m.d.comb += [moved.page.eq(self.recycles.page), moved.pool.eq(change.pool),
                     moved.queue.eq(change.queue), moved.out.eq(change.out)]
