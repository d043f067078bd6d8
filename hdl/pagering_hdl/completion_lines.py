"""Collects each queue's completions in lines of 64 bytes, the unit in which the host reads them.

Four completions, or two extended ones, leave as one write. A line that does not fill is written as
far as it goes: at once when no frame is under way, and otherwise after one to two periods of the
flush timer.
"""

from amaranth.hdl import Assert, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .completion_store import CompletionStore, StoreAddress, StoreWord
from .config import BUS_WIDTHS
from .deliverer import Entry
from .flush_timer import FlushTimer
from .layouts import Index, Kind, RingIndex
from .pacing import Pace
from .state_table import Lookup, StateTable

__all__ = ["CompletionLines", "LineRequest", "LineState", "RingBase", "RingShape"]

RingBase = unsigned(52)
"""Bits 63:12 of a completion ring's DMA address."""


class RingShape(data.Struct):
    """What a queue's completion ring is made of."""

    log2: unsigned(5)
    extended: unsigned(1)


class LineState(data.Struct):
    """Where a queue's completions have got to."""

    index: RingIndex
    """Of the next completion."""
    unwritten: unsigned(2)
    """First sixteen bytes of this line that are not written."""
    frames: unsigned(3)
    """Frames that end among the unwritten ones."""


class LineRequest(data.Struct):
    """Completions of one line to write; or a mark."""

    kind: Kind
    index: Index
    base: RingBase
    line: unsigned(15)
    """Which line of the ring."""
    first: unsigned(2)
    """First sixteen bytes of the line."""
    last: unsigned(2)
    produced: RingIndex
    """The queue's completion index after this write."""
    frames: unsigned(3)


class Step(data.Struct):
    """What the second step of the pipeline works on: an entry, or the order to flush a queue."""

    valid: unsigned(1)
    flush: unsigned(1)
    stores: unsigned(1)
    """The entry is a completion."""
    fills: unsigned(1)
    """It is the last of its line."""
    fence: unsigned(1)
    """The entry is the fence of a queue."""
    pending: unsigned(1)
    """Completions of the queue are not written, before this one."""
    phase: unsigned(1)
    queue: Index
    entry: Entry
    ring: RingShape
    base: RingBase
    state: LineState


def place(state, ring):
    """Return where in its line the next completion goes: the place of its first sixteen bytes."""
    return Mux(ring.extended, state.index[0] << 1, state.index[:2])


