"""Tokens on their way back, true and forged."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Assert, Mux, Signal

from pagering_hdl.layouts import Fault, Return
from pagering_hdl.return_checker import ReturnChecker
from pagering_tb.formal.contract import assume_inputs
from pagering_tb.formal.mutant import Mutant
from pagering_tb.formal.specification import Specification, small

__all__ = ["TokensArePassedOrRefused"]


class TokensArePassedOrRefused(Specification):
    """Every token is accounted for, and what is passed on names a page and chunks of it.

    The regions that count are those in use when the token comes in: of a region that is retired
    after that, the page table refuses the token.
    """

    part = "return_checker"
    promise = "each token is passed on or refused, once; no token of no page or no chunk passes"
    steps = 3
    mutants = (
        Mutant(ReturnChecker, "elaborate", "token.first > token.last", "0"),
        Mutant(ReturnChecker, "elaborate", "token.last > Const(self.config.chunks - 1, 6)",
               "token.last > Const(self.config.chunks, 6)"),
        Mutant(ReturnChecker, "elaborate", "~self.valid.bit_select(slot, 1)", "0"),
        Mutant(ReturnChecker, "elaborate", "self.checked.ready | bad", "self.checked.ready"),
    )

    def __init__(self) -> None:
        super().__init__()
        self.card = small()
        self.dut = ReturnChecker(self.card)

    def specify(self, m: Any, dut: Any) -> dict[str, Any]:
        part, card = self.dut, self.card
        assume_inputs(m, part)
        passes, refused = part.checked.valid & part.checked.ready, part.refusal.valid
        came = part.returns.valid & part.returns.ready
        given, judged = part.returns.p.token, dut.submodules.judged.o
        inside, in_use, item = Signal(2), Signal(), Signal(Return)
        m.d.sync += inside.eq(inside + came - passes - refused)
        with m.If(came):
            m.d.sync += [
                in_use.eq(part.valid.bit_select(given.page[card.region_pages_log2:], 1)),
                item.eq(part.returns.p)]
        token = item.token
        good_page = (token.page < card.pages) & in_use
        good_chunks = (token.first <= token.last) & (token.last < card.chunks)
        m.d.comb += [
            Assert(inside == judged.valid),
            # What induction has to know: the token that waits is the one that came in.
            Assert((inside == 0) | (judged.p.item.as_value() == item.as_value())),
            Assert((inside == 0) | (judged.p.no_page == ~good_page)),
            Assert((inside == 0) | (judged.p.no_chunk == ~good_chunks)),
            Assert(~part.checked.valid | (good_page & good_chunks)),
            Assert(~part.checked.valid | (part.checked.p.as_value() == item.as_value())),
            Assert(~refused | ~(good_page & good_chunks)),
            Assert(~refused | (part.refusal.fault == Mux(good_page, Fault.RETURN_CHUNK,
                                                         Fault.RETURN_PAGE))),
            Assert(~(part.checked.valid & refused)),
            # None is held back.
            Assert((inside == 0) | part.checked.valid | refused),
            Assert(part.idle == (inside == 0)),
        ]
        return {"the last page passes": passes & (token.page == card.pages - 1),
                "a page that is none": refused & (part.refusal.fault == Fault.RETURN_PAGE),
                "a chunk that is none": refused & good_page}
