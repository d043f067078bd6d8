"""What stands in for the dissector on a card without a parser."""

from amaranth.hdl import Assert, Signal
from amaranth.lib import stream

from .dissector import Dissector
from .layouts import Dissection

__all__ = ["PlainDissector"]


class PlainDissector(Dissector):
    """Tells of each committed frame how long it is and when it came; all else is zero.

    It has the members of :class:`~pagering_hdl.dissector.Dissector`, and a depth of more than two.
    """

    def _parts(self, m):
        """Note down the length and the time; return the stream of both."""
        found = stream.Signature(Dissection).create()
        midframe, stamp = Signal(), Signal(64)
        with m.If(self.write & ~midframe):
            m.d.sync += stamp.eq(self.time)
        m.d.sync += [
            midframe.eq((midframe | self.write) & ~self.commit & ~self.rollback),
            found.valid.eq(self.commit), found.p.length.eq(self.length),
            Assert(~found.valid | found.ready),
        ]
        m.d.comb += found.p.facts.timestamp.eq(stamp)
        return found
