"""Who has each page: the one place where a page changes hands.

Every event of a page's life is an operation on its entry, one a cycle, in a pipeline of two steps:
read the entry; decide, and write it back. So no two events can act on the same state.

::

    ring --open--> being filled --last deliver or close--> outstanding --last return--> ring
                     (open)        (chunks at the host, nothing more comes)

A page whose chunks have all come back before it is closed goes to the ring when it is closed.
"""

from amaranth.hdl import Assert, Const, Format, Module, Mux, Signal, unsigned
from amaranth.lib import data, enum, stream, wiring
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
from .state_table import Lookup, StateTable
from .streams import StreamQueue

__all__ = ["Delivery", "Load", "Open", "Operation", "PageEntry", "PageTable", "Refusal"]


class Operation(enum.Enum, shape=3):
    """What happens to a page."""

    OPEN = 0
    """It leaves the ring for a queue."""
    DELIVER = 1
    """Chunks of it go to the host; maybe nothing more comes."""
    RETURN = 2
    """The host gives chunks back, or says so."""
    ENROL = 3
    """Its region is registered: its past is forgotten."""
    RETIRE = 4
    """Its region is taken away: who had it has it no longer."""


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


class PageEntry(data.StructLayout):
    """State of one page. Neither open nor with chunks at the host: on the ring.

    Members: ``chunks``, a bit for each one that the host holds; ``open``; ``queue``, the one that
    fills or filled it; ``generation``.
    """

    def __init__(self, chunks):
        super().__init__({"chunks": chunks, "open": 1, "queue": Index, "generation": Generation})


class Request(data.Struct):
    """One operation on its way through the table."""

    operation: Operation
    page: PageId
    queue: Index
    first: ChunkIndex
    last: ChunkIndex
    generation: Generation
    none: unsigned(1)
    closes: unsigned(1)


class EntryLogic(wiring.Component):
    """What an operation makes of an entry. Without a clock.

    Members
    -------
    request : :py:`In(Request)`, old : :py:`In(PageEntry)`
    new : :py:`Out(PageEntry)`
        Equal to ``old`` if the operation is refused.
    refused : :py:`Out(1)`, fault : :py:`Out(Fault)`
    held_before, held_after : :py:`Out(1)`
        Off the ring.
    out_before, out_after : :py:`Out(1)`
        Off the ring and only the host has it.
    named : :py:`Out(chunks)`
        The chunks that the request names.
    """

    def __init__(self, chunks):
        self.chunks = chunks
        super().__init__({
            "request": In(Request), "old": In(PageEntry(chunks)), "new": Out(PageEntry(chunks)),
            "refused": Out(1), "fault": Out(Fault), "held_before": Out(1), "held_after": Out(1),
            "out_before": Out(1), "out_after": Out(1), "named": Out(chunks),
        })

    def elaborate(self, platform):
        m = Module()
        request, old, new = self.request, self.old, self.new
        ones = Const((1 << self.chunks) - 1, self.chunks)
        m.d.comb += [
            new.eq(old),
            self.named.eq(Mux(request.none, 0, (ones << request.first)
                              & (ones >> (self.chunks - 1 - request.last)[:6]))),
            self.held_before.eq(old.open | old.chunks.any()),
            self.held_after.eq(new.open | new.chunks.any()),
            self.out_before.eq(~old.open & old.chunks.any()),
            self.out_after.eq(~new.open & new.chunks.any()),
        ]
        with m.Switch(request.operation):
            with m.Case(Operation.OPEN):
                m.d.comb += [new.open.eq(1), new.chunks.eq(0), new.queue.eq(request.queue),
                             new.generation.eq(old.generation + 1)]
            with m.Case(Operation.DELIVER):
                m.d.comb += [new.chunks.eq(old.chunks | self.named),
                             new.open.eq(old.open & ~request.closes)]
            with m.Case(Operation.RETURN):
                # A page on the ring still tells who had it: a second return is told apart from a
                # stranger's.
                with m.If(old.queue != request.queue):
                    m.d.comb += [self.refused.eq(1), self.fault.eq(Fault.RETURN_OWNER)]
                with m.Elif(old.generation != request.generation):
                    m.d.comb += [self.refused.eq(1), self.fault.eq(Fault.RETURN_GENERATION)]
                with m.Elif((self.named & ~old.chunks).any()):
                    m.d.comb += [self.refused.eq(1), self.fault.eq(Fault.RETURN_IDLE)]
                with m.Else():
                    m.d.comb += new.chunks.eq(old.chunks & ~self.named)
            with m.Case(Operation.ENROL, Operation.RETIRE):
                m.d.comb += [new.open.eq(0), new.chunks.eq(0),
                             new.generation.eq(old.generation + 1)]
        return m


