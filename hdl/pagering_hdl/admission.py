"""Whether a frame gets memory, and how much: decided by counts alone, before any page is touched.

A frame is admitted whole or not at all. What it may use is known from differences of running
counts, each written by one party only: pages pushed on the ring less pages granted are free; pages
granted to a queue less pages recycled from it are held. A count that moves while a frame is being
decided moves in the frame's favour, so a decision is never wrong, at worst one frame too strict.

A frame whose headers go apart is looked at twice, first its headers, then its payload, which also
has to bear what the headers need. Only then anything is granted.
"""

from amaranth.hdl import Assert, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .admission_need import MemoryNeed, OpenPage, PieceChooser
from .admission_promise import Promises
from .admission_rules import AdmissionRules
from .admission_tables import AdmissionTables
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
    Share,
    Side,
)
from .pacing import Pace
from .state_table import Lookup

__all__ = ["Admission"]


class Headers(data.Struct):
    """What was found out about a frame's headers, while its payload is looked at."""

    share: Share
    closes: unsigned(1)
    after: OpenPage
    granted: Count
    off_ring: Count
    record: unsigned(1)
    """What admission writes of their pool, if the frame is admitted."""


class Admission(wiring.Component):
    """Admits frames in order; drops them; or, if their queue says so, lets them wait.

    A frame takes a cycle, or as many more as the card has cuts (:class:`CardConfig`); one that is
    split, twice that. Marks (start and fence of a queue or pool) pass between frames, and what they
    say holds for every frame behind them. They pass a frame that waits.

    On a card with as many cuts as can be, the grant of a frame that comes when nothing else is to
    be decided leaves two cycles after it came (:class:`Promises`); it takes its time all the same.

    Members
    -------
    arrivals : :py:`In(stream.Signature(Arrival))`
    marks : :py:`In(stream.Signature(Mark))`
    closed : :py:`In(1)`
        A reset is near: no frame may wait.
    changed : :py:`In(1)`
        The host sets something of a queue or pool, in this cycle or the next: what was found out
        ahead of time may no longer be so.
    grants : :py:`Out(stream.Signature(Grant))`
    facts : :py:`Out(stream.Signature(Facts))`
        Of each frame that is admitted.
    waits : :py:`Out(1)`
        A frame waits for memory.
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
            "marks": In(stream.Signature(Mark)), "closed": In(1), "changed": In(1),
            "grants": Out(stream.Signature(Grant)), "facts": Out(stream.Signature(Facts)),
            "waits": Out(1), "dropped": Out(Drop), "dropped_queue": Out(Index),
            "settings": Out(Lookup(Index, QueueSettings)),
            "consumed": Out(Lookup(Index, RingIndex)),
            "recycled": Out(Lookup(Index, Count)),
            "limit": Out(Lookup(Index, Count)),
            "counts": Out(Lookup(Index, PoolCounts)),
            "queue_granted": In(Lookup(Index, Count)),
            "pool_granted": In(Lookup(Index, Count)),
            "pool_peak": In(Lookup(Index, Count)),
            "pool_runs": Out(config.pools),
        })

    def elaborate(self, platform):
        m = Module()
        self.pace = Pace(m, self.config.admission_cuts)
        m.submodules.tables = self.tables = AdmissionTables(self.config)
        m.submodules.chooser = self.chooser = PieceChooser(self.config)
        m.submodules.need = self.need = MemoryNeed(self.config)
        m.submodules.rules = self.rules = AdmissionRules(self.config)
        for own, shown in ((self.queue_granted, self.tables.queue_granted),
                           (self.pool_peak, self.tables.pool_peak),
                           (self.pool_granted, self.tables.pool_granted_read)):
            wiring.connect(m, wiring.flipped(own), shown)
        self.queue_runs = Signal(self.config.queues)
        self.mark, self.scanned = Signal(Mark), Signal(Index)
        self.step = Signal(range(len(self.config.admission_cuts) + 1))
        self.second, self.headers, self.ours = Signal(), Signal(Headers), Signal(2)
        self.sent = Signal()
        """The frame has its grant, which was promised, and is still to be counted."""
        m.submodules.promises = self.promises = Promises(self.config)
        self.promising, self.changes = self.config.short_cuts, Signal()
        self._look_up_queue(m)
        self._look_up_pool(m)
        self._price(m)
        with m.FSM(name="admission") as decision:
            with m.State("Weigh frame"):
                self._weigh(m)
            with m.State("Charge headers"):
                self._charge_headers(m)
            with m.State("Pass mark"):
                self._pass_mark(m)
            with m.State("Record off ring"):
                self._record_off_ring(m)
            with m.State("Find open pages"):
                self._find_open_pages(m)
            with m.State("Close open pages"):
                self._close_open_pages(m)
        m.d.sync += Assert(~self.second | decision.ongoing("Weigh frame"))
        return m

    def _look_up_queue(self, m):
        """Point everything that a queue has at the queue in question."""
        self.queue = Signal(Index)
        frame, changes = self.arrivals.p, self.changes
        m.d.sync += changes.eq(self.changed)
        m.d.comb += [
            self.promises.over.eq(self.changed | changes),
            self.settings.addr.eq(self.queue), self.consumed.addr.eq(self.queue),
            self.recycled.addr.eq(self.queue), self.tables.queue.eq(self.queue),
            self.chooser.length.eq(frame.length), self.chooser.header.eq(frame.facts.header),
            self.chooser.settings.eq(self.settings.data), self.chooser.second.eq(self.second),
            self.promises.queue.eq(self.queue), self.promises.length.eq(frame.length),
            self.promises.settings.eq(self.settings.data),
            self.promises.page.eq(self.tables.payload),
        ]

    def _look_up_pool(self, m):
        """Point everything that a pool has at the pool of the piece in question."""
        self.charging = Signal()
        self.pool = Signal(Index)
        m.d.comb += [
            self.pool.eq(Mux(self.charging, self.headers.share.pool, self.chooser.piece.pool)),
            self.tables.pool.eq(self.pool), self.counts.addr.eq(self.pool),
            self.limit.addr.eq(self.pool),
        ]

    def _price(self, m):
        """From what the tables say to a verdict; see the parts for the numbers of the cuts."""
        keep, tables, rules, need = self.pace.keep, self.tables, self.rules, self.need
        piece = self.chooser.piece
        page = Mux(piece.side == Side.HEADERS, tables.headers.as_value(),
                   tables.payload.as_value())
        self.page = keep(3, OpenPage(page), "page_3")
        self.payload_open = keep(3, tables.payload.open, "payload_open_3")
        here = self.second & self.headers.share.opens & (self.headers.share.pool == piece.pool)
        queue, frame = self.queue, self.arrivals.p
        runs = self.queue_runs.bit_select(queue, 1) & (queue < self.config.queues)
        pool_runs = self.pool_runs.bit_select(self.pool, 1)
        m.d.comb += [
            need.top.eq(piece.top), need.page.eq(self.page),
            rules.drop.eq(frame.drop & self.arrivals.valid), rules.drop_cause.eq(frame.cause),
            rules.queue_runs.eq(keep(3, runs, "queue_runs_3")),
            rules.pool_runs.eq(keep(3, pool_runs, "pool_runs_3")),
            rules.settings.eq(keep(0, self.settings.data, "settings_0")),
            rules.pages.eq(need.pages),
            rules.segments.eq(Mux(self.chooser.split & ~self.second, 0, need.segments)),
            rules.before.eq(self.second & self.headers.share.opens),
            rules.before_here.eq(keep(3, here, "before_here_3")),
            rules.counts.eq(keep(3, self.counts.data, "counts_3")),
            rules.granted.eq(keep(3, tables.pool_granted, "pool_granted_3")),
            rules.limit.eq(keep(3, self.limit.data, "limit_3")),
            rules.peak.eq(keep(3, tables.peak, "peak_3")),
            rules.queue_granted.eq(keep(3, tables.granted, "granted_3")),
            rules.recycled.eq(keep(3, self.recycled.data, "recycled_3")),
            rules.produced.eq(keep(3, tables.produced, "produced_3")),
            rules.consumed.eq(keep(3, self.consumed.data, "consumed_3")),
            tables.new_granted.eq(rules.queue_granted_after),
            tables.new_produced.eq(rules.produced_after),
            tables.new_pool_granted.eq(rules.granted_after), tables.new_peak.eq(rules.off_ring),
        ]
        if self.promising:
            longest = -(-self.config.max_frame // self.config.page_bytes)
            with m.If(~self.arrivals.valid):
                m.d.comb += [rules.pages.eq(longest), rules.segments.eq(longest)]

    def _weigh(self, m):
        """Wait until the verdict has come through the cuts, then act on it."""
        cuts, here = len(self.config.admission_cuts), self.arrivals.valid
        rules, settings = self.rules, self.rules.settings
        # The steps of a frame begin with it, whatever queue is being tried.
        step, begun, ended = self.step, Signal(), Signal()
        m.d.comb += [
            self.queue.eq(Mux(here | (not self.promising), self.arrivals.p.queue,
                              self.promises.turn)),
            ended.eq((step == cuts) & (begun | ~here) if cuts else 1)]
        waits = rules.scarce & settings.hold & ~self.closed & ~self.sent
        m.d.sync += [step.eq(Mux(here & ~begun, 1, step + 1)), begun.eq(here)]
        with m.If(~begun & ~self.second & self.marks.valid):
            m.d.comb += [self.marks.ready.eq(1), self.promises.over.eq(1)]
            m.d.sync += [self.mark.eq(self.marks.p), self.scanned.eq(0), step.eq(0), begun.eq(0)]
            with m.If(self.marks.p.kind == Kind.FENCE_POOL):
                m.next = "Find open pages"
            with m.Else():
                m.next = "Pass mark"
        with m.Elif(here & ~ended):
            if self.promising:
                with m.If(begun & (step == 2) & self.promises.promise.valid
                          & ~self.arrivals.p.drop):
                    self._keep_promise(m, step)
        with m.Elif(ended):
            m.d.sync += [step.eq(0), begun.eq(0)]
            with m.If(~here):
                # Between frames, the longest was weighed.
                m.d.comb += [self.promises.tried.eq(1), self.promises.admitted.eq(~rules.refused)]
            with m.Elif(self.chooser.split & ~self.second & ~rules.refused):
                m.d.sync += self.second.eq(1)
                self._keep_headers(m)
            with m.Else():
                self._decide(m, waits)
                with m.If(self.sent | self.grants.valid & self.grants.ready
                          | (waits & ~self.grants.valid)):
                    m.d.sync += [self.second.eq(0), self.waits.eq(waits)]
                    if self.promising:
                        m.d.sync += self.sent.eq(0)
                with m.Else():
                    m.d.sync += [step.eq(step), begun.eq(begun)]
        with m.If(~here & (self.changed | self.changes)):
            m.d.sync += step.eq(0)

    def _keep_promise(self, m, step):
        """Grant what was promised, before it is counted."""
        promise, grant, frame = self.promises.promise, self.grants.p, self.arrivals.p
        m.d.comb += [
            grant.kind.eq(Kind.SEGMENT), grant.index.eq(frame.queue),
            grant.close_payload.eq(promise.closes), grant.frame.eq(promise.share),
            self.facts.p.eq(frame.facts), self.grants.valid.eq(self.facts.ready),
            self.facts.valid.eq(self.grants.ready),
        ]
        with m.If(self.facts.ready & self.grants.ready):
            m.d.comb += self.promises.over.eq(1)
            m.d.sync += self.sent.eq(1)
        with m.Else():
            m.d.sync += step.eq(step)

    def _keep_headers(self, m):
        need, rules, piece = self.need, self.rules, self.chooser.piece
        m.d.sync += [
            self.headers.share.pool.eq(piece.pool), self.headers.share.top.eq(piece.top),
            self.headers.share.opens.eq(need.opens), self.headers.share.first.eq(self.page.next),
            self.headers.closes.eq(need.opens & self.page.open),
            self.headers.after.eq(need.after), self.headers.granted.eq(rules.granted_after),
            self.headers.off_ring.eq(rules.off_ring), self.headers.record.eq(rules.record),
        ]

    def _decide(self, m, waits):
        """Grant, drop or wait; the tables move with the grant.

        A piece that does not fit in the open page closes it even if the frame is refused: the page
        can then come back, and be what the next frame needs. If it is the headers that are refused,
        the payload's page is closed as well.
        """
        rules, grant, frame = self.rules, self.grants.p, self.arrivals.p
        split, of_headers = self.chooser.split, self.chooser.piece.side == Side.HEADERS
        admitted, misfit = Signal(), Signal()
        self.close_headers, self.close_payload = Signal(), Signal()
        m.d.comb += [
            admitted.eq(~rules.refused | self.sent),
            misfit.eq(self.need.opens & rules.queue_runs & ~rules.drop),
            self.close_headers.eq(Mux(of_headers, misfit & self.page.open,
                                      self.second & self.headers.closes)),
            self.close_payload.eq(misfit & Mux(of_headers, split & self.payload_open,
                                               self.page.open)),
            grant.close_headers.eq(self.close_headers),
            grant.close_payload.eq(self.close_payload),
            grant.kind.eq(Mux(admitted, Kind.SEGMENT, Mux(waits, Kind.CLOSE, Kind.SKIP))),
            grant.index.eq(frame.queue), grant.split.eq(split & admitted),
            grant.side.eq(self.chooser.piece.side), grant.headers.eq(self.headers.share),
            grant.frame.pool.eq(self.chooser.piece.pool), grant.frame.opens.eq(self.need.opens),
            grant.frame.first.eq(self.page.next),
            grant.frame.top.eq(Mux(admitted, self.chooser.piece.top, frame.length - 1)),
            # While a frame waits there is something to say only if a page is closed.
            self.grants.valid.eq(~self.sent & Mux(
                waits, self.close_headers | self.close_payload,
                rules.refused | self.facts.ready)),
            self.facts.valid.eq(~self.sent & admitted & self.grants.ready),
            self.facts.p.eq(frame.facts),
            self.arrivals.ready.eq(self.sent | self.grants.valid & self.grants.ready & ~waits),
            self.dropped.valid.eq(self.arrivals.ready & ~admitted),
            self.dropped.cause.eq(rules.cause), self.dropped_queue.eq(frame.queue),
        ]
        with m.If(self.sent | self.grants.valid & self.grants.ready):
            m.d.comb += self.promises.over.eq(1)
            self._enter(m, admitted, of_headers, split)
        # A limit may have been lowered meanwhile; then it holds from the next frame on.
        m.d.sync += Assert(~self.sent | ~rules.refused | (rules.cause == DropCause.POOL_LIMIT)
                           | (rules.cause == DropCause.QUEUE_QUOTA))

    def _enter(self, m, admitted, of_headers, split):
        """Write to the tables what has been decided."""
        tables, rules, headers = self.tables, self.rules, self.headers
        m.d.comb += [
            tables.set_headers.eq(self.close_headers | (admitted & (of_headers | split))),
            tables.set_payload.eq(self.close_payload | (admitted & ~of_headers)),
        ]
        with m.If(admitted):
            m.d.comb += [
                tables.new_headers.eq(Mux(of_headers, self.need.after.as_value(),
                                          headers.after.as_value())),
                tables.new_payload.eq(self.need.after),
                tables.set_granted.eq(1), tables.set_produced.eq(1),
                tables.set_pool_granted.eq(1), tables.set_peak.eq(rules.record),
            ]
            with m.If(split & headers.share.opens
                      & (headers.share.pool != self.chooser.piece.pool)):
                m.next = "Charge headers"

    def _charge_headers(self, m):
        """Count the page of a frame's headers to its pool, which is another than the payload's."""
        m.d.comb += [
            self.charging.eq(1), self.tables.set_pool_granted.eq(1),
            self.tables.new_pool_granted.eq(self.headers.granted),
            self.tables.set_peak.eq(self.headers.record),
            self.tables.new_peak.eq(self.headers.off_ring),
        ]
        m.next = "Weigh frame"

    def _pass_mark(self, m):
        kind, index, tables = self.mark.kind, self.mark.index, self.tables
        fences = kind == Kind.FENCE_QUEUE
        m.d.comb += [
            self.queue.eq(index), self.pool.eq(index), self.grants.valid.eq(1),
            self.grants.p.kind.eq(kind), self.grants.p.index.eq(index),
            self.grants.p.close_headers.eq(fences & tables.headers.open),
            self.grants.p.close_payload.eq(fences & tables.payload.open),
        ]
        with m.If(self.grants.ready):
            m.next = "Weigh frame"
            with m.Switch(kind):
                with m.Case(Kind.START_QUEUE):
                    m.d.comb += [tables.set_produced.eq(1), tables.new_produced.eq(0)]
                    m.d.sync += self.queue_runs.bit_select(index, 1).eq(1)
                with m.Case(Kind.FENCE_QUEUE):
                    m.d.comb += [tables.set_headers.eq(1), tables.set_payload.eq(1)]
                    m.d.sync += self.queue_runs.bit_select(index, 1).eq(0)
                with m.Case(Kind.START_POOL):
                    m.d.sync += self.pool_runs.bit_select(index, 1).eq(1)
                    m.next = "Record off ring"

    def _record_off_ring(self, m):
        """Pages that the host still has from before are off a pool's ring from its start."""
        known = self.step == len(self.config.admission_cuts)
        m.d.comb += [self.pool.eq(self.mark.index), self.tables.set_peak.eq(known),
                     self.tables.new_peak.eq(self.rules.held)]
        m.d.sync += self.step.eq(Mux(known, 0, self.step + 1))
        with m.If(known):
            m.next = "Weigh frame"

    def _find_open_pages(self, m):
        """Before the fence of a pool: see which open pages of a queue are the pool's."""
        settings = self.settings.data
        m.d.sync += self.pool_runs.bit_select(self.mark.index, 1).eq(0)
        m.d.comb += self.queue.eq(self.scanned)
        m.d.sync += [
            self.ours[Side.HEADERS.value].eq(
                self.tables.headers.open & (settings.header_pool == self.mark.index)),
            self.ours[Side.PAYLOAD.value].eq(
                self.tables.payload.open & (settings.pool == self.mark.index)),
        ]
        m.next = "Close open pages"

    def _close_open_pages(self, m):
        """Close them, and go on to the next queue."""
        headers, payload = self.ours[Side.HEADERS.value], self.ours[Side.PAYLOAD.value]
        m.d.comb += [
            self.queue.eq(self.scanned), self.grants.valid.eq(self.ours.any()),
            self.grants.p.kind.eq(Kind.CLOSE), self.grants.p.index.eq(self.scanned),
            self.grants.p.close_headers.eq(headers), self.grants.p.close_payload.eq(payload),
            self.tables.set_headers.eq(headers & self.grants.ready),
            self.tables.set_payload.eq(payload & self.grants.ready),
        ]
        with m.If(self.grants.ready | ~self.ours.any()):
            m.d.sync += self.scanned.eq(self.scanned + 1)
            m.next = "Find open pages"
            with m.If(self.scanned == self.config.queues - 1):
                m.next = "Pass mark"
