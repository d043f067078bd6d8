"""Whether a queue's interrupt is due: by how many completions wait, and for how long."""

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

from .layouts import Index, RingIndex, struct

__all__ = ["Candidate", "Moderation", "ModerationRule", "Units", "Verdict"]

Moderation = struct(abi.QUEUE["MODERATION"])
Units = unsigned(abi.QUEUE["MODERATION"]["time"].width)
"""A running count of units of ``abi.MODERATION_CYCLES``."""


class Candidate(data.Struct):
    """A queue, and what is known of it at one moment."""

    valid: unsigned(1)
    queue: Index
    produced: RingIndex
    """Index up to which completions are visible."""
    armed: RingIndex
    """Index that the host armed with: up to there it has read."""
    since: Units
    """When the first of those behind it was seen, if ``waits``."""
    waits: unsigned(1)
    limits: Moderation


class Verdict(data.Struct):
    """Of a candidate."""

    valid: unsigned(1)
    queue: Index
    pending: unsigned(1)
    """A completion past the armed index is visible."""
    due: unsigned(1)
    """The interrupt should fire, if it is armed."""


class ModerationRule(wiring.Component):
    """Judges a queue a cycle, two cycles late: subtract; compare.

    Members
    -------
    candidate : :py:`In(Candidate)`
    now : :py:`In(Units)`
    verdict : :py:`Out(Verdict)`
    """

    candidate: In(Candidate)
    now: In(Units)
    verdict: Out(Verdict)

    def elaborate(self, platform):
        m = Module()
        verdict = self.verdict
        subtracted = Signal(Candidate)
        ahead, elapsed = Signal(RingIndex), Signal(Units)
        m.d.sync += [subtracted.eq(self.candidate),
                     ahead.eq(self.candidate.produced - self.candidate.armed),
                     elapsed.eq(self.now - self.candidate.since)]
        limits = subtracted.limits
        # Up to a whole ring ahead; an index that the host invents is behind.
        pending = Signal()
        m.d.comb += pending.eq((ahead != 0) & ~(ahead[-1] & ahead[:-1].any()))
        enough = (limits.completions != 0) & (ahead >= limits.completions)
        late = (limits.time != 0) & subtracted.waits & (elapsed >= limits.time)
        unlimited = limits.as_value() == 0
        m.d.sync += [
            verdict.valid.eq(subtracted.valid), verdict.queue.eq(subtracted.queue),
            verdict.pending.eq(pending), verdict.due.eq(pending & (unlimited | enough | late)),
        ]
        return m
