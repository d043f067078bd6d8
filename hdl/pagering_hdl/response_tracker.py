"""Waits for the bus to answer: what has been written, and what has become visible.

All writes carry one id, so the bus answers them in order, and a queue of tickets says what each
answer stands for. Marks stand in the same queue and pass when they come to its head: at that
moment everything before them has been answered.
"""

from amaranth.hdl import Assert, Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .axi import Response
from .burst_merger import Ticket
from .layouts import Index, Kind, RingIndex, Visible, Written
from .streams import StreamBuffer, StreamQueue

__all__ = ["ResponseTracker"]


class Expected(data.Struct):
    """A ticket as it is kept: in one block RAM, as no burst is of lines and of segments."""

    line: unsigned(1)
    mirror: unsigned(1)
    kind: Kind
    index: Index
    rest: unsigned(20)

    @property
    def ends(self):
        """Segments that end in the burst; of segments."""
        return self.rest[:7]

    @property
    def goes_on(self):
        """The last of its segments has another burst; of segments."""
        return self.rest[7]

    @property
    def produced(self):
        """Of a line."""
        return self.rest[:RingIndex.width]

    @property
    def frames(self):
        """Of a line."""
        return self.rest[RingIndex.width:]


class Answer(data.StructLayout):
    """Segments that are written, or not, by one burst.

    Members: ``ends``, how many; ``error``, the burst failed; ``first_error``, it, or a burst before
    it of the first of these segments, failed.
    """

    def __init__(self, config):
        # Each segment begins in a chunk of its own.
        super().__init__({"ends": range(max(1, config.burst_bytes // config.chunk_bytes) + 1),
                          "error": 1, "first_error": 1})


class ResponseTracker(wiring.Component):
    """Turns responses into written segments and visible completions. Never holds the bus.

    Members
    -------
    tickets : :py:`In(stream.Signature(Ticket))`
        One for each burst, and marks, in bus order.
    pending : :py:`In(stream.Signature(Written))`
        One for each segment, and marks, in the same order.
    bresp : :py:`In(Response)`, bvalid : :py:`In(1)`, bready : :py:`Out(1)`
    written : :py:`Out(stream.Signature(Written))`
        Segments whose every burst is answered, and marks.
    visible : :py:`Out(Visible)`
        Completions that are answered, and marks that came as lines.
    data_error, line_error, mirror_error : :py:`Out(1)`
        Events: a burst was answered with an error.
    idle : :py:`Out(1)`
        Nothing waits.
    settled : :py:`Out(1)`
        No segment waits, only completions may.
    """

    def __init__(self, config):
        self.config = config
        self.depth = config.in_flight
        self.given = Signal(Answer(config)["ends"].shape)
        super().__init__({
            "tickets": In(stream.Signature(Ticket)),
            "pending": In(stream.Signature(Written)),
            "bresp": In(Response), "bvalid": In(1), "bready": Out(1),
            "written": Out(stream.Signature(Written)),
            "visible": Out(Visible),
            "data_error": Out(1), "line_error": Out(1), "mirror_error": Out(1),
            "idle": Out(1), "settled": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        # Of the places one is behind each queue: so what comes next has left its block RAM before
        # it is asked for.
        m.submodules.tickets_queue = tickets = StreamQueue(Expected, depth=self.depth - 1,
                                                           block=True)
        m.submodules.expected = expected = StreamBuffer(Expected)
        m.submodules.pending_queue = pending = StreamQueue(Written, depth=self.depth - 1,
                                                           block=True)
        m.submodules.head = head = StreamBuffer(Written)
        m.submodules.answered = answered = StreamQueue(Answer(self.config),
                                                         depth=self.depth)
        self._keep(m, tickets.i)
        wiring.connect(m, tickets.o, expected.i)
        wiring.connect(m, wiring.flipped(self.pending), pending.i)
        wiring.connect(m, pending.o, head.i)
        ticket, goes = expected.o.p, Signal()
        burst, failed, error = Signal(), Signal(), Signal()
        m.d.comb += [
            burst.eq(ticket.kind == Kind.SEGMENT),
            self.bready.eq(expected.o.valid & burst),
            expected.o.ready.eq(self.bvalid | ~burst),
            goes.eq(expected.o.valid & expected.o.ready),
            error.eq(burst & ((self.bresp == Response.SLVERR) | (self.bresp == Response.DECERR))),
            answered.i.p.ends.eq(ticket.ends), answered.i.p.error.eq(error),
            answered.i.p.first_error.eq(error | failed),
        ]
        with m.If(goes):
            with m.If(ticket.line):
                m.d.comb += [self.visible.valid.eq(~ticket.mirror),
                             self.line_error.eq(error & ~ticket.mirror),
                             self.mirror_error.eq(error & ticket.mirror)]
            with m.Else():
                m.d.comb += [answered.i.valid.eq(ticket.ends != 0), self.data_error.eq(error)]
                m.d.sync += [
                    # What is known of a segment that goes on.
                    failed.eq(ticket.goes_on & (error | (failed & (ticket.ends == 0)))),
                    Assert(~answered.i.valid | answered.i.ready),
                    Assert(answered.i.p.ends == ticket.ends)]
        self._hand_out(m, head, answered.o)
        m.d.comb += [
            self.visible.kind.eq(ticket.kind), self.visible.index.eq(ticket.index),
            self.visible.produced.eq(ticket.produced), self.visible.frames.eq(ticket.frames),
            self.settled.eq(pending.empty & ~head.o.valid),
            self.idle.eq(tickets.empty & ~expected.o.valid & self.settled),
        ]
        return m

    def _keep(self, m, into):
        """Put a ticket in the queue."""
        ticket = self.tickets.p
        m.d.comb += [
            into.valid.eq(self.tickets.valid), self.tickets.ready.eq(into.ready),
            into.p.rest.eq(Mux(ticket.line, Cat(ticket.produced, ticket.frames),
                               Cat(ticket.ends, ticket.goes_on))),
            *(getattr(into.p, name).eq(getattr(ticket, name))
              for name in ("line", "mirror", "kind", "index")),
        ]

    def _hand_out(self, m, pending, answers):
        """Give out the segments of an answer one by one."""
        given, answer = self.given, answers.p
        last = given == answer.ends - 1 if self.config.shares_bursts else 1
        m.d.comb += [
            self.written.valid.eq(pending.o.valid & answers.valid),
            pending.o.ready.eq(self.written.ready & answers.valid),
            answers.ready.eq(self.written.ready & pending.o.valid & last),
            self.written.p.eq(pending.o.p),
            self.written.p.error.eq(Mux(given == 0, answer.first_error, answer.error)),
        ]
        with m.If(self.written.valid & self.written.ready):
            m.d.sync += given.eq(Mux(last, 0, given + 1))
            if not self.config.shares_bursts:
                m.d.sync += Assert(answer.ends == 1)
