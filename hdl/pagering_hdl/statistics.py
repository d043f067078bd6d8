"""All counters of the card: meters tell what happens, tallies note it, a sweep keeps the counts."""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

from .counter_sweep import COUNTER_BITS, CounterSweep, tally_bits
from .event_tallies import REFUSALS, EventTallies, WriteMeter
from .layouts import Arrival, Drop, DropCause, Kind, Visible
from .page_table import Refusal
from .queue_meter import OUTCOMES, QueueMeter
from .stream_meter import AddressMeter, SizeMeter
from .tallies import TallyTable

__all__ = ["CounterLookup", "Statistics", "counter_rows"]

GROUP = 16
"""Drops and sizes have a group of so many rows each; what is before them are events."""
DROPS, SIZES = (next(counter.number for counter in abi.COUNTERS if counter.name.startswith(name))
                for name in ("DROP_", "SIZE_"))


def counter_rows(config) -> int:
    """Return how many rows the counters of a card take, with the gaps between them."""
    return abi.COUNTER_ROWS + abi.QUEUE_COUNTER_ROWS * config.queues


class CounterLookup(wiring.Signature):
    """A question for a counter, as the one who asks drives it: ``ask`` for one cycle.

    ``answered`` comes a few cycles later, for one cycle, with ``value``.
    """

    def __init__(self, config):
        super().__init__({"ask": Out(1), "row": Out(range(counter_rows(config))),
                          "answered": In(1), "value": In(COUNTER_BITS)})


