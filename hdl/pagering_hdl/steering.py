"""Where a frame goes: filters, flow rules and receive-side scaling, decided in this order.

A flow is gone through word by word (:mod:`pagering_hdl.flow_steps`). What looks at it answers a
fixed number of cycles later, so that one frame can follow another. What the frame is besides and
what was decided wait in a queue until admission takes them: here, where least is left to know of a
frame, is room for all that the packet FIFO can hold. No more frames start than there is.
"""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

from .arrival_queue import ArrivalQueue
from .flow_rules import FlowRules
from .flow_steps import LANES, SHORT, FlowSteps, steps
from .frame_filter import AddressFilter, FrameHead, VlanFilter
from .layouts import Arrival, Dissection, HashType, Index, struct
from .preview import Preview
from .queue_choice import QueueChoice
from .shared_table import SharedTable
from .steer_registers import SteerSettings
from .streams import StreamBuffer
from .tentative import TentativeEvent
from .toeplitz import Toeplitz

__all__ = ["Steering"]

LATENCY = FlowRules.LATENCY
"""From a flow's last step to the last finding about it."""
FILTERED = 5
"""From a flow's last step until both filters have answered it, and not yet the next one."""


def later(m, value, cycles, name):
    """Return a value as it was some cycles ago."""
    for cycle in range(cycles):
        now = Signal(Value.cast(value).shape(), name=f"{name}_{cycle}")
        m.d.sync += now.eq(value)
        value = now
    return value


class Steering(wiring.Component):
    """Names the queue of each frame, or why it is dropped; in order.

    Parameters
    ----------
    bus_bits : :class:`int`
        Width of the bus: the wider, the more is done in a cycle.
    depth : :class:`int`
        Frames inside: a power of two.

    Members
    -------
    control : :py:`In(struct(abi.CARD["STEERING"]))`, settings : :py:`In(SteerSettings())`
    dissections : :py:`In(stream.Signature(Dissection))`
    preview : :py:`In(Preview())`
        Of ``dissections``, if a step is a word.
    arrivals : :py:`Out(stream.Signature(Arrival))`
    """

    def __init__(self, bus_bits, depth=512):
        self.lanes = LANES[bus_bits]
        self.depth = depth
        super().__init__({
            "control": In(struct(abi.CARD["STEERING"])), "settings": In(SteerSettings()),
            "dissections": In(stream.Signature(Dissection)), "preview": In(Preview()),
            "arrivals": Out(stream.Signature(Arrival)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.flow = self._flow = flow = FlowSteps(self.lanes)
        m.submodules.choice = self._choice = choice = QueueChoice()
        m.submodules.queue = self._queue = queue = ArrivalQueue(self.depth)
        if self.lanes == 1:  # what comes from the dissector is in registers
            wiring.connect(m, wiring.flipped(self.dissections), flow.dissections)
            wiring.connect(m, wiring.flipped(self.preview), flow.preview)
        else:
            m.submodules.frame = frame = StreamBuffer(Dissection)
            wiring.connect(m, wiring.flipped(self.dissections), frame.i)
            wiring.connect(m, frame.o, flow.dissections)
        wiring.connect(m, queue.arrivals, wiring.flipped(self.arrivals))
        inside = Signal(range(self.depth + 1))
        m.d.comb += [
            flow.start.eq(inside != self.depth),
            flow.rss.eq(self.settings.rss), choice.control.eq(self.control),
        ]
        m.d.sync += inside.eq(inside + queue.enters - (queue.arrivals.valid & queue.arrivals.ready))
        self._filter(m)
        self._rules(m)
        self._scale(m)
        self._join(m)
        return m

    def _filter(self, m):
        shortest = sum(bool(set(words) & set(SHORT)) for words in steps(self.lanes))
        banks = 1 << (-(-abi.ADDRESSES // shortest) - 1).bit_length()
        m.submodules.addresses = addresses = AddressFilter(banks)
        m.submodules.vlans = vlans = VlanFilter()
        for table, host in ((addresses.low, "address_low"), (addresses.high, "address_high"),
                            (vlans.vlans, "vlans")):
            wiring.connect(m, wiring.flipped(getattr(self.settings, host)), table)
        frame, head, found = self._flow.dissections.p, Signal(FrameHead), self._choice.findings
        m.d.sync += [
            head.valid.eq(self._flow.starts), head.destination.eq(frame.destination),
            head.tagged.eq(frame.facts.vlan), head.vlan.eq(frame.facts.tci[:12]),
        ]
        m.d.comb += [
            addresses.head.eq(head), addresses.settings.eq(self.settings.filter),
            addresses.multicast.eq(self.settings.multicast),
            vlans.head.eq(head), vlans.settings.eq(self.settings.filter),
            found.address_passes.eq(later(m, addresses.passes, LATENCY - FILTERED, "address")),
            found.vlan_passes.eq(later(m, vlans.passes, LATENCY - FILTERED, "vlan")),
        ]

    def _rules(self, m):
        m.submodules.rules = rules = FlowRules(self.lanes)
        wiring.connect(m, wiring.flipped(self.settings.rules), rules.host)
        m.d.comb += [rules.ahead.eq(self._flow.ahead), rules.step.eq(self._flow.step),
                     self._choice.findings.rule.eq(rules.verdict)]

    def _scale(self, m):
        """Hash, and look the hash up, which ends when the rules do."""
        m.submodules.toeplitz = toeplitz = Toeplitz(self.lanes)
        m.submodules.indirection = indirection = SharedTable(Index, depth=abi.INDIRECTION_ROWS)
        wiring.connect(m, wiring.flipped(self.settings.key), toeplitz.key)
        wiring.connect(m, wiring.flipped(self.settings.indirection), indirection.host)
        mark, found = self._flow.step.mark, self._choice.findings
        kind = Mux(mark.hash_addresses, Mux(mark.hash_ports, HashType.L4, HashType.L3),
                   HashType.NONE)
        hashed = later(m, mark.valid & mark.last, Toeplitz.LATENCY, "hashed")
        entry = Signal(Index)
        m.d.sync += entry.eq(indirection.data)
        m.d.comb += [
            toeplitz.ahead.eq(self._flow.ahead), toeplitz.step.eq(self._flow.step),
            toeplitz.transform.eq(self.settings.rss.transform),
            self._flow.yields.eq(self.settings.waits | toeplitz.busy),
            indirection.look.eq(hashed), indirection.look_row.eq(toeplitz.hash),
            found.hash.eq(later(m, toeplitz.hash, LATENCY - Toeplitz.LATENCY, "hash")),
            found.entry.eq(later(m, entry, LATENCY - Toeplitz.LATENCY - 2, "entry")),
            found.hash_type.eq(later(m, kind, LATENCY, "kind")),
        ]

    def _join(self, m):
        """Bring together what was decided and what waited for it."""
        flow, queue, choice = self._flow, self._queue, self._choice
        m.submodules.decided = decided = TentativeEvent(1 + LATENCY)
        frame = flow.dissections
        m.d.comb += [
            decided.i.eq(flow.ends), decided.tentative.eq(~frame.valid),
            decided.confirm.eq(queue.enters), decided.revoke.eq(flow.preview.revoked),
            queue.enters.eq(frame.valid & frame.ready),
            queue.waiting.length.eq(frame.p.length), queue.waiting.facts.eq(frame.p.facts),
            queue.decided.eq(decided.o), queue.decision.eq(choice.decision),
            queue.counts.eq(decided.counts), queue.sure.eq(decided.sure),
            choice.counts.eq(decided.counts),
        ]
