"""The registers of the queues that an untrusted process may map."""

from amaranth.hdl import Cat, Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

from .counter_registers import CounterRead
from .layouts import Index, Return, RingIndex
from .queue_walk import Arm
from .register_port import RegisterPort, written
from .return_rings import Doorbell
from .state_table import Lookup, StateTable

__all__ = ["UserRegisters"]


class UserRegisters(wiring.Component):
    """The page of each queue that an untrusted process may map.

    Members
    -------
    port : :py:`In(RegisterPort())`
    restart : :py:`In(1)`, restart_index : :py:`In(Index)`
        Event: a queue is enabled; nothing of its ring has been consumed.
    consumed : :py:`In(Lookup(Index, RingIndex))`
    arm : :py:`Out(Arm)`
    returns : :py:`Out(stream.Signature(Return))`
    doorbells : :py:`Out(stream.Signature(Doorbell))`
    counters : :py:`Out(CounterRead(config))`
    """

    def __init__(self, config):
        self.config = config
        super().__init__({
            "port": In(RegisterPort()), "restart": In(1), "restart_index": In(Index),
            "consumed": In(Lookup(Index, RingIndex)), "arm": Out(Arm),
            "returns": Out(stream.Signature(Return)),
            "doorbells": Out(stream.Signature(Doorbell)),
            "counters": Out(CounterRead(config)),
        })

    def elaborate(self, platform):
        m = Module()
        port = self.port
        m.submodules.consumed_table = consumed = StateTable(RingIndex, depth=self.config.queues,
                                                          cleared=False)
        wiring.connect(m, wiring.flipped(self.consumed), consumed.read[0])
        in_window = port.write_offset[abi.RETURN_WINDOW.bit_length() - 1]
        arms, rings, consumes = (written(port, abi.USER, name) & ~in_window
                                 for name in ("ARM", "RETURN_PRODUCED", "CONSUMED"))
        m.d.comb += [
            port.ready.eq((~in_window | self.returns.ready) & (~rings | self.doorbells.ready)),
            self.doorbells.valid.eq(rings), self.doorbells.p.queue.eq(port.write_index),
            self.doorbells.p.index.eq(port.data),
            self.returns.valid.eq(port.write & in_window),
            self.returns.p.queue.eq(port.write_index), self.returns.p.token.eq(port.data),
            consumed.write.en.eq(arms | consumes),
            consumed.write.addr.eq(port.write_index), consumed.write.data.eq(port.data),
            self.arm.valid.eq(arms), self.arm.queue.eq(port.write_index),
            self.arm.index.eq(port.data),
        ]
        # A queue is enabled by a write to another page, so the table is free in that cycle.
        with m.If(self.restart):
            m.d.comb += [consumed.write.en.eq(1), consumed.write.addr.eq(self.restart_index),
                         consumed.write.data.eq(0)]
        self._show_counters(m, port)
        return m

    def _show_counters(self, m, port):
        """Nothing but counters can be read, and they are zero if there are none."""
        if not self.config.statistics:
            m.d.comb += port.answered.eq(1)
            return
        first = abi.USER[abi.QUEUE_COUNTERS[0].name].offset // 8
        queue = port.read_index + abi.COUNTER_ROWS // abi.QUEUE_COUNTER_ROWS
        m.d.comb += [
            self.counters.read.eq(port.read), self.counters.upper.eq(port.read_offset[2]),
            self.counters.row.eq(Cat((port.read_offset[3:] - first)[:4], queue)),
            port.answered.eq(self.counters.answered), port.value.eq(self.counters.value),
        ]
