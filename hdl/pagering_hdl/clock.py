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


Halves = data.ArrayLayout(32, 2)


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

    def __init__(self):
        super().__init__()
        self.rate, self.step = Signal(48), Signal(Halves)

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
        with m.If(turn[0] & (order.command == ClockCommand.RATE)):
            m.d.sync += self.rate.eq(order.value)
        self._step(m)
        self._count(m, data.View(Halves, order.value), turn,
                    order.command == ClockCommand.SET)
        return m

    def _step(self, m):
        """Find what each part is to be moved by: by the rate, and once by an adjustment."""
        orders, shift = self.orders, Signal(Halves, reset_less=True)
        adjusts = (orders.valid & orders.ready
                   & (orders.p.command == ClockCommand.ADJUST))
        low_shift_carry, high_shift = Signal(), Signal(32)
        m.d.sync += [
            shift.eq(Mux(adjusts, orders.p.value, 0)), high_shift.eq(shift[1]),
            Cat(self.step[0], low_shift_carry).eq(shift[0] + self.rate[32:]),
            self.step[1].eq(high_shift + low_shift_carry),
        ]

    def _count(self, m, value, turn, sets):
        """Move on, part by part; and set each in its turn."""
        fraction, low, high = Signal(32), Signal(32), Signal(32)
        low_carry, high_carry = Signal(), Signal()
        m.d.sync += [
            Cat(fraction, low_carry).eq(fraction + self.rate[:32]),
            Cat(low, high_carry).eq(low + self.step[0] + low_carry),
            high.eq(high + self.step[1] + high_carry), self.time[:32].eq(low),
        ]
        m.d.comb += self.time[32:].eq(high)
        with m.If(turn[0] & sets):
            m.d.sync += Cat(fraction, low_carry).eq(0)
        with m.If(turn[1] & sets):
            m.d.sync += [low.eq(value[0]), high_carry.eq(0)]
        with m.If(turn[2] & sets):
            m.d.sync += high.eq(value[1])
