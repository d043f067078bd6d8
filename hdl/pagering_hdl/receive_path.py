"""A frame's way from the wire to the memory that is granted to it."""

from amaranth.lib import wiring

from .admission import Admission
from .assembly import Assembly
from .default_queue import DefaultQueue
from .dissector import Dissector
from .frame_gate import FrameGate
from .layouts import Grant
from .packet_fifo import PacketFifo
from .packet_reader import ReadCommand
from .plain_dissector import PlainDissector
from .segment_fork import SegmentFork
from .segmenter import Segmenter
from .steering import Steering
from .streams import StreamBuffer, StreamQueue, StreamRelay

__all__ = ["ReceivePath"]


class ReceivePath(Assembly):
    """Takes frames in, keeps them, and cuts what is admitted into segments.

    ::

        frames -> gate -> dissector -> steering -> admission -> grants -> segmenter
                    |                                                         |
                    v                                                         v
                  fifo <------------------------ reads <---------------- segment_fork -> orders
                    |                                                         |
                    v                                                         v
                  beats                                                    placed
    """

    def __init__(self, config):
        self.config = config
        self.gate = FrameGate(config.bus_bits, config.max_frame)
        self.fifo = PacketFifo(config.bus_bits, config.fifo_beats, realign=config.header_split)
        self.dissector = (Dissector if config.parser else PlainDissector)(
            config.bus_bits, 0 if config.steering else config.fifo_frames)
        self.steering = (Steering(config.bus_bits, config.fifo_frames) if config.steering
                         else DefaultQueue())
        self.admission = Admission(config)
        self.grants = StreamBuffer(Grant)
        self.segmenter = Segmenter(config)
        self.segment_fork = SegmentFork(config)
        self.reads = (StreamQueue(ReadCommand, depth=8) if config.runs_ahead
                      else StreamRelay(ReadCommand))

    def wire(self, m, engine):
        self._take(m, engine)
        self._decide(m, engine)
        self._cut(m)

    def _take(self, m, engine):
        """From the wire to the FIFO, and past the dissector."""
        gate, fifo, dissector = self.gate, self.fifo, self.dissector
        card = engine.registers.card_registers
        wiring.connect(m, wiring.flipped(engine.frames), gate.frames)
        m.d.comb += [
            gate.control.eq(card.control), gate.limits.eq(card.limits),
            gate.closed.eq(engine.closed), gate.clearing.eq(engine.clearing),
            gate.room.eq(fifo.room), gate.place.eq(dissector.room),
            dissector.length.eq(gate.length),
        ]
        if self.config.timestamps:
            m.d.comb += dissector.time.eq(engine.control.clock.time)
        m.d.comb += [
            getattr(part, name).eq(getattr(gate, name))
            for part in (fifo, dissector) for name in ("write", "beat", "commit", "rollback")
        ]

    def _decide(self, m, engine):
        """Which queue a frame is for, and whether there is memory for it."""
        steering, admission, registers = self.steering, self.admission, engine.registers
        wiring.connect(m, self.dissector.dissections, steering.dissections)
        m.d.comb += steering.control.eq(registers.card_registers.steering)
        if self.config.steering:
            wiring.connect(m, self.dissector.preview, steering.preview)
            wiring.connect(m, registers.steer_registers.settings, steering.settings)
        wiring.connect(m, steering.arrivals, admission.arrivals)
        wiring.connect(m, engine.control.lifecycle.marks, admission.marks)
        for asks, answers in (
                (admission.settings, registers.queue_registers.settings),
                (admission.consumed, registers.user_registers.consumed),
                (admission.limit, registers.pool_registers.limit),
                (admission.recycled, engine.store.pages.queue_recycled[0]),
                (admission.counts, engine.store.ring.counts[0])):
            wiring.connect(m, asks, answers)
        m.d.comb += [admission.closed.eq(engine.closed),
                     admission.changed.eq(engine.pool.write | engine.queue.write)]

    def _cut(self, m):
        """From a grant to segments, and to the beats of each."""
        fork = self.segment_fork
        wiring.connect(m, self.admission.grants, self.grants.i)
        wiring.connect(m, self.grants.o, self.segmenter.grants)
        wiring.connect(m, self.segmenter.segments, fork.segments)
        wiring.connect(m, fork.commands, self.reads.i)
        wiring.connect(m, self.reads.o, self.fifo.commands)
