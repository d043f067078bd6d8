"""Keeps completions until their line is written, in words as wide as the bus takes them.

A narrow card has the time to store a completion in several cycles, and its store is one or two
block RAMs wide instead of as many as a completion needs.
"""

from amaranth.hdl import Assert, Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .layouts import Completion, Extension, Index

__all__ = ["LINE_BITS", "CompletionStore", "StoreAddress", "StoreWord", "word_bits"]

LINE_BITS = 4 * Completion.size
WORD_BITS_MAX = 2 * Completion.size


def word_bits(config):
    """Return how wide the store of a card is."""
    return min(config.bus_bits, WORD_BITS_MAX)


class StoreWord(data.ArrayLayout):
    """What is read at a time, in parts that can be written one by one."""

    def __init__(self, config):
        bits = word_bits(config)
        part = min(bits, Completion.size)
        super().__init__(part, bits // part)


class StoreAddress(data.StructLayout):
    """Where a word is: each queue has the line that fills and the one being written.

    Members: ``word`` of the line, ``line``, ``queue``.
    """

    def __init__(self, config):
        super().__init__({"word": range(LINE_BITS // word_bits(config)), "line": 1,
                          "queue": Index})


class CompletionStore(wiring.Component):
    """The lines of all queues.

    Members
    -------
    write : :py:`In(1)`
        Store the next word of what follows, which stays until ``last``.
    queue : :py:`In(Index)`, line : :py:`In(1)`, place : :py:`In(2)`
        Where it goes; of an extended one, the place of its first half.
    completion : :py:`In(Completion)`, extension : :py:`In(Extension)`, extended : :py:`In(1)`
    first, last : :py:`Out(1)`
        The next word is the first, or the last.
    address : :py:`In(StoreAddress(config))`, read : :py:`In(1)`,
    stored : :py:`Out(StoreWord(config))`
        One cycle later; then it stays.
    """

    def __init__(self, config):
        self.config = config
        super().__init__({
            "write": In(1), "queue": In(Index), "line": In(1), "place": In(2),
            "completion": In(Completion), "extension": In(Extension), "extended": In(1),
            "first": Out(1), "last": Out(1), "address": In(StoreAddress(config)), "read": In(1),
            "stored": Out(StoreWord(config)),
        })

    def elaborate(self, platform):
        m = Module()
        # Wide and shallow, it would else become lookup tables. A word is read when it has been
        # written, so synthesis need not say what would be read before; where a word has two
        # places, one may be written while the other is read, and nobody uses what is read of it.
        m.submodules.store = store = Memory(
            shape=StoreWord(self.config), init=[],
            depth=2 * self.config.queues * (LINE_BITS // word_bits(self.config)),
            attrs={"ram_style": "block", "no_rw_check": 1})
        into, out = store.write_port(granularity=1), store.read_port()
        address = Signal(StoreAddress(self.config))
        m.d.comb += [
            address.queue.eq(self.queue), address.line.eq(self.line),
            into.addr.eq(address.as_value()),
            out.addr.eq(self.address.as_value()), out.en.eq(self.read), self.stored.eq(out.data),
        ]
        if word_bits(self.config) == WORD_BITS_MAX:
            self._write_at_once(m, into, address)
        else:
            self._write_word_by_word(m, into, address)
            m.d.sync += Assert(~(into.en.any() & out.en & (into.addr == out.addr)))
        return m

    def _write_at_once(self, m, into, address):
        """A word has two places: a completion takes one, an extended one both."""
        upper = self.place[0]
        m.d.comb += [
            self.first.eq(1), self.last.eq(1), address.word.eq(self.place >> 1),
            into.data.eq(Cat(Mux(self.extended, self.extension, self.completion),
                             self.completion)),
            into.en.eq(Cat(self.write & (self.extended | ~upper),
                           self.write & (self.extended | upper))),
        ]

    def _write_word_by_word(self, m, into, address):
        bits = word_bits(self.config)
        words = WORD_BITS_MAX // bits
        word, both = Signal(range(words)), Cat(self.extension, self.completion)
        # A completion alone is the second half of what could be stored.
        begin, now = Mux(self.extended, 0, words // 2), Signal(range(words))
        m.d.comb += [
            now.eq(begin | word), self.first.eq(word == 0), self.last.eq(now == words - 1),
            address.word.eq((self.place * (words // 2)) | word),
            into.data.eq(both.word_select(now, bits)), into.en.eq(self.write),
        ]
        with m.If(self.write):
            m.d.sync += word.eq(Mux(self.last, 0, word + 1))
