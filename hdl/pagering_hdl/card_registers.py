"""Page 0 of the card: identity, control, events."""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

from .clock import ClockOrder
from .layouts import Fault, struct
from .page_table import Refusal
from .register_port import RegisterPort, masked, read_mux, storage, written

__all__ = ["CardRegisters"]

SETTINGS = {"control": "CONTROL", "steering": "STEERING", "limits": "FRAME_LIMITS",
            "flush_timer": "FLUSH_TIMER", "region_high": "REGION_HIGH", "pause": "PAUSE",
            "pause_levels": "PAUSE_FIFO", "mirror_timer": "MIRROR_TIMER"}


class CardRegisters(wiring.Component):
    """The card-wide registers.

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
        port, values = self.port, storage(abi.CARD)
        bad_mode, orders = Signal(), self.clock_orders
        m.d.comb += [
            orders.valid.eq(written(port, abi.CARD, "CLOCK_COMMAND")),
            orders.p.command.eq(port.data),
            orders.p.value.eq(Cat(values["CLOCK_VALUE_LOW"], values["CLOCK_VALUE_HIGH"])),
            port.ready.eq(~orders.valid | orders.ready),
            bad_mode.eq(written(port, abi.CARD, "STEERING")
                        & ((port.data & abi.CARD["STEERING"]["mode"].mask)
                           > (abi.SteeringMode.RSS if self.config.steering
                              else abi.SteeringMode.ROUND_ROBIN))),
            self.refusal.valid.eq(bad_mode), self.refusal.fault.eq(Fault.REGISTER_VALUE),
            self.reset.eq(written(port, abi.CARD, "RESET") & port.data[0]),
        ]
        for name, value in values.items():
            with m.If(written(port, abi.CARD, name) & ~bad_mode):
                m.d.sync += value.eq(masked(abi.CARD[name], port.data))
        m.d.comb += [getattr(self, name).eq(values[register])
                     for name, register in SETTINGS.items()]
        events = Signal(struct(abi.CARD["EVENTS"]))
        clear = Signal(32)
        with m.If(written(port, abi.CARD, "EVENTS")):
            m.d.comb += clear.eq(port.data)
        happened = Signal(32)
        m.d.comb += [
            happened.eq(Cat(self.low_water_event, self.fault_event, self.error_event)),
            self.irq.eq((events.as_value() & values["EVENT_ENABLE"]).any()),
        ]
        m.d.sync += events.eq(events.as_value() & ~clear | happened)
        read_mux(m, port, abi.CARD, {**values, **self._constants(),
                                     "EVENTS": events.as_value(), **self._state()})
        return m

    def _constants(self):
        """What the card is, as it was elaborated."""
        config, card = self.config, abi.CARD
        return {
            "ID": card["ID"].reset, "VERSION": card["VERSION"].reset,
            "CAP_COUNTS": card["CAP_COUNTS"].pack(
                queues=config.queues, pools=config.pools, regions=config.regions),
            "CAP_SIZES": card["CAP_SIZES"].pack(
                page_log2=config.page_log2, chunk_log2=config.chunk_log2,
                region_pages_log2=config.region_pages_log2, bus_log2=config.bus_log2),
            "CAP_LIMITS": card["CAP_LIMITS"].pack(
                frame_bytes=config.max_frame, burst_bytes=config.burst_bytes),
            "CAP_FEATURES": card["CAP_FEATURES"].pack(
                header_split=config.header_split, pull_returns=config.pull_returns,
                pool_watch=config.pool_watch, parser=config.parser, steering=config.steering,
                statistics=config.statistics),
            "CAP_CLOCK": card["CAP_CLOCK"].pack(khz=config.clock_khz),
        }

    def _state(self):
        """What changes by itself."""
        low = Cat(self.low_water, Const(0, abi.POOLS_MAX))
        return {
            "STATUS": Cat(self.resetting, self.quiet), "LOW_WATER_0": low[:32],
            "LOW_WATER_1": low[32:64],
            "CLOCK_LOW": self.captured[:32], "CLOCK_HIGH": self.captured[32:],
            "PAUSE_STATUS": self.pause_status.as_value(), "FIFO_PEAK": self.fifo_peak,
        }