class CompletionLines(wiring.Component):
    """Stores completions and asks for lines to be written.

    In two steps: look up the queue, and see what there is to do; then move its state on, ask, and
    store, which takes a cycle or, on a narrow card, two or more: there the state reaches its table
    a cycle later. A line is asked for when its last completion begins to be stored: words are read
    in the order in which they are stored, and later.

    Members
    -------
    entries : :py:`In(stream.Signature(Entry))`
    requests : :py:`Out(stream.Signature(LineRequest))`
        Accept one only when that before it has been read from the store: the next may overwrite it.
        It may be read a cycle later.
    shape : :py:`Out(Lookup(Index, RingShape))`, base : :py:`Out(Lookup(Index, RingBase))`
    period : :py:`In(16)`
        See :class:`FlushTimer`.
    empty, settled : :py:`In(1)`
        No frame is in the packet FIFO; none waits for the bus to answer.
    address : :py:`In(StoreAddress(config))`, read : :py:`In(1)`,
    stored : :py:`Out(StoreWord(config))`
        Read port of the store.
    idle : :py:`Out(1)`
        No completion waits.
    """

    def __init__(self, config):
        self.config = config
        super().__init__({
            "entries": In(stream.Signature(Entry)),
            "requests": Out(stream.Signature(LineRequest)),
            "shape": Out(Lookup(Index, RingShape)), "base": Out(Lookup(Index, RingBase)),
            "period": In(16), "empty": In(1), "settled": In(1),
            "address": In(StoreAddress(config)), "read": In(1),
            "stored": Out(StoreWord(config)), "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.store = self.store = CompletionStore(self.config)
        self.step, self.after = Signal(Step), Signal(LineState)
        self.waiting, self.quiet = Signal(self.config.queues), Signal()
        self.stores, self.begins, self.ends = Signal(), Signal(), Signal()
        # Between what becomes of a queue's state and its table.
        pace = Pace(m, (0,) if self.config.bus_bits <= 128 else ())
        self.begun = pace.keep(0, self.begins, "begun")
        self.moved = pace.keep(0, self.after, "moved")
        self.rests = self.begun if pace.cuts else 0
        # Of what is in the FIFO it may be told late: from there it is far to here.
        empty = Signal()
        m.d.sync += empty.eq(self.empty)
        m.d.comb += [self.quiet.eq(empty & self.settled),
                     self.idle.eq(~self.waiting.any() & ~self.step.valid)]
        self._look_up(m)
        self._ask(m)
        self._store(m)
        return m

    def _look_up(self, m):
        """First step: a flush, or else the next entry, and the state of its queue."""
        m.submodules.states = states = StateTable(LineState, depth=self.config.queues)
        m.submodules.timer = timer = FlushTimer(self.config.queues)
        step, queue, moves, state = self.step, Signal(Index), Signal(), Signal(LineState)
        narrowest = self.config.bus_bits == min(BUS_WIDTHS)
        m.d.comb += [
            timer.period.eq(self.period), timer.quiet.eq(self.quiet),
            timer.waiting.eq(self.waiting),
            queue.eq(Mux(timer.flushes.valid, timer.flushes.payload, self.entries.p.index)),
            states.read[0].addr.eq(queue), self.shape.addr.eq(queue), self.base.addr.eq(queue),
            states.write.addr.eq(step.queue), states.write.data.eq(self.moved),
            states.write.en.eq(self.begun),
            # On the narrowest card there is time to break the way of ready here, which is long.
            moves.eq(~step.valid | (0 if narrowest else self.ends)),
            timer.flushes.ready.eq(moves), self.entries.ready.eq(moves & ~timer.flushes.valid),
            state.eq(states.read[0].data),
        ]
        if not narrowest:
            # What is being written is not yet to be read.
            with m.If(self.begun & (queue == step.queue)):
                m.d.comb += state.eq(self.moved)
        with m.If(moves):
            m.d.sync += [
                step.valid.eq(timer.flushes.valid | self.entries.valid), step.queue.eq(queue),
                step.entry.eq(self.entries.p), step.ring.eq(self.shape.data),
                step.base.eq(self.base.data), step.state.eq(state),
            ]
            self._see(m, state, timer.flushes.valid)
        with m.Elif(self.ends):
            m.d.sync += step.valid.eq(0)
        with m.Elif(self.begun & ~self.stores):
            m.d.sync += [step.state.eq(self.moved), step.pending.eq(0)]

    def _see(self, m, state, flush):
        """See what the second step has to do."""
        step, kind, ring = self.step, self.entries.p.kind, self.shape.data
        now = place(state, ring)
        m.d.sync += [
            step.flush.eq(flush), step.stores.eq(~flush & (kind == Kind.SEGMENT)),
            step.fence.eq(~flush & (kind == Kind.FENCE_QUEUE)),
            step.fills.eq((now | ring.extended) == 3), step.pending.eq(now != state.unwritten),
            step.phase.eq(~state.index.bit_select(ring.log2, 1)),
        ]

    def _ask(self, m):
        """Second step: whether a line or a mark leaves, and what becomes of the queue's state."""
        step, after, line = self.step, self.after, self.requests
        state, entry, extended = step.state, step.entry, step.ring.extended
        self.place, mark, sends = Signal(2), Signal(), Signal()
        # What is asked for once is asked for until it is taken, quiet or not.
        asked = Signal()
        m.d.sync += asked.eq(line.valid & ~line.ready)
        places = (1 << step.ring.log2) - 1 & state.index
        begins = step.valid & self.store.first & ~self.rests
        m.d.comb += [
            self.stores.eq(step.valid & step.stores), self.place.eq(place(state, step.ring)),
            # Before the fence of a queue its line leaves, in a cycle of its own.
            mark.eq(~step.flush & ~step.stores & ~(step.fence & step.pending)),
            line.p.kind.eq(Mux(mark, entry.kind, Kind.SEGMENT)), line.p.index.eq(step.queue),
            line.p.base.eq(step.base), line.p.line.eq(Mux(extended, places[1:], places[2:])),
            line.p.first.eq(state.unwritten),
            line.p.last.eq(Mux(step.stores, self.place | extended, self.place - 1)),
            line.p.produced.eq(state.index + step.stores), line.p.frames.eq(
                state.frames + (step.stores & entry.completion.end)),
            sends.eq(Mux(step.stores, step.fills | self.quiet | asked, mark | step.pending)),
            line.valid.eq(begins & sends), self.begins.eq(begins & (~sends | line.ready)),
            self.ends.eq(step.valid & (self.begun | ~self.store.first)
                         & Mux(step.stores, self.store.last, step.flush | mark)),
            after.index.eq(state.index + step.stores),
            after.unwritten.eq(Mux(sends, line.p.last + 1, state.unwritten)),
            after.frames.eq(Mux(sends, 0, line.p.frames)),
        ]
        with m.If(mark):
            m.d.comb += after.eq(Mux(entry.kind == Kind.START_QUEUE, 0, state))
        with m.If(line.valid & line.ready & ~mark):
            m.d.sync += [self.waiting.bit_select(step.queue, 1).eq(0),
                         Assert(line.p.first <= line.p.last)]
        with m.Elif(self.begins & self.stores):
            m.d.sync += self.waiting.bit_select(step.queue, 1).eq(1)

    def _store(self, m):
        """Put the completion in its place, with its phase."""
        store, step, index = self.store, self.step, self.step.state.index
        m.d.comb += [
            store.write.eq(self.stores & (self.begins | ~store.first)),
            store.queue.eq(step.queue), store.place.eq(self.place),
            store.line.eq(Mux(step.ring.extended, index[1], index[2])),
            store.extended.eq(step.ring.extended), store.extension.eq(step.entry.extension),
            store.completion.eq(step.entry.completion),
            store.completion.phase.eq(step.phase),
            store.address.eq(self.address), store.read.eq(self.read),
            self.stored.eq(store.stored),
        ]
