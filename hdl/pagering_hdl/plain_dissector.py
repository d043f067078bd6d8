"""What stands in for the dissector on a card without a parser."""

from amaranth.hdl import Signal
from amaranth.lib import data

from .dissector import Dissector
from .layouts import Dissection

__all__ = ["PlainDissector"]


class Found(data.Struct):
    """A frame that is to be kept."""

    valid: 1
    dissection: Dissection


class PlainDissector(Dissector):
    """Tells of each committed frame how long it is and when it came; all else is zero.

    It has the members of :class:`~pagering_hdl.dissector.Dissector`.
    """

    def _parts(self, m):
        """Note down the length and the time; return what is known in the end."""
        found, midframe, stamp = Signal(Found), Signal(), Signal(64)
        with m.If(self.write & ~midframe):
            m.d.sync += stamp.eq(self.time)
        m.d.sync += [
            midframe.eq((midframe | self.write) & ~self.commit & ~self.rollback),
            found.valid.eq(self.commit), found.dissection.length.eq(self.length),
        ]
        m.d.comb += found.dissection.facts.timestamp.eq(stamp)
        return found
