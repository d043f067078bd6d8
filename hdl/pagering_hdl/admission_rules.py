"""The rules by which a frame gets its memory, or not."""

from amaranth.hdl import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .layouts import Count, DropCause, PoolCounts, QueueSettings, RingIndex
from .pacing import Pace

__all__ = ["SCARCE", "AdmissionRules"]

SCARCE = (DropCause.NO_PAGE, DropCause.POOL_LIMIT, DropCause.QUEUE_QUOTA, DropCause.RING_FULL)
"""Causes that the host can take away: what a queue may hold a frame for."""


class AdmissionRules(wiring.Component):
    """The first reason, in the order of :class:`abi.DropCause`, not to admit a frame.

    All inputs are behind cut 3, those of what is needed behind cut 4; the answers behind cut 7.

    Members
    -------
    drop : :py:`In(1)`, drop_cause : :py:`In(DropCause)`
        Steering wants it dropped.
    queue_runs, pool_runs : :py:`In(1)`
    settings : :py:`In(QueueSettings)`
    pages : :py:`In(Count)`, segments : :py:`In(8)`
        What the piece needs.
    before, before_here : :py:`In(1)`
        The frame's headers need a page; and it is one of the same pool.
    counts : :py:`In(PoolCounts)`, granted : :py:`In(Count)`, limit : :py:`In(Count)`
        Of the pool; its pages granted are a running count, as are those of ``counts``.
    queue_granted, recycled : :py:`In(Count)`
        Running counts of the queue's pages: given to it, gone from it.
    produced, consumed : :py:`In(RingIndex)`
        Completions given to frames, and read by the host.
    refused : :py:`Out(1)`, scarce : :py:`Out(1)`, cause : :py:`Out(DropCause)`
        ``scarce``: waiting may help.
    held : :py:`Out(Count)`
        Pages of the pool that are off its ring.
    off_ring : :py:`Out(Count)`, record : :py:`Out(1)`
        Those if the piece is admitted, and whether that is more than ``peak``.
    granted_after, queue_granted_after : :py:`Out(Count)`, produced_after : :py:`Out(RingIndex)`
        The running counts if the piece is admitted.
    """

    drop: In(1)
    drop_cause: In(DropCause)
    queue_runs: In(1)
    pool_runs: In(1)
    settings: In(QueueSettings)
    pages: In(Count)
    segments: In(8)
    before: In(1)
    before_here: In(1)
    counts: In(PoolCounts)
    granted: In(Count)
    limit: In(Count)
    peak: In(Count)
    queue_granted: In(Count)
    recycled: In(Count)
    produced: In(RingIndex)
    consumed: In(RingIndex)
    refused: Out(1)
    scarce: Out(1)
    cause: Out(DropCause)
    held: Out(Count)
    off_ring: Out(Count)
    record: Out(1)
    granted_after: Out(Count)
    queue_granted_after: Out(Count)
    produced_after: Out(RingIndex)

    def __init__(self, config):
        self.config = config
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        pace = Pace(m, self.config.admission_cuts)
        width = Count.width
        free = pace.keep(4, (self.counts.pushed - self.granted)[:width], "free_4")
        queue_held = pace.keep(4, (self.queue_granted - self.recycled)[:width], "queue_held_4")
        queued = pace.keep(4, (self.produced - self.consumed)[:RingIndex.width], "queued_4")
        # What the headers of the frame need counts too, where it is of the same pool or queue.
        needs = pace.keep(5, self.pages != 0, "needs_5")
        here = pace.keep(5, self.pages + self.before_here, "here_5")
        total = pace.keep(5, self.pages + self.before, "total_5")
        held = pace.keep(5, (self.counts.registered - free)[:width], "held_5")
        free = pace.keep(5, free, "free_5")
        queue_held = pace.keep(5, queue_held, "queue_held_5")
        queued = pace.keep(5, queued + self.segments, "queued_5")
        off_ring = pace.keep(6, held + here, "off_ring_6")
        queue_held = pace.keep(6, queue_held + total, "queue_held_6")
        size = pace.keep(5, 1 << self.settings.ring_log2, "size_5")
        empty = pace.keep(6, needs & (here > free), "empty_6")
        full = pace.keep(6, queued > size, "full_6")
        # A frame that needs no new page is within every limit that the pages before it met.
        self._judge(m, pace, {
            DropCause.QUEUE_DISABLED: ~self.queue_runs,
            DropCause.POOL_DISABLED: ~self.pool_runs,
            DropCause.NO_PAGE: empty,
            DropCause.POOL_LIMIT: needs & (off_ring > self.limit),
            DropCause.QUEUE_QUOTA: needs & (queue_held > self.settings.quota),
            DropCause.RING_FULL: full,
        })
        m.d.comb += [
            self.held.eq(held), self.off_ring.eq(pace.keep(7, off_ring, "off_ring_7")),
            self.record.eq(pace.keep(7, off_ring > self.peak, "record_7")),
            self.granted_after.eq(pace.keep(6, self.granted + here, "granted_after_6")),
            self.queue_granted_after.eq(
                pace.keep(6, self.queue_granted + total, "queue_granted_after_6")),
            self.produced_after.eq(
                pace.keep(6, self.produced + self.segments, "produced_after_6")),
        ]
        return m

    def _judge(self, m, pace, rules):
        """Find the first rule that is broken."""
        broken = {cause: pace.keep(7, rule, f"{cause.name.lower()}_7")
                  for cause, rule in rules.items()}
        lasting = [rule for cause, rule in rules.items() if cause not in SCARCE]
        lasting = pace.keep(7, self.drop | Cat(lasting).any(), "lasting_7")
        scarce = pace.keep(7, Cat(rules[cause] for cause in SCARCE).any(), "scarce_7")
        m.d.comb += [self.scarce.eq(~lasting & scarce), self.refused.eq(lasting | scarce)]
        for cause, rule in reversed(broken.items()):
            with m.If(rule):
                m.d.comb += self.cause.eq(cause)
        with m.If(self.drop):
            m.d.comb += self.cause.eq(self.drop_cause)
