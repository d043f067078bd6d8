"""Tallies of frames, each kind of which only one can come in a cycle: sizes, drops, and fates."""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

from .counter_sweep import tally_bits
from .layouts import Arrival, Drop, DropCause, Kind, Visible
from .queue_meter import OUTCOMES, QueueMeter
from .stream_meter import SizeMeter
from .tallies import TallyTable

__all__ = ["QueueTallies", "StreamTallies", "union"]

GROUP = 16
"""Drops, sizes and the counters of a queue have a group of so many rows each."""
DROPS, SIZES = (next(counter.number for counter in abi.COUNTERS if counter.name.startswith(name))
                for name in ("DROP_", "SIZE_"))
FRAMES_PER_WRITE = 4
"""Frames that one write of completions makes visible, at most."""


def union(m, target, parts):
    """Show what the one of ``parts`` shows that does not show zero."""
    m.d.comb += [getattr(target, name).eq(reduce(or_, (getattr(part, name) for part in parts)))
                 for name in ("tally", "mask")]


class StreamTallies(wiring.Component):
    """Frames by size, unless the card lacks ``statistics``, and drops by cause.

    Members
    -------
    ended : :py:`In(1)`, size : :py:`In(15)`, gate_drop, admission_drop : :py:`In(Drop)`
    row : :py:`In(range(rows))`, fresh : :py:`In(1)`
        The counter whose tally is asked for; of the first time since a reset, only for tables to
        be cleared.
    tally, mask : :py:`Out(bits)`
        See :class:`TallyTable`. Zero if the counter is none of these.
    """

    def __init__(self, config, rows):
        self.measures = config.statistics
        self.bits = tally_bits(rows, 1)
        super().__init__({
            "ended": In(1), "size": In(15), "gate_drop": In(Drop), "admission_drop": In(Drop),
            "row": In(range(rows)), "fresh": In(1),
            "tally": Out(self.bits), "mask": Out(self.bits),
        })

    def elaborate(self, platform):
        m = Module()
        # Gate and admission can both drop a frame in one cycle, but never for the same cause.
        m.submodules.early = early = TallyTable(self.bits, depth=GROUP)
        m.submodules.late = late = TallyTable(self.bits, depth=GROUP)
        of_drops = (self.row >= DROPS) & (self.row < DROPS + GROUP)
        is_late = self.row[:4] > DropCause.CARD_DISABLED.value
        m.d.comb += [
            early.chosen.eq(of_drops & ~is_late), late.chosen.eq(of_drops & is_late),
        ]
        for table, event in ((early, self.gate_drop), (late, self.admission_drop)):
            drop = Signal(Drop)
            m.d.sync += drop.eq(event)
            m.d.comb += [table.valid.eq(drop.valid), table.which.eq(drop.cause)]
        tables = (early, late, *([self._measure(m)] if self.measures else ()))
        for table in tables:
            m.d.comb += [table.amount.eq(1), table.number.eq(self.row[:4]),
                         table.fresh.eq(self.fresh)]
        union(m, self, tables)
        return m

    def _measure(self, m):
        """Return the table of frames by size."""
        m.submodules.meter = meter = SizeMeter()
        m.submodules.sizes = sizes = TallyTable(self.bits, depth=GROUP)
        m.d.comb += [
            meter.ended.eq(self.ended), meter.size.eq(self.size), sizes.valid.eq(meter.valid),
            sizes.which.eq(meter.number),
            sizes.chosen.eq((self.row >= SIZES) & (self.row < SIZES + GROUP)),
        ]
        return sizes


class QueueTallies(wiring.Component):
    """What the queues count: what became of their frames, bytes, and frames delivered.

    Members
    -------
    decided : :py:`In(1)`, arrival : :py:`In(Arrival)`, admission_drop : :py:`In(Drop)`
    visible : :py:`In(Visible)`
    vlan : :py:`Out(1)`
        Event: a frame with a VLAN tag was admitted.
    row, fresh, tally, mask
        See :class:`StreamTallies`.
    """

    def __init__(self, config, rows):
        self.queues = config.queues
        self.few = tally_bits(rows, 1)
        self.packet_bits = tally_bits(rows, FRAMES_PER_WRITE)
        self.byte_bits = tally_bits(rows, config.bus_bytes, config.fifo_bytes)
        widest = max(self.packet_bits, self.byte_bits)
        super().__init__({
            "decided": In(1), "arrival": In(Arrival), "admission_drop": In(Drop),
            "visible": In(Visible), "vlan": Out(1), "row": In(range(rows)), "fresh": In(1),
            "tally": Out(widest), "mask": Out(widest),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.meter = meter = QueueMeter(self.queues)
        m.submodules.packets = packets = TallyTable(self.packet_bits, depth=self.queues, amount=3)
        m.submodules.bytes = size = TallyTable(self.byte_bits, depth=self.queues, amount=14)
        m.submodules.fates = fates = TallyTable(self.few, depth=OUTCOMES * self.queues)
        fate, visible = meter.fate, Signal(Visible)
        m.d.sync += visible.eq(self.visible)
        m.d.comb += [
            meter.decided.eq(self.decided), meter.frame.eq(self.arrival),
            meter.dropped.eq(self.admission_drop), self.vlan.eq(fate.admitted & fate.vlan),
            fates.valid.eq(fate.valid), fates.which.eq(Cat(fate.outcome, fate.queue)),
            fates.amount.eq(1),
            size.valid.eq(fate.valid & fate.admitted), size.which.eq(fate.queue),
            size.amount.eq(fate.length),
            packets.valid.eq(visible.valid & (visible.kind == Kind.SEGMENT)),
            packets.which.eq(visible.index), packets.amount.eq(visible.frames),
        ]
        queue, number = self.row[4:] - abi.COUNTER_ROWS // GROUP, self.row[:4]
        ours = self.row >= abi.COUNTER_ROWS
        m.d.comb += [
            packets.number.eq(queue), packets.chosen.eq(ours & (number == 0)),
            size.number.eq(queue), size.chosen.eq(ours & (number == 1)),
            *(table.fresh.eq(self.fresh) for table in (packets, size, fates)),
            fates.number.eq(Cat(number[:3], queue)), fates.chosen.eq(ours & (number[1:] != 0)),
        ]
        union(m, self, (packets, size, fates))
        return m
