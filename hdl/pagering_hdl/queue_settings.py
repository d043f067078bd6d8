"""What the host set for each queue, for all parts that need it; and whether a queue can start."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

from .completion_lines import RingBase, RingShape
from .layouts import Index, QueueSettings, struct
from .moderation import Moderation
from .register_port import RegisterPort, written
from .setting_tables import SettingTables
from .state_table import Lookup, StateTable

__all__ = ["QueueSettingsStore"]


class Fitness(data.Struct):
    """What is known, when a queue is to start, of the settings that it was given."""

    pool: unsigned(1)
    """There is that pool."""
    size: unsigned(1)
    """The ring is neither too small nor too large."""
    extended: unsigned(1)
    split: unsigned(1)
    """It splits frames, and so must be extended."""
    headers: unsigned(1)
    """There is the pool of the headers, if it splits."""


class QueueSettingsStore(wiring.Component):
    """Tables of settings, as each part asks for them. What a card cannot do, no queue is set to.

    Members
    -------
    port : :py:`In(RegisterPort())`, refused : :py:`In(1)`
        What is written, unless it is ``refused``. Reads are for others to answer.
    settings : :py:`In(Lookup(Index, QueueSettings))`, base : :py:`In(Lookup(Index, RingBase))`,
    shape : :py:`In(Lookup(Index, RingShape))`, moderation : :py:`In(Lookup(Index, Moderation))`
        Two cycles late.
    startable : :py:`Out(1)`
        The settings of queue ``port.write_index`` fit, with every write before this cycle.
    """

    READS = {"POOL": 1, "RING_LOW": 1, "RING_HIGH": 1, "RING_SIZE": 2, "QUOTA": 1, "FORMAT": 1,
             "HEADER_SPLIT": 1, "POLICY": 1, "MODERATION": 1}

    def __init__(self, config):
        self.config = config
        lacks = {"HEADER_SPLIT": not config.header_split, "FORMAT": not config.knows_facts}
        self.reads = {name: count for name, count in self.READS.items() if not lacks.get(name)}
        super().__init__({
            "port": In(RegisterPort()), "refused": In(1),
            "settings": In(Lookup(Index, QueueSettings)), "base": In(Lookup(Index, RingBase)),
            "shape": In(Lookup(Index, RingShape)),
            "moderation": In(Lookup(Index, Moderation)), "startable": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        port = self.port
        m.submodules.tables = tables = SettingTables(abi.QUEUE, self.reads,
                                                     depth=self.config.queues)
        m.d.comb += [tables.index.eq(port.write_index), tables.data.eq(port.data)]
        for name in self.reads:
            m.d.comb += getattr(tables, f"write_{name}").eq(
                written(port, abi.QUEUE, name) & ~self.refused)
        asks = {"settings": ("POOL", "RING_SIZE", "QUOTA", "POLICY", "HEADER_SPLIT"),
                "base": ("RING_LOW", "RING_HIGH"), "shape": ("RING_SIZE", "FORMAT"),
                "moderation": ("MODERATION",)}
        found = {(asker, name): Const(0, 32) for asker, names in asks.items() for name in names}
        for asker, names in asks.items():
            for name in (name for name in names if name in self.reads):
                lookup = getattr(tables, name)[asker == "shape" and name == "RING_SIZE"]
                m.d.comb += lookup.addr.eq(getattr(self, asker).addr)
                found[asker, name] = lookup.data
        split = Signal(struct(abi.QUEUE["HEADER_SPLIT"]))
        # A queue that runs has pools that there are.
        pools = (1 << (self.config.pools - 1).bit_length()) - 1
        settings, shape = self.settings.data, self.shape.data
        m.d.comb += [
            split.eq(found["settings", "HEADER_SPLIT"]),
            settings.pool.eq(found["settings", "POOL"] & pools),
            settings.ring_log2.eq(found["settings", "RING_SIZE"]),
            settings.quota.eq(found["settings", "QUOTA"]),
            settings.hold.eq(found["settings", "POLICY"]),
            settings.split.eq(split.enable), settings.header_pool.eq(split.pool & pools),
            settings.threshold.eq(split.threshold),
            self.base.data.eq(Cat(found["base", "RING_LOW"][12:], found["base", "RING_HIGH"])),
            shape.log2.eq(found["shape", "RING_SIZE"]),
            shape.extended.eq(found["shape", "FORMAT"]),
            self.moderation.data.eq(found["moderation", "MODERATION"]),
        ]
        self._judge(m)
        return m

    def _judge(self, m):
        """Judge each setting when it is written; a start then takes one look."""
        port, there = self.port, Signal(Fitness)
        m.submodules.fitness = fitness = StateTable(
            Fitness, depth=self.config.queues,
            init=Fitness.const({"pool": 1, "size": 1, "headers": 1}).as_value().value)
        split, size = Signal(struct(abi.QUEUE["HEADER_SPLIT"])), port.data[:5]
        m.d.comb += [
            split.eq(port.data), there.eq(fitness.read[0].data),
            fitness.read[0].addr.eq(port.write_index), fitness.write.addr.eq(port.write_index),
            fitness.write.data.eq(there), fitness.write.en.eq(port.write & ~self.refused),
            self.startable.eq(there.pool & there.size & there.headers
                              & (there.extended | ~there.split)),
        ]
        write = fitness.write.data
        for name, news in {
                "POOL": {"pool": port.data[:6] < self.config.pools},
                "RING_SIZE": {"size": (size >= abi.RING_LOG2_MIN) & (size <= abi.RING_LOG2_MAX)},
                "FORMAT": {"extended": port.data[0]},
                "HEADER_SPLIT": {"split": split.enable, "headers": Mux(
                    split.enable, split.pool < self.config.pools, 1)}}.items():
            with m.If(written(port, abi.QUEUE, name) & (name in self.reads)):
                m.d.comb += [write[field].eq(value) for field, value in news.items()]
