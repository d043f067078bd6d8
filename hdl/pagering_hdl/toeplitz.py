"""The Toeplitz hash of a flow, as receive-side scaling has it.

Ref: "Verifying the RSS Hash Calculation", Windows driver documentation. The twin is
:mod:`pagering.toeplitz`.

Each bit of the input that is set adds, without carry, the 32 bits of the key that begin at the
bit's own place. What a word adds is looked up (:mod:`pagering_hdl.key_tables`).
"""

from functools import reduce
from operator import xor

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import enum, wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

from .flow_steps import PORTS, StepMark, flow_step, steps
from .key_tables import KeyTables
from .shared_table import TableAccess

__all__ = ["InputTransform", "Part", "Pick", "Toeplitz"]


class Part(enum.Enum, shape=2):
    """What a word is part of."""

    SOURCE = 0
    DESTINATION = 1
    PORTS = 2
    REST = 3


def part_of(word):
    """Return what a word of :data:`abi.RULE` is part of."""
    if word < PORTS:
        return Part.SOURCE if word < 4 else Part.DESTINATION
    return Part.PORTS if word == PORTS else Part.REST


class Pick(enum.Enum, shape=2):
    """What is hashed of two words."""

    A = 0
    B = 1
    BOTH = 2
    """Their difference."""
    EITHER = 3


class InputTransform(wiring.Component):
    """What one lane hashes in a step: the word, or its symmetric stand-in; a cycle later.

    Parameters
    ----------
    lanes, lane : :class:`int`
        Words in a step, and which one of them.

    Members
    -------
    ahead : :py:`In(StepMark)`, step : :py:`In(flow_step(lanes))`, transform : :py:`In(2)`
    word : :py:`Out(32)`
        Zero if nothing of it is hashed.
    row : :py:`Out(range(10))`
        Of the step: the key's word to begin with.
    """

    def __init__(self, lanes, lane):
        self.lanes, self.lane = lanes, lane
        super().__init__({
            "ahead": In(StepMark), "step": In(flow_step(lanes)), "transform": In(2),
            "word": Out(32), "row": Out(range(abi.KEY_WORDS))})

    def elaborate(self, platform):
        m = Module()
        mark, part, hashed = self.ahead, Signal(Part, init=Part.REST), Signal()
        with m.Switch(mark.at):
            for number, words in enumerate(steps(self.lanes)):
                if self.lane >= len(words):
                    continue
                word = words[self.lane]
                # An IPv4 flow is source, destination, ports; its other words are zero.
                place = number * self.lanes + self.lane
                with m.Case(number):
                    m.d.comb += part.eq(part_of(word))
                    m.d.sync += self.row.eq(Mux(mark.v6, place, word >> 2))
        m.d.sync += hashed.eq(Mux(part == Part.PORTS, mark.hash_ports,
                                  mark.hash_addresses & (part != Part.REST)))
        pair = self.step.words[self.lane]
        for half, pick in enumerate(self._picks(m, part)):
            a, b = (word.word_select(half, 16) for word in (pair.a, pair.b))
            with m.Switch(pick):
                for choice, value in ((Pick.A, a), (Pick.B, b), (Pick.BOTH, a ^ b),
                                      (Pick.EITHER, a | b)):
                    with m.Case(choice):
                        m.d.sync += self.word.word_select(half, 16).eq(value)
        with m.If(~hashed):
            m.d.sync += self.word.eq(0)
        return m

    def _picks(self, m, part):
        """Return what is picked in the lower half of a word, and in the upper one."""
        picks = [Signal(Pick, name=f"pick_{half}") for half in ("lower", "upper")]
        for half, pick in enumerate(picks):
            either = (part == Part.SOURCE) | (part == Part.PORTS) if half else (
                part == Part.SOURCE)
            with m.If(self.transform == abi.Transform.NONE):
                m.d.sync += pick.eq(Mux(part == Part.DESTINATION, Pick.B, Pick.A))
            with m.Elif((self.transform == abi.Transform.OR_XOR) & either):
                m.d.sync += pick.eq(Pick.EITHER)
            with m.Else():
                m.d.sync += pick.eq(Pick.BOTH)
        return picks


class Toeplitz(wiring.Component):
    """Hashes flows as they go by; ``LATENCY`` cycles after a flow's last step its hash is there.

    Members
    -------
    ahead : :py:`In(StepMark)`, step : :py:`In(flow_step(lanes))`, transform : :py:`In(2)`
    hash : :py:`Out(32)`
    key : :py:`In(TableAccess(range(10), 32))`
    busy : :py:`Out(1)`
        The key is being changed, for which a cycle without a step is wanted.
    """

    LATENCY = 4

    def __init__(self, lanes):
        self.lanes = lanes
        super().__init__({
            "ahead": In(StepMark), "step": In(flow_step(lanes)), "transform": In(2),
            "hash": Out(32), "key": In(TableAccess(range(abi.KEY_WORDS), 32)), "busy": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.tables = tables = KeyTables(self.lanes)
        wiring.connect(m, wiring.flipped(self.key), tables.host)
        for lane in range(self.lanes):
            m.submodules[f"transform_{lane}"] = source = InputTransform(self.lanes, lane)
            m.d.comb += [
                source.ahead.eq(self.ahead), source.step.eq(self.step),
                source.transform.eq(self.transform), tables.words[lane].eq(source.word),
            ]
            m.d.sync += tables.places[lane].eq(source.row)
        flags = [Cat(self.step.mark.valid, self.step.mark.first)]
        for stage in range(self.LATENCY - 1):
            later = Signal(2, name=f"flags_{stage}")
            m.d.sync += later.eq(flags[-1])
            flags.append(later)
        m.d.comb += [tables.look.eq(flags[1][0]), self.busy.eq(tables.busy)]
        valid, first = flags[-1][0], flags[-1][1]
        with m.If(valid):
            m.d.sync += self.hash.eq(reduce(xor, tables.sums) ^ Mux(first, 0, self.hash))
        return m
