"""The contract of every stream between the host and what it orders: registers, marks."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from amaranth.hdl import Assert, Assume, Cat, Const, Mux, Signal

from pagering_hdl.access_decoder import AccessDecoder
from pagering_hdl.axi_lite import AxiLiteTarget
from pagering_hdl.card_registers import CardRegisters
from pagering_hdl.layouts import Kind
from pagering_hdl.lifecycle import Lifecycle, Switchboard
from pagering_hdl.pool_registers import PoolRegisters
from pagering_hdl.region_registers import RegionRegisters
from pagering_hdl.register_window import RegisterWindow
from pagering_hdl.streams import StreamBuffer
from pagering_hdl.user_registers import UserRegisters
from pagering_tb.formal.contract import Offers
from pagering_tb.formal.mutant import Mutant
from pagering_tb.formal.specification import opened, small

__all__ = ["AccessDecoderOffers", "AxiLiteTargetOffers", "CardRegistersOffers", "LifecycleOffers",
           "PoolRegistersOffers", "RegionRegistersOffers", "RegisterWindowOffers",
           "SwitchboardOffers", "UserRegistersOffers"]


def _reads_first(access: Any) -> tuple[Any, ...]:
    """Tell a read from a write that has to wait for it."""
    return (~access.write, access.write)


class AxiLiteTargetOffers(Offers):
    """Accesses, a read before a write that came no earlier; answers on both channels."""

    part = "register_window"
    ways = {"accesses": _reads_first}
    mutants = (
        Mutant(AxiLiteTarget, "elaborate", "~reads & self.accesses.ready", "~reads"),
        Mutant(AxiLiteTarget, "elaborate", "bus.arvalid & ~reading", "bus.arvalid"),
        Mutant(AxiLiteTarget, "elaborate", "~bus.bvalid | bus.bready", "1"),
        Mutant(AxiLiteTarget, "elaborate", "bus.rvalid & bus.rready", "bus.rvalid"))

    def __init__(self) -> None:
        super().__init__()
        self.dut = AxiLiteTarget()

    def meaning(self, name: str, payload: Any) -> Any:
        """Leave out the data of reads."""
        if name != "accesses":
            return payload
        return Cat(payload.write, payload.address,
                   Mux(payload.write, Cat(payload.data, payload.whole), 0))

    def sources(self, name: str) -> Sequence[Any]:
        """A write that waits for reads is still on the bus."""
        bus = self.dut.bus
        write = SimpleNamespace(valid=bus.awvalid & bus.wvalid, payload=Cat(
            Const(1, 1), bus.awaddr, bus.wdata, bus.wstrb.all()))
        return (None, write) if name == "accesses" else ()

    def surroundings(self, m: Any, dut: Any) -> None:
        """A write is carried out when its answer has room; what is found, a read has asked for."""
        part, asked = self.dut, Signal()
        with m.If(part.bus.arvalid & part.bus.arready):
            m.d.sync += asked.eq(1)
        with m.Elif(part.found):
            m.d.sync += asked.eq(0)
        m.d.comb += [Assume(~part.written | part.free), Assume(~part.found | asked),
                     Assert(part.reading == (asked | part.bus.rvalid)),
                     Assert(~(asked & part.bus.rvalid))]


class AccessDecoderOffers(Offers):
    """Accesses that are known to be good or bad."""

    part = "access_decoder"
    ways = {"accesses": _reads_first}
    mutants = (Mutant(StreamBuffer, "elaborate", "~self.o.valid | self.o.ready", "1"),)

    def __init__(self) -> None:
        super().__init__()
        self.dut = AccessDecoder(small())


class RegisterWindowOffers(Offers):
    """Answers, and writes to the blocks. A reset neither begins nor ends: it forgets what waits.

    Writes to the card's own page wait while the memory of settings is cleared. That memory may
    hold anything, and take any time to answer a read.
    """

    part = "register_window"
    unseen = ("register_memory",)
    pausing = ("card_write",)
    never = ("stats_write",)
    tied = ("closed",)
    mutants = (
        Mutant(RegisterWindow, "elaborate", "& target.free &", "&"),
        Mutant(RegisterWindow, "elaborate",
               "due & ~(reaches & ~Cat(port.ready for port in ports)).any()", "due"),
        Mutant(RegisterWindow, "elaborate", "reader.start.eq(valid & ~request.write)",
               "reader.start.eq(valid)"))

    def __init__(self) -> None:
        super().__init__()
        self.dut = RegisterWindow(small())

    def surroundings(self, m: Any, dut: Any) -> None:
        """Tell induction where the one read is that may be, and what is never asked of a block."""
        parts = dut.submodules
        target, reader, memory = parts.target, parts.reader, parts.register_memory
        self.request = parts.decoder.requests
        opened(reader)
        stages = opened(parts.decoder).submodules
        reads = [stage.o.valid & ~stage.o.p.write
                 for stage in (stages.taken, stages.placed, stages.decoded)]
        under_way = Signal(2)
        m.d.comb += [
            self.dut.closed.eq(self.constant(m, 1, "closed_set")),
            Assume(~memory.answered | reader.ask),
            under_way.eq(sum(reads)), Assert(under_way == (target.reading & ~target.bus.rvalid)),
            Assert(~target.bus.rvalid | target.reading),
            *(Assert(~stage.o.valid | ((stage.o.p.blocks & (stage.o.p.blocks - 1)) == 0))
              for stage in (stages.placed, stages.decoded)),
            Assert(~(self.request.p.write & self.request.p.good & self.request.p.to("stats"))
                   | ~self.request.valid),
            Assert(reads[-1] | reader.phase.ongoing("Read memory")),
        ]

    def sources(self, name: str) -> Sequence[Any]:
        """A write that waits for the memory is still requested."""
        request = self.request.p
        write = SimpleNamespace(
            valid=self.request.valid & request.write & request.good & request.to("card"),
            payload=Cat(request.index, request.offset, request.data))
        return (write,) if name == "card_write" else ()


class CardRegistersOffers(Offers):
    """Orders to the clock."""

    part = "card_registers"
    mutants = (Mutant(CardRegisters, "_order", "port.ready.eq(~orders.valid | orders.ready)",
                      "port.ready.eq(1)"),)

    def __init__(self) -> None:
        super().__init__()
        self.dut = CardRegisters(small())


class PoolRegistersOffers(Offers):
    """Orders to retire a pool, which stays drained: to start it takes another write."""

    part = "pool_registers"
    mutants = (Mutant(PoolRegisters, "elaborate", "~retires | too_early | self.retire.ready",
                      "1"),)

    def __init__(self) -> None:
        super().__init__()
        self.dut = PoolRegisters(small())

    def surroundings(self, m: Any, dut: Any) -> None:
        """A pool that is drained stays so while it is not started."""
        drained = Signal.like(self.dut.drained)
        m.d.sync += drained.eq(self.dut.drained)
        m.d.comb += Assume((drained & ~self.dut.drained) == 0)


class RegionRegistersOffers(Offers):
    """Orders to load or to retire."""

    part = "region_registers"
    mutants = (Mutant(RegionRegisters, "elaborate", "with m.If(self.commands.ready)",
                      "with m.If(1)"),)

    def __init__(self) -> None:
        super().__init__()
        self.dut = RegionRegisters(small())


class UserRegistersOffers(Offers):
    """Tokens and doorbells."""

    part = "user_registers"
    mutants = (Mutant(UserRegisters, "elaborate", "~rings | self.doorbells.ready", "1"),
               Mutant(UserRegisters, "elaborate", "~in_window | self.returns.ready", "1"))

    def __init__(self) -> None:
        super().__init__()
        self.dut = UserRegisters(small())


class SwitchboardOffers(Offers):
    """Marks of queues, or of pools."""

    part = "lifecycle"
    mutants = (Mutant(Switchboard, "elaborate", "~self.marks.valid & due.any()", "due.any()"),)

    def __init__(self) -> None:
        super().__init__()
        self.dut = Switchboard(2, start=Kind.START_QUEUE, fence=Kind.FENCE_QUEUE)


class LifecycleOffers(Offers):
    """Marks of both, one behind the other."""

    part = "lifecycle"
    mutants = (Mutant(Lifecycle, "elaborate", "self.queues.marks.valid & ~waits",
                      "self.queues.marks.valid"),)

    def __init__(self) -> None:
        super().__init__()
        self.dut = Lifecycle(small())

    def specify(self, m: Any, dut: Any) -> dict[str, Any]:
        for board in (self.dut.queues, self.dut.pools):
            m.d.comb += [board.set.eq(self._free(m, 1)), board.index.eq(self._free(m, 1)),
                         board.enable.eq(self._free(m, 1)), board.allowed.eq(1)]
        return super().specify(m, dut)

    def _free(self, m: Any, width: int) -> Any:
        """Return what may be anything."""
        value = Signal(width, name=f"free_{len(self.free)}")
        self.free.append(value)
        return value
