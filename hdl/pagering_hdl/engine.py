"""The receive engine: all parts, wired.

A frame's way, part by part::

    frames -> frame_gate -> dissector -> steering -> admission -> segmenter -> segment_fork
                   |                                                            |   |   |
                   v                           commands                         |   |   |
               packet_fifo <----------------------------------------------------+   |   |
                   |                                         orders                 |   |
                   |                         page_opener <--------------------------+   |
                   | beats                        |                                     |
                   |                              +-----------> placer <----------------+
                   |                                               |
                   |        burst_merger <- burst_splitter <- placement_fork
                   |              |               ^
                   v              v               |
    bus   <--------------- dma_writer             +----------------------------+
                                                                               |
    bus   -> response_tracker -> deliverer -> completion_lines -> line_reader -+
                                     |
                                     v
    pushed returns --------------> return_arbiter -> return_checker
    return_rings -> return_reader -------^                v
                              page_table -> recycle_ring -> page_opener

What the card knows of a frame waits beside this way, from admission to the deliverer.
"""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .address_decoder import blocks
from .admission import Admission
from .axi import AxiRead, AxiStream, AxiWrite
from .burst_merger import BurstMerger
from .burst_splitter import BurstSplitter
from .card_registers import CardRegisters
from .clock import Clock
from .completion_lines import CompletionLines
from .count_mirror import CountMirror
from .counter_registers import StatsRegisters
from .default_queue import DefaultQueue
from .deliverer import Deliverer
from .dissector import Dissector
from .dma_writer import DmaWriter
from .frame_gate import FrameGate
from .interrupts import Interrupts
from .layouts import Enrolment, Facts, Fault, Grant, Kind, Return
from .lifecycle import Lifecycle
from .line_announcer import LineAnnouncer
from .line_reader import LineReader
from .oldest_pages import OldestPages
from .packet_fifo import PacketFifo
from .packet_reader import ReadCommand
from .page_opener import PageOpener
from .page_table import PageTable, Refusal
from .pause import Pause
from .placement_fork import PlacementFork
from .placer import Placer
from .plain_dissector import PlainDissector
from .pool_monitor import PoolMonitor
from .pool_registers import PoolRegisters, RegionRegisters
from .queue_registers import QueueRegisters
from .recycle_ring import RecycleRing
from .region_loader import RegionLoader
from .region_table import RegionTable
from .register_port import RegisterPort
from .response_tracker import ResponseTracker
from .return_arbiter import ReturnArbiter
from .return_checker import ReturnChecker
from .return_reader import ReturnReader
from .return_rings import ReturnRings
from .segment_fork import SegmentFork
from .segmenter import Segmenter
from .statistics import Statistics
from .steer_registers import SteerRegisters
from .steering import Steering
from .streams import StreamBuffer, StreamQueue
from .user_registers import UserRegisters

__all__ = ["Engine"]

FACTS_DEPTH = 512
"""Frames between admission and delivery; one block RAM deep, more than responses can be late."""


