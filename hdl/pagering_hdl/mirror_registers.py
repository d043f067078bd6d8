"""The registers that say where the counts of each pool are mirrored."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

from .block_table import BlockTable
from .count_mirror import MirrorSettings
from .register_port import RegisterPort, masked, written
from .state_table import Lookup

__all__ = ["MirrorRegisters"]


class MirrorRegisters(wiring.Component):
    """MIRROR_LOW and MIRROR_HIGH of each pool, kept for the one who mirrors.

    Members
    -------
    port : :py:`In(RegisterPort())`
        What is written. Reads are for others to answer.
    writes : :py:`Out(1)`
        One of these two is being written.
    refused : :py:`In(1)`, impossible : :py:`Out(1)`
        It is not kept: so it is said; or this card has no mirrors, and one is switched on.
    mirror : :py:`In(Lookup(7, MirrorSettings))`
        One cycle late: pool above, high word below.
    """

    def __init__(self, config):
        self.config = config
        super().__init__({
            "port": In(RegisterPort()), "writes": Out(1), "refused": In(1), "impossible": Out(1),
            "mirror": In(Lookup(7, MirrorSettings)),
        })

    def elaborate(self, platform):
        m = Module()
        port, high = self.port, Signal()
        m.submodules.addresses = addresses = BlockTable(MirrorSettings,
                                                        depth=2 * self.config.pools, index=7)
        wiring.connect(m, wiring.flipped(self.mirror), addresses.read[0])
        if not self.config.pool_watch:
            m.d.comb += self.impossible.eq(self.writes & ~high & port.data[0])
        m.d.comb += [
            high.eq(written(port, abi.POOL, "MIRROR_HIGH")),
            self.writes.eq(high | written(port, abi.POOL, "MIRROR_LOW")),
            addresses.write.en.eq(self.writes & ~self.refused & ~self.impossible),
            addresses.write.addr.eq(Cat(high, port.write_index)),
            addresses.write.data.word.eq(Mux(high, port.data, masked(abi.POOL["MIRROR_LOW"],
                                                                     port.data))),
        ]
        return m
