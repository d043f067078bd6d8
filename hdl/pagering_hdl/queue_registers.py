"""The registers of the queues: the privileged page, and the page that a user may map."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

from .completion_lines import RingBase, RingShape
from .counter_registers import CounterReader
from .interrupts import Arm
from .layouts import Count, Fault, Index, QueueSettings, Return, RingIndex, struct
from .moderation import Moderation
from .page_table import Refusal
from .register_port import RegisterPort, answer_late, masked, read_mux, written
from .return_rings import Doorbell
from .ring_words import SettingWrite, WordAddress
from .state_table import Lookup, StateTable
from .statistics import CounterLookup

__all__ = ["QueueRegisters", "QueueSettingsStore", "UserRegisters"]


class QueueSettingsStore(wiring.Component):
    """What the host set for each queue, for all who need it.

    Members
    -------
    write : :py:`In(1)`, write_index : :py:`In(8)`, write_offset : :py:`In(12)`, data : :py:`In(32)`
    settings : :py:`In(Lookup(Index, QueueSettings))`, base : :py:`In(Lookup(Index, RingBase))`,
    shape : :py:`In(Lookup(Index, RingShape))`,
    moderation : :py:`In(Lookup(Index, Moderation))`
    read_index : :py:`In(8)`, values : :py:`Out(32)` by register name
    startable : :py:`Out(1)`
        Ring size and pool of queue ``write_index`` are in range.
    """

    NAMES = ("POOL", "RING_LOW", "RING_HIGH", "RING_SIZE", "QUOTA", "FORMAT", "HEADER_SPLIT",
             "POLICY", "MODERATION")
    FIXED = ("POOL", "RING_LOW", "RING_HIGH", "RING_SIZE", "FORMAT", "HEADER_SPLIT")
    """Those that the card relies on from start to drain."""

    def __init__(self, config):
        self.config = config
        super().__init__({
            "write": In(1), "write_index": In(8), "write_offset": In(12), "data": In(32),
            "settings": In(Lookup(Index, QueueSettings)), "base": In(Lookup(Index, RingBase)),
            "shape": In(Lookup(Index, RingShape)),
            "moderation": In(Lookup(Index, Moderation)), "read_index": In(8), "startable": Out(1),
            **{name: Out(32) for name in self.NAMES},
        })

    def elaborate(self, platform):
        m = Module()
        tables = {}
        for name in self.NAMES:
            register = abi.QUEUE[name]
            top = max(f.lsb + f.width for f in register.named)
            m.submodules[name.lower()] = table = tables[name] = StateTable(
                top, depth=self.config.queues, reads=6, init=register.reset)
            m.d.comb += [
                table.write.addr.eq(self.write_index),
                table.write.en.eq(self.write & (self.write_offset == register.offset)),
                table.write.data.eq(masked(register, self.data)),
                table.read[0].addr.eq(self.read_index),
                getattr(self, name).eq(table.read[0].data),
                table.read[1].addr.eq(self.settings.addr), table.read[2].addr.eq(self.base.addr),
                table.read[3].addr.eq(self.shape.addr),
                table.read[4].addr.eq(self.write_index),
                table.read[5].addr.eq(self.moderation.addr),
            ]
        pool, size = tables["POOL"], tables["RING_SIZE"]
        split = [Signal(struct(abi.QUEUE["HEADER_SPLIT"]), name=f"split_{n}") for n in (1, 4)]
        m.d.comb += [view.eq(tables["HEADER_SPLIT"].read[n].data)
                     for view, n in zip(split, (1, 4), strict=True)]
        low, high = tables["RING_LOW"].read[2].data, tables["RING_HIGH"].read[2].data
        m.d.comb += [
            self.settings.data.pool.eq(pool.read[1].data),
            self.settings.data.ring_log2.eq(size.read[1].data),
            self.settings.data.quota.eq(tables["QUOTA"].read[1].data),
            self.settings.data.hold.eq(tables["POLICY"].read[1].data),
            self.settings.data.split.eq(split[0].enable),
            self.settings.data.header_pool.eq(split[0].pool),
            self.settings.data.threshold.eq(split[0].threshold),
            self.base.data.eq(Cat(low[12:], high)),
            self.shape.data.log2.eq(size.read[3].data),
            self.shape.data.extended.eq(tables["FORMAT"].read[3].data),
            self.moderation.data.eq(tables["MODERATION"].read[5].data),
            self.startable.eq((size.read[4].data >= abi.RING_LOG2_MIN)
                              & (size.read[4].data <= abi.RING_LOG2_MAX)
                              & (pool.read[4].data < self.config.pools)
                              & ~(split[1].enable & ((split[1].pool >= self.config.pools)
                                                     | ~tables["FORMAT"].read[4].data[0]))),
        ]
        return m


class QueueRegisters(wiring.Component):
    """The privileged page of each queue.

    Members
    -------
    port : :py:`In(RegisterPort())`
    settings, base, shape, moderation
        See :class:`QueueSettingsStore`.
    set, enable, allowed : :py:`Out(1)`, set_index : :py:`Out(Index)`, refused : :py:`In(1)`,
    enabled, drained : :py:`In(queues)`
        To and from the switchboard.
    force : :py:`Out(1)`
        Event: the host forces the interrupt of queue ``set_index``.
    armed, fired : :py:`In(queues)`, produced : :py:`Out(Lookup(Index, RingIndex))`
    granted, recycled : :py:`Out(Lookup(Index, Count))`
    ring_setting : :py:`Out(SettingWrite())`, ring_word : :py:`Out(Lookup(WordAddress, 32))`
        The registers of the return ring, which are kept there.
    refusal : :py:`Out(Refusal)`
    """

    RETURN_NAMES = ("RETURN_LOW", "RETURN_HIGH", "RETURN_SIZE", "RETURN_CONSUMED")
    """One word after the other."""

    def __init__(self, config):
        self.config = config
        queues = config.queues
        super().__init__({
            "port": In(RegisterPort()),
            "settings": In(Lookup(Index, QueueSettings)), "base": In(Lookup(Index, RingBase)),
            "shape": In(Lookup(Index, RingShape)),
            "moderation": In(Lookup(Index, Moderation)), "force": Out(1),
            "set": Out(1), "set_index": Out(Index), "enable": Out(1), "allowed": Out(1),
            "refused": In(1), "enabled": In(queues), "drained": In(queues),
            "armed": In(queues), "fired": In(queues),
            "produced": Out(Lookup(Index, RingIndex)),
            "granted": Out(Lookup(Index, Count)), "recycled": Out(Lookup(Index, Count)),
            "ring_setting": Out(SettingWrite()), "ring_word": Out(Lookup(WordAddress, 32)),
            "refusal": Out(Refusal),
        })

    def elaborate(self, platform):
        m = Module()
        port, index = self.port, self.port.read_index
        m.submodules.store = store = QueueSettingsStore(self.config)
        for name in ("settings", "base", "shape", "moderation"):
            wiring.connect(m, wiring.flipped(getattr(self, name)), getattr(store, name))
        held, locked, impossible = Signal(Count), Signal(), Signal()
        word = Signal(32)  # straight from block RAM: no time for more
        m.d.sync += word.eq(self.ring_word.data)
        answer_late(m, port, 2)
        m.d.comb += impossible.eq(self._ring_settings(m))
        if not self.config.header_split:
            with m.If(written(port, abi.QUEUE, "HEADER_SPLIT") & port.data[0]):
                m.d.comb += impossible.eq(1)
        m.d.comb += [
            locked.eq(~self.drained.bit_select(port.write_index, 1)
                      & sum(written(port, abi.QUEUE, name)
                            for name in (*store.FIXED, *self.RETURN_NAMES))),
            self.ring_setting.en.eq(sum(written(port, abi.QUEUE, name)
                                        for name in self.RETURN_NAMES) & ~locked & ~impossible),
            store.write.eq(port.write & ~locked & ~impossible),
            store.write_index.eq(port.write_index), store.write_offset.eq(port.write_offset),
            store.data.eq(port.data), store.read_index.eq(index), port.ready.eq(1),
            self.set.eq(written(port, abi.QUEUE, "CONTROL")), self.enable.eq(port.data[0]),
            self.force.eq(written(port, abi.QUEUE, "FORCE") & port.data[0]),
            self.set_index.eq(port.write_index), self.allowed.eq(store.startable),
            self.refusal.valid.eq(self.refused | locked | impossible),
            self.refusal.fault.eq(Fault.REGISTER_VALUE),
            self.produced.addr.eq(index), self.granted.addr.eq(index),
            self.recycled.addr.eq(index),
            held.eq(self.granted.data - self.recycled.data),
        ]
        read_mux(m, port, abi.QUEUE, {
            **{name: getattr(store, name) for name in store.NAMES},
            "CONTROL": self.enabled.bit_select(index, 1),
            "STATUS": Cat(bits.bit_select(index, 1)
                          for bits in (self.drained, self.armed, self.fired)),
            "HELD": held, "PRODUCED": self.produced.data,
            **dict.fromkeys(self.RETURN_NAMES, word),
        })
        return m

    def _ring_settings(self, m):
        """Name the words that the return ring's registers are; return if a size is none."""
        port, words, setting = self.port, abi.QUEUE["RETURN_LOW"].offset // 4, self.ring_setting
        log2 = Signal(5)
        m.d.comb += [
            setting.queue.eq(port.write_index), setting.word.eq((port.write_offset >> 2) - words),
            self.ring_word.addr.eq(Cat(((port.read_offset >> 2) - words)[:3], port.read_index)),
            log2.eq(port.data), setting.data.eq(masked(abi.QUEUE["RETURN_HIGH"], port.data)),
        ]
        for name in ("RETURN_LOW", "RETURN_SIZE"):
            with m.If(written(port, abi.QUEUE, name)):
                m.d.comb += setting.data.eq(masked(abi.QUEUE[name], port.data))
        return written(port, abi.QUEUE, "RETURN_SIZE") & log2.any() & ~(
            (log2 >= abi.RETURN_LOG2_MIN) & (log2 <= abi.RETURN_LOG2_MAX)
            & self.config.pull_returns)


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
    counters : :py:`Out(CounterLookup(config))`
    """

    def __init__(self, config):
        self.config = config
        super().__init__({
            "port": In(RegisterPort()), "restart": In(1), "restart_index": In(Index),
            "consumed": In(Lookup(Index, RingIndex)), "arm": Out(Arm),
            "returns": Out(stream.Signature(Return)),
            "doorbells": Out(stream.Signature(Doorbell)),
            "counters": Out(CounterLookup(config)),
        })

    def elaborate(self, platform):
        m = Module()
        port = self.port
        m.submodules.consumed_table = consumed = StateTable(RingIndex, depth=self.config.queues)
        wiring.connect(m, wiring.flipped(self.consumed), consumed.read[0])
        in_window = port.write_offset >= abi.RETURN_WINDOW
        arms, rings = (written(port, abi.USER, name) for name in ("ARM", "RETURN_PRODUCED"))
        m.d.comb += [
            port.ready.eq((~in_window | self.returns.ready) & (~rings | self.doorbells.ready)),
            self.doorbells.valid.eq(rings), self.doorbells.p.queue.eq(port.write_index),
            self.doorbells.p.index.eq(port.data),
            self.returns.valid.eq(port.write & in_window),
            self.returns.p.queue.eq(port.write_index), self.returns.p.token.eq(port.data),
            consumed.write.en.eq(arms | written(port, abi.USER, "CONSUMED")),
            consumed.write.addr.eq(port.write_index), consumed.write.data.eq(port.data),
            self.arm.valid.eq(arms), self.arm.queue.eq(port.write_index),
            self.arm.index.eq(port.data),
        ]
        self._show_counters(m, port)
        # A queue is enabled by a write to another page, so the table is free in that cycle.
        with m.If(self.restart):
            m.d.comb += [consumed.write.en.eq(1), consumed.write.addr.eq(self.restart_index),
                         consumed.write.data.eq(0)]
        return m

    def _show_counters(self, m, port):
        """A read of a counter takes a few cycles; of all else there is nothing to be read."""
        first, count = abi.USER[abi.QUEUE_COUNTERS[0].name].offset, abi.QUEUE_COUNTERS[-1].number
        end = first + 8 * (count + 1)
        m.submodules.reader = reader = CounterReader(self.config)
        wiring.connect(m, wiring.flipped(self.counters), reader.lookup)
        offset, counts = port.read_offset, Signal()
        m.d.comb += [
            counts.eq((offset >= first) & (offset < end)), reader.read.eq(port.read & counts),
            reader.row.eq(Cat((offset[3:7] - first // 8)[:4],
                              port.read_index + abi.COUNTER_ROWS // abi.QUEUE_COUNTER_ROWS)),
            reader.upper.eq(offset[2]), port.answered.eq(reader.answered | ~counts),
            port.value.eq(Mux(counts, reader.value, 0)),
        ]
