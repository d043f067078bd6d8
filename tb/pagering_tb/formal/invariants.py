"""What must always hold of the whole card, what proves it, and what shows that it could fail.

The eight invariants are those of the architecture. Each follows from what is proved of the parts:
the specifications that are named here, in the order of the argument. Of each of these one mutant is
named, by a piece of its text: a fault that would break the invariant, and which the proof notices.

``python -m pagering_tb.formal.invariants`` prints this as a table in Markdown.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

from .campaign import specifications
from .mutant import Mutant
from .specification import Specification

__all__ = ["INVARIANTS", "Invariant", "Proof", "table"]


@dataclass(frozen=True)
class Proof:
    """A specification, by name, and what of a mutant of it tells that one from the others."""

    specification: str
    fault: str

    @property
    def kind(self) -> type[Specification]:
        """The specification."""
        return {kind.name(): kind for kind in specifications()}[self.specification]

    def mutants(self) -> list[Mutant]:
        """Return the mutants that the text fits: exactly one, if all is well."""
        return [mutant for mutant in self.kind.mutants if self.fault in str(mutant)]


@dataclass(frozen=True)
class Invariant:
    """One of the eight."""

    number: int
    sentence: str
    proofs: tuple[Proof, ...]
    tested: str
    """What of it is not proved, but tested, and where."""


INVARIANTS = (
    Invariant(
        1, "Every page of every registered region is on its ring, open or outstanding; the sum is "
        "constant.", (
            Proof("PagesAreConserved", "-> leaves"),
            Proof("RingIsAQueueOfPages", "-> on + 2")),
        "table and ring together: `tests/storm`, at every rest"),
    Invariant(
        2, "A page handed out was on the ring of a pool of its queue; no chunk is handed out twice "
        "before it is back.", (
            Proof("LimitsAreKept", "-> needs & (free == 0)"),
            Proof("RingIsAQueueOfPages", "Mux(empty | lifo"),
            Proof("SegmentsFillTheirPages", "Mux(share.opens, 0, share.first)"),
            Proof("PagesAreConserved", "Mux(0, logic.new,"),
            Proof("EntryObeysItsOwner", "old.chunks ^ (self.named << 1)")),
        "which pool a grant names: `tests/storm`"),
    Invariant(
        3, "No DMA write leaves a region of its queue's pools, its completion ring or its mirror.",
        (Proof("PagesAreInTheirRegion", "-> place.eq(page + 1)"),
         Proof("SegmentsStayInTheirPage", "segment.last << self.config.chunk_log2"),
         Proof("LinesStayInTheirRing", "Cat(start, request.first)"),
         Proof("BurstsStayInside", "-> size.eq(stop)"),
         Proof("BurstsAreWhole", "-> burst.last + part.last")),
        "mirrors, which are written where a register says: `tests/storm`, at every burst"),
    Invariant(
        4, "A rejected return changes nothing but one fault counter; no ring overflows or "
        "underflows.", (
            Proof("TokensArePassedOrRefused", "token.first > token.last -> 0"),
            Proof("EntryObeysItsOwner", "old.generation < request.generation"),
            Proof("PagesAreConserved", "is_return & ~logic.refused -> is_return"),
            Proof("RingIsAQueueOfPages", "Mux(retires, on, on + 1)")),
        "that the fault is counted: `tests/storm`, at every rest"),
    Invariant(
        5, "Outstanding is within the limit, for each pool and each queue.", (
            Proof("LimitsAreKept", "self.limit + 1"),
            Proof("PagesAreConserved", "-> out(self.written)")),
        "cards that decide in several cycles: `tests/storm`"),
    Invariant(
        6, "After *drained* there is no DMA write until enabled again.", (
            Proof("DrainedIsTrue", "(out & ~self.busy) -> out"),
            Proof("NothingIsEarly", "self.bvalid | ~burst -> 1")),
        "the way of a mark through the card: `tests/storm`, at every burst"),
    Invariant(
        7, "Frames in are those delivered and those dropped for each cause, at rest.", (
            Proof("EveryFrameIsJudged", "-> ~doomed & ~fits"),
            Proof("FramesAreKeptWhole", "committed.eq(head)"),
            Proof("PreviewsEnd", "-> kept"),
            Proof("EventsCountOnce", "-> event.valid"),
            Proof("EveryArrivalIsDecided", "self.dropped.valid.eq(self.arrivals.valid &"),
            Proof("SegmentsFillTheirPages", "(grant.frame.top + 1)"),
            Proof("NothingIsEarly", "-> self.written.ready & pending.o.valid"),
            Proof("EverySegmentIsTold", "-> self.written.ready.eq(can_complete)")),
        "the counters themselves, and promised grants: `tests/storm`, at every rest"),
    Invariant(
        8, "A tenant's window cannot change another queue's state.", (
            Proof("WritesReachTheirRegister", "-> self.index.eq(page[1:])"),
            Proof("TenantsActForThemselves", "-> self.returns.p.queue.eq(port.data)"),
            Proof("TokensArePassedOrRefused", "~self.valid.bit_select(slot, 1) -> 0"),
            Proof("EntryObeysItsOwner", "old.queue != request.queue -> 0"),
            Proof("InterruptsMaskThemselves", "verdict.valid & armed &")),
        "a tenant that writes random words for long: `tests/rtl`"),
)
"""In the words and the order of the architecture."""


def table() -> Iterator[str]:
    """Yield the lines of a table in Markdown."""
    yield "| | always | proved by | a fault that is noticed | only tested |"
    yield "| --- | --- | --- | --- | --- |"
    for invariant in INVARIANTS:
        for number, proof in enumerate(invariant.proofs):
            first = number == 0
            mutant, = proof.mutants()
            fault = str(mutant).replace("|", "\\|")
            yield (f"| {invariant.number if first else ''} "
                   f"| {invariant.sentence if first else ''} | `{proof.specification}`: "
                   f"{proof.kind.promise} | `{fault}` | {invariant.tested if first else ''} |")


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in table())
