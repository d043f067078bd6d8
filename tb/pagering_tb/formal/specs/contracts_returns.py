"""The contract of every stream of tokens on their way back, and of what tells the host of it."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Assert, Assume

from pagering_hdl.count_mirror import CountMirror
from pagering_hdl.return_arbiter import ReturnArbiter
from pagering_hdl.return_checker import ReturnChecker
from pagering_hdl.return_reader import ReturnReader
from pagering_hdl.return_rings import Operation, ReturnRings
from pagering_hdl.streams import StreamBuffer, StreamQueue, StreamSkid
from pagering_tb.formal.contract import Offers, stands
from pagering_tb.formal.mutant import Mutant
from pagering_tb.formal.specification import contents, small

__all__ = ["CountMirrorOffers", "ReturnArbiterOffers", "ReturnCheckerOffers", "ReturnReaderOffers",
           "ReturnRingsOffers"]

_BUFFER = Mutant(StreamBuffer, "elaborate", "~self.o.valid | self.o.ready", "1")


class ReturnArbiterOffers(Offers):
    """Tokens of both ways."""

    part = "return_arbiter"
    mutants = (_BUFFER,)

    def __init__(self) -> None:
        super().__init__()
        self.dut = ReturnArbiter()


class ReturnCheckerOffers(Offers):
    """Tokens that name a page and chunks of it."""

    part = "return_checker"
    mutants = (Mutant(StreamSkid, "elaborate", "~self.o.valid | self.o.ready", "1"),)

    def __init__(self) -> None:
        super().__init__()
        self.dut = ReturnChecker(small())


class ReturnReaderOffers(Offers):
    """Reads on the bus, tokens of what comes, and the ends of reads.

    The queue of tickets has a proof of its own: here it may hold anything.
    """

    part = "return_reader"
    unseen = ("tickets",)
    reach = 24
    mutants = (
        _BUFFER,
        Mutant(ReturnReader, "_unpack", "go.eq(beat.valid & ticket.valid & (self.tokens.ready",
               "go.eq(beat.valid & ticket.valid & (1"),
        Mutant(ReturnReader, "_unpack", "final & (self.tokens.ready | ~named)", "final"))

    def __init__(self) -> None:
        super().__init__()
        self.dut = ReturnReader(small())

    def surroundings(self, m: Any, dut: Any) -> None:
        """A ticket stands like any other offer."""
        stands(m, self.dut.tickets.o, Assume, "ticket")


class CountMirrorOffers(Offers):
    """A job for each write, and then its beat."""

    part = "count_mirror"
    own = True
    mutants = (Mutant(CountMirror, "_offer", "with m.If(self.jobs.ready)", "with m.If(1)"),
               Mutant(CountMirror, "_offer", "with m.If(self.beats.ready)", "with m.If(1)"),
               Mutant(CountMirror, "_offer", "with m.If(self.jobs.valid)", "with m.If(1)"))

    def __init__(self) -> None:
        super().__init__()
        self.dut = CountMirror(small())


class ReturnRingsOffers(Offers):
    """Reads, and consumer indices. The words of the rings may be anything at any time."""

    part = "return_rings"
    unseen = ("rows",)
    reach = 24
    mutants = (
        Mutant(ReturnRings, "_choose", "& (self.asked.level == 0)", ""),
        Mutant(ReturnRings, "_choose", "& ~self.mirrors.valid", ""),
        Mutant(StreamQueue, "elaborate", "leaves.eq(self.o.valid & self.o.ready)",
               "leaves.eq(self.o.valid)"))

    def __init__(self) -> None:
        super().__init__()
        self.dut = ReturnRings(small())

    def surroundings(self, m: Any, dut: Any) -> None:
        """Tell induction when the page of the reads that wait may change, and the index."""
        part, phase, asked = self.dut, self.dut.phase, self.dut.asked
        contents(m, asked)  # Nobody looks, but it says that the queue is sound.
        loads = phase.ongoing("Load words")
        to_fetch = loads & (part.operation == Operation.FETCH)
        to_tell = loads & (part.operation == Operation.MIRROR)
        m.d.comb += [
            Assert(phase.ongoing("Choose operation") | ~(part.fetches | part.tells)),
            Assert(~(part.fetches | to_fetch | phase.ongoing("Fetch")
                     | phase.ongoing("Find page")) | (asked.level == 0)),
            Assert(~(part.tells | to_tell | phase.ongoing("Mirror")) | ~part.mirrors.valid),
        ]
