"""What the host has set, for it to read back: one block RAM for the card, its pools and its queues.

The parts of the card keep what they need of a setting themselves, in whatever form suits them.
That the host can read it back takes no logic: the window keeps every value here as it passes.

The memory knows by itself what a register is. It holds, besides the values, two images of each
block that never change: the bits that each register takes, and its value after reset. So each
value is stored in two cycles: read the mask; write what it leaves of the value. In the same way,
after reset, the second image is copied over all values. What the card is, as it was elaborated,
is in that image too.
"""

from amaranth.hdl import Assert, Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from pagering import abi

__all__ = ["Place", "RegisterMemory"]

WORDS = 16
"""Registers of a pool or a queue that are kept here: the first ones."""
CARD_WORDS = 64


class Place(data.Struct):
    """A register: which block it is in, which copy of that, and which word of it."""

    card: unsigned(1)
    pool: unsigned(1)
    """(Neither: a queue.)"""
    index: unsigned(6)
    word: unsigned(6)


def constants(config) -> dict[str, int]:
    """Return what the card is, by register."""
    card = abi.CARD
    return {
        "ID": card["ID"].reset, "VERSION": card["VERSION"].reset,
        "CAP_COUNTS": card["CAP_COUNTS"].pack(
            queues=config.queues, pools=config.pools, regions=config.regions),
        "CAP_SIZES": card["CAP_SIZES"].pack(
            page_log2=config.page_log2, chunk_log2=config.chunk_log2,
            region_pages_log2=config.region_pages_log2, bus_log2=config.bus_log2),
        "CAP_LIMITS": card["CAP_LIMITS"].pack(
            frame_bytes=config.max_frame, burst_bytes=config.burst_bytes),
        "CAP_FEATURES": card["CAP_FEATURES"].pack(
            header_split=config.header_split, pull_returns=config.pull_returns,
            pool_watch=config.pool_watch, parser=config.parser, steering=config.steering,
            statistics=config.statistics, timestamps=config.timestamps),
        "CAP_CLOCK": card["CAP_CLOCK"].pack(khz=config.clock_khz),
    }


def images(config, block, words) -> tuple[list[int], list[int]]:
    """Return for each word of a block the bits that it takes, and its value after reset."""
    masks, resets = [0] * words, [0] * words
    fixed = constants(config) if block is abi.CARD else {}
    for register in block:
        word = register.offset // 4
        if word < words and register.access is abi.Access.RW:
            masks[word] = sum(field.mask for field in register.named)
            resets[word] = register.reset
        elif register.name in fixed:
            resets[word] = fixed[register.name]
    return masks, resets


def contents(config, half) -> list[int]:
    """Return what the memory holds after reset: all values, then all images."""
    card = images(config, abi.CARD, CARD_WORDS)
    queue, pool = (images(config, block, WORDS) for block in (abi.QUEUE, abi.POOL))
    copies = half // WORDS
    return [*queue[1] * copies, *pool[1] * copies, *card[1], *card[0], *card[1],
            *queue[0], *pool[0], *queue[1], *pool[1]]


class RegisterMemory(wiring.Component):
    """Keeps what is written to registers of the card, the pools and the queues.

    What is not the host's to set reads as zero here: others know it.

    Members
    -------
    write : :py:`In(1)`, place : :py:`In(Place)`, data : :py:`In(32)`
        Event: the host has set a register. One a cycle.
    ask : :py:`In(1)`, asked : :py:`In(Place)`
        Read a register; held until ``answered``.
    answered : :py:`Out(1)`, value : :py:`Out(32)`
        For one cycle.
    clear : :py:`In(1)`
        Event: the card is reset.
    sweeping : :py:`Out(1)`
        After reset, until all values are set back. A write meanwhile may be lost.
    """

    def __init__(self, config):
        # Queues and pools, a half each; above them what there is once.
        self.half = WORDS << max(3, (max(config.queues, config.pools) - 1).bit_length())
        self.config = config
        super().__init__({
            "write": In(1), "place": In(Place), "data": In(32), "ask": In(1), "asked": In(Place),
            "answered": Out(1), "value": Out(32), "clear": In(1), "sweeping": Out(1, init=1),
        })

    def elaborate(self, platform):
        m = Module()
        # A value is not read while it is written; unless told, synthesis spends logic on each bit
        # to say what would happen then.
        m.submodules.rows = rows = Memory(
            shape=32, depth=2 * self.half + 4 * CARD_WORDS,
            init=contents(self.config, self.half),
            attrs={"ram_style": "block", "no_rw_check": 1})
        into, out = rows.write_port(), rows.read_port()
        posted, row = Signal(), Signal.like(into.addr)
        value = Signal(32, reset_less=True)
        sweep, reads, resets = Signal.like(into.addr), Signal(), Signal()
        m.d.comb += [
            # A value that is being written is in its second cycle, and needs no port to read.
            reads.eq(self.ask & ~posted & ~into.en & ~self.answered),
            resets.eq(self.sweeping & ~posted & (~self.ask | self.answered)),
            out.addr.eq(Mux(reads, self._row(self.asked),
                            self._image_row(Mux(posted, row, sweep), ~posted))),
            self.value.eq(out.data),
        ]
        m.d.sync += [
            posted.eq(self.write), row.eq(self._row(self.place)), value.eq(self.data),
            sweep.eq(Mux(self.clear, 0, sweep + resets)), self.answered.eq(reads),
        ]
        with m.If(self.clear):
            m.d.sync += self.sweeping.eq(1)
        with m.Elif(resets & (sweep == 2 * self.half + CARD_WORDS - 1)):
            m.d.sync += self.sweeping.eq(0)
        self._store(m, into, out, posted | resets, Mux(posted, row, sweep), value, posted)
        m.d.sync += Assert(~(into.en & (into.addr == out.addr)))
        return m

    @staticmethod
    def _store(m, into, out, goes, row, value, posted):
        """Write, in the cycle after its image was read, what that leaves of a value."""
        taken = Signal(32, reset_less=True)
        m.d.sync += [into.en.eq(goes), into.addr.eq(row),
                     taken.eq(Mux(posted, value, 0xFFFF_FFFF))]
        m.d.comb += into.data.eq(taken & out.data)

    def _row(self, place):
        """Return where a register's value is."""
        once = Const(2 * self.half // CARD_WORDS)
        copy = place.index[:(self.half // WORDS - 1).bit_length()]
        return Mux(place.card, Cat(place.word, once), Cat(place.word[:4], copy, place.pool))

    def _image_row(self, row, reset):
        """Return where the image of a value is: what it takes, or what it is after reset."""
        above, top = Const(2 * self.half // 256), self.half.bit_length()
        return Mux(row[top], Cat(row[:6], ~reset, reset, above),
                   Cat(row[:4], row[top - 1], reset, Const(3, 2), above))
