"""Collects each queue's completions in lines of 64 bytes, the unit in which the host reads them.

Four completions, or two extended ones, leave as one write. A line that does not fill is written as
far as it goes: at once when no frame is under way, and otherwise after one to two periods of the
flush timer.
"""

from amaranth.hdl import Assert, Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .deliverer import Entry
from .flush_timer import FlushTimer
from .layouts import Completion, Index, Kind, RingIndex
from .state_table import Lookup, StateTable
from .streams import StreamRelay

__all__ = ["CompletionLines", "LineRequest", "LineState", "RingShape", "StoreAddress",
           "StoreWord"]

StoreWord = data.ArrayLayout(Completion.size, 2)
"""Half a line: two completions, or one with its extension before it."""


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
    line: unsigned(15)
    """Which line of the ring."""
    first: unsigned(2)
    """First sixteen bytes of the line."""
    last: unsigned(2)
    produced: RingIndex
    """The queue's completion index after this write."""
    frames: unsigned(3)


class StoreAddress(data.Struct):
    """Where half a line is kept: each queue has the line that fills and the one being written."""

    half: unsigned(1)
    line: unsigned(1)
    queue: Index


class Step(data.Struct):
    """What the second step of the pipeline works on: an entry, or the order to flush a queue."""

    valid: unsigned(1)
    flush: unsigned(1)
    queue: Index
    entry: Entry
    ring: RingShape
    state: LineState


