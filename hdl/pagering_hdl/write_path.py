"""The way to host memory: from placements and completion lines to bursts, and their responses."""

from amaranth.hdl import Signal
from amaranth.lib import wiring

from .assembly import Assembly
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
    """

    def __init__(self, config):
        self.config = config
        self.fork = PlacementFork()
        self.splitter = BurstSplitter(config)
        self.merger = BurstMerger(config)
        self.writer = DmaWriter(config)
        self.tracker = ResponseTracker(config)
        self.mirroring = Signal()
        """Counts are about to be written, and so go before completions."""

    def wire(self, m, engine):
        fork, merger, writer, tracker = self.fork, self.merger, self.writer, self.tracker
        wiring.connect(m, engine.store.placer.placements, fork.placements)
        wiring.connect(m, fork.jobs, self.splitter.segments)
        wiring.connect(m, fork.pending, tracker.pending)
        wiring.connect(m, self.splitter.parts, merger.parts)
        wiring.connect(m, merger.addresses, writer.addresses)
        wiring.connect(m, merger.bursts, writer.bursts)
        wiring.connect(m, merger.contents, writer.contents)
        wiring.connect(m, merger.tickets, tracker.tickets)
        m.d.comb += [merger.hungry.eq(writer.hungry), merger.starving.eq(writer.starving)]
        wiring.connect(m, engine.receive.fifo.beats, writer.frame_beats)
        wiring.connect(m, engine.completions.reader.beats, writer.line_beats)
        self._lines(m, engine)
        self._bus(m, engine.bus)

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
