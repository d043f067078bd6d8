"""Whether a frame gets memory, and how much: decided by counts alone, before any page is touched.

A frame is admitted whole or dropped whole. What it may use is known from differences of running
counts, each written by one party only: pages pushed on the ring less pages granted are free; pages
granted to a queue less pages recycled from it are held. A count that moves while a frame is being
decided moves in the frame's favour, so a decision is never wrong, at worst one frame too strict.
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .admission_rules import AdmissionRules, MemoryNeed, OpenPage
from .layouts import (
    Arrival,
    Count,
    Drop,
    DropCause,
    Facts,
    Grant,
    Index,
    Kind,
    Mark,
    PoolCounts,
    QueueSettings,
    RingIndex,
)
from .state_table import Lookup, StateTable

__all__ = ["Admission"]


class Admission(wiring.Component):
    """Admits frames, or drops them, in order; four cycles each.

    Marks (start and fence of a queue or pool) pass between frames, and what they say holds for
    every frame behind them.

    Members
    -------
    arrivals : :py:`In(stream.Signature(Arrival))`
    marks : :py:`In(stream.Signature(Mark))`
    grants : :py:`Out(stream.Signature(Grant))`
    facts : :py:`Out(stream.Signature(Facts))`
        Of each frame that is admitted.
    dropped : :py:`Out(Drop)`, dropped_queue : :py:`Out(Index)`
    settings : :py:`Out(Lookup(Index, QueueSettings))`
    consumed : :py:`Out(Lookup(Index, RingIndex))`
    recycled : :py:`Out(Lookup(Index, Count))`
        Pages recycled from the queue, a running count.
    limit : :py:`Out(Lookup(Index, Count))`
    counts : :py:`Out(Lookup(Index, PoolCounts))`
    queue_granted, pool_granted, pool_peak : :py:`In(Lookup(Index, Count))`
        Own counts, for others to read.
    pool_runs : :py:`Out(64)`
        A bit for each pool that grants pages.
    """

    def __init__(self, config):
        self.config = config
        super().__init__({
            "arrivals": In(stream.Signature(Arrival)),
            "marks": In(stream.Signature(Mark)),
            "grants": Out(stream.Signature(Grant)), "facts": Out(stream.Signature(Facts)),
            "dropped": Out(Drop), "dropped_queue": Out(Index),
            "settings": Out(Lookup(Index, QueueSettings)),
            "consumed": Out(Lookup(Index, RingIndex)),
            "recycled": Out(Lookup(Index, Count)),
            "limit": Out(Lookup(Index, Count)),
            "counts": Out(Lookup(Index, PoolCounts)),
            "queue_granted": In(Lookup(Index, Count)),
            "pool_granted": In(Lookup(Index, Count)).array(2),
            "pool_peak": In(Lookup(Index, Count)),
            "pool_runs": Out(config.pools),
        })

    def elaborate(self, platform):
        m = Module()
        queues, pools = self.config.queues, self.config.pools
        tables = self.tables = {
            "open": StateTable(OpenPage, depth=queues),
            "produced": StateTable(RingIndex, depth=queues),
            "granted": StateTable(Count, depth=queues, reads=2),
            "pool_granted": StateTable(Count, depth=pools, reads=3),
            "peak": StateTable(Count, depth=pools, reads=2),
        }
        for name, table in tables.items():
            m.submodules[name] = table
        wiring.connect(m, wiring.flipped(self.queue_granted), tables["granted"].read[1])
        wiring.connect(m, wiring.flipped(self.pool_granted[0]), tables["pool_granted"].read[1])
        wiring.connect(m, wiring.flipped(self.pool_granted[1]), tables["pool_granted"].read[2])
        wiring.connect(m, wiring.flipped(self.pool_peak), tables["peak"].read[1])
        self.queue_runs = Signal(queues)
        self.frame = Signal(Arrival)
        self.mark = Signal(Mark)
        self.set = Signal(QueueSettings)
        self.page = Signal(OpenPage)
        self.refused, self.cause = Signal(), Signal(DropCause)
        self._read_queue(m)
        need, rules = self._read_pool(m)
        with m.FSM(name="admission"):
            with m.State("Await frame"):
                self._await_frame(m)
            with m.State("Look up pool"):
                m.next = "Apply rules"
            with m.State("Apply rules"):
                m.d.sync += [self.refused.eq(rules.refused), self.cause.eq(rules.cause)]
                m.next = "Decide"
            with m.State("Decide"):
                self._decide(m, need, rules)
            with m.State("Pass mark"):
                self._pass_mark(m)
            with m.State("Close open pages"):
                self._close_open_pages(m)
        return m

    def _read_queue(self, m):
        """Point the per-queue tables at the queue in question."""
        self.queue = Signal(Index)
        m.d.comb += [
            self.settings.addr.eq(self.queue), self.consumed.addr.eq(self.queue),
            self.recycled.addr.eq(self.queue),
        ]
        for name in ("open", "produced", "granted"):
            table = self.tables[name]
            m.d.comb += [table.read[0].addr.eq(self.queue), table.write.addr.eq(self.queue)]

    def _read_pool(self, m):
        """Take the pool's counts a cycle after the queue's, and what follows from both."""
        m.submodules.need = need = MemoryNeed(self.config)
        m.submodules.rules = rules = AdmissionRules()
        self.pool = pool = Signal(Index)
        m.d.comb += pool.eq(self.set.pool)
        granted = self.tables["pool_granted"].read[0]
        peak = self.tables["peak"]
        self.free = free = Signal(Count)
        m.d.comb += [
            self.counts.addr.eq(pool), self.limit.addr.eq(pool), granted.addr.eq(pool),
            peak.read[0].addr.eq(pool), peak.write.addr.eq(pool),
            self.tables["pool_granted"].write.addr.eq(pool),
            free.eq(self.counts.data.pushed - granted.data),
            need.length.eq(self.frame.length), need.open_page.eq(self.page), need.pool.eq(pool),
        ]
        m.d.sync += [
            rules.drop.eq(self.frame.drop), rules.drop_cause.eq(self.frame.cause),
            rules.queue_runs.eq(self.queue_runs.bit_select(self.frame.queue, 1)
                                & (self.frame.queue < self.config.queues)),
            rules.pool_runs.eq(self.pool_runs.bit_select(pool, 1)),
            rules.pages.eq(need.pages), rules.segments.eq(need.segments),
            rules.free.eq(free), rules.held.eq(self.counts.data.registered - free),
            rules.limit.eq(self.limit.data), rules.quota.eq(self.set.quota),
            rules.ring_log2.eq(self.set.ring_log2),
        ]
        with m.If(self.arrivals.ready):
            m.d.sync += [
                rules.queue_held.eq(self.tables["granted"].read[0].data - self.recycled.data),
                rules.queued.eq(self.tables["produced"].read[0].data - self.consumed.data),
            ]
        return need, rules

    def _await_frame(self, m):
        with m.If(self.marks.valid):
            m.d.comb += self.marks.ready.eq(1)
            m.d.sync += [self.mark.eq(self.marks.p), self.set.pool.eq(self.marks.p.index),
                         self.frame.queue.eq(0)]
            with m.If(self.marks.p.kind == Kind.FENCE_POOL):
                m.next = "Close open pages"
            with m.Else():
                m.next = "Pass mark"
        with m.Elif(self.arrivals.valid):
            m.d.comb += [self.queue.eq(self.arrivals.p.queue), self.arrivals.ready.eq(1)]
            m.d.sync += [self.frame.eq(self.arrivals.p), self.set.eq(self.settings.data),
                         self.page.eq(self.tables["open"].read[0].data)]
            m.next = "Look up pool"

    def _decide(self, m, need, rules):
        """Grant or drop; the tables move with the grant.

        A frame that does not fit in the open page closes it even if the frame is refused: the page
        can then come back, and be what the next frame needs.
        """
        misfit = need.opens & self.page.open & rules.queue_runs & ~rules.drop
        m.d.comb += [
            self.queue.eq(self.frame.queue),
            self.grants.valid.eq(self.refused | self.facts.ready),
            self.facts.valid.eq(~self.refused & self.grants.ready),
            self.facts.p.eq(self.frame.facts),
            self.grants.p.kind.eq(Mux(self.refused, Kind.SKIP, Kind.SEGMENT)),
            self.grants.p.index.eq(self.frame.queue), self.grants.p.pool.eq(self.pool),
            self.grants.p.length.eq(self.frame.length), self.grants.p.opens.eq(need.opens),
            self.grants.p.closes.eq(misfit),
            self.grants.p.first.eq(self.page.next),
            self.dropped.cause.eq(self.cause), self.dropped_queue.eq(self.frame.queue),
        ]
        granted, peak = self.tables["granted"], self.tables["peak"]
        pool_granted, produced = self.tables["pool_granted"], self.tables["produced"]
        off_ring = rules.held + rules.pages
        m.d.comb += [
            self.tables["open"].write.data.eq(need.after),
            self.tables["open"].write.data.open.eq(need.after.open & ~self.refused),
            granted.write.data.eq(granted.read[0].data + rules.pages),
            pool_granted.write.data.eq(pool_granted.read[0].data + rules.pages),
            produced.write.data.eq(produced.read[0].data + rules.segments),
            peak.write.data.eq(off_ring),
        ]
        with m.If(self.grants.valid & self.grants.ready):
            m.d.comb += [self.dropped.valid.eq(self.refused),
                         self.tables["open"].write.en.eq(~self.refused | misfit)]
            with m.If(~self.refused):
                m.d.comb += [table.write.en.eq(1)
                             for table in (granted, pool_granted, produced)]
                m.d.comb += peak.write.en.eq(off_ring > peak.read[0].data)
            m.next = "Await frame"

    def _pass_mark(self, m):
        kind, index = self.mark.kind, self.mark.index
        opened = self.tables["open"]
        m.d.comb += [
            self.queue.eq(index), self.grants.valid.eq(1), self.grants.p.kind.eq(kind),
            self.grants.p.index.eq(index),
            self.grants.p.closes.eq((kind == Kind.FENCE_QUEUE) & opened.read[0].data.open),
        ]
        with m.If(self.grants.ready):
            with m.Switch(kind):
                with m.Case(Kind.START_QUEUE):
                    m.d.comb += self.tables["produced"].write.en.eq(1)
                    m.d.sync += self.queue_runs.bit_select(index, 1).eq(1)
                with m.Case(Kind.FENCE_QUEUE):
                    m.d.comb += opened.write.en.eq(1)
                    m.d.sync += self.queue_runs.bit_select(index, 1).eq(0)
                with m.Case(Kind.START_POOL):
                    # Pages that the host still has from before are off the ring from the start.
                    m.d.comb += [self.tables["peak"].write.en.eq(1),
                                 self.tables["peak"].write.data.eq(
                                     self.counts.data.registered - self.free)]
                    m.d.sync += self.pool_runs.bit_select(index, 1).eq(1)
            m.next = "Await frame"

    def _close_open_pages(self, m):
        """Before the fence of a pool: close each queue's open page, if it is the pool's."""
        opened = self.tables["open"]
        page = opened.read[0].data
        ours = page.open & (page.pool == self.mark.index)
        m.d.sync += self.pool_runs.bit_select(self.mark.index, 1).eq(0)
        m.d.comb += [
            self.queue.eq(self.frame.queue), self.grants.valid.eq(ours),
            self.grants.p.kind.eq(Kind.CLOSE), self.grants.p.index.eq(self.queue),
            opened.write.en.eq(ours & self.grants.ready),
        ]
        with m.If(~ours | self.grants.ready):
            m.d.sync += self.frame.queue.eq(self.frame.queue + 1)
            with m.If(self.frame.queue == self.config.queues - 1):
                m.next = "Pass mark"
