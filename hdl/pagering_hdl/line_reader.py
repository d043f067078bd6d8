"""Takes lines of completions from the store and makes beats of them."""

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .completion_lines import LineRequest
from .completion_store import LINE_BITS, StoreAddress, StoreWord, word_bits
from .dma_writer import WriteBeat
from .line_announcer import PLACE_BYTES
from .streams import StreamQueue

__all__ = ["LineReader"]


class Piece(data.Struct):
    """What has been read from the store: what the second step makes a beat of."""

    valid: unsigned(1)
    first: unsigned(2)
    last: unsigned(2)
    """Places of the line that are written."""
    word: unsigned(3)
    """Which word of the line."""
    final: unsigned(1)


class LineReader(wiring.Component):
    """Reads a beat a cycle, half a line at the most.

    In two steps: read; then make the beat. While one line ends, the next is being read.

    Members
    -------
    requests : :py:`In(stream.Signature(LineRequest))`
        Lines.
    address : :py:`Out(StoreAddress(config))`, read : :py:`Out(1)`,
    stored : :py:`In(StoreWord(config))`
        Read port of the store.
    beats : :py:`Out(stream.Signature(WriteBeat(bits)))`
        Three cycles later.
    idle : :py:`Out(1)`
    """

    def __init__(self, config):
        self.config = config
        super().__init__({
            "requests": In(stream.Signature(LineRequest)),
            "address": Out(StoreAddress(config)), "read": Out(1),
            "stored": In(StoreWord(config)),
            "beats": Out(stream.Signature(WriteBeat(config.bus_bits))), "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = queue = StreamQueue(WriteBeat(self.config.bus_bits), depth=16)
        wiring.connect(m, wiring.flipped(self.beats), queue.o)
        piece, moves, whole = Signal(Piece), Signal(), Signal()
        self._read(m, piece, moves)
        m.d.comb += [
            whole.eq(self._make_beat(m, piece, queue.i.p, moves)),
            queue.i.valid.eq(piece.valid & whole),
            moves.eq(~piece.valid | ~whole | queue.i.ready),
            self.idle.eq(~self.requests.valid & ~piece.valid),
        ]
        return m

    def _read(self, m, piece, moves):
        """First step: go through the words of the line that are wanted."""
        request = self.requests.p
        words = LINE_BITS // word_bits(self.config)
        begun, at, now, last = Signal(), Signal(3), Signal(3), Signal(3)
        final = now == last
        m.d.comb += [
            now.eq(Mux(begun, at, request.first * words >> 2)),
            last.eq((request.last * words + words - 1) >> 2),
            self.address.queue.eq(request.index), self.address.line.eq(request.line[0]),
            self.address.word.eq(now), self.read.eq(self.requests.valid & moves),
            self.requests.ready.eq(moves & final),
        ]
        with m.If(moves):
            m.d.sync += [piece.valid.eq(self.requests.valid), piece.first.eq(request.first),
                         piece.last.eq(request.last), piece.word.eq(now), piece.final.eq(final),
                         begun.eq(self.requests.valid & ~final), at.eq(now + 1)]

    def _make_beat(self, m, piece, beat, moves):
        """Make a beat of what was read; return whether it is whole."""
        bus, bits = self.config.bus_bytes, word_bits(self.config)
        stored = self.stored.as_value()
        places = Cat((piece.first <= n) & (piece.last >= n) for n in range(4))
        strobes = Cat(place.replicate(PLACE_BYTES) for place in places)
        if bus < 2 * PLACE_BYTES:
            m.d.comb += [beat.data.eq(stored), beat.strobe.eq(-1)]
            return 1
        if self.config.bus_bits == bits:
            m.d.comb += [beat.data.eq(stored),
                         beat.strobe.eq(strobes.word_select(piece.word, bus))]
            return 1
        # Wider than what is read at a time: the first half of the line is kept for the second.
        kept = Signal(bits)
        with m.If(moves):
            m.d.sync += kept.eq(stored)
        m.d.comb += [beat.data.eq(Cat(Mux(piece.word[0], kept, stored), stored)),
                     beat.strobe.eq(strobes)]
        return piece.final
