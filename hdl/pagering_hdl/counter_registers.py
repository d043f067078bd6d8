"""How the host reads counters: it asks for one, and a few cycles later it is there."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .register_port import RegisterPort
from .statistics import CounterLookup, counter_rows

__all__ = ["CounterRead", "CounterReader", "StatsRegisters"]


class CounterRead(wiring.Signature):
    """A read of half a counter of a queue, as the block that is read drives it.

    Members: ``read``, until ``answered`` for one cycle, with ``value``; ``row`` of the counter, and
    whether it is the ``upper`` half.
    """

    def __init__(self, config):
        super().__init__({"read": Out(1), "row": Out(range(counter_rows(config))),
                          "upper": Out(1), "answered": In(1), "value": In(32)})


class CounterReader(wiring.Component):
    """Asks for a counter once in each read, and keeps the half of it that is read.

    Members
    -------
    read : :py:`In(1)`
        While the read lasts.
    row : :py:`In(range(counter_rows(config)))`, upper : :py:`In(1)`
        Which counter, and which half.
    lookup : :py:`Out(CounterLookup(config))`
    answered : :py:`Out(1)`, value : :py:`Out(32)`
        ``value`` stays until the next read.
    """

    def __init__(self, config):
        lookup = CounterLookup(config)
        super().__init__({
            "read": In(1), "row": In(lookup.members["row"].shape), "upper": In(1),
            "lookup": Out(lookup), "answered": Out(1), "value": Out(32),
        })

    def elaborate(self, platform):
        m = Module()
        asked, lookup = Signal(), self.lookup
        m.d.comb += [lookup.ask.eq(self.read & ~asked), lookup.row.eq(self.row)]
        m.d.sync += [asked.eq(self.read & ~self.answered), self.answered.eq(lookup.answered)]
        with m.If(lookup.answered):
            m.d.sync += self.value.eq(Mux(self.upper, lookup.value[32:], lookup.value[:32]))
        return m


class StatsRegisters(wiring.Component):
    """The block of card-wide counters, and on behalf of another block those of the queues.

    Nothing in it can be written.

    Members
    -------
    port : :py:`In(RegisterPort())`
    queues : :py:`In(CounterRead(config))`
        The other block's. The host reads one register at a time.
    lookup : :py:`Out(CounterLookup(config))`
    """

    def __init__(self, config):
        self.config = config
        super().__init__({"port": In(RegisterPort()), "queues": In(CounterRead(config)),
                          "lookup": Out(CounterLookup(config))})

    def elaborate(self, platform):
        m = Module()
        port, queues = self.port, self.queues
        m.submodules.reader = reader = CounterReader(self.config)
        wiring.connect(m, wiring.flipped(self.lookup), reader.lookup)
        m.d.comb += [
            reader.read.eq(port.read | queues.read),
            reader.row.eq(Mux(queues.read, queues.row, port.read_offset[3:])),
            reader.upper.eq(Mux(queues.read, queues.upper, port.read_offset[2])),
            port.ready.eq(1),
        ]
        for asker in (port, queues):
            m.d.comb += [asker.answered.eq(reader.answered), asker.value.eq(reader.value)]
        return m
