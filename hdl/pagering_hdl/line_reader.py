"""Writes lines of completions: takes them from the store and makes beats of them."""

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

from .completion_lines import SLOTS, LineRequest
from .dma_writer import WriteBeat
from .layouts import Completion, Index, Kind, LineJob
from .state_table import Lookup
from .streams import StreamQueue

__all__ = ["LineReader", "RingSettings"]


class RingSettings(data.Struct):
    """A queue's completion ring."""

    log2: unsigned(5)
    base: unsigned(52)
    """Bits 63:12 of its DMA address."""


class LineReader(wiring.Component):
    """Reads a completion a cycle; a write is announced when all of its beats are there.

    Members
    -------
    requests : :py:`In(stream.Signature(LineRequest))`
    slot : :py:`Out(9)`, stored : :py:`In(Completion)`
        Read port of the store, one cycle.
    ring : :py:`Out(Lookup(Index, RingSettings))`
    jobs : :py:`Out(stream.Signature(LineJob))`
        Writes, and marks.
    beats : :py:`Out(stream.Signature(WriteBeat(bits)))`
    idle : :py:`Out(1)`
    """

    def __init__(self, config):
        self.config = config
        super().__init__({
            "requests": In(stream.Signature(LineRequest)),
            "slot": Out(9), "stored": In(Completion),
            "ring": Out(Lookup(Index, RingSettings)),
            "jobs": Out(stream.Signature(LineJob)),
            "beats": Out(stream.Signature(WriteBeat(config.bus_bits))),
            "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        request = self.requests.p
        at, final, pushed = Signal(3), Signal(), Signal()
        m.d.comb += [
            final.eq(at == request.count - 1),
            self.slot.eq(request.index * SLOTS + (request.first + at + pushed)[:3]),
            self.idle.eq(~self.requests.valid),
        ]
        self._describe(m, request)
        m.submodules.queue = self.queue = StreamQueue(WriteBeat(self.config.bus_bits), depth=16)
        wiring.connect(m, wiring.flipped(self.beats), self.queue.o)
        with m.FSM(name="line_reader"):
            with m.State("Await request"):
                with m.If(self.requests.valid & (request.kind == Kind.SEGMENT)):
                    m.next = "Read completions"
                with m.Elif(self.requests.valid):
                    m.next = "Announce"
            with m.State("Read completions"):
                m.d.comb += pushed.eq(self._push(m, (request.first + at)[:2], final))
                with m.If(pushed):
                    m.d.sync += at.eq(Mux(final, 0, at + 1))
                    with m.If(final):
                        m.next = "Announce"
            with m.State("Announce"):
                m.d.comb += [self.jobs.valid.eq(1), self.requests.ready.eq(self.jobs.ready)]
                with m.If(self.jobs.ready):
                    m.next = "Await request"
        return m

    def _describe(self, m, request):
        """Say where the line goes. Its address starts at a beat; strobes do the rest."""
        job, ring = self.jobs.p, self.ring
        byte, end, start = Signal(20), Signal(20), Signal(20)
        mask = Signal(17)
        down = -self.config.bus_bytes
        m.d.comb += [
            ring.addr.eq(request.index), mask.eq((1 << ring.data.log2) - 1),
            byte.eq((request.first & mask) * abi.COMPLETION_BYTES),
            start.eq(byte & down),
            end.eq(byte + request.count * abi.COMPLETION_BYTES),
            job.kind.eq(request.kind), job.index.eq(request.index),
            job.address.eq((ring.data.base << 12) + start),
            job.length.eq(end - start),
            job.produced.eq(request.first + request.count), job.frames.eq(request.frames),
        ]

    def _push(self, m, slot, final):
        """Make beats of the stored completion; returns whether it has left."""
        bits, width, queue = self.config.bus_bits, Completion.size, self.queue
        stored = self.stored.as_value()
        if bits < width:
            part = Signal(range(width // bits))
            m.d.comb += [queue.i.valid.eq(1), queue.i.p.strobe.eq(-1),
                         queue.i.p.data.eq(stored.word_select(part, bits))]
            with m.If(queue.i.ready):
                m.d.sync += part.eq(part + 1)
            return queue.i.ready & (part == width // bits - 1)
        lanes = bits // width
        lane = slot[:(lanes - 1).bit_length()]
        gathered, strobes = Signal(bits), Signal(bits // 8)
        now, strobes_now = Signal(bits), Signal(bits // 8)
        full = final | (lane == lanes - 1)
        bytes_each = abi.COMPLETION_BYTES
        m.d.comb += [
            now.eq(Cat(Mux(lane == n, stored, gathered.word_select(n, width))
                       for n in range(lanes))),
            strobes_now.eq(strobes | Cat((lane == n).replicate(bytes_each)
                                         for n in range(lanes))),
            queue.i.valid.eq(full), queue.i.p.data.eq(now), queue.i.p.strobe.eq(strobes_now),
        ]
        leaves = ~full | queue.i.ready
        with m.If(leaves):
            m.d.sync += [gathered.eq(now), strobes.eq(Mux(full, 0, strobes_now))]
        return leaves