class Statistics(wiring.Component):
    """Counts. Only wires the parts.

    Members
    -------
    ended, first, good : :py:`In(1)`, size : :py:`In(15)`, beat : :py:`In(bits)`,
    taken : :py:`In(range(bus_bytes + 1))`, gate_drop : :py:`In(Drop)`
        From the frame gate.
    decided : :py:`In(1)`, arrival : :py:`In(Arrival)`, admission_drop : :py:`In(Drop)`
        What admission takes, and refuses of it.
    visible : :py:`In(Visible)`, accepted, recycled : :py:`In(1)`
    pause, pause_begins, burst, beat_taken : :py:`In(1)`, strobe : :py:`In(bus_bytes)`
    refusals : :py:`In(Refusal)` of each source
    data_error, line_error : :py:`In(1)`
    lookup : :py:`In(CounterLookup(config))`
    fault : :py:`Out(1)`
        Event: a fault is counted.
    """

    def __init__(self, config):
        self.config = config
        super().__init__({
            **{name: In(1) for name in (
                "ended", "first", "good", "decided", "accepted", "recycled", "pause",
                "pause_begins", "burst", "beat_taken", "data_error", "line_error")},
            "size": In(15), "beat": In(config.bus_bits), "taken": In(range(config.bus_bytes + 1)),
            "gate_drop": In(Drop), "arrival": In(Arrival), "admission_drop": In(Drop),
            "visible": In(Visible), "strobe": In(config.bus_bytes),
            "refusals": In(Refusal).array(REFUSALS),
            "lookup": In(CounterLookup(config)), "fault": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        config, rows = self.config, counter_rows(self.config)
        few, outcomes = tally_bits(rows, 1), OUTCOMES * config.queues
        packets = tally_bits(rows, 4)
        lengths = tally_bits(rows, config.bus_bytes, config.fifo_bytes)
        m.submodules.events = self.events = EventTallies(config, rows)
        m.submodules.gate_drops = self.gate_drops = TallyTable(few, depth=GROUP)
        m.submodules.drops = self.drops = TallyTable(few, depth=GROUP)
        m.submodules.sizes = self.sizes = TallyTable(few, depth=GROUP)
        m.submodules.outcomes = self.outcomes = TallyTable(few, depth=outcomes)
        m.submodules.packets = self.packets = TallyTable(packets, depth=config.queues, amount=3)
        m.submodules.lengths = self.lengths = TallyTable(lengths, depth=config.queues, amount=14)
        m.submodules.sweep = self.sweep = CounterSweep(rows, max(packets, lengths))
        self._meter_stream(m)
        self._meter_queues(m)
        self._meter_events(m)
        self._select(m)
        m.d.comb += [
            self.sweep.ask.eq(self.lookup.ask), self.sweep.ask_row.eq(self.lookup.row),
            self.lookup.answered.eq(self.sweep.answered), self.lookup.value.eq(self.sweep.value),
        ]
        return m

    def _meter_stream(self, m):
        m.submodules.size_meter = size_meter = SizeMeter()
        m.submodules.address_meter = addresses = AddressMeter(self.config.bus_bits)
        gate_drop, drop = Signal(Drop), Signal(Drop)
        m.d.sync += [gate_drop.eq(self.gate_drop), drop.eq(self.admission_drop)]
        m.d.comb += [
            size_meter.ended.eq(self.ended), size_meter.size.eq(self.size),
            addresses.first.eq(self.first), addresses.beat.eq(self.beat),
            addresses.bytes.eq(self.taken), addresses.good.eq(self.good),
            self.events.ended.eq(self.ended), self.events.taken.eq(self.taken),
            self.events.multicast.eq(addresses.multicast),
            self.events.broadcast.eq(addresses.broadcast),
            self.sizes.valid.eq(size_meter.valid), self.sizes.which.eq(size_meter.number),
            self.gate_drops.valid.eq(gate_drop.valid), self.gate_drops.which.eq(gate_drop.cause),
            self.drops.valid.eq(drop.valid), self.drops.which.eq(drop.cause),
        ]
        for table in (self.sizes, self.gate_drops, self.drops, self.outcomes):
            m.d.comb += table.amount.eq(1)

    def _meter_queues(self, m):
        m.submodules.queue_meter = meter = QueueMeter(self.config.queues)
        fate, visible = meter.fate, Signal(Visible)
        m.d.sync += visible.eq(self.visible)
        m.d.comb += [
            meter.decided.eq(self.decided), meter.frame.eq(self.arrival),
            meter.dropped.eq(self.admission_drop),
            self.outcomes.valid.eq(fate.valid),
            self.outcomes.which.eq(Cat(fate.outcome, fate.queue)),
            self.lengths.valid.eq(fate.valid & fate.admitted), self.lengths.which.eq(fate.queue),
            self.lengths.amount.eq(fate.length),
            self.packets.valid.eq(visible.valid & (visible.kind == Kind.SEGMENT)),
            self.packets.which.eq(visible.index), self.packets.amount.eq(visible.frames),
            self.events.vlan.eq(fate.admitted & fate.vlan), self.events.visible.eq(self.visible),
        ]

    def _meter_events(self, m):
        m.submodules.write_meter = writes = WriteMeter(self.config.bus_bits)
        events = self.events
        m.d.comb += [
            writes.taken.eq(self.beat_taken), writes.strobe.eq(self.strobe),
            events.beat.eq(writes.beat), events.bytes.eq(writes.bytes),
            *(getattr(events, name).eq(getattr(self, name)) for name in (
                "accepted", "recycled", "pause", "pause_begins", "burst", "data_error",
                "line_error")),
            *(refusal.eq(source) for refusal, source in zip(
                events.refusals, self.refusals, strict=True)),
            self.fault.eq(events.fault),
        ]

    def _select(self, m):
        """Find the tally of the counter that the sweep looks at: all others show zero."""
        row = self.sweep.row
        queue, number = row[4:] - abi.COUNTER_ROWS // GROUP, row[:4]
        of_queue, late = row >= abi.COUNTER_ROWS, number > DropCause.CARD_DISABLED.value
        drops = (row >= DROPS) & (row < DROPS + GROUP)
        packets, lengths = of_queue & (number == 0), of_queue & (number == 1)
        tables = (
            (self.gate_drops, number, drops & ~late), (self.drops, number, drops & late),
            (self.sizes, number, (row >= SIZES) & ~of_queue),
            (self.packets, queue, packets), (self.lengths, queue, lengths),
            (self.outcomes, Cat(number[:3], queue), of_queue & (number[1:] != 0)),
        )
        for table, which, chosen in tables:
            m.d.comb += [table.number.eq(which), table.chosen.eq(chosen)]
        m.d.comb += self.events.number.eq(row)
        parts = [self.events, *(table for table, _, _ in tables)]
        m.d.comb += [getattr(self.sweep, name).eq(reduce(or_, (getattr(part, name)
                                                               for part in parts)))
                     for name in ("tally", "mask")]
