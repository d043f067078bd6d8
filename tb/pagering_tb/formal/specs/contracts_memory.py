"""The contract of streams inside the ring and the placer, and of bursts before they are written.

Writes of segments, of completions and of counts come together in front of the bus. What is more
urgent goes first, even when another waits: counts, which no fence may overtake; then completions;
then segments.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Assert, Assume, Signal
from amaranth.lib import stream

from pagering_hdl.burst_fork import BurstFork
from pagering_hdl.burst_merger import BurstMerger
from pagering_hdl.burst_splitter import BurstSplitter
from pagering_hdl.flush_timer import FlushTimer
from pagering_hdl.layouts import LineJob
from pagering_hdl.placer import Locator, PagePicker
from pagering_hdl.recycle_ring import Order, PoolChains, RingScheduler
from pagering_hdl.streams import StreamBuffer
from pagering_tb.formal.contract import Offers, stands
from pagering_tb.formal.mutant import Mutant
from pagering_tb.formal.specification import small

__all__ = ["BurstForkOffers", "BurstMergerOffers", "BurstSplitterOffers", "FlushTimerOffers",
           "LocatorOffers", "PagePickerOffers", "PoolChainsOffers", "RingSchedulerOffers"]


class RingSchedulerOffers(Offers):
    """Orders to the chains."""

    part = "recycle_ring"
    mutants = (Mutant(StreamBuffer, "elaborate", "~self.o.valid | self.o.ready", "1"),)

    def __init__(self) -> None:
        super().__init__()
        self.dut = RingScheduler(2)


class PoolChainsOffers(Offers):
    """Pages off a chain."""

    part = "recycle_ring"
    mutants = (Mutant(PoolChains, "elaborate", "with m.If(self.pages.ready)", "with m.If(1)"),)

    def __init__(self) -> None:
        super().__init__()
        self.dut = PoolChains(small())

    def surroundings(self, m: Any, dut: Any) -> None:
        """A take begins when the page before it is gone."""
        part = self.dut
        m.d.comb += Assume(~part.actions.valid | (part.actions.p.order != Order.TAKE)
                           | (part.step != 0) | ~part.pages.valid)


class PagePickerOffers(Offers):
    """Segments with their page."""

    part = "placer"
    mutants = (Mutant(PagePicker, "elaborate", "waiting.o.ready.eq(go)",
                      "waiting.o.ready.eq(self.picked.valid)"),)

    def __init__(self) -> None:
        super().__init__()
        self.dut = PagePicker(small())

    def surroundings(self, m: Any, dut: Any) -> None:
        """No segment comes while the table is cleared."""
        held, waiting = dut.submodules.held, dut.submodules.waiting
        self.quiet(m, held, busy=self.dut.segments.valid)
        m.d.comb += Assert(~held.sweeping | ~waiting.o.valid)


class LocatorOffers(Offers):
    """Segments with their address."""

    part = "placer"
    mutants = (Mutant(Locator, "elaborate", "asked.o.ready.eq(self.placements.ready)",
                      "asked.o.ready.eq(1)"),)

    def __init__(self) -> None:
        super().__init__()
        self.dut = Locator(small())

    def surroundings(self, m: Any, dut: Any) -> None:
        """An address stays until another is asked for."""
        asked, address = Signal(), Signal(64)
        m.d.sync += [asked.eq(self.dut.address.en), address.eq(self.dut.address.data)]
        m.d.comb += Assume(asked | (self.dut.address.data == address))


class FlushTimerOffers(Offers):
    """Queues whose line is to be written."""

    part = "flush_timer"
    mutants = (Mutant(FlushTimer, "elaborate", "with m.If(self.flushes.ready)", "with m.If(1)"),)

    def __init__(self) -> None:
        super().__init__()
        self.dut = FlushTimer(2)


class BurstSplitterOffers(Offers):
    """Parts of writes. Those of each source are what a splitter offers that has no other."""

    part = "burst_splitter"
    mutants = (Mutant(BurstSplitter, "elaborate", "self.parts.ready & line", "line"),
               Mutant(BurstSplitter, "elaborate", "self.parts.ready & ~line & last",
                      "~line & last"),
               Mutant(BurstSplitter, "_cut", "self.parts.ready & ~self.lines.valid",
                      "self.parts.ready"))
    SOURCES = ("counts", "lines", "segments")

    def __init__(self) -> None:
        super().__init__()
        self.dut = BurstSplitter(small())
        self.tied = tuple(f"{name}__{value}" for name in ("lines", "segments")
                          for value in ("valid", "payload"))

    def specify(self, m: Any, dut: Any) -> dict[str, Any]:
        parts, covers = self.dut.parts, {}
        came = (parts.p.mirror, parts.p.line & ~parts.p.mirror, ~parts.p.line)
        jobs = {name: stream.Signature(LineJob).create() for name in self.SOURCES}
        # As the engine joins them.
        for name, into in (("lines", self.dut.lines), ("counts", self.dut.lines),
                           ("segments", self.dut.segments)):
            job = jobs[name]
            self.free += [job.valid, job.payload.as_value()]
            m.d.comb += Assume(job.p.mirror == (name == "counts"))
            with m.If(job.valid):
                m.d.comb += [into.valid.eq(1), into.p.eq(job.p)]
        for name, way in zip(self.SOURCES, came, strict=True):
            m.submodules[name] = alone = BurstSplitter(small())
            job, own = jobs[name], alone.segments if name == "segments" else alone.lines
            taken = self.dut.segments.ready if name == "segments" else self.dut.lines.ready
            m.d.comb += [
                own.valid.eq(job.valid), own.p.eq(job.p), job.ready.eq(own.ready),
                alone.parts.ready.eq(parts.ready & way), Assert(~alone.parts.valid | parts.valid),
                Assert(~(parts.valid & way) | alone.parts.valid & (
                    parts.p.as_value() == alone.parts.p.as_value())),
                Assert(~job.valid | (job.ready == (way & taken))),
            ]
            if name == "segments":
                m.d.comb += Assert(alone.sent == self.dut.sent)
            stands(m, job, Assume, name)
            waits = stands(m, alone.parts, Assert, f"parts_of_{name}")
            covers[f"{name} wait"] = waits & parts.valid & (1 if name == "counts" else ~way)
        return covers


class BurstMergerOffers(Offers):
    """Bursts, address and beats and ticket, at once or not at all."""

    part = "burst_merger"
    at_once = ("addresses", "bursts", "contents", "tickets")
    ways = {"parts": lambda part: (part.mirror, part.line & ~part.mirror, ~part.line)}
    mutants = (Mutant(BurstMerger, "elaborate", "self.addresses.ready & self.bursts.ready",
                      "self.addresses.ready"),
               Mutant(BurstMerger, "elaborate", "self.contents.ready | ~writes", "1"),
               Mutant(BurstMerger, "_cut_short", "& self.addresses.ready &", "&"))

    def __init__(self) -> None:
        super().__init__()
        self.dut = BurstMerger(small())


class BurstForkOffers(Offers):
    """The same of parts that are bursts."""

    part = "burst_fork"
    at_once = ("addresses", "contents", "tickets")
    ways = BurstMergerOffers.ways
    mutants = (Mutant(BurstFork, "elaborate", "self.addresses.ready & self.contents.ready",
                      "self.addresses.ready"),
               Mutant(BurstFork, "elaborate", "self.tickets.ready\n", "1\n"),
               Mutant(BurstFork, "elaborate", "self.contents.valid.eq(enters & writes)",
                      "self.contents.valid.eq(self.parts.valid & writes)"))

    def __init__(self) -> None:
        super().__init__()
        self.dut = BurstFork()
