"""Takes a frame's flow apart into words of 32 bits, for those who look at it word by word.

The words are those of :data:`abi.RULE`, in the order of the wire: source, destination, ports, and
one that has the rest of what a flow rule can ask for. Of an IPv4 address only the last word is
gone through. The wider the bus, the more words in a step, as the next frame is nearer.
"""

from itertools import pairwise

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

from .layouts import L3, L4, Dissection, struct
from .preview import SOON, Preview

__all__ = ["LANES", "ORDER", "PORTS", "REST", "FlowRest", "FlowSteps", "StepMark", "flow_step",
           "steps"]

LANES = {64: 1, 128: 3, 256: 5, 512: 10}
"""Words in a step, by the width of the bus."""
ORDER = (3, 2, 1, 0, 7, 6, 5, 4, 8, 9)
"""Words of :data:`abi.RULE` in the order of the wire."""
PORTS, REST = 8, 9
"""The words that are no address."""
SHORT = (0, 4, PORTS, REST)
"""The words of a flow that is not of IPv6."""


class FlowRest(data.Struct):
    """The last word of a flow."""

    protocol: 8
    l3: L3
    ports: 1
    """It has ports: TCP, UDP or SCTP, and no fragment."""
    tagged: 1
    vlan: 12
    _reserved: 8


def steps(lanes):
    """Return the words of each step."""
    return [ORDER[at:at + lanes] for at in range(0, len(ORDER), lanes)]


class StepMark(data.Struct):
    """An event: which step of which flow."""

    valid: 1
    first: 1
    last: 1
    at: range(len(ORDER))
    v6: 1
    hash_addresses: 1
    hash_ports: 1


def flow_step(lanes):
    """Return the shape of a step: its mark, and its words."""
    return data.StructLayout({
        "mark": StepMark,
        "words": data.ArrayLayout(data.StructLayout({"a": 32, "b": 32}), lanes),
    })


def quarter(address, word):
    """Return the word of an address that the lower two bits of ``word`` number."""
    halves = [Mux(word[0], address.word_select(n + 1, 32), address.word_select(n, 32))
              for n in (0, 2)]
    return Mux(word[1], halves[1], halves[0])


class FlowSteps(wiring.Component):
    """Goes through frame after frame, a step a cycle; a step follows its frame by one cycle.

    It begins with what is shown of a frame. If that is revoked, so are its steps: those that came
    mean nothing, and whatever is valid then is gone through from the first one on.

    Parameters
    ----------
    lanes : :class:`int`
        Words in a step.

    Members
    -------
    dissections : :py:`In(stream.Signature(Dissection))`
        Taken with the last step, or when it is valid if that is later.
    preview : :py:`In(Preview())`
        Of ``dissections``.
    start : :py:`In(1)`
        The next frame may start.
    yields : :py:`In(1)`
        Somebody waits for a cycle without a step: leave one before each frame.
    rss : :py:`In(struct(abi.STEER["RSS"]))`
    starts : :py:`Out(1)`
        Event: a frame starts.
    ends : :py:`Out(1)`
        Event: the last step of a frame comes in the next cycle.
    ahead : :py:`Out(StepMark)`
        Of the step that comes in the next cycle.
    step : :py:`Out(flow_step(lanes))`
        Of an address, ``a`` is the source's word and ``b`` the destination's; of the ports, ``b``
        has them swapped. Which of both words it stands for, :func:`steps` says.
    """

    def __init__(self, lanes):
        if lanes not in LANES.values():
            raise ValueError(f"a flow goes by 1, 3, 5 or 10 words at a time, not {lanes}")
        self.lanes = lanes
        super().__init__({
            "dissections": In(stream.Signature(Dissection)), "preview": In(Preview()),
            "start": In(1), "yields": In(1), "rss": In(struct(abi.STEER["RSS"])),
            "starts": Out(1), "ends": Out(1), "ahead": Out(StepMark), "step": Out(flow_step(lanes)),
        })

    def elaborate(self, platform):
        m = Module()
        plan = steps(self.lanes)
        short = [at for at, words in enumerate(plan) if set(words) & set(SHORT)]
        ahead, frame, preview = self.ahead, self.dissections, self.preview
        first, passed, rested = Signal(init=1), Signal(), Signal()
        at, after, active = Signal(ahead.at.shape()), Signal(ahead.at.shape()), Signal()
        m.d.comb += [
            at.eq(Mux(first, Mux(ahead.v6, 0, short[0]), after)),
            active.eq((frame.valid | preview.shown) & ~preview.revoked & ~passed
                      & (~first | self.start & (rested | ~self.yields))),
            ahead.valid.eq(active), ahead.first.eq(first), ahead.last.eq(at == len(plan) - 1),
            ahead.at.eq(at), ahead.v6.eq(frame.p.facts.l3 == L3.IPV6),
            self.starts.eq(active & first), self.ends.eq(active & ahead.last),
            frame.ready.eq(self.ends | (passed & ~preview.revoked)),
            preview.soon.eq(active & (at >= len(plan) - 1 - SOON)),
        ]
        m.d.sync += [rested.eq(~active), self.step.mark.eq(ahead),
                     passed.eq((passed | self.ends) & ~frame.valid & ~preview.revoked)]
        with m.If(active):
            m.d.sync += [first.eq(ahead.last), after.eq(at + 1)]
            with m.Switch(Cat(at, ahead.v6)):
                for here, there in pairwise(short):
                    with m.Case(here):
                        m.d.sync += after.eq(there)
        with m.Elif(preview.revoked):
            m.d.sync += first.eq(1)
        self._words(m, plan)
        self._hashed(m)
        return m

    def _words(self, m, plan):
        """Choose from the flow: the words of the next step."""
        flow, rest = self.dissections.p.flow, self._rest(m)
        ports = (Cat(flow.destination_port, flow.source_port),
                 Cat(flow.source_port, flow.destination_port))
        for lane in range(self.lanes):
            word = Signal(range(len(ORDER)), name=f"word_{lane}")
            with m.Switch(self.ahead.at):
                for number, words in enumerate(plan):
                    with m.Case(number):
                        m.d.comb += word.eq(words[lane] if lane < len(words) else REST)
            pair = self.step.words[lane]
            m.d.sync += [
                pair.a.eq(Mux(word[3], Mux(word[0], rest, ports[0]), quarter(flow.source, word))),
                pair.b.eq(Mux(word[3], ports[1], quarter(flow.destination, word))),
            ]

    def _rest(self, m):
        frame = self.dissections.p
        rest, l4 = Signal(FlowRest), frame.facts.l4
        m.d.comb += [
            rest.protocol.eq(frame.flow.protocol), rest.l3.eq(frame.facts.l3),
            rest.ports.eq(((l4 == L4.TCP) | (l4 == L4.UDP) | (l4 == L4.SCTP))
                          & ~frame.facts.fragment),
            rest.tagged.eq(frame.facts.vlan),
            rest.vlan.eq(Mux(frame.facts.vlan, frame.facts.tci[:12], 0)),
        ]
        return rest.as_value()

    def _hashed(self, m):
        facts = self.dissections.p.facts
        m.d.comb += [
            self.ahead.hash_addresses.eq((facts.l3 == L3.IPV4) | (facts.l3 == L3.IPV6)),
            self.ahead.hash_ports.eq(((facts.l4 == L4.TCP) & self.rss.tcp
                                      | (facts.l4 == L4.UDP) & self.rss.udp) & ~facts.fragment),
        ]
