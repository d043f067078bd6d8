"""Writes lines of completions: takes them from the store and makes beats of them."""

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

from .completion_lines import LineRequest, StoreAddress, StoreWord
from .dma_writer import WriteBeat
from .layouts import Index, Kind, LineJob
from .state_table import Lookup
from .streams import StreamQueue, StreamRelay

__all__ = ["LineReader", "RingBase"]

RingBase = unsigned(52)
"""Bits 63:12 of a completion ring's DMA address."""
PLACE_BYTES = abi.COMPLETION_BYTES
"""A line has four places of so many bytes."""


class Piece(data.Struct):
    """What has been read from the store: what the second step makes a beat of."""

    valid: unsigned(1)
    request: LineRequest
    base: RingBase
    at: unsigned(3)
    """Which piece of the line."""
    final: unsigned(1)


class LineReader(wiring.Component):
    """Reads a beat a cycle, half a line at the most; announces a write with its last beat.

    In two steps: read; then make the beat. While one line ends, the next is being read.

    Members
    -------
    requests : :py:`In(stream.Signature(LineRequest))`
    address : :py:`Out(StoreAddress)`, read : :py:`Out(1)`, stored : :py:`In(StoreWord)`
        Read port of the store.
    base : :py:`Out(Lookup(Index, RingBase))`
    jobs : :py:`Out(stream.Signature(LineJob))`
        Writes, each when all of its beats are there; and marks.
    beats : :py:`Out(stream.Signature(WriteBeat(bits)))`
    idle : :py:`Out(1)`
    """

    def __init__(self, config):
        self.config = config
        self.piece_bytes = min(config.bus_bytes, StoreWord.size // 8)
        self.piece = Signal(Piece)
        super().__init__({
            "requests": In(stream.Signature(LineRequest)),
            "address": Out(StoreAddress), "read": Out(1), "stored": In(StoreWord),
            "base": Out(Lookup(Index, RingBase)),
            "jobs": Out(stream.Signature(LineJob)),
            "beats": Out(stream.Signature(WriteBeat(config.bus_bits))),
            "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = queue = StreamQueue(WriteBeat(self.config.bus_bits), depth=16)
        m.submodules.announced = announced = StreamRelay(LineJob)
        wiring.connect(m, wiring.flipped(self.beats), queue.o)
        wiring.connect(m, wiring.flipped(self.jobs), announced.o)
        piece, moves = self.piece, Signal()
        self._read(m, piece, moves)
        self._describe(m, piece, announced.i.p)
        pushes, line = Signal(), Signal()
        m.d.comb += [
            line.eq(piece.request.kind == Kind.SEGMENT),
            pushes.eq(self._make_beat(m, piece, queue.i.p, moves) & line),
            # Both or neither: what is announced is there.
            queue.i.valid.eq(piece.valid & pushes & (~piece.final | announced.i.ready)),
            announced.i.valid.eq(piece.valid & piece.final & (~pushes | queue.i.ready)),
            moves.eq(~piece.valid | ((~pushes | queue.i.ready)
                                     & (~piece.final | announced.i.ready))),
            self.idle.eq(~self.requests.valid & ~piece.valid & ~self.jobs.valid),
        ]
        return m

    def _read(self, m, piece, moves):
        """First step: go through the pieces of the line; a mark has one."""
        request, each = self.requests.p, PLACE_BYTES // self.piece_bytes
        begun, at, now, last = Signal(), Signal(3), Signal(3), Signal(3)
        if each:
            m.d.comb += [now.eq(Mux(begun, at, request.first * each)),
                         last.eq(request.last * each + (each - 1))]
        else:
            m.d.comb += [now.eq(Mux(begun, at, request.first >> 1)), last.eq(request.last >> 1)]
        final = (now == last) | (request.kind != Kind.SEGMENT)
        m.d.comb += [
            self.address.queue.eq(request.index), self.address.line.eq(request.line[0]),
            self.address.half.eq(now * self.piece_bytes >= StoreWord.size // 8),
            self.base.addr.eq(request.index),
            self.read.eq(moves), self.requests.ready.eq(moves & final),
        ]
        with m.If(moves):
            m.d.sync += [piece.valid.eq(self.requests.valid), piece.request.eq(request),
                         piece.base.eq(self.base.data), piece.at.eq(now), piece.final.eq(final),
                         begun.eq(self.requests.valid & ~final), at.eq(now + 1)]

    def _make_beat(self, m, piece, beat, moves):
        """Make a beat of what was read; return whether it is whole."""
        places = Cat((piece.request.first <= n) & (piece.request.last >= n) for n in range(4))
        strobes = Cat(place.replicate(PLACE_BYTES) for place in places)
        stored = self.stored.as_value()
        if self.config.bus_bytes <= self.piece_bytes:
            bits = self.config.bus_bits
            in_half = piece.at & StoreWord.size // bits - 1
            m.d.comb += [beat.data.eq(stored.word_select(in_half, bits)),
                         beat.strobe.eq(strobes.word_select(piece.at, bits // 8))]
            return 1
        # Wider than what is read at a time: the first half of the line is kept for the second.
        kept = Signal(StoreWord.size)
        with m.If(moves):
            m.d.sync += kept.eq(stored)
        m.d.comb += [beat.data.eq(Cat(Mux(piece.at[0], kept, stored), stored)),
                     beat.strobe.eq(strobes)]
        return piece.final

    def _describe(self, m, piece, job):
        """Say where the line goes. Its address starts at a beat; strobes do the rest."""
        request, bus = piece.request, self.config.bus_bytes
        start = Signal(6)
        m.d.comb += [
            start.eq(request.first * PLACE_BYTES & -bus),
            job.kind.eq(request.kind), job.index.eq(request.index),
            job.address.eq((piece.base << 12) + Cat(start, request.line)),
            job.length.eq((request.last + 1) * PLACE_BYTES - start),
            job.produced.eq(request.produced), job.frames.eq(request.frames),
        ]
