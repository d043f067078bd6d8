"""The way to host memory: from placements and completion lines to bursts, and their responses."""

from amaranth.hdl import Signal
from amaranth.lib import wiring

from .assembly import Assembly
from .burst_fork import BurstFork
from .burst_merger import BurstMerger
from .burst_splitter import BurstSplitter
from .dma_writer import DmaWriter
from .placement_fork import PlacementFork
from .response_tracker import ResponseTracker

__all__ = ["WritePath"]


class WritePath(Assembly):
    """Writes segments, completion lines and counts, and tells when they are visible.

    ::

        placements -> fork -> splitter -> merger -> writer -> bus
                       |         ^           |        ^        |
                       |       lines         |      beats      |
                       v                     v                 v
                    pending ------------> tracker <------- responses
                                             |
                                             v
                                     written, visible

    Where no two segments can share a burst, a fork of bursts is in the merger's place.
    """

    def __init__(self, config):
        self.config = config
        self.fork = PlacementFork()
        self.splitter = BurstSplitter(config)
        if config.shares_bursts:
            self.merger = BurstMerger(config)
        else:
            self.burst_fork = BurstFork()
        self.writer = DmaWriter(config)
        self.tracker = ResponseTracker(config)
        self.mirroring = Signal()
        """Counts are about to be written, and so go before completions."""
        self.idle = Signal()
        """Nothing is under way."""

    def wire(self, m, engine):
        fork, writer, tracker = self.fork, self.writer, self.tracker
        wiring.connect(m, engine.store.placer.placements, fork.placements)
        wiring.connect(m, fork.jobs, self.splitter.segments)
        wiring.connect(m, fork.pending, tracker.pending)
        self._burst(m)
        wiring.connect(m, engine.receive.fifo.beats, writer.frame_beats)
        wiring.connect(m, engine.completions.reader.beats, writer.line_beats)
        self._lines(m, engine)
        self._bus(m, engine.bus)

    def _burst(self, m):
        """From parts to bursts."""
        writer, shares = self.writer, self.config.shares_bursts
        bursts = self.merger if shares else self.burst_fork
        wiring.connect(m, self.splitter.parts, bursts.parts)
        wiring.connect(m, bursts.addresses, writer.addresses)
        wiring.connect(m, bursts.contents, writer.contents)
        wiring.connect(m, bursts.tickets, self.tracker.tickets)
        m.d.comb += self.idle.eq(self.tracker.idle & (bursts.idle if shares else 1))
        if shares:
            wiring.connect(m, bursts.bursts, writer.bursts)
            m.d.comb += [bursts.hungry.eq(writer.hungry), bursts.starving.eq(writer.starving)]

    def _lines(self, m, engine):
        """Let counts go first: a fence must not overtake them. They are too rare to delay much."""
        if self.config.pool_watch:
            mirror = engine.gauges.mirror
            wiring.connect(m, mirror.beats, self.writer.mirror_beats)
            m.d.comb += self.mirroring.eq(mirror.jobs.valid)
            with m.If(self.mirroring):
                wiring.connect(m, mirror.jobs, self.splitter.lines)
        with m.If(~self.mirroring):
            wiring.connect(m, engine.completions.announcer.jobs, self.splitter.lines)

    def _bus(self, m, bus):
        """Requests are the writer's, responses the tracker's."""
        writer, tracker = self.writer, self.tracker
        for name in writer.bus.signature.members:
            if name.startswith(("aw", "w")):
                ours, theirs = getattr(bus, name), getattr(writer.bus, name)
                m.d.comb += (theirs.eq(ours) if name in ("awready", "wready")
                             else ours.eq(theirs))
        m.d.comb += [tracker.bvalid.eq(bus.bvalid), tracker.bresp.eq(bus.bresp),
                     bus.bready.eq(tracker.bready)]
