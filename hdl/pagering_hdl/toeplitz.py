"""The Toeplitz hash of a flow, as receive-side scaling has it.

Ref: "Verifying the RSS Hash Calculation", Windows driver documentation. The twin is
:mod:`pagering.toeplitz`.

Each bit of the input that is set adds, without carry, the 32 bits of the key that begin at the
bit's own place. Taken 32 bits at a time, a word of input needs two words of the key.
"""

from functools import reduce
from itertools import pairwise
from operator import xor

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import enum, wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

from .flow_steps import PORTS, StepMark, flow_step, steps
from .shared_table import SharedTable, TableAccess

__all__ = ["InputTransform", "KeyWindows", "Part", "Pick", "Toeplitz", "products"]


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


def products(word, window):
    """Return what each two bits of ``word`` add, with ``window``, 64 bits of the key."""
    terms = [window[32 - n:64 - n] & word[31 - n].replicate(32) for n in range(32)]
    return [one ^ other for one, other in pairwise(terms)][::2]


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


class KeyWindows(wiring.Component):
    """The key, two neighbouring words at a time.

    Members
    -------
    look : :py:`In(1)`, look_row : :py:`In(range(10))`
    window : :py:`Out(64)`
        A cycle later: that row on top, and the next one.
    host : :py:`In(TableAccess(range(10), 32))`
    """

    def __init__(self):
        row = range(abi.KEY_WORDS)
        super().__init__({"look": In(1), "look_row": In(row), "window": Out(64),
                          "host": In(TableAccess(row, 32))})

    def elaborate(self, platform):
        m = Module()
        # The second table is a row ahead, so that one row of both is a window.
        m.submodules.here = here = SharedTable(32, depth=16)
        m.submodules.ahead = ahead = SharedTable(32, depth=16)
        for table in (here, ahead):
            m.d.comb += [table.look.eq(self.look), table.look_row.eq(self.look_row),
                         table.host.write.eq(self.host.write),
                         table.host.value.eq(self.host.value)]
        m.d.comb += [
            here.host.row.eq(self.host.row), ahead.host.row.eq(self.host.row - 1),
            self.host.free.eq(here.host.free), self.host.shown.eq(here.host.shown),
            self.window.eq(Cat(ahead.data, here.data)),
        ]
        return m


class Toeplitz(wiring.Component):
    """Hashes flows as they go by; ``LATENCY`` cycles after a flow's last step its hash is there.

    Members
    -------
    ahead : :py:`In(StepMark)`, step : :py:`In(flow_step(lanes))`, transform : :py:`In(2)`
    hash : :py:`Out(32)`
    key : :py:`In(TableAccess(range(10), 32))`
    """

    LATENCY = 5

    def __init__(self, lanes):
        self.lanes = lanes
        super().__init__({
            "ahead": In(StepMark), "step": In(flow_step(lanes)), "transform": In(2),
            "hash": Out(32),
            "key": In(TableAccess(range(abi.KEY_WORDS), 32))})

    def elaborate(self, platform):
        m = Module()
        sums = [term for lane in range(self.lanes) for term in self._lane(m, lane)]
        flags = Cat(self.step.mark.valid, self.step.mark.first)
        for stage in range(self.LATENCY - 1):
            later = Signal(2, name=f"flags_{stage}")
            m.d.sync += later.eq(flags)
            flags = later
        valid, first = flags[0], flags[1]
        with m.If(valid):
            m.d.sync += self.hash.eq(reduce(xor, sums) ^ Mux(first, 0, self.hash))
        return m

    def _lane(self, m, lane):
        """Return the sums of a lane, in four parts, four cycles after the step."""
        m.submodules[f"transform_{lane}"] = source = InputTransform(self.lanes, lane)
        m.submodules[f"key_{lane}"] = key = KeyWindows()
        word, window = Signal(32, name=f"word_{lane}"), Signal(64, name=f"window_{lane}")
        m.d.comb += [
            source.ahead.eq(self.ahead), source.step.eq(self.step),
            source.transform.eq(self.transform), key.look.eq(self.step.mark.valid),
            key.look_row.eq(source.row),
            key.host.row.eq(self.key.row), key.host.write.eq(self.key.write),
            key.host.value.eq(self.key.value),
        ]
        if lane == 0:  # all keys are alike, and looked up together
            m.d.comb += [self.key.free.eq(key.host.free), self.key.shown.eq(key.host.shown)]
        m.d.sync += [word.eq(source.word), window.eq(key.window)]
        pairs = [Signal(32, name=f"pair_{lane}_{n}") for n in range(16)]
        sums = [Signal(32, name=f"sum_{lane}_{n}") for n in range(4)]
        m.d.sync += [pair.eq(found) for pair, found in
                     zip(pairs, products(word, window), strict=True)]
        m.d.sync += [total.eq(reduce(xor, pairs[4 * n:4 * n + 4]))
                     for n, total in enumerate(sums)]
        return sums
