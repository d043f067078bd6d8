"""What a write by the host can reach: the one register that its address names, of one queue."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Assert, Assume, Cat, Mux, Signal
from amaranth.lib import data

from pagering import abi
from pagering_hdl.address_decoder import BLOCKS, AccessRights, BlockFinder
from pagering_hdl.register_window import RegisterWindow
from pagering_hdl.user_registers import UserRegisters
from pagering_tb.formal.contract import assume_inputs
from pagering_tb.formal.mutant import Mutant
from pagering_tb.formal.specification import Specification, opened, rows, small

__all__ = ["TenantsActForThemselves", "WritesReachTheirRegister"]

_PAGE = 4096


_ASKED = data.StructLayout({"write": 1, "address": abi.WINDOW_ADDRESS_BITS, "data": 32})
"""An access as it was on the bus."""


class WritesReachTheirRegister(Specification):
    """Every access is followed from the bus to the blocks, with its address beside it.

    The memory of settings may hold anything: nothing that is written depends on it.
    """

    part = "register_window"
    promise = "a write acts once, on the block and copy that its address names, and on no other"
    steps = 2
    own = False
    unseen = ("register_memory",)
    mutants = (
        Mutant(BlockFinder, "elaborate", "self.index.eq(page[1:] - 1)", "self.index.eq(page[1:])"),
        Mutant(BlockFinder, "elaborate", 'found["user"].eq(page[0])', 'found["user"].eq(1)'),
        Mutant(AccessRights, "elaborate", "(self.index < self.counts[block.count]) &", ""),
        Mutant(RegisterWindow, "elaborate", "request.good & request.to(name)", "request.good"),
        Mutant(RegisterWindow, "elaborate", "decoder.requests.ready.eq(done | reader.done)",
               "decoder.requests.ready.eq(reader.done)"),
    )

    def __init__(self) -> None:
        super().__init__()
        self.card = small()
        self.dut = RegisterWindow(self.card)
        self.counts = {"": 1, "regions": self.card.regions, "pools": self.card.pools,
                       "queues": self.card.queues}

    def specify(self, m: Any, dut: Any) -> dict[str, Any]:
        part, bus = self.dut, self.dut.bus
        assume_inputs(m, part)
        stages = opened(dut.submodules.decoder).submodules
        asked = _ASKED(Cat(~bus.arready, Mux(bus.arready, bus.araddr, bus.awaddr), bus.wdata))
        for name in ("taken", "placed", "decoded"):
            asked = self._follow(m, stages[name], asked, name)
        request, writes = stages.decoded.o, []
        for name, block in part.blocks.items():
            port = getattr(part, name)
            writes.append(port.write)
            with m.If(port.write):
                m.d.comb += [
                    Assert(request.valid & asked.write), Assert(port.data == asked.data),
                    Assert(self._is_at(block, port.write_index, asked.address)),
                    Assert(port.write_offset == asked.address[:12]),
                    Assert(port.write_index < self.counts[block.count]),
                ]
        # Once, whatever else is asked for: it acts until it is taken, and then is gone.
        acts = Cat(write & getattr(part, name).ready
                   for name, write in zip(part.blocks, writes, strict=True))
        page, first = asked.address[12:], abi.USER.base // _PAGE
        is_tenants = page[0] & (page >= first) & (page < first + 2 * abi.QUEUES_MAX)
        m.d.comb += [
            Assert((Cat(writes) & (Cat(writes) - 1)) == 0),
            Assert(~acts.any() | request.ready),
            # A tenant's page has only its own registers.
            Assert(~(request.valid & is_tenants) | ~Cat(
                write for name, write in zip(part.blocks, writes, strict=True)
                if name != "user").any()),
        ]
        return {"a tenant's write": part.user.write & (part.user.write_index == 1),
                "a write to a queue's own page": part.queue.write & (part.queue.write_index == 1),
                "a tenant of none": request.valid & request.p.write & is_tenants
                & ~request.p.good}

    def _follow(self, m: Any, stage: Any, asked: Any, name: str) -> Any:
        """Keep what was asked beside a stage; return what the stage has now."""
        here = Signal(_ASKED, name=f"asked_{name}")
        with m.If(stage.i.valid & stage.i.ready):
            m.d.sync += here.eq(asked)
        # What induction has to know of an access that waits.
        found = stage.o.p
        m.d.comb += Assert(~stage.o.valid | (found.write == here.write) & (
            ~here.write | (found.data == here.data)))
        with m.If(stage.o.valid):
            if name == "taken":
                m.d.comb += Assert(found.address == here.address)
            else:
                m.d.comb += [Assert(found.offset == here.address[:12]),
                             Assert((found.blocks & (found.blocks - 1)) == 0)]
                m.d.comb += [Assert(~found.blocks[number]
                                    | self._is_at(block, found.index, here.address))
                             for number, block in enumerate(BLOCKS.values())]
            if name == "decoded":
                m.d.comb += [Assert(~(found.good & found.blocks[number])
                                    | (found.index < self.counts[block.count]))
                             for number, block in enumerate(BLOCKS.values())]
        return here

    def _is_at(self, block: abi.Block, index: Any, address: Any) -> Any:
        """Return whether an address is within a copy of a block, or its page."""
        stride = block.stride if block.count else _PAGE
        unit = min(stride, _PAGE)
        base = block.base & -unit
        return (address & ((1 << len(address)) - unit)) == base + stride * (
            index if block.count else 0)


class TenantsActForThemselves(Specification):
    """Two queues, and what comes of any write to the page of either.

    That the index is that of the page, and of a queue, is proved of the register window.
    """

    part = "user_registers"
    promise = "what a write to a tenant's page asks for, it asks for that tenant's queue"
    steps = 2
    mutants = (
        Mutant(UserRegisters, "elaborate", "self.returns.p.queue.eq(port.write_index)",
               "self.returns.p.queue.eq(port.data)"),
        Mutant(UserRegisters, "elaborate", "self.doorbells.p.queue.eq(port.write_index)",
               "self.doorbells.p.queue.eq(port.data[8:])"),
        Mutant(UserRegisters, "elaborate", "self.arm.queue.eq(port.write_index)",
               "self.arm.queue.eq(0)"),
        Mutant(UserRegisters, "elaborate", "consumed.write.addr.eq(port.write_index)",
               "consumed.write.addr.eq(port.write_offset)"),
        Mutant(UserRegisters, "elaborate", "(arms | consumes)", "(arms | consumes | port.read)"),
    )

    def __init__(self) -> None:
        super().__init__()
        self.card = small()
        self.dut = UserRegisters(self.card)

    def specify(self, m: Any, dut: Any) -> dict[str, Any]:
        part, port = self.dut, self.dut.port
        assume_inputs(m, part)
        m.d.comb += [Assume(~port.write | (port.write_index < self.card.queues)),
                     Assume(~part.restart | (part.restart_index < self.card.queues))]
        for asks, queue in ((part.returns.valid, part.returns.p.queue),
                            (part.doorbells.valid, part.doorbells.p.queue),
                            (part.arm.valid, part.arm.queue)):
            m.d.comb += Assert(~asks | port.write & (queue == port.write_index))
        m.d.comb += [Assert(~part.returns.valid | (part.returns.p.token.as_value() == port.data)),
                     # Whatever is written is one thing.
                     Assert(~(part.returns.valid & part.doorbells.valid)),
                     Assert(~part.arm.valid | ~(part.returns.valid | part.doorbells.valid))]
        # What a queue has consumed is its tenant's to say, or is cleared as the queue is enabled.
        began = Signal()
        m.d.sync += began.eq(1)
        for queue, row in enumerate(rows(m, dut.submodules.consumed_table.rows)):
            before, may_change = Signal.like(row), Signal(name=f"may_change_{queue}")
            m.d.sync += [before.eq(row), may_change.eq(
                (port.write & (port.write_index == queue))
                | (part.restart & (part.restart_index == queue)))]
            m.d.comb += Assert(~began | may_change | (row == before))
        return {"a token comes back": part.returns.valid & (part.returns.p.queue == 1),
                "a doorbell": part.doorbells.valid & (part.doorbells.p.queue == 1),
                "an interrupt is armed": part.arm.valid & (part.arm.queue == 1)}