class Engine(wiring.Component):
    """Everything but the register window and the reset control. Only wires.

    Members
    -------
    frames : :py:`In(AxiStream(bits))`, bus : :py:`Out(AxiWrite(bits))`,
    read_bus : :py:`Out(AxiRead(bits))`
    card, region, pool, queue, user, steer, stats : :py:`In(RegisterPort())`
        Those that the card has.
    access_refusal : :py:`In(Refusal)`, refused : :py:`Out(1)`
        From the register window, and to it: what it writes in this cycle is refused.
    irq : :py:`Out(queues + 1)`
        A bit for each queue; the last one for events.
    pause : :py:`Out(1)`
        The other side of the wire should be silent.
    closed : :py:`In(1)`
        Take no new frame: a reset is near.
    clearing : :py:`In(1)`
        Take no beat: tables are being cleared.
    reset : :py:`Out(1)`
        The host asks for a reset.
    idle : :py:`Out(1)`
        No frame inside, no write or read under way.
    """

    def __init__(self, config):
        self.config = config
        super().__init__({
            "frames": In(AxiStream(config.bus_bits)), "bus": Out(AxiWrite(config.bus_bits)),
            "read_bus": Out(AxiRead(config.bus_bits)),
            **{name: In(RegisterPort()) for name in blocks(config)},
            "access_refusal": In(Refusal), "refused": Out(1),
            "irq": Out(config.queues + 1), "pause": Out(1),
            "closed": In(1), "clearing": In(1), "reset": Out(1), "idle": Out(1),
        })
        self._mirroring = Signal()
        """Counts are about to be written, and so go before completions."""

    def elaborate(self, platform):
        m = Module()
        self._parts(m)
        self._ingress(m)
        self._memory(m)
        self._returns(m)
        self._writes(m)
        self._completions(m)
        self._registers(m)
        self._pausing(m)
        self._counting(m)
        return m

    @staticmethod
    def parts(config):
        """Return the parts of an engine by name."""
        parts = {
            "gate": FrameGate(config.bus_bits, config.max_frame),
            "fifo": PacketFifo(config.bus_bits, config.fifo_beats,
                               realign=config.header_split),
            "dissector": (Dissector if config.parser else PlainDissector)(
                config.bus_bits, 0 if config.steering else config.fifo_frames),
            "steering": (Steering(config.bus_bits, config.fifo_frames) if config.steering
                         else DefaultQueue()),
            "admission": Admission(config),
            "grants": StreamBuffer(Grant), "segmenter": Segmenter(config),
            "segment_fork": SegmentFork(config), "opener": PageOpener(),
            "placer": Placer(config),
            "facts": StreamQueue(Facts, depth=FACTS_DEPTH, block=True),
            "fork": PlacementFork(),
            "reads": StreamQueue(ReadCommand, depth=8),
            "enrolments": StreamBuffer(Enrolment),
            "ring": RecycleRing(config), "pages": PageTable(config),
            "regions": RegionTable(config), "loader": RegionLoader(config),
            "pushed": StreamQueue(Return, depth=16), "arbiter": ReturnArbiter(),
            "checker": ReturnChecker(config),
            "splitter": BurstSplitter(config),
            "merger": BurstMerger(config), "writer": DmaWriter(config),
            "tracker": ResponseTracker(config), "deliverer": Deliverer(),
            "lines": CompletionLines(config), "announcer": LineAnnouncer(config),
            "reader": LineReader(config),
            "interrupts": Interrupts(config.queues), "lifecycle": Lifecycle(config),
            "monitor": PoolMonitor(config.pools), "clock": Clock(),
            "card_registers": CardRegisters(config), "pool_registers": PoolRegisters(config),
            "region_registers": RegionRegisters(config),
            "queue_registers": QueueRegisters(config), "user_registers": UserRegisters(config),
            "stats_registers": StatsRegisters(config), "statistics": Statistics(config),
            "pauser": Pause(config),
        }
        if config.steering:
            parts |= {"steer_registers": SteerRegisters(config)}
        if config.pull_returns:
            parts |= {"return_rings": ReturnRings(config), "return_reader": ReturnReader(config)}
        if config.pool_watch:
            parts |= {"mirror": CountMirror(config), "oldest": OldestPages(config)}
        return parts

    def _parts(self, m):
        for name, part in self.parts(self.config).items():
            m.submodules[name] = part
            setattr(self, f"_{name}", part)

    def _ingress(self, m):
        """From the stream to segments, and what begins with them."""
        gate, fifo, dissector = self._gate, self._fifo, self._dissector
        steering, admission = self._steering, self._admission
        wiring.connect(m, wiring.flipped(self.frames), gate.frames)
        m.d.comb += [
            gate.control.eq(self._card_registers.control),
            gate.limits.eq(self._card_registers.limits), gate.closed.eq(self.closed),
            gate.clearing.eq(self.clearing),
            gate.room.eq(fifo.room), gate.place.eq(dissector.room),
            dissector.length.eq(gate.length),
            dissector.time.eq(self._clock.time),
            steering.control.eq(self._card_registers.steering),
        ]
        m.d.comb += [
            getattr(part, name).eq(getattr(gate, name))
            for part in (fifo, dissector) for name in ("write", "beat", "commit", "rollback")
        ]
        wiring.connect(m, dissector.dissections, steering.dissections)
        if self.config.steering:
            wiring.connect(m, self._steer_registers.settings, steering.settings)
        wiring.connect(m, steering.arrivals, admission.arrivals)
        wiring.connect(m, self._lifecycle.marks, admission.marks)
        m.d.comb += [admission.closed.eq(self.closed),
                     admission.changed.eq(self.pool.write | self.queue.write)]
        wiring.connect(m, admission.grants, self._grants.i)
        wiring.connect(m, admission.facts, self._facts.i)
        wiring.connect(m, self._grants.o, self._segmenter.grants)
        fork = self._segment_fork
        wiring.connect(m, self._segmenter.segments, fork.segments)
        wiring.connect(m, fork.commands, self._reads.i)
        wiring.connect(m, self._reads.o, fifo.commands)
        wiring.connect(m, fork.orders, self._opener.orders)
        wiring.connect(m, fork.placed, self._placer.segments)

    def _memory(self, m):
        """Pages: from the ring to the placer, from the host back to the ring."""
        ring, pages, regions, loader = self._ring, self._pages, self._regions, self._loader
        opener = self._opener
        wiring.connect(m, opener.takes, ring.takes)
        wiring.connect(m, ring.pages, opener.pages)
        wiring.connect(m, opener.opens, pages.opens)
        wiring.connect(m, opener.fresh, self._placer.fresh)
        wiring.connect(m, self._placer.address, regions.address)
        wiring.connect(m, pages.owner, regions.owner)
        wiring.connect(m, loader.loads, pages.loads)
        wiring.connect(m, loader.slot, regions.slot)
        wiring.connect(m, loader.retire, ring.retire)
        m.d.comb += [
            opener.opened.eq(pages.opened), opener.generation.eq(pages.generation),
            self._checker.valid.eq(regions.valid), loader.valid.eq(regions.valid),
            regions.write_en.eq(loader.write_en), regions.write_slot.eq(loader.write_slot),
            regions.write.eq(loader.write), regions.set_valid.eq(loader.set_valid),
            regions.clear_valid.eq(loader.clear_valid),
            ring.lifo.eq(self._pool_registers.lifo),
        ]
        # Recycled pages first: the page table must never wait for the loader.
        wiring.connect(m, self._enrolments.o, ring.enrolments)
        with m.If(pages.recycled.valid):
            wiring.connect(m, pages.recycled, self._enrolments.i)
        with m.Else():
            wiring.connect(m, loader.enrolments, self._enrolments.i)

    def _returns(self, m):
        """Both ways back, to the page table."""
        arbiter = self._arbiter
        wiring.connect(m, self._user_registers.returns, self._pushed.i)
        wiring.connect(m, self._pushed.o, arbiter.pushed)
        wiring.connect(m, arbiter.returns, self._checker.returns)
        wiring.connect(m, self._checker.checked, self._pages.returns)
        if self.config.pull_returns:
            self._pull(m)
        else:
            doorbells, refusal = self._user_registers.doorbells, self._statistics.refusals[4]
            m.d.comb += [doorbells.ready.eq(1), refusal.valid.eq(doorbells.valid),
                         refusal.fault.eq(Fault.REGISTER_VALUE)]
        if self.config.pool_watch:
            self._watch(m)

    def _pull(self, m):
        """Return rings: from doorbells to tokens."""
        rings, reader, queue = self._return_rings, self._return_reader, self._queue_registers
        wiring.connect(m, self._user_registers.doorbells, rings.doorbells)
        wiring.connect(m, rings.reads, reader.reads)
        wiring.connect(m, reader.finished, rings.finished)
        wiring.connect(m, reader.tokens, self._arbiter.pulled)
        wiring.connect(m, reader.bus, wiring.flipped(self.read_bus))
        wiring.connect(m, rings.mirrors, self._mirror.indices)
        wiring.connect(m, queue.ring_word, rings.shown)
        wiring.connect(m, queue.ring_setting, rings.setting)
        m.d.comb += [
            rings.enabled.eq(self._lifecycle.queues.enabled),
            self._lifecycle.queues.busy.eq(rings.unfinished),
            self._statistics.refusals[4].eq(rings.refusal),
            self._statistics.refusals[5].eq(reader.failed),
        ]

    def _watch(self, m):
        """What the host sees of pools without asking, and their oldest pages."""
        mirror, oldest, lifecycle = self._mirror, self._oldest, self._lifecycle
        wiring.connect(m, mirror.settings, self._pool_registers.mirror)
        wiring.connect(m, self._pool_registers.oldest, oldest.shown)
        wiring.connect(m, mirror.beats, self._writer.mirror_beats)
        # Counts first: a fence must not overtake them. They come too rarely to delay completions.
        with m.If(self._mirroring):
            wiring.connect(m, mirror.jobs, self._splitter.lines)
        m.d.comb += [
            self._mirroring.eq(mirror.jobs.valid),
            mirror.period.eq(self._card_registers.mirror_timer.cycles),
            mirror.view.eq(self._monitor.view), mirror.pools.eq(lifecycle.pools.enabled),
            mirror.queues.eq(lifecycle.queues.enabled), mirror.closed.eq(self.closed),
            oldest.valid.eq(self._regions.valid), oldest.moved.eq(self._pages.moved),
        ]

    def _writes(self, m):
        """From placements to the bus, and its responses."""
        fork, splitter, writer, tracker = (self._fork, self._splitter, self._writer,
                                           self._tracker)
        wiring.connect(m, self._placer.placements, fork.placements)
        wiring.connect(m, fork.jobs, splitter.segments)
        wiring.connect(m, fork.pending, tracker.pending)
        merger = self._merger
        wiring.connect(m, splitter.parts, merger.parts)
        wiring.connect(m, merger.addresses, writer.addresses)
        wiring.connect(m, merger.bursts, writer.bursts)
        wiring.connect(m, merger.contents, writer.contents)
        wiring.connect(m, merger.tickets, tracker.tickets)
        m.d.comb += [merger.hungry.eq(writer.hungry), merger.starving.eq(writer.starving)]
        wiring.connect(m, self._fifo.beats, writer.frame_beats)
        wiring.connect(m, self._reader.beats, writer.line_beats)
        bus = self.bus
        for name in writer.bus.signature.members:
            if name.startswith(("aw", "w")):
                ours, theirs = getattr(bus, name), getattr(writer.bus, name)
                m.d.comb += (theirs.eq(ours) if name in ("awready", "wready")
                             else ours.eq(theirs))
        m.d.comb += [tracker.bvalid.eq(bus.bvalid), tracker.bresp.eq(bus.bresp),
                     bus.bready.eq(tracker.bready)]

    def _completions(self, m):
        """From written segments to interrupts."""
        tracker, lines, reader = self._tracker, self._lines, self._reader
        announcer = self._announcer
        visible, lifecycle = tracker.visible, self._lifecycle
        wiring.connect(m, tracker.written, self._deliverer.written)
        wiring.connect(m, self._facts.o, self._deliverer.facts)
        wiring.connect(m, self._deliverer.deliveries, self._pages.deliveries)
        wiring.connect(m, self._deliverer.entries, lines.entries)
        wiring.connect(m, lines.requests, announcer.requests)
        wiring.connect(m, announcer.reads, reader.requests)
        with m.If(~self._mirroring):
            wiring.connect(m, announcer.jobs, self._splitter.lines)
        m.d.comb += [
            lines.address.eq(reader.address), lines.read.eq(reader.read),
            reader.stored.eq(lines.stored),
            lines.period.eq(self._card_registers.flush_timer.cycles),
            lines.empty.eq(self._fifo.empty), lines.settled.eq(tracker.settled),
            self._interrupts.visible.eq(visible),
            self._interrupts.arm.eq(self._user_registers.arm),
            lifecycle.queues.fenced.eq(visible.valid & (visible.kind == Kind.FENCE_QUEUE)),
            lifecycle.pools.fenced.eq(visible.valid & (visible.kind == Kind.FENCE_POOL)),
            lifecycle.queues.fenced_index.eq(visible.index),
            lifecycle.pools.fenced_index.eq(visible.index),
            self.idle.eq(self._fifo.empty & tracker.idle & lines.idle & announcer.idle
                         & reader.idle & self._merger.idle & ~self._mirroring
                         & ~lifecycle.queues.busy.any()),
        ]

    def _registers(self, m):
        """Between the register blocks and what they set and show."""
        card, pool, queue, user = (self._card_registers, self._pool_registers,
                                   self._queue_registers, self._user_registers)
        admission, pages, monitor = self._admission, self._pages, self._monitor
        lifecycle, regions = self._lifecycle, self._region_registers
        for name, block in (("card", card), ("pool", pool), ("queue", queue), ("user", user),
                            ("region", regions), ("stats", self._stats_registers)):
            wiring.connect(m, wiring.flipped(getattr(self, name)), block.port)
        if self.config.steering:
            wiring.connect(m, wiring.flipped(self.steer), self._steer_registers.port)
        wiring.connect(m, card.clock_orders, self._clock.orders)
        wiring.connect(m, user.counters, self._stats_registers.queues)
        wiring.connect(m, self._stats_registers.lookup, self._statistics.lookup)
        for asks, answers in (
                (admission.settings, queue.settings), (admission.consumed, user.consumed),
                (admission.recycled, pages.queue_recycled[0]), (admission.limit, pool.limit),
                (admission.counts, self._ring.counts[0]), (monitor.counts, self._ring.counts[1]),
                (monitor.thresholds, pool.thresholds),
                (monitor.granted, admission.pool_granted), (pool.peak, admission.pool_peak),
                (monitor.outstanding, pages.outstanding),
                (queue.granted, admission.queue_granted),
                (queue.recycled, pages.queue_recycled[1]),
                (self._lines.shape, queue.shape), (self._lines.base, queue.base),
                (self._interrupts.moderation, queue.moderation),
                (regions.slot, self._regions.row),
                (pool.retire, regions.retire), (regions.commands, self._loader.commands)):
            wiring.connect(m, asks, answers)
        for bank, switch in ((pool, lifecycle.pools), (queue, lifecycle.queues)):
            m.d.comb += [
                switch.set.eq(bank.set), switch.index.eq(bank.set_index),
                switch.enable.eq(bank.enable), bank.refused.eq(switch.refused),
                bank.drained.eq(switch.drained),
            ]
        starts = queue.set & queue.enable & ~queue.refused
        already = lifecycle.queues.enabled.bit_select(queue.set_index, 1)
        m.d.comb += [
            lifecycle.pools.allowed.eq(1), lifecycle.queues.allowed.eq(queue.allowed),
            user.restart.eq(starts & ~already), user.restart_index.eq(queue.set_index),
            self._interrupts.restart.eq(user.restart),
            self._interrupts.restart_index.eq(queue.set_index),
            self._interrupts.force.eq(queue.force),
            self._interrupts.force_index.eq(queue.set_index),
            queue.view.eq(self._interrupts.view),
            queue.armed.eq(self._interrupts.armed), queue.fired.eq(self._interrupts.fired),
            pool.low.eq(monitor.low), pool.view.eq(monitor.view),
            monitor.runs.eq(admission.pool_runs),
            regions.high.eq(card.region_high.address), regions.valid.eq(self._regions.valid),
            regions.loading.eq(self._loader.loading),
            regions.loading_slot.eq(self._loader.loading_slot),
            card.low_water.eq(monitor.low), card.low_water_event.eq(monitor.fell),
            card.captured.eq(self._clock.captured), card.resetting.eq(self.closed),
            card.quiet.eq(self.idle), self.reset.eq(card.reset),
            self.irq.eq(Cat(self._interrupts.fired, card.irq)),
        ]

    def _pausing(self, m):
        pauser, card = self._pauser, self._card_registers
        m.d.comb += [
            pauser.enable.eq(card.pause), pauser.levels.eq(card.pause_levels),
            pauser.level.eq(self._fifo.level), pauser.low.eq(self._monitor.low.any()),
            pauser.held.eq(self._admission.waits),
            card.pause_status.eq(pauser.status), card.fifo_peak.eq(pauser.peak),
            self.pause.eq(pauser.status.pause),
        ]

    def _counting(self, m):
        """Every event to its counter."""
        statistics, gate, bus = self._statistics, self._gate, self.bus
        admission, pages, tracker = self._admission, self._pages, self._tracker
        # The registers refuse one write at a time, so one of these at most is valid.
        registers = Signal(Refusal)
        sources = [self._card_registers, self._pool_registers, self._region_registers,
                   self._queue_registers]
        if self.config.steering:
            sources.append(self._steer_registers)
        for source in sources:
            with m.If(source.refusal.valid):
                m.d.comb += registers.eq(source.refusal)
        m.d.comb += self.refused.eq(registers.valid)
        if self.config.pull_returns:
            m.d.comb += self._return_rings.refuses.eq(registers.valid)
        recycled, arrivals = pages.recycled, self._steering.arrivals
        m.d.comb += [
            statistics.ended.eq(gate.ended), statistics.size.eq(gate.size),
            statistics.taken.eq(gate.taken), statistics.first.eq(gate.first),
            statistics.beat.eq(gate.beat), statistics.good.eq(gate.commit),
            statistics.gate_drop.eq(gate.dropped), statistics.arrival.eq(arrivals.p),
            statistics.decided.eq(arrivals.valid & arrivals.ready),
            statistics.admission_drop.eq(admission.dropped),
            statistics.visible.eq(tracker.visible), statistics.accepted.eq(pages.accepted),
            statistics.recycled.eq(recycled.valid & recycled.ready),
            *(into.eq(refusal) for into, refusal in zip(statistics.refusals, (
                self._checker.refusal, pages.refusal, registers, self.access_refusal),
                strict=False)),
            statistics.mirror_error.eq(tracker.mirror_error),
            statistics.data_error.eq(tracker.data_error),
            statistics.line_error.eq(tracker.line_error),
            statistics.pause.eq(self._pauser.status.pause),
            statistics.pause_begins.eq(self._pauser.begins),
            statistics.burst.eq(bus.awvalid & bus.awready),
            statistics.beat_taken.eq(bus.wvalid & bus.wready), statistics.strobe.eq(bus.wstrb),
            self._card_registers.fault_event.eq(statistics.fault),
            self._card_registers.error_event.eq(
                tracker.data_error | tracker.line_error | tracker.mirror_error
                | statistics.refusals[5].valid),
        ]
