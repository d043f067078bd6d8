"""What is known of each return ring, as words of one memory."""

from amaranth.hdl import Array, Cat, Const, Module, Signal, unsigned
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out

from .block_table import BlockTable
from .layouts import Index, RingIndex
from .state_table import Lookup

__all__ = ["RingWords", "SettingWrite", "Word", "WordAddress", "Words"]

WordAddress = unsigned(9)
"""A queue, above one of its eight words."""


class Word(enum.Enum, shape=3):
    """A word of a queue. The first four are registers, in their order."""

    LOW = 0
    HIGH = 1
    SIZE = 2
    CONSUMED = 3
    PRODUCED = 4
    FETCHED = 5


ORDER = (Word.CONSUMED, Word.PRODUCED, Word.SIZE, Word.FETCHED, Word.LOW, Word.HIGH)
"""In which the words are loaded: who needs few needs the first ones."""


class Words(data.Struct):
    """All words of a queue, in that order."""

    consumed: unsigned(32)
    produced: unsigned(32)
    size: unsigned(32)
    fetched: unsigned(32)
    low: unsigned(32)
    high: unsigned(32)


class SettingWrite(wiring.Signature):
    """An event: the host sets a word. Members: ``en``, ``queue``, ``word``, ``data``."""

    def __init__(self):
        super().__init__({"en": Out(1), "queue": Out(Index), "word": Out(Word), "data": Out(32)})


class RingWords(wiring.Component):
    """Loads the words of a queue, a cycle each, and stores one of them.

    Members
    -------
    setting : :py:`In(SettingWrite())`
    shown : :py:`In(Lookup(WordAddress, 32))`
        For the registers; one cycle late.
    queue : :py:`In(Index)`
        Whose words; held while they are loaded or stored.
    load : :py:`In(1)`, count : :py:`In(3)`
        Load the first ``count`` words; held until ``loaded``.
    loaded : :py:`Out(1)`, words : :py:`Out(Words)`
        ``words`` are there in the cycle after ``loaded``.
    store : :py:`In(1)`, word : :py:`In(Word)`, value : :py:`In(RingIndex)`, stored : :py:`Out(1)`
        Held until ``stored``: the host's own write goes first.
    """

    def __init__(self, queues):
        self.queues = queues
        super().__init__({
            "setting": In(SettingWrite()), "shown": In(Lookup(WordAddress, 32)),
            "queue": In(Index), "load": In(1), "count": In(3), "loaded": Out(1),
            "words": Out(Words),
            "store": In(1), "word": In(Word), "value": In(RingIndex), "stored": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        # A cycle late: the path from the register window is long enough.
        host = Signal(data.StructLayout({"en": 1, "queue": Index, "word": Word, "data": 32}))
        m.d.sync += [getattr(host, name).eq(getattr(self.setting, name))
                     for name in ("en", "queue", "word", "data")]
        m.submodules.table = table = BlockTable(32, depth=8 * self.queues, reads=2,
                                                index=WordAddress)
        wiring.connect(m, wiring.flipped(self.shown), table.read[0])
        step, order = Signal(3), Array(Const(word.value, 3) for word in ORDER)
        asked = table.read[1]
        m.d.comb += [asked.addr.eq(Cat(order[step], self.queue)),
                     self.loaded.eq(self.load & (step == self.count)),
                     self.stored.eq(self.store & ~host.en)]
        with m.If(self.load):
            m.d.sync += step.eq(step + 1)
        with m.If(self.loaded):
            m.d.sync += step.eq(0)
        with m.Switch(step):
            for number, name in enumerate(ORDER, start=1):
                with m.Case(number):
                    m.d.sync += self.words[name.name.lower()].eq(asked.data)
        m.d.comb += [table.write.en.eq(host.en | self.store),
                     table.write.addr.eq(Cat(self.word, self.queue)),
                     table.write.data.eq(self.value)]
        with m.If(host.en):
            m.d.comb += [table.write.addr.eq(Cat(host.word, host.queue)),
                         table.write.data.eq(host.data)]
        return m
