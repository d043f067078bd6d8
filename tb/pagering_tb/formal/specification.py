"""What a proof is made of: a part, what its inputs may do, what must then hold, and covers.

A specification is a module around the part. It assumes of the inputs what their senders promise
(which is asserted where the sender is the part in question), keeps ghost state of its own, and
asserts. The part's own assertions are proved along with them. What induction needs to know beyond
the property is asserted too, so it is proved and not believed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from amaranth.back import rtlil
from amaranth.hdl import Array, Assert, Assume, ClockDomain, Module, Signal, Value
from amaranth.lib.memory import Memory

from pagering.errors import PageringError
from pagering_hdl.config import CardConfig
from pagering_hdl.streams import StreamQueue, following

from .mutant import Mutant

__all__ = ["Specification", "contents", "opened", "rows", "small"]


def small(**changes: Any) -> CardConfig:
    """Return the smallest card that has two of everything."""
    card = {"queues": 2, "pools": 2, "pages": 4, "region_pages": 2, "chunk_bytes": 2048,
            "fifo_bytes": 1024, "max_frame": 1000, "in_flight": 4}
    return CardConfig(**{**card, **changes})


class Specification:
    """One property, or several that are proved together.

    Subclasses make ``dut`` in their constructor and say the rest in :meth:`specify`.
    """

    part: ClassVar[str]
    """What it is about."""
    promise: ClassVar[str]
    """What always holds, in one sentence."""
    steps: ClassVar[int] = 4
    """Induction may look back this far."""
    reach: ClassVar[int] = 12
    """Cycles within which covers are reached and mutants fail."""
    own: ClassVar[bool] = True
    """Whether the part's own assertions are proved along, which may take more assumptions."""
    memories: ClassVar[bool] = True
    """Whether memories are looked into. Else what is read of them may be anything: that is quicker,
    and what is proved so holds for what they do hold, too."""
    unseen: ClassVar[tuple[str, ...]] = ()
    """Submodules of the part that may drive anything, for the same reason."""
    mutants: ClassVar[tuple[Mutant, ...]] = ()
    """Each must break the property."""
    dut: Any
    tied: tuple[str, ...] = ()
    """Inputs of the part that the specification drives itself."""

    def __init__(self) -> None:
        self.clock = ClockDomain("sync", reset_less=True)
        self.free: list[Any] = []
        self.covers: list[str] = []
        """Names of the covers, known once converted."""

    @classmethod
    def name(cls) -> str:
        """Return what it is called on the command line."""
        return cls.__name__

    def specify(self, m: Any, dut: Any) -> Mapping[str, Any]:
        """Say what is assumed and what must hold; return the covers by name.

        ``dut`` is the elaborated part: a module whose submodules can be looked into.
        """
        raise NotImplementedError

    def convert(self, goal: str | None = None) -> str:
        """Return the specification as RTLIL; with a goal, the claim that it is never reached.

        A specification is converted once.

        Raises
        ------
        PageringError
            If a name in ``unseen`` is not that of a submodule alone.
        """
        m = Module()
        m.domains.sync = self.clock
        inside = opened(self.dut)
        m.submodules.dut = self.dut
        covers = self.specify(m, inside)
        self.covers = list(covers)
        if goal is not None:
            m.submodules.goal = claim = Module()
            claim.d.comb += Assert(~covers[goal])
        inputs = [value for path, value in self._inputs() if path not in self.tied]
        text = str(rtlil.convert(m, name="top", platform="formal",
                                 ports=[self.clock.clk, *inputs, *self.free]))
        self._check_unseen(text)
        return text

    def _check_unseen(self, text: str) -> None:
        """Check that what is cut off by its name is a submodule: of two, a signal has the name."""
        for name in self.unseen:
            if f"cell \\top.dut.{name} \\{name}\n" not in text:
                is_signal = re.search(rf"wire .*\\{re.escape(name)}\n", text)
                why = ("a signal has that name too, and would be cut off instead" if is_signal
                       else "there is no such submodule")
                raise PageringError(f"{self.part}: {self.name()} cannot leave '{name}' unseen: "
                                    f"{why}.")

    def constant(self, m: Any, shape: Any, name: str) -> Any:
        """Return a number that may be any, but stays as it is."""
        value, before, later = Signal(shape, name=name), Signal(shape), Signal()
        self.free.append(Value.cast(value))
        m.d.sync += [before.eq(value), later.eq(1)]
        with m.If(later):
            m.d.comb += Assume(value == before)
        return value

    def quiet(self, m: Any, *tables: Any, busy: Any) -> None:
        """Assume that nothing happens while tables are being cleared after a reset."""
        for table in tables:
            m.d.comb += Assume(~table.sweeping | ~busy)

    def _inputs(self) -> Iterator[tuple[str, Any]]:
        for path, member, value in self.dut.signature.flatten(self.dut):
            if member.is_port and member.flow.name == "In":
                yield "__".join(map(str, path)), getattr(value, "as_value", lambda v=value: v)()


def opened(part: Any) -> Any:
    """Return the module that a part is elaborated to, to look into.

    It is elaborated once, here: what is looked into is what is proved.
    """
    inside = part.elaborate("formal")
    part.elaborate = lambda _platform: inside
    return inside


def contents(m: Any, queue: StreamQueue) -> list[tuple[Any, Any]]:
    """Return for each place in a queue, the next to leave first, if it is taken and by what.

    To be asked before what has the queue is converted.
    """
    storage, shape = opened(queue).submodules.storage, queue.o.payload.shape()
    row, stored = storage.read_ports[0].addr, queue.level - queue.block * queue.o.valid
    found = [(queue.o.valid, queue.o.payload)] if queue.block else []
    now = Array(rows(m, storage))
    for place in range(queue.depth - queue.block):
        payload, after = Signal(shape), Signal.like(row)
        m.d.comb += [Value.cast(payload).eq(now[row]), after.eq(following(row))]
        found.append((place < stored, payload))
        row = after
    return found


def rows(m: Any, memory: Memory) -> list[Any]:
    """Return what is in a memory now, row by row."""
    seen = []
    for row in range(memory.depth):
        port = memory.read_port(domain="comb")
        m.d.comb += port.addr.eq(row)
        seen.append(port.data)
    return seen