class CompletionLines(wiring.Component):
    """Stores completions, one a cycle, and asks for lines to be written.

    In two steps: look up the queue; then store, move its state on and ask.

    Members
    -------
    entries : :py:`In(stream.Signature(Entry))`
    requests : :py:`Out(stream.Signature(LineRequest))`
        Accept one only when it has been read from the store: the next may overwrite it.
    shape : :py:`Out(Lookup(Index, RingShape))`
    period : :py:`In(16)`, quiet : :py:`In(1)`
        See :class:`FlushTimer`.
    address : :py:`In(StoreAddress)`, read : :py:`In(1)`, stored : :py:`Out(StoreWord)`
        Read port of the store: one cycle, then it stays.
    idle : :py:`Out(1)`
        No completion waits.
    """

    def __init__(self, config):
        self.config = config
        super().__init__({
            "entries": In(stream.Signature(Entry)),
            "requests": Out(stream.Signature(LineRequest)),
            "shape": Out(Lookup(Index, RingShape)),
            "period": In(16), "quiet": In(1), "address": In(StoreAddress), "read": In(1),
            "stored": Out(StoreWord), "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        # It takes the next request a cycle after the last one went: then that has been read, and
        # a line's last completion is stored before it is read.
        m.submodules.relay = relay = StreamRelay(LineRequest)
        wiring.connect(m, wiring.flipped(self.requests), relay.o)
        self.line = relay.i
        self.step, self.after = Signal(Step), Signal(LineState)
        self.waiting, self.quiet_now = Signal(self.config.queues), Signal()
        self.stores, self.done, self.sends = Signal(), Signal(), Signal()
        # A cycle old; it tells of what left for here a cycle before.
        m.d.sync += self.quiet_now.eq(self.quiet)
        m.d.comb += self.idle.eq(~self.waiting.any() & ~self.step.valid)
        self._look_up(m)
        self._ask(m)
        self._store(m)
        return m

    def _look_up(self, m):
        """First step: a flush, or else the next entry, and the state of its queue."""
        m.submodules.states = states = StateTable(LineState, depth=self.config.queues)
        m.submodules.timer = timer = FlushTimer(self.config.queues)
        step, queue, moves = self.step, Signal(Index), Signal()
        m.d.comb += [
            timer.period.eq(self.period), timer.quiet.eq(self.quiet_now),
            timer.waiting.eq(self.waiting),
            queue.eq(Mux(timer.flushes.valid, timer.flushes.payload, self.entries.p.index)),
            states.read[0].addr.eq(queue), self.shape.addr.eq(queue),
            states.write.addr.eq(step.queue), states.write.data.eq(self.after),
            states.write.en.eq(self.done),
            moves.eq(~step.valid | self.done),
            timer.flushes.ready.eq(moves), self.entries.ready.eq(moves & ~timer.flushes.valid),
        ]
        with m.If(moves):
            m.d.sync += [
                step.valid.eq(timer.flushes.valid | self.entries.valid),
                step.flush.eq(timer.flushes.valid), step.queue.eq(queue),
                step.entry.eq(self.entries.p), step.ring.eq(self.shape.data),
                # The step that ends now has not reached the table yet.
                step.state.eq(Mux(self.done & (queue == step.queue), self.after,
                                  states.read[0].data)),
            ]
        with m.Elif(self.line.ready):
            m.d.sync += step.state.eq(self.after)

    def _ask(self, m):
        """Second step: whether a line or a mark leaves, and what becomes of the queue's state."""
        step, line, after = self.step, self.line, self.after
        state, entry, extended = step.state, step.entry, step.ring.extended
        next_place, pending, mark = Signal(2), Signal(), Signal()
        places = (1 << step.ring.log2) - 1 & state.index
        m.d.comb += [
            self.stores.eq(step.valid & ~step.flush & (entry.kind == Kind.SEGMENT)),
            next_place.eq(Mux(extended, state.index[0] << 1, state.index[:2])),
            pending.eq(next_place != state.unwritten),
            # Before the fence of a queue its line leaves, in a cycle of its own.
            mark.eq(~step.flush & ~self.stores
                    & ~((entry.kind == Kind.FENCE_QUEUE) & pending)),
            line.p.kind.eq(Mux(mark, entry.kind, Kind.SEGMENT)), line.p.index.eq(step.queue),
            line.p.line.eq(Mux(extended, places[1:], places[2:])),
            line.p.first.eq(state.unwritten),
            line.p.last.eq(Mux(self.stores, next_place | extended, next_place - 1)),
            line.p.produced.eq(after.index), line.p.frames.eq(
                state.frames + (self.stores & entry.completion.end)),
            self.sends.eq(Mux(self.stores,
                              (line.p.last == 3) | self.quiet_now & ~self.entries.valid,
                              mark | pending)),
            line.valid.eq(step.valid & self.sends),
            self.done.eq(step.valid & (~self.sends | line.ready)
                         & (step.flush | self.stores | mark)),
            after.index.eq(state.index + self.stores),
            after.unwritten.eq(Mux(self.sends, line.p.last + 1, state.unwritten)),
            after.frames.eq(Mux(self.sends, 0, line.p.frames)),
        ]
        with m.If(mark):
            m.d.comb += after.eq(Mux(entry.kind == Kind.START_QUEUE, 0, state))
        with m.If(line.valid & line.ready & ~mark):
            m.d.sync += [self.waiting.bit_select(step.queue, 1).eq(0),
                         Assert(line.p.first <= line.p.last)]
        with m.Elif(self.done & self.stores):
            m.d.sync += self.waiting.bit_select(step.queue, 1).eq(1)

    def _store(self, m):
        """Put the completion in its place, with its phase."""
        # Wide and shallow, it would else become lookup tables. What is read of a completion while
        # it is being written is never used, so synthesis need not say what that would be.
        m.submodules.store = store = Memory(shape=StoreWord, depth=4 * self.config.queues, init=[],
                                            attrs={"ram_style": "block", "no_rw_check": 1})
        into, out = store.write_port(granularity=1), store.read_port()
        step, index = self.step, self.step.state.index
        completion, address = Signal(Completion), Signal(StoreAddress)
        extended, writes = step.ring.extended, self.done & self.stores
        m.d.comb += [
            completion.eq(step.entry.completion),
            completion.phase.eq(~index.bit_select(step.ring.log2, 1)),
            address.queue.eq(step.queue),
            Cat(address.half, address.line).eq(Mux(extended, index[:2], index[1:3])),
            into.addr.eq(address.as_value()),
            into.data.eq(Cat(Mux(extended, step.entry.extension, completion), completion)),
            into.en.eq(Cat(writes & (extended | ~index[0]), writes & (extended | index[0]))),
            out.addr.eq(self.address.as_value()), out.en.eq(self.read),
            self.stored.eq(out.data),
        ]
