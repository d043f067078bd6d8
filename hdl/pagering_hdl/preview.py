"""What a dissector shows of a frame that is still coming in, so that others can begin with it."""

from amaranth.hdl import Assert, Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["SOON", "Preview", "PreviewedPlace"]

SOON = 4
"""Cycles within which what will be taken soon is taken."""


class Preview(wiring.Signature):
    """Goes beside a stream of dissections, as the dissector drives it.

    Members: ``shown``, the payload has what a frame is steered by, though it is not valid yet: its
    addresses, ports, protocol and VLAN, and what kinds of headers they are from. It stays until
    the dissection is valid, or until ``revoked``. That is an event: there is no such frame, or it
    is not what it seemed; if it is there all the same, its dissection is valid from now on. In
    return ``soon``: what is shown or valid will be taken within :data:`SOON` cycles, or as soon as
    it is valid.
    """

    def __init__(self):
        super().__init__({"shown": Out(1), "revoked": Out(1), "soon": In(1)})


class PreviewedPlace(wiring.Component):
    """Says when the one place for a dissection is filled: with a frame's flow while the frame comes
    in, if the place is free by then, and with the rest when it has ended.

    Members
    -------
    reached : :py:`In(1)`
        The flow of the frame under way can be taken.
    final, keep : :py:`In(1)`
        A frame has ended; it was committed.
    right : :py:`In(1)`
        What was shown holds; asked for with ``comes``.
    begins : :py:`Out(1)`
        Event: take what there is to show.
    fills : :py:`Out(1)`
        Event: take all of it, of a frame that was not shown.
    comes : :py:`Out(1)`
        Event: take the rest, three cycles after ``final``; ``valid`` in the next cycle.
    valid : :py:`Out(1)`, ready : :py:`In(1)`
        The dissection's.
    preview : :py:`Out(Preview())`
    """

    reached: In(1)
    final: In(1)
    keep: In(1)
    right: In(1)
    begins: Out(1)
    fills: Out(1)
    comes: Out(1)
    valid: Out(1)
    ready: In(1)
    preview: Out(Preview())

    def elaborate(self, platform):
        m = Module()
        kept, under_way, shown = self.final & self.keep, Signal(3), self.preview.shown
        stays, ours, wrong = self.valid & ~self.ready, Signal(), Signal()
        m.d.comb += [
            ours.eq(shown & ~under_way.any()),
            self.begins.eq(self.reached & ~stays & ~shown & ~under_way.any()),
            self.fills.eq(kept & ~ours), self.comes.eq(under_way[-1]),
            wrong.eq((self.final & ~self.keep & ours) | (self.comes & shown & ~self.right)),
        ]
        m.d.sync += [
            under_way.eq(Cat(kept, under_way)), self.valid.eq(self.comes | stays),
            shown.eq((shown | self.begins) & ~self.comes & ~wrong),
            self.preview.revoked.eq(wrong),
            Assert(~(self.comes & stays)), Assert(~(self.begins & self.final)),
        ]
        return m
