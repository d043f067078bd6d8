"""Collects each queue's completions in lines of 64 bytes, the unit in which the host reads them.

Four completions leave as one write. A line that does not fill is written as far as it goes: at
once when no frame is under way, and otherwise after one to two periods of the flush timer.
"""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .deliverer import Entry
from .layouts import Completion, Index, Kind, RingIndex
from .state_table import Lookup, StateTable
from .streams import StreamBuffer

__all__ = ["CompletionLines", "FlushTimer", "LineRequest", "LineState", "SLOTS"]

SLOTS = 8
"""Completions stored for each queue: the line that is being filled and the one being written."""


class LineState(data.Struct):
    """Where a queue's completions have got to."""

    index: RingIndex
    """Of the next completion."""
    unwritten: unsigned(2)
    """First one of this line that is not written."""
    frames: unsigned(3)
    """Frames that end among the unwritten ones."""


class LineRequest(data.Struct):
    """Completions of one line to write; or a mark."""

    kind: Kind
    index: Index
    first: RingIndex
    """Index of the first of them."""
    count: unsigned(3)
    frames: unsigned(3)


class FlushTimer(wiring.Component):
    """Picks the queues whose waiting completions should be written now.

    Members
    -------
    period : :py:`In(16)`
        Cycles; 0 is 65536.
    waiting : :py:`In(queues)`
        A bit for each queue whose line is partly unwritten.
    quiet : :py:`In(1)`
        No frame is under way that could fill a line.
    flush : :py:`Out(1)`, queue : :py:`Out(Index)`
        Write this queue's line. One cycle old: the line may have been written since.
    """

    def __init__(self, queues):
        super().__init__({
            "period": In(16), "waiting": In(queues), "quiet": In(1),
            "flush": Out(1), "queue": Out(Index),
        })
        self.queues = queues

    def elaborate(self, platform):
        m = Module()
        timer, old, overdue = Signal(16), Signal(self.queues), Signal(self.queues)
        # A line is old after the first tick that finds it, and overdue after the second.
        m.d.sync += [timer.eq(timer - 1), old.eq(old & self.waiting),
                     overdue.eq(overdue & self.waiting)]
        with m.If(timer == 0):
            m.d.sync += [timer.eq(self.period - 1), old.eq(self.waiting),
                         overdue.eq(old & self.waiting)]
        due = Signal(self.queues)
        m.d.comb += due.eq(self.waiting & (overdue | self.quiet.replicate(self.queues)))
        m.d.sync += self.flush.eq(due.any())
        for queue in reversed(range(self.queues)):
            with m.If(due[queue]):
                m.d.sync += self.queue.eq(queue)
        return m


class CompletionLines(wiring.Component):
    """Stores completions, one a cycle, and asks for lines to be written.

    Members
    -------
    entries : :py:`In(stream.Signature(Entry))`
    requests : :py:`Out(stream.Signature(LineRequest))`
        Accept one only when it has been read from the store: the next may overwrite it.
    ring_log2 : :py:`Out(Lookup(Index, 5))`
        Size of a queue's completion ring.
    period : :py:`In(16)`, quiet : :py:`In(1)`
        See :class:`FlushTimer`.
    slot : :py:`In(9)`, stored : :py:`Out(Completion)`
        Read port of the store, one cycle.
    idle : :py:`Out(1)`
        No completion waits.
    """

    def __init__(self, config):
        self.config = config
        super().__init__({
            "entries": In(stream.Signature(Entry)),
            "requests": Out(stream.Signature(LineRequest)),
            "ring_log2": Out(Lookup(Index, 5)),
            "period": In(16), "quiet": In(1),
            "slot": In(9), "stored": Out(Completion), "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        queues = self.config.queues
        m.submodules.store = store = Memory(shape=Completion, depth=max(2, SLOTS * queues),
                                            init=[])
        m.submodules.states = states = StateTable(LineState, depth=queues)
        m.submodules.timer = timer = FlushTimer(queues)
        # The buffer lets go of a line's last completion, so that it is stored before it is read.
        m.submodules.buffer = buffer = StreamBuffer(LineRequest)
        wiring.connect(m, wiring.flipped(self.requests), buffer.o)
        self.line = line = buffer.i
        into, out = store.write_port(), store.read_port()
        queue, state, waiting = Signal(Index), Signal(LineState), Signal(queues)
        m.d.comb += [
            out.addr.eq(self.slot), self.stored.eq(out.data),
            states.read[0].addr.eq(queue), states.write.addr.eq(queue),
            state.eq(states.read[0].data), states.write.data.eq(state),
            self.ring_log2.addr.eq(queue),
            timer.period.eq(self.period), timer.quiet.eq(self.quiet), timer.waiting.eq(waiting),
            self.idle.eq(~waiting.any()),
            into.addr.eq(state.index[:3] + queue * SLOTS), into.data.eq(self.entries.p.completion),
            into.data.phase.eq(~state.index.bit_select(self.ring_log2.data, 1)),
        ]
        request, entry = line.p, self.entries.p
        m.d.comb += [
            request.index.eq(queue), request.count.eq(state.index[:2] - state.unwritten),
            request.first.eq(state.index - request.count), request.frames.eq(state.frames),
        ]
        flushes = timer.flush & waiting.bit_select(timer.queue, 1)
        fenced = (entry.kind == Kind.FENCE_QUEUE) & waiting.bit_select(entry.index, 1)
        m.d.comb += queue.eq(Mux(flushes, timer.queue, entry.index))
        with m.If(flushes | (self.entries.valid & fenced)):
            m.d.comb += line.valid.eq(1)
            with m.If(line.ready):
                m.d.comb += [states.write.en.eq(1), states.write.data.frames.eq(0),
                             states.write.data.unwritten.eq(state.index[:2])]
                m.d.sync += waiting.bit_select(queue, 1).eq(0)
        with m.Elif(self.entries.valid & (entry.kind == Kind.SEGMENT)):
            self._store(m, into, states, state, waiting)
        with m.Elif(self.entries.valid):
            m.d.comb += [request.kind.eq(entry.kind), line.valid.eq(1),
                         self.entries.ready.eq(line.ready)]
            with m.If(line.ready & (entry.kind == Kind.START_QUEUE)):
                m.d.comb += [states.write.en.eq(1), states.write.data.eq(0)]
        return m

    def _store(self, m, into, states, state, waiting):
        """Store the completion, unless it fills the line and the line cannot leave yet."""
        entry, line = self.entries.p, self.line
        request = line.p
        fills = state.index[:2] == 3
        frames = state.frames + entry.completion.end
        m.d.comb += [
            line.valid.eq(fills), self.entries.ready.eq(~fills | line.ready),
            request.count.eq(4 - state.unwritten), request.first.eq(
                state.index - (3 - state.unwritten)), request.frames.eq(frames),
            into.en.eq(self.entries.ready), states.write.en.eq(self.entries.ready),
            states.write.data.index.eq(state.index + 1),
            states.write.data.unwritten.eq(Mux(fills, 0, state.unwritten)),
            states.write.data.frames.eq(Mux(fills, 0, frames)),
        ]
        with m.If(self.entries.ready):
            m.d.sync += waiting.bit_select(entry.index, 1).eq(~fills)
