"""Tells whether a frame exceeds a size, with little left to do in the cycle that counts."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["SizeBound"]


class SizeBound(wiring.Component):
    """Follows a frame beat by beat.

    All its beats but the last are full, or its size does not matter. So the limit falls in one beat
    that is known ahead; only there bytes are compared, and a frame that goes on from there exceeds
    it. The limit is that of the cycle before the frame's first beat comes.

    Parameters
    ----------
    bits : :class:`int`
        Width of a beat.
    most : :class:`int`
        The highest limit.

    Members
    -------
    limit : :py:`In(range(most + 1))`
        Bytes.
    here : :py:`In(1)`
        A frame is under way after this cycle, or its first beat waits.
    valid, taken : :py:`In(1)`
        A beat is here; it is taken.
    bytes : :py:`In(range(bits // 8 + 1))`
        Of the beat.
    number : :py:`In(16 - log2(bits // 8))`
        Which beat of the frame the next is; the first is 0.
    exceeded : :py:`Out(1)`
        With this beat, the frame is longer than the limit.
    known : :py:`Out(1)`
        That was so in an earlier cycle.
    """

    def __init__(self, bits, most):
        self.beat_log2 = (bits // 8).bit_length() - 1
        super().__init__({
            "limit": In(range(most + 1)), "here": In(1), "valid": In(1), "taken": In(1),
            "bytes": In(range(bits // 8 + 1)), "number": In(16 - self.beat_log2),
            "exceeded": Out(1), "known": Out(1),
        })
        # The limit, and whether it falls in this beat. A beat that waits outlives a reset of the
        # card, and so do they.
        self.held = Signal.like(self.limit, reset_less=True)
        self.reached = Signal(init=1, reset_less=True)

    def elaborate(self, platform):
        m = Module()
        full, rest = self.held >> self.beat_log2, self.held[:self.beat_log2]
        m.d.comb += self.exceeded.eq(self.known | (self.reached & (self.bytes > rest)))
        with m.If(~self.here):
            m.d.sync += [self.held.eq(self.limit), self.known.eq(0),
                         self.reached.eq((self.limit >> self.beat_log2) == 0)]
        with m.Elif(self.valid):
            m.d.sync += self.known.eq(self.exceeded)
            with m.If(self.taken):
                m.d.sync += self.reached.eq(self.number == full)
        return m
