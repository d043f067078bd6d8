"""All counters of the card: meters tell what happens, tallies note it, a sweep keeps the counts."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

from .counter_sweep import COUNTER_BITS, CounterSweep
from .event_tallies import REFUSALS, EventTallies, WriteMeter
from .frame_tallies import QueueTallies, StreamTallies, union
from .layouts import Arrival, Drop, Visible
from .page_table import Refusal
from .stream_meter import AddressMeter

__all__ = ["CounterLookup", "Statistics", "counter_rows"]

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
    """Counts. Only wires the parts. Without ``config.statistics`` there are fewer of them.

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
    data_error, line_error, mirror_error : :py:`In(1)`
    lookup : :py:`In(CounterLookup(config))`
    fault : :py:`Out(1)`
        Event: a fault is counted.
    """

    def __init__(self, config):
        self.config = config
        super().__init__({
            **{name: In(1) for name in (
                "ended", "first", "good", "decided", "accepted", "recycled", "pause",
                "pause_begins", "burst", "beat_taken", "data_error", "line_error",
                "mirror_error")},
            "size": In(15), "beat": In(config.bus_bits), "taken": In(range(config.bus_bytes + 1)),
            "gate_drop": In(Drop), "arrival": In(Arrival), "admission_drop": In(Drop),
            "visible": In(Visible), "strobe": In(config.bus_bytes),
            "refusals": In(Refusal).array(REFUSALS),
            "lookup": In(CounterLookup(config)), "fault": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        config, rows = self.config, counter_rows(self.config)
        m.submodules.events = events = EventTallies(config, rows)
        m.submodules.stream = stream = StreamTallies(config, rows)
        parts = (events, stream, *([self._measure(m, events)] if config.statistics else ()))
        m.submodules.sweep = sweep = CounterSweep(rows, max(len(part.tally) for part in parts))
        m.d.comb += [
            sweep.ask.eq(self.lookup.ask), sweep.ask_row.eq(self.lookup.row),
            self.lookup.answered.eq(sweep.answered), self.lookup.value.eq(sweep.value),
            self.fault.eq(events.fault), *(refusal.eq(source) for refusal, source in zip(
                events.refusals, self.refusals, strict=True)),
        ]
        for part in parts[1:]:
            m.d.comb += part.fresh.eq(sweep.fresh)
        for part in parts:
            m.d.comb += [part.row.eq(sweep.row), *(
                getattr(part, name).eq(getattr(self, name)) for name in self.signature.members
                if name in part.signature.members and name not in ("refusals", "fault", "beat"))]
        union(m, sweep, parts)
        return m

    def _measure(self, m, events):
        """Wire the meters to the events; return the tallies of the queues."""
        config = self.config
        m.submodules.queues = queues = QueueTallies(config, counter_rows(config))
        m.submodules.addresses = addresses = AddressMeter(config.bus_bits)
        m.submodules.writes = writes = WriteMeter(config.bus_bits)
        m.d.comb += [
            addresses.first.eq(self.first), addresses.beat.eq(self.beat),
            addresses.bytes.eq(self.taken), addresses.good.eq(self.good),
            writes.taken.eq(self.beat_taken), writes.strobe.eq(self.strobe),
            events.multicast.eq(addresses.multicast), events.broadcast.eq(addresses.broadcast),
            events.beat.eq(writes.beat), events.bytes.eq(writes.bytes),
            events.vlan.eq(queues.vlan),
        ]
        return queues