class PageTable(wiring.Component):
    """The entries of all pages, and the counts that follow from them.

    Members
    -------
    opens : :py:`In(stream.Signature(Open))`
    opened : :py:`Out(1)`, generation : :py:`Out(Generation)`
        Answer to ``opens``, one cycle later.
    deliveries : :py:`In(stream.Signature(Delivery))`
    returns : :py:`In(stream.Signature(Return))`
        Tokens of valid pages and chunks; the rest is checked here.
    loads : :py:`In(stream.Signature(Load))`
    refusal : :py:`Out(Refusal)`, accepted : :py:`Out(1)`
        Answer to ``returns``.
    owner : :py:`Out(Lookup(PageId, Index))`
        Pool of a page.
    recycled : :py:`Out(stream.Signature(Enrolment))`
        Pages that go back on a ring.
    queue_recycled : :py:`In(Lookup(Index, Count))`
        Running count of pages that left a queue; two ports.
    outstanding : :py:`In(Lookup(Index, Count))`
        Pages of a pool that only the host has; two ports.
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
            "outstanding": In(Lookup(Index, Count)).array(2), "moved": Out(PageMove),
            "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        chunks = self.config.chunks
        m.submodules.entries = entries = Memory(shape=PageEntry(chunks), depth=self.config.pages,
                                                init=[])
        m.submodules.logic = logic = EntryLogic(chunks)
        m.submodules.recycles = recycles = StreamQueue(Enrolment, depth=4)
        write = entries.write_port()
        # An operation sees what the one just before it wrote, even to the same page.
        read = entries.read_port(transparent_for=[write])
        wiring.connect(m, wiring.flipped(self.recycled), recycles.o)
        request, busy = Signal(Request), Signal()
        chosen, ready = Signal(Request), Signal()
        # Room for the operation under way and for this one, should both recycle a page.
        m.d.comb += [ready.eq(recycles.level <= 2), read.addr.eq(chosen.page)]
        m.d.sync += [request.eq(chosen), busy.eq(self._choose(m, chosen, ready))]
        done = busy & ~logic.refused
        m.d.comb += [
            logic.request.eq(request), logic.old.eq(read.data),
            write.en.eq(done), write.addr.eq(request.page), write.data.eq(logic.new),
            self.owner.addr.eq(request.page),
            self.opened.eq(busy & (request.operation == Operation.OPEN)),
            self.generation.eq(logic.new.generation),
            self.refusal.valid.eq(busy & logic.refused), self.refusal.fault.eq(logic.fault),
            self.accepted.eq(done & (request.operation == Operation.RETURN)),
            recycles.i.valid.eq(done & logic.held_before & ~logic.held_after
                                & (request.operation != Operation.ENROL)
                                & (request.operation != Operation.RETIRE)),
            recycles.i.p.page.eq(request.page), recycles.i.p.pool.eq(self.owner.data),
            self.idle.eq(~busy & (recycles.level == 0)),
        ]
        self._count(m, logic, request, done)
        m.d.sync += Assert(~recycles.i.valid | recycles.i.ready)
        m.d.sync += Assert(~self.opened | ~logic.held_before)
        with m.If(busy & (request.operation == Operation.DELIVER)):
            m.d.sync += Assert(logic.old.open & ~(logic.old.chunks & logic.named).any(),
                               Format("delivered chunks {:b} of page {}: open {}, at the host {:b}",
                                      logic.named, request.page, logic.old.open,
                                      logic.old.chunks))
        return m

    def _choose(self, m, chosen, ready):
        """Pick what comes next: the card's own work before the host's."""
        taken = Signal()
        m.d.comb += taken.eq(ready & (self.deliveries.valid | self.opens.valid
                                      | self.loads.valid | self.returns.valid))
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
        return taken

    def _count(self, m, logic, request, done):
        """Count pages that left their queue, and those that only the host has."""
        m.submodules.left = left = StateTable(Count, depth=self.config.queues, reads=3)
        m.submodules.out = out = StateTable(Count, depth=self.config.pools, reads=3)
        wiring.connect(m, wiring.flipped(self.queue_recycled[0]), left.read[1])
        wiring.connect(m, wiring.flipped(self.queue_recycled[1]), left.read[2])
        for asked, port in zip(self.outstanding, out.read[1:], strict=True):
            wiring.connect(m, wiring.flipped(asked), port)
        counts = done & (request.operation != Operation.ENROL)
        moved = self.moved
        m.d.comb += [
            left.read[0].addr.eq(logic.old.queue), left.write.addr.eq(logic.old.queue),
            left.write.en.eq(counts & logic.held_before & ~logic.held_after),
            left.write.data.eq(left.read[0].data + 1),
            out.read[0].addr.eq(self.owner.data), out.write.addr.eq(self.owner.data),
            out.write.en.eq(counts & (logic.out_before != logic.out_after)),
            out.write.data.eq(Mux(logic.out_after, out.read[0].data + 1, out.read[0].data - 1)),
            # A page that is registered is with nobody, whatever was known of it.
            moved.valid.eq(done & ((logic.out_before ^ logic.out_after)
                                   | (request.operation == Operation.ENROL))),
            moved.page.eq(request.page), moved.pool.eq(self.owner.data),
            moved.queue.eq(logic.new.queue), moved.out.eq(logic.out_after),
        ]
