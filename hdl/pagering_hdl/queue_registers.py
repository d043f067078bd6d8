"""The registers of the queues: the privileged page."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

from .completion_lines import RingBase, RingShape
from .interrupts import QueueView
from .layouts import Count, Fault, Index, QueueSettings
from .moderation import Moderation
from .page_table import Refusal
from .queue_settings import QueueSettingsStore
from .register_port import RegisterPort, answer_late, overhear, show, written
from .return_ring_registers import ReturnRingRegisters
from .ring_words import SettingWrite, WordAddress
from .state_table import Lookup

__all__ = ["QueueRegisters"]


class QueueRegisters(wiring.Component):
    """The privileged page of each queue. What the host set there it reads elsewhere.

    Members
    -------
    port : :py:`In(RegisterPort())`
    settings, base, shape, moderation, ring_setting, ring_word
        See :class:`QueueSettingsStore` and :class:`ReturnRingRegisters`.
    set, enable, allowed : :py:`Out(1)`, set_index : :py:`Out(Index)`, refused : :py:`In(1)`,
    drained : :py:`In(queues)`
        To and from the switchboard.
    force : :py:`Out(1)`
        Event: the host forces the interrupt of queue ``set_index``.
    armed, fired : :py:`In(queues)`, view : :py:`In(QueueView)`
        Of the interrupts, which look at one queue after the other.
    granted, recycled : :py:`Out(Lookup(Index, Count))`
    refusal : :py:`Out(Refusal)`
    """

    FIXED = ("POOL", "RING_LOW", "RING_HIGH", "RING_SIZE", "FORMAT", "HEADER_SPLIT")
    """Settings that the card relies on from start to drain."""

    def __init__(self, config):
        self.config = config
        queues = config.queues
        super().__init__({
            "port": In(RegisterPort()),
            "settings": In(Lookup(Index, QueueSettings)), "base": In(Lookup(Index, RingBase)),
            "shape": In(Lookup(Index, RingShape)),
            "moderation": In(Lookup(Index, Moderation)), "force": Out(1),
            "set": Out(1), "set_index": Out(Index), "enable": Out(1), "allowed": Out(1),
            "refused": In(1), "drained": In(queues), "armed": In(queues), "fired": In(queues),
            "view": In(QueueView), "granted": Out(Lookup(Index, Count)),
            "recycled": Out(Lookup(Index, Count)),
            "ring_setting": Out(SettingWrite()), "ring_word": Out(Lookup(WordAddress, 32)),
            "refusal": Out(Refusal),
        })

    def elaborate(self, platform):
        m = Module()
        port = self.port
        m.submodules.store = store = QueueSettingsStore(self.config)
        for name in ("settings", "base", "shape", "moderation"):
            wiring.connect(m, wiring.flipped(getattr(self, name)), getattr(store, name))
        m.submodules.ring = ring = ReturnRingRegisters(self.config)
        wiring.connect(m, ring.setting, wiring.flipped(self.ring_setting))
        wiring.connect(m, ring.word, wiring.flipped(self.ring_word))
        overhear(m, port, store.port, ring.port)
        locked, barred, impossible = Signal(), Signal(), Signal()
        m.d.comb += impossible.eq(ring.impossible)
        for name, possible in (("HEADER_SPLIT", self.config.header_split),
                               ("FORMAT", self.config.knows_facts)):
            if not possible:
                with m.If(written(port, abi.QUEUE, name) & port.data[0]):
                    m.d.comb += impossible.eq(1)
        fixed = Cat(written(port, abi.QUEUE, name) for name in (*self.FIXED, *ring.NAMES))
        m.d.comb += [
            locked.eq(~self.drained.bit_select(port.write_index, 1) & fixed.any()),
            barred.eq(locked | impossible), port.ready.eq(1),
            store.refused.eq(barred), ring.refused.eq(barred),
            self.set.eq(written(port, abi.QUEUE, "CONTROL")), self.enable.eq(port.data[0]),
            self.force.eq(written(port, abi.QUEUE, "FORCE") & port.data[0]),
            self.set_index.eq(port.write_index), self.allowed.eq(store.startable),
            self.refusal.valid.eq(self.refused | barred),
            self.refusal.fault.eq(Fault.REGISTER_VALUE),
        ]
        self._show(m)
        return m

    def _show(self, m):
        """Answer what changes by itself."""
        port, index = self.port, self.port.read_index
        held, turn = Signal(Count), Signal()
        m.d.sync += [held.eq(self.granted.data - self.recycled.data),
                     turn.eq(self.view.queue == index)]
        m.d.comb += [lookup.addr.eq(index) for lookup in (self.granted, self.recycled)]
        # All registers are shown when the queue's turn comes.
        answer_late(m, port, 2, turn)
        show(m, port, abi.QUEUE, {
            "STATUS": Cat(bits.bit_select(index, 1)
                          for bits in (self.drained, self.armed, self.fired)),
            "HELD": held, "PRODUCED": self.view.produced,
            ReturnRingRegisters.NAMES: self.ring_word.data,
        })
