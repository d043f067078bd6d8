"""The card's clock: nanoseconds that the host sets, shifts and disciplines.

It adds its rate in every cycle: nanoseconds per cycle, with 32 bits of fraction, so that it can be
set to a thirtieth of a part per billion. The sum is made in three parts of 32 bits, one a cycle,
each with the carry of the one before: time comes out two cycles late, always.
"""

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

__all__ = ["Clock", "ClockCommand", "ClockOrder"]

ClockCommand = enum.Enum("ClockCommand", {item.name: item.value for item in abi.ClockCommand})


class ClockOrder(data.Struct):
    """What the host asks of the clock."""

    command: ClockCommand
    value: unsigned(64)


class Clock(wiring.Component):
    """Counts nanoseconds.

    Members
    -------
    orders : :py:`In(stream.Signature(ClockOrder))`
    time : :py:`Out(64)`
        Never between two values: set and adjusted in one step.
    captured : :py:`Out(64)`
        As it was at the last ``CAPTURE``.
    """

    orders: In(stream.Signature(ClockOrder))
    time: Out(64)
    captured: Out(64)

    def elaborate(self, platform):
        m = Module()
        order, turn = Signal(ClockOrder), Signal(3)
        # An order goes through the parts as the carry does; the next one waits for it.
        m.d.comb += self.orders.ready.eq(turn == 0)
        m.d.sync += turn.eq(turn << 1)
        with m.If(self.orders.valid & self.orders.ready):
            m.d.sync += [order.eq(self.orders.p), turn.eq(1)]
        with m.If(turn[0] & (order.command == ClockCommand.CAPTURE)):
            m.d.sync += self.captured.eq(self.time)
        self._count(m, order, turn)
        return m

    def _count(self, m, order, turn):
        """Add the rate, part by part, and do the order to each in its turn."""
        value = data.View(data.ArrayLayout(32, 2), order.value)
        sets, adjusts = order.command == ClockCommand.SET, order.command == ClockCommand.ADJUST
        fraction, low, high = Signal(32), Signal(32), Signal(32)
        low_carry, high_carry = Signal(), Signal()
        rate, rate_whole = Signal(48), Signal(16)
        # An adjustment comes on top of the rate of its cycle.
        shifted_low, shifted_high = Signal(33), Signal(32)
        m.d.sync += [
            rate_whole.eq(rate[32:]),
            shifted_low.eq(value[0] + rate[32:]), shifted_high.eq(value[1] + shifted_low[32]),
            Cat(fraction, low_carry).eq(fraction + rate[:32]),
            Cat(low, high_carry).eq(
                low + Mux(turn[1] & adjusts, shifted_low[:32], rate_whole) + low_carry),
            high.eq(high + Mux(turn[2] & adjusts, shifted_high, 0) + high_carry),
            self.time[:32].eq(low),
        ]
        m.d.comb += self.time[32:].eq(high)
        with m.If(turn[0] & sets):
            m.d.sync += Cat(fraction, low_carry).eq(0)
        with m.If(turn[1] & sets):
            m.d.sync += [low.eq(value[0]), high_carry.eq(0)]
        with m.If(turn[2] & sets):
            m.d.sync += high.eq(value[1])
        with m.If(turn[0] & (order.command == ClockCommand.RATE)):
            m.d.sync += rate.eq(order.value)
