"""How a register block is read and written, and what of the contract it takes to decide that."""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

__all__ = ["RegisterPort", "answer_late", "asked", "masked", "overhear", "settings", "show",
           "written"]


class RegisterPort(wiring.Signature):
    """One access to one block, as the decoder drives it.

    The decoder lets nothing through but registers of the contract: there are no other offsets.

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


def _word(block: abi.Block, offset):
    """Return as much of an offset as tells the registers of a block apart."""
    return offset[2:max(register.offset for register in block).bit_length()]


def answer_late(m: Module, port, cycles: int, now=1) -> None:
    """Let every read of a block wait for values that are so many cycles late, and until ``now``."""
    waited = Signal(cycles)
    m.d.sync += waited.eq(Mux(port.answered, 0, Cat(port.read, waited)))
    m.d.comb += port.answered.eq(waited[-1] & now)


def overhear(m: Module, port, *others) -> None:
    """Show other parts of a block what is read and written, which it answers itself."""
    for other in others:
        m.d.comb += [getattr(other, name).eq(getattr(port, name)) for name in (
            "write", "write_index", "write_offset", "data", "read", "read_index", "read_offset")]


def masked(register: abi.Register, value):
    """Return ``value`` without the bits that the register reserves."""
    return value & sum(field.mask for field in register.named)


def show(m: Module, port, block: abi.Block, values: dict) -> None:
    """Answer reads of ``block`` with ``values``, a cycle late; what is not there reads zero.

    A value is that of the register, or of any of the registers, whose name it goes by.
    Each value has a register that is zero unless it is read: to reset one costs no logic, to choose
    among them would.
    """
    kept = []
    for names, value in values.items():
        words = (block[name].offset >> 2
                 for name in ((names,) if isinstance(names, str) else names))
        shown = Signal(len(value), reset_less=True)
        chosen = port.read & _word(block, port.read_offset).matches(*words)
        m.d.sync += shown.eq(Mux(chosen, value, 0))
        kept.append(shown)
    m.d.comb += port.value.eq(reduce(or_, kept))


def asked(port, block: abi.Block, name: str):
    """Whether the offset to read is that of register ``name``, in whichever copy of the block."""
    return _word(block, port.read_offset) == block[name].offset >> 2


def written(port, block: abi.Block, name: str):
    """Whether register ``name`` is being written."""
    return port.write & (_word(block, port.write_offset) == block[name].offset >> 2)


def settings(m: Module, port, block: abi.Block, names, refused) -> dict:
    """Keep what the host writes to registers of a block that there is once; return it by name."""
    kept = {}
    for name in names:
        register = block[name]
        kept[name] = Signal(32, name=name.lower(), init=register.reset)
        with m.If(written(port, block, name) & ~refused):
            m.d.sync += kept[name].eq(masked(register, port.data))
    return kept
