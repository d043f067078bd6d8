"""Page 0 of the card: control, events, the clock."""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

from .clock import ClockOrder
from .layouts import Fault, struct
from .page_table import Refusal
from .register_port import RegisterPort, answer_late, settings, show, written

__all__ = ["CardRegisters"]

SETTINGS = {"control": "CONTROL", "steering": "STEERING", "limits": "FRAME_LIMITS",
            "flush_timer": "FLUSH_TIMER", "region_high": "REGION_HIGH", "pause": "PAUSE",
            "pause_levels": "PAUSE_FIFO", "mirror_timer": "MIRROR_TIMER"}
CLOCK_VALUE = ("CLOCK_VALUE_LOW", "CLOCK_VALUE_HIGH")


class CardRegisters(wiring.Component):
    """The card-wide registers. What the host set there it reads elsewhere.

    Members
    -------
    port : :py:`In(RegisterPort())`
    control, steering, limits, flush_timer, region_high, pause, pause_levels, mirror_timer :
    :py:`Out(struct(...))`
        What the host set.
    pause_status : :py:`In(struct(...))`, fifo_peak : :py:`In(32)`
    low_water : :py:`In(pools)`, low_water_event, fault_event, error_event : :py:`In(1)`
    resetting, quiet : :py:`In(1)`
    reset : :py:`Out(1)`
        Event: the host asks for a reset.
    irq : :py:`Out(1)`
        An enabled event has happened and was not cleared.
    clock_orders : :py:`Out(stream.Signature(ClockOrder))`
    captured : :py:`In(64)`
    refusal : :py:`Out(Refusal)`
    """

    def __init__(self, config):
        self.config = config
        super().__init__({
            "port": In(RegisterPort()),
            **{name: Out(struct(abi.CARD[register])) for name, register in SETTINGS.items()},
            "pause_status": In(struct(abi.CARD["PAUSE_STATUS"])), "fifo_peak": In(32),
            "low_water": In(config.pools), "low_water_event": In(1), "fault_event": In(1),
            "error_event": In(1), "resetting": In(1), "quiet": In(1),
            "reset": Out(1), "irq": Out(1), "refusal": Out(Refusal),
            "clock_orders": Out(stream.Signature(ClockOrder)), "captured": In(64),
        })

    def elaborate(self, platform):
        m = Module()
        port, bad_mode, timeless = self.port, Signal(), Signal()
        clock = CLOCK_VALUE if self.config.timestamps else ()
        values = settings(m, port, abi.CARD, (*SETTINGS.values(), "EVENT_ENABLE", *clock),
                          bad_mode)
        if self.config.timestamps:
            self._order(m, Cat(values[name] for name in clock))
        else:
            m.d.comb += [timeless.eq(written(port, abi.CARD, "CLOCK_COMMAND")), port.ready.eq(1)]
        m.d.comb += [
            bad_mode.eq(written(port, abi.CARD, "STEERING")
                        & ((port.data & abi.CARD["STEERING"]["mode"].mask)
                           > (abi.SteeringMode.RSS if self.config.steering
                              else abi.SteeringMode.ROUND_ROBIN))),
            self.refusal.valid.eq(bad_mode | timeless), self.refusal.fault.eq(Fault.REGISTER_VALUE),
            self.reset.eq(written(port, abi.CARD, "RESET") & port.data[0]),
        ]
        m.d.comb += [getattr(self, name).eq(values[register])
                     for name, register in SETTINGS.items()]
        events = self._note_events(m)
        m.d.comb += self.irq.eq((events.as_value() & values["EVENT_ENABLE"]).any())
        self._show(m, events)
        return m

    def _order(self, m, value):
        """Pass on what the host asks of the clock."""
        port, orders = self.port, self.clock_orders
        m.d.comb += [
            orders.valid.eq(written(port, abi.CARD, "CLOCK_COMMAND")),
            orders.p.command.eq(port.data), orders.p.value.eq(value),
            port.ready.eq(~orders.valid | orders.ready),
        ]

    def _note_events(self, m):
        """Keep what has happened until the host clears it."""
        events = Signal(struct(abi.CARD["EVENTS"]))
        happened, clear = Signal.like(events), Signal.like(events)
        m.d.comb += [happened.low_water.eq(self.low_water_event),
                     happened.fault.eq(self.fault_event),
                     happened.write_error.eq(self.error_event)]
        with m.If(written(self.port, abi.CARD, "EVENTS")):
            m.d.comb += clear.eq(self.port.data)
        m.d.sync += events.eq(events.as_value() & ~clear.as_value() | happened.as_value())
        return events

    def _show(self, m, events):
        """Answer what changes by itself."""
        low = Cat(self.low_water, Const(0, abi.POOLS_MAX))
        answer_late(m, self.port, 1)
        show(m, self.port, abi.CARD, {
            "STATUS": Cat(self.resetting, self.quiet), "EVENTS": events.as_value(),
            "LOW_WATER_0": low[:32], "LOW_WATER_1": low[32:64],
            "CLOCK_LOW": self.captured[:32], "CLOCK_HIGH": self.captured[32:],
            "PAUSE_STATUS": self.pause_status.as_value(), "FIFO_PEAK": self.fifo_peak,
        })
