"""What there is to count at the entrance: how long each frame is, and whom it is for."""

from amaranth.hdl import Const, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

__all__ = ["AddressMeter", "SizeMeter", "size_class"]

FCS_BYTES = 4


def size_class(length: int) -> int:
    """Return which of :data:`abi.SIZES` a frame of so many bytes is of: what the meter finds."""
    size = length + FCS_BYTES
    return next(number for number, (_, most) in enumerate(abi.SIZES)
                if most is None or size <= most)


class SizeMeter(wiring.Component):
    """Finds the size class of each frame, three cycles after its end.

    Members
    -------
    ended : :py:`In(1)`, size : :py:`In(15)`
        A frame, and its bytes without FCS.
    valid : :py:`Out(1)`, number : :py:`Out(4)`
        A frame, and its place in :data:`abi.SIZES`.
    """

    ended: In(1)
    size: In(15)
    valid: Out(1)
    number: Out(4)

    def elaborate(self, platform):
        m = Module()
        length, size = Signal(15), Signal(16)
        ended, sized = Signal(), Signal()
        m.d.sync += [length.eq(self.size), ended.eq(self.ended), size.eq(length + FCS_BYTES),
                     sized.eq(ended), self.valid.eq(sized), self.number.eq(0)]
        # The highest bit that is set tells the size class, or the first of two.
        for shift in range(6, 14):
            number = size_class((1 << shift) - FCS_BYTES)
            most = abi.SIZES[number][1]
            with m.If(size[shift:].any()):
                if most == (2 << shift) - 1:
                    m.d.sync += self.number.eq(number)
                else:
                    m.d.sync += self.number.eq(number + _exceeds(size, most))
        return m


def _exceeds(value, limit):
    """Return whether a value is above a constant: some gates, and no carry chain."""
    above = Const(0, 1)
    for place, bit in enumerate(value):
        above = bit & above if limit >> place & 1 else bit | above
    return above


class AddressMeter(wiring.Component):
    """Tells good frames to many stations, two cycles after their end.

    Parameters
    ----------
    bits : :class:`int`
        Width of the stream; the address is in its first beat.

    Members
    -------
    first : :py:`In(1)`, beat : :py:`In(bits)`, bytes : :py:`In(range(bits // 8 + 1))`
        A frame's first beat.
    good : :py:`In(1)`
        The frame has ended and is kept; in the cycle of its last beat.
    multicast, broadcast : :py:`Out(1)`
        Events. Broadcast does not count as multicast.
    """

    ADDRESS_BYTES = 6

    def __init__(self, bits):
        super().__init__({
            "first": In(1), "beat": In(bits), "bytes": In(range(bits // 8 + 1)), "good": In(1),
            "multicast": Out(1), "broadcast": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        group, everyone, good = Signal(), Signal(), Signal()
        address = self.beat[:8 * self.ADDRESS_BYTES]
        with m.If(self.first):
            # The group bit is the first one on the wire.
            m.d.sync += [group.eq(self.beat[0]),
                         everyone.eq(address.all() & (self.bytes >= self.ADDRESS_BYTES))]
        m.d.sync += [good.eq(self.good), self.multicast.eq(good & group & ~everyone),
                     self.broadcast.eq(good & everyone)]
        return m
