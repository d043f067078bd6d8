"""Takes each frame apart while it streams into the packet FIFO, and queues what it found."""

from amaranth.hdl import Assert, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .checksummer import Checksummer
from .fact_finder import FactFinder
from .frame_words import FrameWords
from .header_parser import HeaderParser
from .layouts import Dissection, Length
from .link_parser import LinkParser
from .streams import StreamQueue

__all__ = ["Dissector"]


class Dissector(wiring.Component):
    """Watches the beats that the gate writes, and tells of each frame that is committed.

    Parameters
    ----------
    bits : :class:`int`
        Width of a beat.
    depth : :class:`int`
        Beats in the packet FIFO.

    Members
    -------
    write : :py:`In(1)`, beat : :py:`In(bits)`, length : :py:`In(14)`
    commit, rollback : :py:`In(1)`
        All as the packet FIFO sees them; behind the last byte of a frame are zeros.
    time : :py:`In(64)`
        Goes into ``facts.timestamp`` as it is when a frame's first beat is written.
    room : :py:`Out(1)`
        One more frame can be committed.
    dissections : :py:`Out(stream.Signature(Dissection))`
        Of each committed frame, in order, some cycles after it was committed.
    """

    def __init__(self, bits, depth):
        # Frames of one beat could fill the storage with as many frames as beats; an eighth is
        # enough for frames of 64 bytes, and shorter ones find no room a little earlier.
        self.depth = max(32, depth // 8)
        self.bits = bits
        super().__init__({
            "write": In(1), "beat": In(bits), "commit": In(1), "rollback": In(1),
            "length": In(Length), "time": In(64), "room": Out(1, init=1),
            "dissections": Out(stream.Signature(Dissection)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = queue = StreamQueue(Dissection, depth=self.depth, block=True)
        wiring.connect(m, wiring.flipped(self.dissections), queue.o)
        finder = self._parts(m)
        m.d.comb += [queue.i.valid.eq(finder.valid), queue.i.p.eq(finder.dissection)]
        # A place in the queue is taken when a frame is committed, long before it is filled.
        taken = Signal(range(self.depth))
        leaves = self.dissections.valid & self.dissections.ready
        m.d.sync += taken.eq(taken + self.commit - leaves)
        # The gate has no time to wait for a comparison, so it hears of a place one frame early.
        m.d.sync += self.room.eq(taken < self.depth - 2)
        m.d.sync += Assert(~self.commit | (taken != self.depth - 1))
        m.d.sync += Assert(~queue.i.valid | queue.i.ready)
        return m

    def _parts(self, m):
        """Wire the parsers and the checksummer; return what knows all in the end."""
        m.submodules.words = words = FrameWords(self.bits)
        m.submodules.link = link = LinkParser(self.bits)
        m.submodules.headers = headers = HeaderParser(self.bits)
        m.submodules.sums = sums = Checksummer(self.bits)
        m.submodules.facts = finder = FactFinder()
        for name in ("write", "beat", "commit", "rollback", "length", "time"):
            m.d.comb += getattr(words, name).eq(getattr(self, name))
        for name in ("valid", "words", "ended", "ending"):
            m.d.comb += getattr(link, f"i_{name}").eq(getattr(words, name))
        for part in (headers, sums):
            m.d.comb += [part.valid.eq(link.valid), part.final.eq(link.final),
                         part.words.eq(link.words)]
        m.d.comb += [
            headers.ipv4.eq(link.ipv4), headers.ipv6.eq(link.ipv6),
            sums.regions.eq(headers.regions), sums.behind.eq(link.behind),
            finder.headers.eq(headers.headers), finder.complete.eq(sums.complete),
            finder.header.eq(sums.header), finder.segment.eq(sums.segment),
        ]
        # The header parser takes a cycle.
        m.d.sync += [finder.link.eq(link.link), finder.final.eq(link.final),
                     finder.ending.eq(link.ending)]
        return finder
