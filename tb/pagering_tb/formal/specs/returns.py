"""Tokens on their way back, true and forged."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Assert, Mux, Signal
from amaranth.lib import data

from pagering_hdl.layouts import Fault, Return
from pagering_hdl.return_checker import ReturnChecker
from pagering_tb.formal.contract import assume_inputs
from pagering_tb.formal.mutant import Mutant
from pagering_tb.formal.specification import Specification, small

__all__ = ["TokensArePassedOrRefused"]

TOKEN = data.StructLayout({"item": Return, "in_use": 1})
"""A token, and whether its region was in use when it came in."""


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
        new, judged = Signal(TOKEN), dut.submodules.judged
        m.d.comb += [
            new.item.eq(part.returns.p),
            new.in_use.eq(part.valid.bit_select(
                part.returns.p.token.page[card.region_pages_log2:], 1)),
        ]
        # The token whose turn it is, and the one that came in behind it while it stood still.
        inside, head, behind = Signal(2), Signal(TOKEN), Signal(TOKEN)
        stays = inside - passes - refused
        m.d.sync += inside.eq(stays + came)
        with m.If((passes | refused) & (inside == 2)):
            m.d.sync += head.eq(behind)
        with m.If(came & (stays == 0)):
            m.d.sync += head.eq(new)
        with m.Elif(came):
            m.d.sync += behind.eq(new)
        good_page, good_chunks = self._good(head)
        token = head.item.token
        m.d.comb += [
            Assert(inside == judged.o.valid + judged.full),
            # What induction has to know: the tokens that wait are those that came in.
            *self._is(judged.o.p, head, inside >= 1), *self._is(judged.spare, behind, inside == 2),
            Assert(~part.checked.valid | (good_page & good_chunks)),
            Assert(~part.checked.valid | (part.checked.p.as_value() == head.item.as_value())),
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
                "a chunk that is none": refused & good_page,
                "two wait": inside == 2}

    def _good(self, token: Any) -> tuple[Any, Any]:
        """Return whether a token names a page, and whether it names chunks."""
        place, card = token.item.token, self.card
        return ((place.page < card.pages) & token.in_use,
                (place.first <= place.last) & (place.last < card.chunks))

    def _is(self, judged: Any, token: Any, there: Any) -> list[Any]:
        """Return that what was found is of that token, if it is there."""
        good_page, good_chunks = self._good(token)
        return [Assert(~there | (judged.item.as_value() == token.item.as_value())),
                Assert(~there | (judged.no_page == ~good_page)),
                Assert(~there | (judged.no_chunk == ~good_chunks))]
