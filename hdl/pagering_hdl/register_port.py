"""How a register block is read and written, and what of the contract it takes to decide that."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

__all__ = ["RegisterPort", "answer_late", "masked", "read_mux", "storage", "written"]


class RegisterPort(wiring.Signature):
    """One access to one block, as the decoder drives it.

    Members: ``write`` with ``write_index``, ``write_offset`` and ``data``, held until ``ready``;
    ``read_index`` and ``read_offset``, answered by ``value`` in the same cycle. A block that needs
    more time lets ``answered`` be low at first; it sees ``read`` until it has answered.
    """

    def __init__(self):
        super().__init__({
            "write": Out(1), "write_index": Out(8), "write_offset": Out(12), "data": Out(32),
            "ready": In(1),
            "read": Out(1), "read_index": Out(8), "read_offset": Out(12), "value": In(32),
            "answered": In(1, init=1),
        })


def answer_late(m: Module, port, cycles: int) -> None:
    """Let every read of a block wait until values that are so many cycles late are there."""
    waited = Signal(cycles)
    m.d.sync += waited.eq(Mux(port.answered, 0, Cat(port.read, waited)))
    m.d.comb += port.answered.eq(waited[-1])


def masked(register: abi.Register, value):
    """Return ``value`` without the bits that the register reserves."""
    return value & sum(field.mask for field in register.named)


def read_mux(m: Module, port, block: abi.Block, values: dict) -> None:
    """Answer reads of ``block`` with ``values``, by register name; the others read zero."""
    with m.Switch(port.read_offset):
        for name, value in values.items():
            with m.Case(block[name].offset):
                m.d.comb += port.value.eq(value)


def written(port, block: abi.Block, name: str):
    """Whether register ``name`` is being written."""
    return port.write & (port.write_offset == block[name].offset)


def storage(block: abi.Block) -> dict:
    """Make a signal for each register of ``block`` that the host can set."""
    return {r.name: Signal(32, name=r.name.lower(), init=r.reset)
            for r in block if r.access is abi.Access.RW}
