"""The registers of each queue's return ring, which are words that the return rings keep."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

from .register_port import RegisterPort, masked, written
from .ring_words import SettingWrite, WordAddress
from .state_table import Lookup

__all__ = ["ReturnRingRegisters"]


class ReturnRingRegisters(wiring.Component):
    """Finds the word that a register is.

    Members
    -------
    port : :py:`In(RegisterPort())`
        What is read or written. The answer is for others to give.
    refused : :py:`In(1)`
        It is not to be set.
    impossible : :py:`Out(1)`
        It is a size that there is not.
    setting : :py:`Out(SettingWrite())`, word : :py:`Out(Lookup(WordAddress, 32))`
        To the return rings: what is set, and what is read.
    """

    NAMES = ("RETURN_LOW", "RETURN_HIGH", "RETURN_SIZE", "RETURN_CONSUMED")
    """One word after the other; the last is not written."""

    def __init__(self, config):
        self.config = config
        super().__init__({
            "port": In(RegisterPort()), "refused": In(1), "impossible": Out(1),
            "setting": Out(SettingWrite()), "word": Out(Lookup(WordAddress, 32)),
        })

    def elaborate(self, platform):
        m = Module()
        port, setting, first = self.port, self.setting, abi.QUEUE["RETURN_LOW"].offset // 4
        low, high, size = (written(port, abi.QUEUE, name) for name in self.NAMES[:-1])
        log2 = Signal(5)
        good = ((log2 >= abi.RETURN_LOG2_MIN) & (log2 <= abi.RETURN_LOG2_MAX)
                & self.config.pull_returns)
        m.d.comb += [
            log2.eq(port.data), self.impossible.eq(size & log2.any() & ~good),
            setting.en.eq((low | high | size) & ~self.refused),
            setting.queue.eq(port.write_index), setting.word.eq((port.write_offset >> 2) - first),
            setting.data.eq(masked(abi.QUEUE["RETURN_HIGH"], port.data)),
            self.word.addr.eq(Cat(((port.read_offset >> 2) - first)[:3], port.read_index)),
        ]
        for name, writes in (("RETURN_LOW", low), ("RETURN_SIZE", size)):
            with m.If(writes):
                m.d.comb += setting.data.eq(masked(abi.QUEUE[name], port.data))
        return m
