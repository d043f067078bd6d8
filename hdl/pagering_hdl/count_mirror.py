"""Writes counts to host memory, so that software polls a cache line and no register.

What is written is 8 bytes in one piece: see :data:`abi.MIRROR`. Nothing is written for a pool or
queue that is not enabled. As a write that is on offer goes before any mark that waits, a fence
comes out behind the last of them: *drained* covers these writes like all others.
"""

from amaranth.hdl import Assert, Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

from .block_table import BlockTable
from .dma_writer import WriteBeat
from .layouts import Kind, LineJob, PoolView, struct
from .return_rings import IndexWrite
from .state_table import Lookup

__all__ = ["CountMirror", "MIRROR_PERIOD_MIN", "MirrorSettings"]

MIRROR_PERIOD_MIN = 16
"""Least cycles between two writes: completions have the bus most of the time, whatever is set."""
Counts = struct(abi.MIRROR)


class MirrorSettings(data.Struct):
    """A register of a pool's mirror: MIRROR_LOW or MIRROR_HIGH."""

    word: 32


class CountMirror(wiring.Component):
    """Looks at one pool after the other, and at the queue that has something to tell.

    Members
    -------
    period : :py:`In(16)`
        Least cycles from one write to the next.
    view : :py:`In(PoolView)`
        The counts of one pool after the other.
    settings : :py:`Out(Lookup(7, MirrorSettings))`
        One cycle late: pool above, high word below.
    pools, queues : :py:`In(...)`
        Those that are enabled.
    closed : :py:`In(1)`
        Begin no write: a reset is near.
    indices : :py:`In(stream.Signature(IndexWrite))`
    jobs : :py:`Out(stream.Signature(LineJob))`
        One beat each.
    beats : :py:`Out(stream.Signature(WriteBeat(bits)))`
    timing : :py:`Out(1)`
        Nothing is looked at, for it is too early to write.
    """

    def __init__(self, config):
        self.config = config
        super().__init__({
            "period": In(16), "view": In(PoolView),
            "settings": Out(Lookup(7, MirrorSettings)),
            "pools": In(config.pools), "queues": In(config.queues), "closed": In(1),
            "indices": In(stream.Signature(IndexWrite)),
            "jobs": Out(stream.Signature(LineJob)),
            "beats": Out(stream.Signature(WriteBeat(config.bus_bits))), "timing": Out(1),
        })
        self.pool, self.address = Signal(range(max(2, config.pools))), Signal(64)
        self.counts, self.told, self.kept = Signal(Counts), Signal(), Signal()

    def elaborate(self, platform):
        m = Module()
        # What a queue had to tell when it was disabled is forgotten at once: once it is enabled
        # again, its ring may be elsewhere.
        m.d.comb += [
            self.told.eq(self.queues.bit_select(self.indices.p.queue, 1) & ~self.closed),
            self.indices.ready.eq(~self.told),
        ]
        # Likewise the mirror of a pool: what was read before it was enabled is of no use.
        with m.If(~self.pools.bit_select(self.pool, 1)):
            m.d.sync += self.kept.eq(0)
        m.submodules.written = self.written = BlockTable(Counts, depth=self.config.pools)
        self._offer(m)
        passed, due, turn = Signal(16), Signal(init=1), Signal()
        m.d.comb += self.timing.eq(~due)
        with m.If(~due):
            m.d.sync += [passed.eq(passed + 1), due.eq((passed >= self.period)
                                                       & (passed >= MIRROR_PERIOD_MIN))]
        with m.FSM(name="count_mirror") as mirror:
            with m.State("Rest"):
                with m.If(due & ~self.beats.valid):
                    m.next = "Read low word"
                    with m.If(self.indices.valid & self.told & turn):
                        m.next = "Take index"
                    m.d.sync += turn.eq(~turn)
            with m.State("Take index"):
                self._take_index(m)
            self._look_at_pool(m)
            with m.State("Offer"):
                with m.If(self.jobs.ready):
                    m.d.sync += [passed.eq(0), due.eq(0)]
                    m.next = "Rest"
        # What job and beat are made of stays until both are gone.
        m.d.sync += [Assert(self.jobs.valid == mirror.ongoing("Offer")),
                     Assert(~self.beats.valid | mirror.ongoing("Rest"))]
        return m

    def _take_index(self, m):
        """Describe a write for a queue, unless it is being drained."""
        index = self.indices.p
        m.d.comb += self.indices.ready.eq(1)
        m.d.sync += [self.address.eq(index.address), self.jobs.valid.eq(self.told),
                     self.counts.free.eq(index.index), self.counts.outstanding.eq(0)]
        m.next = "Rest"
        with m.If(self.told):
            m.next = "Offer"

    def _look_at_pool(self, m):
        """Describe a write for a pool whose counts are not those last written."""
        pool, written, settings = self.pool, self.written, self.settings
        on, differs, known = Signal(), Signal(), Signal(self.config.pools)
        go, low = Signal(), Signal(struct(abi.POOL["MIRROR_LOW"]))
        before = Signal(Counts)
        # A pool that is enabled again, maybe with another mirror, is written whatever its counts.
        m.d.sync += known.eq(known & self.pools)
        m.d.comb += [
            written.read[0].addr.eq(pool), written.write.addr.eq(pool),
            written.write.data.eq(self.counts), written.write.en.eq(go),
            low.eq(settings.data.word),
        ]
        with m.State("Read low word"):
            m.d.comb += settings.addr.eq(Cat(Const(0, 1), pool))
            m.d.sync += self.kept.eq(self.pools.bit_select(pool, 1))
            m.next = "Read high word"
        with m.State("Read high word"):
            m.d.comb += settings.addr.eq(Cat(Const(1, 1), pool))
            m.d.sync += [on.eq(low.enable), self.address.eq(low.address << 3)]
            m.next = "Await counts"
        with m.State("Await counts"):
            m.d.comb += settings.addr.eq(Cat(Const(1, 1), pool))
            m.d.sync += self.address[32:].eq(settings.data.word)
            with m.If(self.view.pool == pool):
                m.d.sync += [self.counts.free.eq(self.view.free),
                             self.counts.outstanding.eq(self.view.outstanding)]
                m.next = "Recall counts"
        with m.State("Recall counts"):
            m.d.sync += before.eq(written.read[0].data)
            m.next = "Compare"
        with m.State("Compare"):
            m.d.sync += differs.eq((self.counts.as_value() != before.as_value())
                                   | ~known.bit_select(pool, 1))
            m.next = "Decide"
        with m.State("Decide"):
            m.d.comb += go.eq(on & self.kept & differs & self.pools.bit_select(pool, 1)
                              & ~self.closed)
            m.d.sync += [self.jobs.valid.eq(go),
                         pool.eq(Mux(pool == self.config.pools - 1, 0, pool + 1))]
            m.next = "Rest"
            with m.If(go):
                m.d.sync += known.bit_select(pool, 1).eq(1)
                m.next = "Offer"

    def _offer(self, m):
        """Make a job of address and counts, then its beat: they stay until that is gone."""
        config, job = self.config, self.jobs.p
        with m.If(self.beats.ready):
            m.d.sync += self.beats.valid.eq(0)
        with m.If(self.jobs.ready):
            m.d.sync += self.jobs.valid.eq(0)
            with m.If(self.jobs.valid):
                m.d.sync += self.beats.valid.eq(1)
        m.d.comb += [
            job.kind.eq(Kind.SEGMENT), job.mirror.eq(1), job.top.eq(config.bus_bytes - 1),
            job.address.eq(self.address & -config.bus_bytes),
            self.beats.p.data.eq(self.counts.as_value().replicate(config.bus_bits // 64)),
            self.beats.p.strobe.eq(Const(0xFF, 8) << (self.address[3:config.bus_log2] << 3)),
            self.beats.p.last.eq(1),
        ]
