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
from .preview import Preview
from .streams import StreamQueue

__all__ = ["Dissector"]

DEPTHS = {64: 1, 128: 8, 256: 16, 512: 32}
"""Frames inside, by the width of the bus. At 64 bits one is done when the next one ends."""


class Dissector(wiring.Component):
    """Watches the beats that the gate writes, and tells of each frame that is committed.

    Parameters
    ----------
    bits : :class:`int`
        Width of a beat.
    depth : :class:`int`
        Frames between their being committed and the taking of what was found; 0 for as many as
        the dissector needs not to hold up frames of 64 bytes. With just one, it is shown before it
        is valid, and ``dissections.ready`` must stay until there is one.

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
    preview : :py:`Out(Preview())`
        Of ``dissections``.
    """

    def __init__(self, bits, depth=0):
        self.bits = bits
        self.depth = depth or DEPTHS[bits]
        # The next dissection comes in the next cycle, as it was shown if it was.
        self._coming = Signal()
        super().__init__({
            "write": In(1), "beat": In(bits), "commit": In(1), "rollback": In(1),
            "length": In(Length), "time": In(64), "room": Out(1, init=1),
            "dissections": Out(stream.Signature(Dissection)), "preview": Out(Preview()),
        })

    def elaborate(self, platform):
        m = Module()
        found = self._parts(m)
        if self.depth > 1:
            m.submodules.queue = queue = StreamQueue(Dissection, depth=self.depth, block=True)
            wiring.connect(m, found, queue.i)
            found = queue.o
        wiring.connect(m, wiring.flipped(self.dissections), found)
        # A place is taken when a frame is committed, long before it is filled. The only one is
        # promised again before it is free, but not twice: who will soon take what is there, or who
        # is ready to take what comes, stays so.
        taken, ready = Signal(range(max(self.depth, 2) + 1)), self.dissections.ready
        leaves, free = self.dissections.valid & ready, taken < self.depth - 1
        soon = (taken == self.depth - 1) | leaves
        if self.depth == 1:
            going = (self.dissections.valid | self._coming) & (ready | self.preview.soon)
            soon = (taken == 0) | ((taken == 1) & going)
        m.d.sync += [
            taken.eq(taken + self.commit - leaves), self.room.eq(free | (soon & ~self.commit)),
            Assert(~self.commit | (taken != max(self.depth, 2)) | leaves),
        ]
        return m

    def _parts(self, m):
        """Wire the parsers and the checksummer; return the stream of what is known in the end."""
        m.submodules.words = words = FrameWords(self.bits)
        m.submodules.link = link = LinkParser(self.bits)
        m.submodules.headers = headers = HeaderParser(self.bits)
        m.submodules.sums = sums = Checksummer(self.bits)
        m.submodules.facts = finder = FactFinder(holds=self.depth == 1)
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
            finder.headers.eq(headers.headers), finder.reached.eq(headers.reached),
            finder.complete.eq(sums.complete),
            finder.header.eq(sums.header), finder.segment.eq(sums.segment),
        ]
        # The header parser takes a cycle.
        m.d.sync += [finder.link.eq(link.link), finder.final.eq(link.final),
                     finder.ending.eq(link.ending)]
        m.d.comb += self._coming.eq(finder.coming)
        wiring.connect(m, wiring.flipped(self.preview), finder.preview)
        return finder.dissections
