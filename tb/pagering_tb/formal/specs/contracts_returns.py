"""The contract of every stream of tokens on their way back."""

from __future__ import annotations

from pagering_hdl.return_arbiter import ReturnArbiter
from pagering_hdl.return_checker import ReturnChecker
from pagering_hdl.streams import StreamBuffer
from pagering_tb.formal.contract import Offers
from pagering_tb.formal.mutant import Mutant
from pagering_tb.formal.specification import small

__all__ = ["ReturnArbiterOffers", "ReturnCheckerOffers"]

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
    mutants = (_BUFFER,)

    def __init__(self) -> None:
        super().__init__()
        self.dut = ReturnChecker(small())
