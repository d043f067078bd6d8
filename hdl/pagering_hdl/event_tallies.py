"""Tallies of all that can happen at once, card-wide."""

from amaranth.hdl import Assert, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

from .counter_sweep import tally_bits
from .frame_tallies import FRAMES_PER_WRITE
from .layouts import Kind, Visible
from .page_table import Refusal
from .tallies import Tallies, Tally

__all__ = ["EventTallies", "REFUSALS", "WriteMeter"]

REFUSALS = 6
"""Sources of refusals: return checker, page table, register blocks, register window, return rings
and return reader."""
NUMBERS = {counter.name: counter.number for counter in abi.COUNTERS}
FAULTS = {fault: f"FAULT_{fault.name}" for fault in abi.Fault}


class WriteMeter(wiring.Component):
    """Counts what is on the write data channel of the bus, one cycle late.

    Members
    -------
    taken : :py:`In(1)`, strobe : :py:`In(bits // 8)`
        The bus takes a beat.
    beat : :py:`Out(1)`, bytes : :py:`Out(range(bits // 8 + 1))`
    """

    def __init__(self, bits):
        super().__init__({"taken": In(1), "strobe": In(bits // 8), "beat": Out(1),
                          "bytes": Out(range(bits // 8 + 1))})

    def elaborate(self, platform):
        m = Module()
        strobe = Signal.like(self.strobe)
        m.d.sync += [self.beat.eq(self.taken), strobe.eq(self.strobe)]
        m.d.comb += self.bytes.eq(Mux(self.beat, sum(strobe), 0))
        return m


class EventTallies(wiring.Component):
    """Gives each happening the tally of its name in :data:`abi.COUNTERS`, a cycle late.

    Without ``config.statistics`` only those of :data:`abi.ESSENTIAL` have one.

    Members
    -------
    ended : :py:`In(1)`, taken : :py:`In(range(bus_bytes + 1))`
    multicast, broadcast, vlan, accepted, recycled : :py:`In(1)`
    visible : :py:`In(Visible)`
    pause, pause_begins, burst, beat : :py:`In(1)`, bytes : :py:`In(range(bus_bytes + 1))`
    refusals : :py:`In(Refusal)` of each source
    data_error, line_error, mirror_error : :py:`In(1)`
    row, tally, mask
        See :class:`Tallies`; a row is a number.
    fault : :py:`Out(1)`
        Event: a fault is counted.
    """

    BITS = {"FRAMES_IN": "ended", "MULTICAST": "multicast", "BROADCAST": "broadcast",
            "VLAN": "vlan", "RETURNS": "accepted", "RECYCLED": "recycled",
            "PAUSES": "pause_begins", "PAUSE_CYCLES": "pause", "WRITE_BURSTS": "burst",
            "WRITE_BEATS": "beat"}
    SUMS = {"BYTES_IN": "taken", "WRITE_BYTES": "bytes"}

    def __init__(self, config, rows):
        bus_bytes = config.bus_bytes
        self.bits, self.sums = ({name: port for name, port in ports.items()
                                 if config.statistics or name in abi.ESSENTIAL}
                                for ports in (self.BITS, self.SUMS))
        self.tallies = Tallies({
            **{name: Tally(NUMBERS[name], tally_bits(rows, 1))
               for name in (*self.bits, *FAULTS.values())},
            **{name: Tally(NUMBERS[name], tally_bits(rows, bus_bytes), bus_bytes.bit_length())
               for name in self.sums},
            "FRAMES_DELIVERED": Tally(NUMBERS["FRAMES_DELIVERED"],
                                      tally_bits(rows, FRAMES_PER_WRITE), 3),
        }, bits=(rows - 1).bit_length())
        shown = self.tallies.signature.members
        super().__init__({
            **{port: In(1) for port in self.BITS.values()},
            **{port: In(range(config.bus_bytes + 1)) for port in self.SUMS.values()},
            "visible": In(Visible), "refusals": In(Refusal).array(REFUSALS),
            "data_error": In(1), "line_error": In(1), "mirror_error": In(1),
            "fault": Out(1),
            "row": shown["number"], "tally": shown["tally"], "mask": shown["mask"],
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.tallies = tallies = self.tallies
        m.d.comb += [tallies.number.eq(self.row), self.tally.eq(tallies.tally),
                     self.mask.eq(tallies.mask)]
        # Everything is taken down first: some of it comes late in its cycle.
        amounts = Signal.like(tallies.amounts)
        m.d.comb += tallies.amounts.eq(amounts)
        for name, port in (self.bits | self.sums).items():
            m.d.sync += amounts[name].eq(getattr(self, port))
        m.d.sync += amounts.FRAMES_DELIVERED.eq(
            Mux(self.visible.valid & (self.visible.kind == Kind.SEGMENT), self.visible.frames, 0))
        self._take_faults(m, amounts)
        return m

    def _take_faults(self, m, amounts):
        """Each fault has one source, so it comes once in a cycle at most."""
        other = {abi.Fault.DATA_WRITE: self.data_error, abi.Fault.COMPLETION_WRITE: self.line_error,
                 abi.Fault.MIRROR_WRITE: self.mirror_error}
        for fault, name in FAULTS.items():
            found = [refusal.valid & (refusal.fault == fault.value) for refusal in self.refusals]
            found += [other[fault]] if fault in other else []
            m.d.sync += [amounts[name].eq(Cat(found).any()), Assert(sum(found) <= 1)]
        m.d.comb += self.fault.eq(Cat(amounts[name] for name in FAULTS.values()).any())
